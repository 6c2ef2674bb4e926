// ClusterTest: the promises, with real processes, sockets and disks.
#include <doctest/doctest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

bool not_done(const Ended& ended) {
  return ended.code == 2 || ended.code == 4;
}

}  // namespace

TEST_SUITE("cluster") {
  TEST_CASE("cluster: founding, 1,000 lines -> the same at every server") {
    TestCluster cluster;
    const std::string lines = numbered_lines(1, 1000);

    const Ended pub = cluster.tool({"pub", "t", "--lines", "--json"}, lines);

    CHECK(pub.code == 0);
    CHECK(objects_of(pub.out).size() == 1000);
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == lines);
  }

  TEST_CASE("cluster: one server -> founds, publishes and delivers alone") {
    TestCluster cluster(1);

    CHECK(cluster.tool({"pub", "t", "hello"}).code == 0);

    CHECK(cluster.everything_at(1) == "hello\n");
  }

  TEST_CASE("cluster: a command with one endpoint only -> served, whoever leads") {
    TestCluster cluster;
    const std::string follower =
        cluster.endpoint(static_cast<int>(static_cast<std::uint32_t>(cluster.follower())));

    CHECK(zabmq_tool({"pub", "t", "m", "--endpoints", follower}).code == 0);
    CHECK(zabmq_tool({"sub", "--from", "first", "--until-end", "--endpoints", follower}).out ==
          "m\n");
  }

  TEST_CASE("cluster: everything stopped and started -> nothing lost, publishing goes on") {
    TestCluster cluster;
    const std::string before = numbered_lines(1, 300);
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, before).code == 0);

    SUBCASE("by SIGTERM") {
      for (const int id : {1, 2, 3}) CHECK(cluster.servers().stop(ServerId(id)) == 0);
    }
    SUBCASE("by SIGKILL") {
      for (const int id : {1, 2, 3}) cluster.servers().kill(ServerId(id), SIGKILL);
    }
    cluster.servers().launch_all();
    (void)cluster.leader();

    const std::string after = numbered_lines(301, 400);
    CHECK(cluster.tool({"pub", "t", "--lines"}, after).code == 0);
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == before + after);
  }

  TEST_CASE("cluster: a follower killed and restarted -> catches up") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 100)).code == 0);
    const ServerId follower = cluster.follower();
    cluster.servers().kill(follower, SIGKILL);
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(101, 5000)).code == 0);

    cluster.servers().launch(follower);

    const auto id = static_cast<int>(static_cast<std::uint32_t>(follower));
    CHECK(cluster.everything_at(id) == numbered_lines(1, 5000));
  }

  TEST_CASE("cluster: two of three down -> publish ends at its deadline, status says who misses") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "before"}).code == 0);
    const ServerId leader = cluster.leader();
    for (const int id : {1, 2, 3}) {
      if (ServerId(id) != leader) cluster.servers().kill(ServerId(id), SIGKILL);
    }

    const Ended pub = cluster.tool({"pub", "t", "lost?", "--timeout", "1s"});
    CHECK(not_done(pub));
    CHECK(is_one_line(pub.err));
    CHECK(pub.took < Millis{4000});

    REQUIRE(eventually([&] { return cluster.tool({"status"}).code == 2; }));
    const Ended status = cluster.tool({"status", "-o", "json"});
    CHECK(status.code == 2);
    const auto object = objects_of(status.out).at(0);
    CHECK(object["leader"].is_null());
    int unreachable = 0;
    for (const auto& server : object["servers"]) unreachable += server["role"] == "unreachable";
    CHECK(unreachable == 2);
    CHECK(contains(status.err, "not reachable"));
    // The one that is left still serves what was committed.
    const Ended sub = cluster.tool({"sub", "--from", "first", "--count", "1"});
    CHECK(sub.out == "before\n");
  }

  TEST_CASE("cluster: quorum lost and back -> the same session completes, nothing twice") {
    TestCluster cluster;
    const Words session{
        "pub", "t", "--lines", "--timeout", "1s", "--session", cluster.directory() / "session"};
    const std::string lines = numbered_lines(1, 200);
    REQUIRE(cluster.tool(session, numbered_lines(1, 100)).code == 0);
    const ServerId follower = cluster.follower();
    const ServerId leader = cluster.leader();
    cluster.servers().kill(follower, SIGKILL);
    cluster.servers().kill(leader, SIGKILL);
    CHECK(not_done(cluster.tool(session, lines)));

    cluster.servers().launch_all();
    (void)cluster.leader();

    CHECK(cluster.tool(session, lines).code == 0);
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == lines);
  }

  TEST_CASE("cluster: publisher killed in the middle, same command again -> equal to the file") {
    TestCluster cluster;
    const std::string session = cluster.directory() / "session";
    const std::string lines = numbered_lines(1, 2000);
    {
      Running pub("zabmq", {"pub", "t", "--lines", "--json", "--session", session, "--endpoints",
                            cluster.endpoints()});
      pub.write(numbered_lines(1, 1200));
      for (int i = 0; i < 500; ++i) REQUIRE(pub.read_line());
      pub.signal(SIGKILL);
      CHECK(pub.wait() == 128 + SIGKILL);
    }

    const Ended again = cluster.tool({"pub", "t", "--lines", "--session", session}, lines);

    CHECK(again.code == 0);
    CHECK(contains(again.err, "skipped"));
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == lines);
    const Ended third =
        cluster.tool({"pub", "t", "--lines", "--session", session, "--json"}, lines);
    CHECK(third.code == 0);
    CHECK(third.out.empty());
    CHECK(contains(third.err, "2000 messages skipped"));
    CHECK(cluster.everything_at(1) == lines);
  }

  TEST_CASE("cluster: subscribers at every server while leaders die -> no gap, no duplicate") {
    // The demo computes its verdict from the deliveries; its exit status is the test.
    TemporaryDirectory directory;
    const std::string file = directory.path() / "file";
    FILE* stream = fopen(file.c_str(), "w");
    REQUIRE(stream != nullptr);
    fputs(numbered_lines(1, 6000, "a line that is sent under load ").c_str(), stream);
    fclose(stream);
    const std::string data = directory.path() / "data";

    const Ended demo =
        run_program("zabmq-demo", {file, "--kills", "3", "--keep-data", data}, {}, Millis{60000});

    INFO(demo.out);
    CHECK(demo.code == 0);
    std::size_t verdicts = 0;
    for (const std::string& line : lines_of(demo.out)) verdicts += line == "the promises hold";
    CHECK(verdicts == 3);
    for (const char* server : {"1", "2", "3"}) {
      const Ended verify = zabmq_tool({"log", "verify", "--data-dir", data + "/" + server});
      INFO(verify.err);
      CHECK(verify.code == 0);
      CHECK(contains(verify.out, "offsets 1 to 18000"));
    }
  }
}

}  // namespace zabmq::cluster
