// DevTest: `zabmq dev` and the demo start, end and clean up.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "cli/free_ports.hpp"
#include "tool.hpp"

namespace zabmq::cluster {

namespace {

// A first port whose whole scheme is free.
int free_scheme() {
  while (true) {
    const int first = cli::free_ports(1).front();
    bool free = true;
    for (const int more : {0, 10, 20, 100, 110, 120}) {
      free = free && cli::is_port_free(static_cast<std::uint16_t>(first + more));
    }
    if (free) return first;
  }
}

std::string endpoints_of(int first) {
  const auto endpoint = [first](int more) {
    return "tcp://127.0.0.1:" + std::to_string(first + more);
  };
  return endpoint(0) + "," + endpoint(10) + "," + endpoint(20);
}

bool scheme_is_free(int first) {
  for (const int more : {0, 10, 20, 100, 110, 120}) {
    if (!cli::is_port_free(static_cast<std::uint16_t>(first + more))) return false;
  }
  return true;
}

// Reads what dev prints until it is ready.
void wait_until_ready(Running& dev) {
  while (true) {
    const auto line = dev.read_line(Millis{20000});
    REQUIRE(line);
    if (line->starts_with("ready")) return;
  }
}

// A temporary directory for everything that a child creates, to see what it leaves behind.
class OwnTemporaries {
 public:
  OwnTemporaries() { setenv("TMPDIR", directory_.path().c_str(), 1); }
  ~OwnTemporaries() { unsetenv("TMPDIR"); }
  OwnTemporaries(const OwnTemporaries&) = delete;
  OwnTemporaries& operator=(const OwnTemporaries&) = delete;
  bool empty() const { return std::filesystem::is_empty(directory_.path()); }

