// CursorTest: durable cursors as scripts use them.
#include <doctest/doctest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

void publish(const TestCluster& cluster, int from, int to) {
  REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(from, to, "")).code == 0);
}

Ended sub(const TestCluster& cluster, Words more) {
  more.insert(more.begin(), {"sub", "--cursor", "billing"});
  const Ended ended = cluster.tool(more);
  INFO(ended.err);
  CHECK(ended.code == 0);
  return ended;
}

}  // namespace

TEST_SUITE("cluster/cursor") {
  TEST_CASE("cursor: the same command again -> goes on behind what was printed, at any server") {
    TestCluster cluster;
    publish(cluster, 1, 10);
    CHECK(sub(cluster, {"--from", "first", "--count", "4"}).out == "1\n2\n3\n4\n");
    const std::string follower = cluster.endpoint(static_cast<int>(cluster.follower()));
    CHECK(sub(cluster, {"--endpoints", follower, "--count", "2"}).out == "5\n6\n");
    CHECK(sub(cluster, {"--from", "first", "--until-end"}).out == "7\n8\n9\n10\n");
    CHECK(sub(cluster, {"--from", "first", "--until-end"}).out.empty());
  }

  TEST_CASE("cursor: new, at the end -> begins there, and misses nothing that comes afterwards") {
    TestCluster cluster;
    publish(cluster, 1, 3);
    CHECK(sub(cluster, {"--until-end"}).out.empty());  // --from new
    publish(cluster, 4, 5);
    CHECK(sub(cluster, {"--until-end"}).out == "4\n5\n");
  }

  TEST_CASE("cursor: topics that are left out are acknowledged, too") {
    TestCluster cluster;
    publish(cluster, 1, 3);
    CHECK(sub(cluster, {"other", "--from", "first", "--until-end"}).out.empty());
    CHECK(sub(cluster, {"--from", "first", "--until-end"}).out.empty());
  }

  TEST_CASE("cursor: Ctrl-C -> what was printed is acknowledged") {
    TestCluster cluster;
    publish(cluster, 1, 3);
    Running running("zabmq", {"sub", "--cursor", "billing", "--from", "first", "--endpoints",
                              cluster.endpoints()});
    for (const char* line : {"1", "2", "3"}) CHECK(running.read_line() == line);
    running.signal(SIGINT);
    running.wait();
    publish(cluster, 4, 4);
    CHECK(sub(cluster, {"--until-end"}).out == "4\n");
  }

  TEST_CASE("cursor: survives the leader and a restart of all servers, listed, removed") {
    TestCluster cluster;
    publish(cluster, 1, 5);
    sub(cluster, {"--from", "first", "--count", "2"});
    const ServerId leader = cluster.leader();
    cluster.servers().kill(leader, SIGKILL);
    CHECK(sub(cluster, {"--count", "1"}).out == "3\n");
    cluster.servers().launch(leader);
    REQUIRE(cluster.even());
    for (const ServerId id : {ServerId{1}, ServerId{2}, ServerId{3}})
      cluster.servers().kill(id, SIGKILL);
    cluster.servers().launch_all();

    CHECK(eventually([&] {
      return cluster.tool({"cursor", "list"}).out == "billing: acknowledged 3, 2 behind\n";
    }));
    const auto objects = objects_of(cluster.tool({"cursor", "list", "--json"}).out);
    REQUIRE(objects.size() == 1);
    CHECK(objects[0].dump() == R"({"cursor":"billing","acknowledged":3,"behind":2,"lost":0})");
    CHECK(cluster.tool({"cursor", "remove", "billing"}).code == 0);
    CHECK(cluster.tool({"cursor", "list"}).out.empty());
    CHECK(sub(cluster, {"--from", "first", "--until-end"}).out == "1\n2\n3\n4\n5\n");
  }

  TEST_CASE("cursor: without a quorum -> unavailable, for who reads and who removes") {
    TestCluster cluster;
    publish(cluster, 1, 1);
    cluster.servers().kill(cluster.leader(), SIGKILL);
    cluster.servers().kill(cluster.leader(), SIGKILL);
    const Ended reads = cluster.tool({"sub", "--cursor", "billing", "--timeout", "1s"});
    CHECK(reads.code == 2);
    CHECK(is_one_line(reads.err));
    const Ended removes = cluster.tool({"cursor", "remove", "billing", "--timeout", "1s"});
    CHECK((removes.code == 2 || removes.code == 4));
    CHECK(is_one_line(removes.err));
    CHECK(cluster.tool({"cursor", "list"}).code == 0);  // what this server has delivered
  }

  TEST_CASE("cursor: two readers -> each gets everything, the place is that of the one ahead") {
    TestCluster cluster;
    publish(cluster, 1, 2);
    const Words words{"sub",     "--cursor", "billing",     "--from",           "first",
                      "--count", "3",        "--endpoints", cluster.endpoints()};
    Running one("zabmq", words);
    CHECK(one.read_line() == "1");
    CHECK(one.read_line() == "2");
    CHECK(eventually([&] {
      return cluster.tool({"cursor", "list"}).out == "billing: acknowledged 2, 0 behind\n";
    }));
    one.signal(SIGSTOP);
    publish(cluster, 3, 4);
    CHECK(sub(cluster, {"--count", "2"}).out == "3\n4\n");
    one.signal(SIGCONT);

    CHECK(one.read_line() == "3");
    CHECK(one.wait() == 0);
    CHECK(cluster.tool({"cursor", "list"}).out == "billing: acknowledged 4, 0 behind\n");
  }

  TEST_CASE("cursor: removed although there was none -> done, and said") {
    TestCluster cluster;
    const Ended removed = cluster.tool({"cursor", "remove", "nosuch"});
    CHECK(removed.code == 0);
    CHECK(removed.err == "zabmq cursor: there was no cursor 'nosuch'\n");
  }

  TEST_CASE("cursor: nobody there -> unavailable, with the deadline") {
    const std::string nobody = "tcp://127.0.0.1:" + std::to_string(cli::free_ports(1).front());
    for (const Words& words : {Words{"cursor", "remove", "billing"}, Words{"cursor", "list"}}) {
      Words all = words;
      all.insert(all.end(), {"--endpoints", nobody, "--timeout", "300ms"});
      const Ended ended = zabmq_tool(all);
      CHECK(ended.code == 2);
      CHECK(is_one_line(ended.err));
      CHECK(contains(ended.err, "no answer within 300 ms: " + nobody));
    }
  }

  TEST_CASE("cursor: a name that is none -> usage") {
    for (const char* name : {"", "a*"}) {
      CHECK(zabmq_tool({"sub", "--cursor", name}).code == 1);
      CHECK(zabmq_tool({"cursor", "remove", name}).code == 1);
    }
    CHECK(zabmq_tool({"cursor"}).code == 1);
  }
}

}  // namespace zabmq::cluster
