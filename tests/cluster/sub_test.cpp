// SubTest: `zabmq sub` as scripts use it.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

// Offsets 1 to 6: a1 b1 a2 b2 a3 b3, topics a and b.
void publish_six(const TestCluster& cluster) {
  for (const char* n : {"1", "2", "3"}) {
    for (const char* topic : {"a", "b"}) {
      REQUIRE(cluster.tool({"pub", topic, std::string(topic) + n}).code == 0);
    }
  }
}

Words subscription(const TestCluster& cluster) {
  return {"sub", "--endpoints", cluster.endpoints()};
}

}  // namespace

TEST_SUITE("cluster/sub") {
  TEST_CASE("sub: starts, ends and topics") {
    TestCluster cluster;
    publish_six(cluster);
    const auto printed = [&cluster](Words words) {
      words.insert(words.begin(), "sub");
      const Ended sub = cluster.tool(words);
      INFO(sub.err);
      CHECK(sub.code == 0);
      return sub.out;
    };

    CHECK(printed({"--from", "first", "--until-end"}) == "a1\nb1\na2\nb2\na3\nb3\n");
    CHECK(printed({"a", "--from", "first", "--until-end"}) == "a1\na2\na3\n");
    CHECK(printed({"a", "b", "--from", "5", "--until-end"}) == "a3\nb3\n");
    CHECK(printed({"*", "--from", "5", "--until-end"}) == "a3\nb3\n");
    CHECK(printed({"b*", "x/*", "--from", "first", "--until-end"}) == "b1\nb2\nb3\n");
    CHECK(printed({"nothing", "--from", "first", "--until-end"}).empty());
    CHECK(printed({"--from", "3", "--count", "2"}) == "a2\nb2\n");
    CHECK(printed({"--from", "first", "--count", "1", "--raw"}) == "a1");
    CHECK(printed({"--from", "7", "--until-end"}).empty());
    CHECK(printed({"--from", "new", "--until-end"}).empty());
    CHECK(printed({"--from", "zxid:0.0", "--count", "1"}) == "a1\n");
  }

  TEST_CASE("sub: nobody reads any more -> ends by SIGPIPE without a further message") {
    TestCluster cluster;
    publish_six(cluster);
    Words words = subscription(cluster);
    words.insert(words.end(), {"--from", "6"});
    Running sub("zabmq", words);
    CHECK(sub.read_line() == "b3");

    sub.close_output();

    CHECK(sub.wait(Millis{5000}) == 128 + SIGPIPE);
    CHECK(sub.error_output().empty());
  }

  // On one processor the reader is gone before `sub` looks again, more often than not.
  TEST_CASE("sub: a reader that has all it wanted goes -> done, and the cursor behind it") {
    TestCluster cluster;
    publish_six(cluster);
    cpu_set_t ours;
    REQUIRE(sched_getaffinity(0, sizeof ours, &ours) == 0);
    int processor = 0;
    while (CPU_ISSET(processor, &ours) == 0) ++processor;
    const std::string one = "taskset -c " + std::to_string(processor) +
                            " bash -o pipefail -c '" ZABMQ_BIN_DIR
                            "/zabmq sub --cursor c --from first --count 1 --endpoints " +
                            cluster.endpoints() + " | head -n 1 >/dev/null'";
    for (int message = 1; message <= 6; ++message) REQUIRE(std::system(one.c_str()) == 0);
    CHECK(cluster.tool({"cursor", "list"}).out == "c: acknowledged 6, 0 behind\n");
  }

  TEST_CASE("sub: JSON -> offset, zxid, topic, payload, time, to the letter") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "gr\xc3\xbc\xc3\x9f", "line\n\"quoted\""}).code == 0);
    REQUIRE(cluster.tool({"pub", "t"}, "\xff\xfe").code == 0);

    const Ended sub = cluster.tool({"sub", "--from", "first", "--until-end", "--json"});

    const auto objects = objects_of(sub.out);
    REQUIRE(objects.size() == 2);
    std::vector<std::string> names;
    for (const auto& [name, value] : objects[0].items()) names.push_back(name);
    CHECK(names == std::vector<std::string>{"offset", "zxid", "topic", "payload", "time"});
    CHECK(objects[0]["offset"] == 1);
    CHECK(objects[0]["topic"] == "gr\xc3\xbc\xc3\x9f");
    CHECK(objects[0]["payload"] == "line\n\"quoted\"");
    CHECK(objects[0]["time"].get<std::uint64_t>() > 1'600'000'000'000'000);
    CHECK(objects[1]["payload_base64"] == "//4=");
    CHECK_FALSE(objects[1].contains("payload"));
    CHECK(objects[1]["time"].get<std::uint64_t>() >= objects[0]["time"].get<std::uint64_t>());
  }

  TEST_CASE("sub: from a zxid -> inclusive, and the next transaction when it has no message") {
    TestCluster cluster;
    publish_six(cluster);
    const auto objects =
        objects_of(cluster.tool({"sub", "--from", "first", "--until-end", "--json"}).out);
    REQUIRE(objects.size() == 6);

    for (std::size_t i = 0; i < objects.size(); ++i) {
      const std::string zxid = objects[i]["zxid"];
      const Ended sub = cluster.tool({"sub", "--from", "zxid:" + zxid, "--until-end", "--json"});
      const auto from = objects_of(sub.out);
      REQUIRE_FALSE(from.empty());
      CHECK(from[0]["zxid"] == zxid);
      CHECK(from.size() == objects.size() - i);
    }
  }

  TEST_CASE("sub: beyond the end -> exit 3, one line with the last offset") {
    TestCluster cluster;
    publish_six(cluster);

    const Ended sub = cluster.tool({"sub", "--from", "8"});

    CHECK(sub.code == 3);
    CHECK(is_one_line(sub.err));
    CHECK(contains(sub.err, "6"));
  }

  TEST_CASE("sub: new -> what comes from then on, as it comes, a quiet stream has no time-out") {
    TestCluster cluster;
    publish_six(cluster);
    Words words = subscription(cluster);
    words.insert(words.end(), {"--timeout", "500ms", "--json"});
    Running sub("zabmq", words);
    CHECK(sub.runs_for(Millis{1500}));

    int published = 0;
    const bool printed = eventually([&] {
      REQUIRE(cluster.tool({"pub", "t", std::to_string(++published)}).code == 0);
      return sub.has_line();
    });

    REQUIRE(printed);
    const auto first = nlohmann::json::parse(sub.read_line().value());
    CHECK(first["offset"].get<Offset>() > 6);
    CHECK(first["offset"].get<Offset>() <= 6 + static_cast<Offset>(published));
    for (Offset next = first["offset"].get<Offset>() + 1; next <= 6 + Offset(published); ++next) {
      CHECK(nlohmann::json::parse(sub.read_line().value())["offset"] == next);
    }
  }

  TEST_CASE("sub: Ctrl-C -> exit 0, and how to go on") {
    TestCluster cluster;
    publish_six(cluster);
    Words words = subscription(cluster);
    words.insert(words.end(), {"--from", "first"});
    Running sub("zabmq", words);
    for (int i = 0; i < 6; ++i) REQUIRE(sub.read_line());

    sub.signal(SIGINT);

    CHECK(sub.wait() == 0);
    CHECK(contains(sub.error_output(), "--from 7"));
  }

  TEST_CASE("sub: nobody there -> exit 2 at the deadline") {
    const std::string nobody = "tcp://127.0.0.1:" + std::to_string(cli::free_ports(1).front());

    const Ended sub = zabmq_tool({"sub", "--endpoints", nobody, "--timeout", "500ms"});

    CHECK(sub.code == 2);
    CHECK(is_one_line(sub.err));
    CHECK(sub.took < Millis{3000});
  }

  TEST_CASE("sub: its server dies, another is given -> goes on there without gap or duplicate") {
    TestCluster cluster;
    publish_six(cluster);
    Words words = subscription(cluster);
    words.insert(words.end(), {"--from", "first"});
    Running sub("zabmq", words);
    for (int i = 0; i < 6; ++i) REQUIRE(sub.read_line());

    // Whichever server it has chosen dies, one after the other.
    std::string expected;
    int next = 7;
    for (const int id : {1, 2, 3}) {
      cluster.servers().kill(ServerId(id), SIGKILL);
      (void)cluster.leader();
      REQUIRE(cluster.tool({"pub", "t", std::to_string(next)}).code == 0);
      CHECK(sub.read_line() == std::to_string(next));
      ++next;
      cluster.servers().launch(ServerId(id));
      (void)cluster.leader();
      REQUIRE(cluster.even());
    }
    CHECK_FALSE(sub.has_line());
  }

  TEST_CASE("sub: until the end without a quorum -> exit 2, not an early end") {
    TestCluster cluster;
    publish_six(cluster);
    const ServerId leader = cluster.leader();
    for (const int id : {1, 2, 3}) {
      if (ServerId(id) != leader) cluster.servers().kill(ServerId(id), SIGKILL);
    }
    REQUIRE(eventually([&] { return cluster.tool({"status"}).code == 2; }));

    const Ended sub = cluster.tool({"sub", "--from", "first", "--until-end", "--timeout", "1s"});

    CHECK(sub.code == 2);
    CHECK(sub.took < Millis{8000});
  }
}

}  // namespace zabmq::cluster