 private:
  TemporaryDirectory directory_;
};

std::string write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

}  // namespace

TEST_SUITE("cluster/dev") {
  TEST_CASE("dev: three servers, Ctrl-C stops them, the next start goes on with the data") {
    TemporaryDirectory directory;
    const int port = free_scheme();
    const Words words{"dev", "--dir", directory.path() / "dev", "--port", std::to_string(port)};
    const std::string endpoints = endpoints_of(port);
    {
      Running dev("zabmq", words);
      wait_until_ready(dev);
      CHECK(zabmq_tool({"status", "--endpoints", endpoints}).code == 0);
      CHECK(zabmq_tool({"pub", "t", "kept", "--endpoints", endpoints}).code == 0);
      dev.signal(SIGINT);
      CHECK(dev.wait() == 0);
      CHECK(scheme_is_free(port));
    }

    Running dev("zabmq", words);
    wait_until_ready(dev);

    CHECK(zabmq_tool({"sub", "--from", "first", "--until-end", "--endpoints", endpoints}).out ==
          "kept\n");
  }

  TEST_CASE("dev: killed with SIGKILL -> its servers die with it") {
    TemporaryDirectory directory;
    const int port = free_scheme();
    Running dev("zabmq", {"dev", "--dir", directory.path(), "--port", std::to_string(port)});
    wait_until_ready(dev);
    CHECK_FALSE(scheme_is_free(port));

    dev.signal(SIGKILL);

    CHECK(dev.wait() == 128 + SIGKILL);
    CHECK(eventually([port] { return scheme_is_free(port); }));
  }

  TEST_CASE("dev: a port in use -> exit 1 soon, one line with the port") {
    TemporaryDirectory directory;
    const int port = free_scheme();
    Running first("zabmq",
                  {"dev", "--dir", directory.path() / "a", "--port", std::to_string(port)});
    wait_until_ready(first);

    const Ended second =
        zabmq_tool({"dev", "--dir", directory.path() / "b", "--port", std::to_string(port)});

    CHECK(second.code == 1);
    CHECK(is_one_line(second.err));
    CHECK(contains(second.err, "--port " + std::to_string(port)));
    CHECK(contains(second.err, "in use"));
    CHECK(first.runs_for(Millis{0}));
  }

  TEST_CASE("dev: founded by three, asked for five -> exit 1, what is there and what to do") {
    TemporaryDirectory directory;
    const int port = free_scheme();
    const std::string data = directory.path() / "dev";
    const auto dev = [&](const char* servers) {
      return Words{"dev", "--dir", data, "--port", std::to_string(port), "--servers", servers};
    };
    {
      Running first("zabmq", dev("3"));
      wait_until_ready(first);
      first.signal(SIGINT);
      REQUIRE(first.wait() == 0);
    }

    const Ended five = zabmq_tool(dev("5"));

    CHECK(five.code == 1);
    CHECK(is_one_line(five.err));
    CHECK(contains(five.err, "the cluster in " + data + " was founded by the servers 1,2,3"));
    CHECK(contains(five.err, "--servers 3"));
    CHECK_FALSE(std::filesystem::exists(data + "/5"));
  }

  TEST_CASE("dev: a directory that cannot be made -> exit 1, named") {
    TemporaryDirectory directory;
    const std::string file = write_file(directory.path() / "file", "");

    const Ended dev = zabmq_tool({"dev", "--dir", file});

    CHECK(dev.code == 1);
    CHECK(dev.err == "zabmq dev: cannot create the directory " + file + ": Not a directory\n");
  }

  TEST_CASE("dev: a server killed -> how it ended and how to start it again, the others go on") {
    TemporaryDirectory directory;
    const int port = free_scheme();
    // The command to start a server again is for another terminal, which may be anywhere.
    const auto relative = std::filesystem::relative(directory.path());
    Running dev("zabmq", {"dev", "--dir", relative, "--port", std::to_string(port)});
    std::string process;
    while (true) {
      const std::string line = dev.read_line().value();
      if (line.starts_with("ready")) break;
      std::istringstream words(line);
      std::string id, role, client;
      words >> id >> role >> client;
      if (id == "1") words >> process;
    }
    REQUIRE_FALSE(process.empty());

    REQUIRE(kill(std::stoi(process), SIGKILL) == 0);

    CHECK(eventually([&dev] { return contains(dev.error_output(), "to do that: "); }));
    const std::string told = dev.error_output();
    CHECK(contains(told, "server 1 ended: killed by signal 9 (Killed)\n"));
    CHECK(contains(told, "zabmqd --id 1 --servers 1=127.0.0.1:"));
    CHECK(contains(told, "--data-dir /"));
    CHECK(contains(told, directory.path().string() + "/1\n"));
    CHECK(eventually([&] {
      return zabmq_tool({"pub", "t", "m", "--endpoints", endpoints_of(port)}).code == 0;
    }));
  }
}

TEST_SUITE("cluster/demo") {
  TEST_CASE("demo: a file of every shape of line -> the promises hold, nothing is left behind") {
    TemporaryDirectory directory;
    std::string content = "\n\n\r\n" + std::string(5000, 'x') + "\n";
    for (int i = 0; i < 256; ++i) content += std::string("byte ") + static_cast<char>(i) + "\n";
    content += numbered_lines(1, 3000);
    content += "no newline at the end";
    const std::string file = write_file(directory.path() / "file", content);
    OwnTemporaries temporaries;

    const Ended demo = run_program("zabmq-demo", {file}, {}, Millis{60000});

    INFO(demo.out << demo.err);
    CHECK(demo.code == 0);
    CHECK(contains(demo.out, "the promises hold"));
    CHECK(contains(demo.out, "SIGKILL"));
    CHECK(temporaries.empty());
  }

  TEST_CASE("demo: SIGTERM -> stops, cleans up, exit 130") {
    TemporaryDirectory directory;
    const std::string file = write_file(directory.path() / "file", numbered_lines(1, 100000));
    OwnTemporaries temporaries;
    Running demo("zabmq-demo", {file, "--kills", "50"});
    while (true) {
      const auto line = demo.read_line();
      REQUIRE(line);
      if (contains(*line, "SIGKILL")) break;
    }

    demo.signal(SIGTERM);

    CHECK(demo.wait() == 130);
    CHECK(temporaries.empty());
  }

  TEST_CASE("demo: no such file, an empty file, a directory -> one line that names it") {
    for (const char* file : {"/nonexistent/file", "/dev/null", "/proc/self"}) {
      const Ended demo = run_program("zabmq-demo", {file});
      CHECK(demo.code == 1);
      CHECK(is_one_line(demo.err));
      CHECK(contains(demo.err, file));
    }
  }
}

}  // namespace zabmq::cluster
