// AdviceTest: when a newcomer is told about `zabmq dev`, and what a wrong directory is.
#include "cli/advice.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>

namespace zabmq::cli {
namespace {

namespace fs = std::filesystem;

class Directory {
 public:
  Directory() {
    std::string name = fs::temp_directory_path() / "zabmq-advice-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { fs::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  fs::path file(const std::string& name) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << "x";
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool names(const std::string& line, const std::string& part) {
  return line.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("cli/advice") {
  TEST_CASE("no cluster: zabmq dev is named where it would be, and nobody is") {
    const ClientOptions dev{{"tcp://127.0.0.1:9470", "tcp://127.0.0.1:9490"}, Millis{1}};
    const ClientOptions other{{"tcp://127.0.0.1:9470", "tcp://a:9480"}, Millis{1}};
    ClusterStatus nobody;
    nobody.servers.resize(2);
    ClusterStatus one = nobody;
    one.servers[1].reachable = true;

    CHECK(names(advice_without_cluster(dev, nobody), "zabmq dev"));
    CHECK(advice_without_cluster(dev, one).empty());
    CHECK(advice_without_cluster(other, nobody).empty());
  }

  TEST_CASE("hosts: a name that nobody knows is named, numbers and known names are not") {
    const Millis patience{10000};
    const ClientOptions known{{"tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"},
                              patience};
    ClientOptions unknown = known;
    unknown.endpoints.push_back("tcp://no..such:9470");  // which no name server need be asked

    CHECK(advice_about_hosts(known, patience).empty());
    CHECK(advice_about_hosts(unknown, patience) == "; unknown host: no..such");
  }

  TEST_CASE("data directory: what it is instead, and where those of dev are") {
    const Directory directory;
    const fs::path& path = directory.path();
    CHECK(names(data_directory_problem(path / "missing"), "no such directory"));
    CHECK(names(data_directory_problem(directory.file("file")), "is no directory"));
    CHECK(names(data_directory_problem(path), "give the --data-dir of a server"));
    directory.file("2/identity");
    directory.file("1/identity");
    CHECK(names(data_directory_problem(path),
                "in it: " + (path / "1").string() + ", " + (path / "2").string()));
    CHECK(data_directory_problem(path / "1").empty());
    // Segments without the record: its promises are lost, which storage says.
    directory.file("00000001.seg");
    CHECK(data_directory_problem(path).empty());
  }
}

}  // namespace zabmq::cli
