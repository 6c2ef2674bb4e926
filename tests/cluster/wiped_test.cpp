// WipedTest: servers whose directories are lost, or replaced by older copies of themselves.
#include <doctest/doctest.h>
#include <signal.h>

#include <vector>

#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

int number_of(ServerId id) {
  return static_cast<int>(static_cast<std::uint32_t>(id));
}

struct Wiped {
  TestCluster cluster;

  std::vector<ServerId> followers() {
    std::vector<ServerId> ids;
    const ServerId leads = cluster.leader();
    for (const int id : {1, 2, 3}) {
      if (ServerId(id) != leads) ids.push_back(ServerId(id));
    }
    return ids;
  }
  const std::filesystem::path& directory_of(ServerId id) {
    return cluster.servers().server(id).data_directory;
  }
  void publish(int first, int last) {
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(first, last)).code == 0);
  }
  bool becomes(ServerId id, const std::string& standing) {
    return eventually([&] { return cluster.status_of(id).standing == standing; });
  }
  std::string log_of(ServerId id) { return content_of(cluster.servers().server(id).log_file); }
  bool blocked() {
    const int code = cluster.tool({"pub", "t", "m", "--timeout", "2s"}).code;
    return code == 2 || code == 4;
  }
};

}  // namespace

TEST_SUITE("cluster/wiped") {
  TEST_CASE(
      "wiped: a directory lost while the others run -> admitted, then another may be killed") {
    Wiped test;
    test.publish(1, 500);
    const auto [wiped, other] = std::pair(test.followers()[0], test.followers()[1]);
    test.cluster.servers().kill(wiped, SIGKILL);
    std::filesystem::remove_all(test.directory_of(wiped));
    test.publish(501, 600);
    test.cluster.servers().launch(wiped);

    REQUIRE(test.becomes(wiped, "voter"));
    CHECK(eventually([&] { return contains(test.log_of(wiped), "this server is a voter again"); }));
    CHECK(test.cluster.everything_at(number_of(wiped)) == numbered_lines(1, 600));

    test.cluster.servers().kill(other, SIGKILL);
    test.publish(601, 700);
    // Its promise holds over a restart, and it may elect and be elected.
    test.cluster.servers().kill(wiped, SIGKILL);
    test.cluster.servers().launch(wiped);
    test.publish(701, 800);
    test.cluster.servers().launch(other);
    const ServerId first = test.cluster.leader();
    REQUIRE(test.cluster.even());
    test.cluster.servers().kill(first, SIGKILL);
    test.publish(801, 900);
    test.cluster.servers().launch(first);
    REQUIRE(test.cluster.even());
    for (const int id : {1, 2, 3}) {
      CHECK(test.cluster.everything_at(id) == numbered_lines(1, 900));
    }
  }

  TEST_CASE("wiped: each directory in turn -> nothing is lost") {
    Wiped test;
    int last = 0;
    for (const int id : {1, 2, 3}) {
      test.publish(last + 1, last + 100);
      last += 100;
      test.cluster.servers().kill(ServerId(id), SIGKILL);
      std::filesystem::remove_all(test.directory_of(ServerId(id)));
      test.cluster.servers().launch(ServerId(id));
      REQUIRE(test.becomes(ServerId(id), "voter"));
    }
    test.publish(last + 1, last + 100);
    for (const int id : {1, 2, 3}) {
      CHECK(test.cluster.everything_at(id) == numbered_lines(1, last + 100));
    }
  }

  TEST_CASE("wiped: one of three wiped and one down -> blocked, and says so, until it is back") {
    Wiped test;
    test.publish(1, 100);
    const auto [wiped, down] = std::pair(test.followers()[0], test.followers()[1]);
    const ServerId leads = test.cluster.leader();
    test.cluster.servers().kill(down, SIGKILL);
    test.cluster.servers().kill(wiped, SIGKILL);
    std::filesystem::remove_all(test.directory_of(wiped));
    test.cluster.servers().launch(wiped);

    REQUIRE(test.becomes(wiped, "wiped"));
    REQUIRE(eventually([&] { return test.cluster.tool({"status"}).code == 2; }));
    CHECK(test.blocked());
    const Ended status = test.cluster.tool({"status"});
    CHECK(contains(status.err, "no leader"));
    CHECK(contains(status.err,
                   "wiped, counts in no quorum until the others admit it: " + to_string(wiped)));
    const std::string words = "wiped, counts in no quorum until the others admit it: ";
    CHECK(eventually([&] { return contains(test.log_of(leads), words + to_string(wiped)); }));
    CHECK(test.cluster.status_of(wiped).standing == "wiped");

    test.cluster.servers().launch(down);
    REQUIRE(test.becomes(wiped, "voter"));
    test.publish(101, 200);
  }

  TEST_CASE("wiped: two of three wiped at once -> blocked, and both say so") {
    Wiped test;
    test.publish(1, 100);
    const std::vector<ServerId> both = test.followers();
    for (ServerId id : both) test.cluster.servers().kill(id, SIGKILL);
    for (ServerId id : both) {
      std::filesystem::remove_all(test.directory_of(id));
      test.cluster.servers().launch(id);
    }

    for (ServerId id : both) REQUIRE(test.becomes(id, "wiped"));
    CHECK(test.blocked());
    const Ended status = test.cluster.tool({"status"});
    CHECK(status.code == 2);
    CHECK(contains(status.err,
                   "until the others admit it: " + to_string(both[0]) + ", " + to_string(both[1])));
  }

  TEST_CASE("wiped: an older copy of a directory under an established leader -> found out") {
    Wiped test;
    test.publish(1, 100);
    const ServerId victim = test.followers()[0];
    const std::filesystem::path copy = test.cluster.directory() / "copy";
    test.cluster.servers().stop(victim);
    std::filesystem::copy(test.directory_of(victim), copy,
                          std::filesystem::copy_options::recursive);
    test.cluster.servers().launch(victim);
    test.publish(101, 200);
    REQUIRE(test.cluster.even());
    const ServerId leads = test.cluster.leader();
    const Epoch epoch = test.cluster.status_of(leads).epoch;
    test.cluster.servers().kill(victim, SIGKILL);
    std::filesystem::remove_all(test.directory_of(victim));
    std::filesystem::rename(copy, test.directory_of(victim));
    test.cluster.servers().launch(victim);

    if (!eventually([&] { return contains(test.log_of(victim), "is a voter again"); })) {
      // A machine so slow that the leader did not last: then nobody can know.
      REQUIRE(test.cluster.status_of(test.cluster.leader()).epoch != epoch);
      return;
    }
    CHECK(contains(test.log_of(victim), "ALARM"));
    CHECK(contains(test.log_of(victim), "this directory is an old copy"));
    CHECK(test.cluster.everything_at(number_of(victim)) == numbered_lines(1, 200));
    test.publish(201, 300);
    for (const int id : {1, 2, 3}) {
      CHECK(test.cluster.everything_at(id) == numbered_lines(1, 300));
    }
  }
}

}  // namespace zabmq::cluster
