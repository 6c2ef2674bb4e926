// PubTest: `zabmq pub` as scripts use it.
#include <doctest/doctest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

constexpr std::size_t payload_max = 1u << 20;

std::string nobody() {
  return "tcp://127.0.0.1:" + std::to_string(cli::free_ports(1).front());
}

Offset last_offset(const TestCluster& cluster) {
  const Ended status = cluster.tool({"status", "-o", "json"});
  const auto object = objects_of(status.out).at(0);
  for (const auto& server : object["servers"]) {
    if (server["id"] == object["leader"]) return server["last_offset"].get<Offset>();
  }
  FAIL("no leader");
  return 0;
}

}  // namespace

TEST_SUITE("cluster/pub") {
  TEST_CASE("pub: JSON -> one object an acknowledged message, in order, to the letter") {
    TestCluster cluster;

    const Ended one = cluster.tool({"pub", "t", "hello", "--json"});
    CHECK(one.code == 0);
    CHECK(one.err.empty());
    CHECK(is_one_line(one.out));
    const auto first = objects_of(one.out).at(0);
    CHECK(first.size() == 3);
    CHECK(first["offset"] == 1);
    CHECK(first["sequence"] == 1);
    CHECK(first["zxid"].get<std::string>().starts_with("1."));

    const Ended many = cluster.tool({"pub", "--json", "t", "--lines"}, "a\n\nb\r\nc");
    const auto objects = objects_of(many.out);
    REQUIRE(objects.size() == 4);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      CHECK(objects[i]["offset"] == i + 2);
      CHECK(objects[i]["sequence"] == i + 1);
    }
    CHECK(cluster.everything_at(1) == "hello\na\n\nb\r\nc\n");
  }

  TEST_CASE("pub: a condition -> taken directly behind that offset, else exit 3 and nothing") {
    TestCluster cluster;

    CHECK(cluster.tool({"pub", "t", "one", "--expect-last-offset", "0"}).code == 0);
    const Ended late = cluster.tool({"pub", "t", "late", "--expect-last-offset", "0"});
    CHECK(late.code == 3);
    CHECK(is_one_line(late.err));
    CHECK(contains(late.err, "expected 0 as the last offset: the last one committed is 1"));
    CHECK(cluster.tool({"pub", "t", "two", "--expect-last-offset", "1", "--json"}).code == 0);

    CHECK(cluster.everything_at(1) == "one\ntwo\n");
  }

  TEST_CASE("pub: a session -> goes on with the same input, refuses another one or topic") {
    TestCluster cluster;
    const TemporaryDirectory directory;
    const std::string file = directory.path() / "session";
    const auto pub = [&](const std::string& topic, const std::string& input) {
      return cluster.tool({"pub", topic, "--lines", "--session", file}, input);
    };
    CHECK(pub("t", "a\nb\n").code == 0);

    for (const Ended& other :
         {pub("t", "x\ny\nz\n"), pub("u", "a\nb\nc\n"), pub("t", "a\n"), pub("t", "")}) {
      CHECK(other.code == 1);
      CHECK(is_one_line(other.err));
      CHECK(contains(other.err, "session file " + file + ": "));
      CHECK(contains(other.err, "take another session file"));
    }
    const std::string nowhere = directory.path() / "missing" / "session";
    const Ended missing = cluster.tool({"pub", "t", "a", "--session", nowhere});
    CHECK(missing.code == 1);
    CHECK(missing.err == "zabmq pub: session file " + nowhere +
                             ": creating it failed: No such file or directory\n");
    const Ended more = pub("t", "a\nb\nc\n");
    CHECK(more.code == 0);
    CHECK(more.err == "zabmq pub: 2 messages skipped: the cluster has them already\n");
    CHECK(pub("t", "a\nb\nc\n").code == 0);

    CHECK(cluster.everything_at(1) == "a\nb\nc\n");
  }

  TEST_CASE("pub: where messages come from") {
    TestCluster cluster;

    CHECK(cluster.tool({"pub", "t"}, "all\nof\nit\n").code == 0);
    CHECK(cluster.tool({"pub", "t", "-"}, "dash").code == 0);
    CHECK(cluster.tool({"pub", "t", ""}).code == 0);
    CHECK(cluster.tool({"pub", "t", "thrice", "--count", "3"}).code == 0);
    CHECK(cluster.tool({"pub", "t", "--lines", "--count", "1"}, "one\ntwo\n").code == 0);
    CHECK(cluster.tool({"pub", "t", "--size", "4", "--count", "2"}).code == 0);
    CHECK(cluster.tool({"pub", "t", "h", "--header", "k=v", "--header", "l=w"}).code == 0);

    CHECK(cluster.everything_at(2) ==
          "all\nof\nit\n\ndash\n\nthrice\nthrice\nthrice\none\nxxxx\nxxxx\nh\n");
    CHECK(last_offset(cluster) == 10);
  }

  TEST_CASE("pub: lines as they arrive -> acknowledged while the input is still open") {
    TestCluster cluster;
    Running pub("zabmq", {"pub", "t", "--lines", "--json", "--timeout", "2s", "--endpoints",
                          cluster.endpoints()});

    pub.write("first\nsec");
    CHECK(contains(pub.read_line().value_or(""), R"("offset":1,)"));
    CHECK(pub.runs_for(Millis{2500}));  // waiting for standard input is not limited
    pub.write("ond\n");
    CHECK(contains(pub.read_line().value_or(""), R"("offset":2,)"));
    pub.close_input();

    CHECK(pub.wait() == 0);
    CHECK(cluster.everything_at(1) == "first\nsecond\n");
  }

  TEST_CASE("pub: a message over the limit -> exit 3 before anything is sent") {
    TestCluster cluster;

    CHECK(cluster.tool({"pub", "t"}, std::string(payload_max, 'm')).code == 0);
    const Ended refused = cluster.tool({"pub", "t"}, std::string(payload_max + 1, 'm'));

    CHECK(refused.code == 3);
    CHECK(is_one_line(refused.err));
    CHECK(refused.out.empty());
    CHECK(last_offset(cluster) == 1);
  }

  TEST_CASE("pub: the first message not done ends the command, those before it are reported") {
    TestCluster cluster;
    const std::string lines = "small\n" + std::string(payload_max + 1, 'm') + "\nnever\n";

    const Ended pub = cluster.tool({"pub", "t", "--lines", "--json"}, lines);

    CHECK(pub.code == 3);
    CHECK(objects_of(pub.out).size() == 1);
    CHECK(last_offset(cluster) == 1);
  }

  TEST_CASE("pub: nobody there -> exit 2 at the deadline, one line") {
    const Ended pub = zabmq_tool({"pub", "t", "m", "--endpoints", nobody(), "--timeout", "500ms"});

    CHECK(pub.code == 2);
    CHECK(pub.out.empty());
    CHECK(is_one_line(pub.err));
    CHECK(pub.took >= Millis{400});
    CHECK(pub.took < Millis{3000});
  }

  TEST_CASE("pub: one endpoint dead -> served by the others") {
    TestCluster cluster;

    const Ended pub =
        zabmq_tool({"pub", "t", "m", "--endpoints", nobody() + "," + cluster.endpoint(2)});

    CHECK(pub.code == 0);
  }

  TEST_CASE("pub: quorum lost while lines stream in -> ends although the input stays open") {
    TestCluster cluster;
    Running pub("zabmq", {"pub", "t", "--lines", "--json", "--timeout", "1s", "--endpoints",
                          cluster.endpoints()});
    pub.write("first\n");
    REQUIRE(pub.read_line());
    for (const int id : {1, 2, 3}) cluster.servers().kill(ServerId(id), SIGKILL);

    pub.write("second\n");

    const int code = pub.wait(Millis{5000});
    CHECK((code == 2 || code == 4));
    CHECK_FALSE(pub.read_line());
  }

  TEST_CASE("pub: a rate -> not faster than that") {
    TestCluster cluster;

    const Ended pub = cluster.tool({"pub", "t", "m", "--count", "21", "--rate", "40"});

    CHECK(pub.code == 0);
    CHECK(pub.took >= Millis{500});
    CHECK(last_offset(cluster) == 21);
  }

  TEST_CASE("pub: a window of one -> every message alone, all of them") {
    TestCluster cluster;

    const Ended pub =
        cluster.tool({"pub", "t", "--lines", "--window", "1", "--json"}, numbered_lines(1, 50));

    CHECK(pub.code == 0);
    std::string last;
    for (const auto& object : objects_of(pub.out)) {
      CHECK(object["zxid"] != last);
      last = object["zxid"];
    }
    CHECK(cluster.everything_at(3) == numbered_lines(1, 50));
  }
}

}  // namespace zabmq::cluster
