// StatusTest: `zabmq status` and `log` as scripts use them.
#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

std::vector<std::string> names_of(const nlohmann::ordered_json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

// Changes one bit in the middle of the file, which is what a bad disk does.
void flip_a_bit(const std::filesystem::path& file, std::uint64_t position) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(position));
  const int byte = stream.get();
  REQUIRE(byte >= 0);
  stream.seekp(static_cast<std::streamoff>(position));
  stream.put(static_cast<char>(byte ^ 1));
  REQUIRE(stream.good());
}

// Where `text` stands in one of the directory's files.
std::pair<std::filesystem::path, std::uint64_t> find_in(const std::filesystem::path& directory,
                                                        const std::string& text) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    const std::size_t at = bytes.find(text);
    if (at != std::string::npos) return {entry.path(), at};
  }
  FAIL(text << " is in no file");
  return {};
}

}  // namespace

TEST_SUITE("cluster/status") {
  TEST_CASE("status: JSON -> every field of every server, also of those not in the endpoints") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 10)).code == 0);
    REQUIRE(cluster.even());

    const Ended status = zabmq_tool({"status", "-o", "json", "--endpoints", cluster.endpoint(2)});

    CHECK(status.code == 0);
    CHECK(status.err.empty());
    CHECK(is_one_line(status.out));
    const auto object = objects_of(status.out).at(0);
    CHECK(names_of(object) == std::vector<std::string>{"leader", "servers"});
    REQUIRE(object["servers"].size() == 3);
    int leaders = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& server = object["servers"][i];
      CHECK(names_of(server) == std::vector<std::string>{"id", "client", "role", "phase", "epoch",
                                                         "last_logged", "last_committed",
                                                         "first_offset", "last_offset"});
      CHECK(server["id"] == i + 1);
      CHECK(server["client"] == cluster.endpoint(static_cast<int>(i + 1)));
      CHECK(server["phase"] == "broadcast");
      CHECK(server["epoch"] == 1);
      CHECK(server["first_offset"] == 1);
      CHECK(server["last_offset"] == 10);
      CHECK(server["last_logged"].get<std::string>().starts_with("1."));
      CHECK(server["last_committed"] == server["last_logged"]);
      if (server["role"] == "leader") {
        ++leaders;
        CHECK(object["leader"] == server["id"]);
      } else {
        CHECK(server["role"] == "follower");
      }
    }
    CHECK(leaders == 1);
  }

  TEST_CASE("status: a server down -> unreachable with nulls, in a second, exit 0 with a leader") {
    TestCluster cluster;
    const ServerId follower = cluster.follower();
    cluster.servers().kill(follower, SIGKILL);

    const Ended status = cluster.tool({"status", "--json"});

    CHECK(status.code == 0);
    CHECK(status.took < Millis{2500});
    CHECK(contains(status.err, "not reachable: " + to_string(follower)));
    const auto object = objects_of(status.out).at(0);
    const auto& server = object["servers"][static_cast<std::uint32_t>(follower) - 1];
    CHECK(server["role"] == "unreachable");
    CHECK(server["id"] == static_cast<std::uint32_t>(follower));
    for (const char* name :
         {"phase", "epoch", "last_logged", "last_committed", "first_offset", "last_offset"}) {
      CHECK(server[name].is_null());
    }
  }

  TEST_CASE("status: table -> a heading and a row a server, nobody there -> exit 2") {
    TestCluster cluster;

    const Ended table = cluster.tool({"status"});
    CHECK(table.code == 0);
    CHECK(lines_of(table.out).size() >= 4);
    CHECK(contains(table.out, "leader"));
    CHECK(contains(table.out, "durability"));

    const std::string nobody = "tcp://127.0.0.1:" + std::to_string(cli::free_ports(1).front());
    const Ended none = zabmq_tool({"status", "--endpoints", nobody, "-o", "json"});
    CHECK(none.code == 2);
    CHECK(objects_of(none.out).at(0)["leader"].is_null());
  }

  TEST_CASE("log verify: stopped servers -> clean, running -> refused, a bit changed -> exit 3") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 100)).code == 0);
    REQUIRE(cluster.even());
    const std::string directory = cluster.servers().server(ServerId(1)).data_directory;
    const Words verify{"log", "verify", "--data-dir", directory};

    const Ended busy = zabmq_tool(verify);
    CHECK(busy.code == 1);
    CHECK(is_one_line(busy.err));
    CHECK(contains(busy.err, directory));

    cluster.servers().stop();
    const Ended clean = zabmq_tool(verify);
    INFO(clean.err);
    CHECK(clean.code == 0);
    CHECK(clean.err.empty());
    CHECK(contains(clean.out, "offsets 1 to 100"));
    const auto object =
        objects_of(zabmq_tool({"log", "verify", "--data-dir", directory, "--json"}).out);
    CHECK(object.at(0)["verdict"] == "clean");
    CHECK(object.at(0)["file"].is_null());
    CHECK(object.at(0)["first_offset"] == 1);
    CHECK(object.at(0)["last_offset"] == 100);
    CHECK(object.at(0)["messages"] == 100);

    const auto [file, position] = find_in(directory, "message 50");
    flip_a_bit(file, position);
    const Ended corrupt = zabmq_tool(verify);
    CHECK(corrupt.code == 3);
    CHECK(is_one_line(corrupt.err));
    CHECK(contains(corrupt.err, file.filename().string()));
    const Ended json = zabmq_tool({"log", "verify", "--data-dir", directory, "--json"});
    CHECK(json.code == 3);
    CHECK(objects_of(json.out).at(0)["verdict"] == "corrupt");
    CHECK(objects_of(json.out).at(0)["file"] == file.filename().string());

    // The server refuses it as well, with the way out; the others go on.
    cluster.servers().launch_all();
    CHECK(cluster.servers().wait_for_end(ServerId(1), Millis{5000}) == 1);
    CHECK(contains(cluster.servers().last_log_line(ServerId(1)), file.filename().string()));
    CHECK(eventually([&] { return cluster.tool({"pub", "t", "m"}).code == 0; }));
  }

  TEST_CASE("log dump: every record of a stopped server, and the damage by file and position") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 100)).code == 0);
    REQUIRE(cluster.even());
    const std::string directory = cluster.servers().server(ServerId(1)).data_directory;
    const Words dump{"log", "dump", "--data-dir", directory, "--json"};

    const Ended busy = zabmq_tool(dump);
    CHECK(busy.code == 1);
    CHECK(busy.out.empty());
    CHECK(contains(busy.err, directory));

    cluster.servers().stop();
    const Ended clean = zabmq_tool(dump);
    CHECK(clean.code == 0);
    CHECK(clean.err.empty());
    const auto lines = objects_of(clean.out);
    CHECK(lines.front()["type"] == "identity");
    CHECK(lines.front()["standing"] == "voter");
    CHECK(lines.front()["voters"] == "1,2,3");
    CHECK(lines.back()["verdict"] == "clean");
    std::uint64_t offset = 0;
    for (const auto& line : lines) {
      if (line["type"] != "record" || line["kind"] != "batch") continue;
      CHECK(line["first_offset"] == offset + 1);
      CHECK(line["in_chain"] == true);
      offset = line["last_offset"];
    }
    CHECK(offset == 100);
    const Ended text = zabmq_tool({"log", "dump", "--data-dir", directory});
    CHECK(contains(text.out, "..100 publisher "));

    const auto [file, position] = find_in(directory, "message 50");
    flip_a_bit(file, position);
    const Ended corrupt = zabmq_tool(dump);
    CHECK(corrupt.code == 3);
    CHECK(is_one_line(corrupt.err));
    std::size_t damaged = 0;
    for (const auto& line : objects_of(corrupt.out)) {
      if (line["type"] != "damage") continue;
      ++damaged;
      CHECK(line["file"] == file.filename().string());
      CHECK(line["position"].get<std::uint64_t>() < position);
      CHECK(line["position"].get<std::uint64_t>() + line["bytes"].get<std::uint64_t>() > position);
    }
    CHECK(damaged == 1);
  }

  TEST_CASE("log verify: no such directory -> exit 1, one line that names it") {
    const Ended verify = zabmq_tool({"log", "verify", "--data-dir", "/nonexistent/data"});

    CHECK(verify.code == 1);
    CHECK(is_one_line(verify.err));
    CHECK(contains(verify.err, "/nonexistent/data"));
    CHECK_FALSE(std::filesystem::exists("/nonexistent"));
  }

  TEST_CASE("usage: exit 1, one line, nothing on standard output") {
    for (const Words& words :
         {Words{"pub", "t", "m", "--bogus"}, Words{"sub", "--from", "time:soon"},
          Words{"status", "--watch"}, Words{"log", "repair", "--data-dir", "x"},
          Words{"bench", "replay"}, Words{"nonsense"}, Words{}}) {
      const Ended ended = zabmq_tool(words);
      CHECK(ended.code == 1);
      CHECK(is_one_line(ended.err));
      CHECK(ended.out.empty());
    }
    const Ended help = zabmq_tool({"pub", "--help"});
    CHECK(help.code == 0);
    CHECK(contains(help.out, "Examples:"));
    CHECK(help.err.empty());
  }
}

}  // namespace zabmq::cluster
