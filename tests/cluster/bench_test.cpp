// BenchTest: `zabmq bench` and the limit program, each once for a second.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> names_of(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

Json bench(const TestCluster& cluster, Words words) {
  words.insert(words.begin(), "bench");
  words.insert(words.end(), {"--warmup", "0", "--json"});
  const Ended ended = cluster.tool(words);
  CAPTURE(ended.err);
  REQUIRE(ended.code == 0);
  CHECK(contains(ended.err, "messages/s"));
  return objects_of(ended.out).back();
}

std::uint64_t last_offset(const TestCluster& cluster) {
  const auto status = objects_of(cluster.tool({"status", "-o", "json"}).out).at(0);
  const auto leader = status["leader"].get<std::size_t>();
  return status["servers"][leader - 1]["last_offset"].get<std::uint64_t>();
}

}  // namespace

TEST_SUITE("bench") {
  TEST_CASE("pub: --json -> the last line is the result, to the letter") {
    TestCluster cluster;

    const Json object = bench(cluster, {"pub", "--duration", "1s", "--size", "100", "--publishers",
                                        "2", "--window", "500"});

    CHECK(names_of(object) ==
          std::vector<std::string>{"messages_per_second", "megabytes_per_second", "latency_us",
                                   "messages", "seconds", "mode", "size", "window", "rate",
                                   "publishers", "readers", "durability", "environment"});
    CHECK(names_of(object["latency_us"]) ==
          std::vector<std::string>{"p50", "p90", "p99", "p999", "max"});
    CHECK(object["messages"].get<std::uint64_t>() > 0);
    CHECK(object["messages_per_second"].get<double>() > 0);
    CHECK(object["latency_us"]["p50"] <= object["latency_us"]["max"]);
    CHECK(object["durability"] == "fsync");
    CHECK(object["environment"]["servers"] == 3);
    // What was acknowledged behind the end is in the log, and not in the result.
    CHECK(last_offset(cluster) >= object["messages"].get<std::uint64_t>());
    CHECK(last_offset(cluster) <= object["messages"].get<std::uint64_t>() + 1000);
  }

  TEST_CASE("pub: a rate -> about so many messages") {
    TestCluster cluster;

    const Json object = bench(cluster, {"pub", "--duration", "1s", "--rate", "200"});

    const auto messages = object["messages"].get<std::uint64_t>();
    CHECK(messages >= 100);  // a busy machine acknowledges the last ones late
    CHECK(messages <= 201);
  }

  TEST_CASE("pub: a crowd of publishers -> a connection each, all take part") {
    TestCluster cluster;

    const Json object =
        bench(cluster, {"pub", "--duration", "1s", "--publishers", "100", "--window", "1"});

    CHECK(object["messages"].get<std::uint64_t>() >= 100);
    CHECK(object["publishers"] == 100);
    const std::string all = cluster.everything_at(1);
    CHECK(lines_of(all).size() >= object["messages"].get<std::size_t>());

    const Json slow =
        bench(cluster, {"pub", "--duration", "1s", "--publishers", "100", "--rate", "200"});
    CHECK(slow["messages"].get<std::uint64_t>() >= 100);
    CHECK(slow["messages"].get<std::uint64_t>() <= 201);
  }

  TEST_CASE("e2e, latency: what was published is delivered and timed") {
    TestCluster cluster;

    const Json delivered = bench(cluster, {"e2e", "--duration", "1s", "--rate", "200"});
    CHECK(delivered["messages"].get<std::uint64_t>() >= 100);
    CHECK(delivered["latency_us"]["p50"].get<std::uint64_t>() > 0);
    const Json three =
        bench(cluster, {"e2e", "--duration", "1s", "--rate", "200", "--readers", "3"});
    CHECK(three["readers"] == 3);
    CHECK(three["messages"].get<std::uint64_t>() >= 300);
    CHECK(three["messages"].get<std::uint64_t>() <= 603);

    const Json acknowledged = bench(cluster, {"latency", "--duration", "1s", "--rate", "100"});
    CHECK(acknowledged["mode"] == "latency");
    CHECK(acknowledged["messages"].get<std::uint64_t>() >= 50);
  }

  TEST_CASE("sub: every reader gets everything there is") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 1000)).code == 0);

    const Json object =
        objects_of(cluster.tool({"bench", "sub", "--readers", "3", "--json"}).out).back();

    CHECK(object["messages"] == 3000);
    CHECK(object["readers"] == 3);
    CHECK(object["latency_us"].is_null());
    const Json rest =
        objects_of(cluster.tool({"bench", "sub", "--from", "901", "--json"}).out).back();
    CHECK(rest["messages"] == 100);
  }

  TEST_CASE("no server -> exit 2, one line") {
    for (const char* mode : {"pub", "sub", "e2e", "latency"}) {
      CAPTURE(mode);
      const Ended ended = zabmq_tool({"bench", mode, "--endpoints", "tcp://127.0.0.1:1",
                                      "--timeout", "500ms", "--duration", "2s"});
      CHECK(ended.code == 2);
      CHECK(ended.out.empty());
    }
  }

  TEST_CASE("limit: leader, followers, reader and sockets -> what was acknowledged was read") {
    const TemporaryDirectory directory;
    const auto limit = [&directory](Words words) {
      words.insert(words.end(), {"--dir", directory.path().string(), "--warmup", "100ms",
                                 "--duration", "500ms", "--recycled-bytes", "4MiB"});
      const Ended ended = run_program("zabmq-limit", words);
      CAPTURE(ended.err);
      REQUIRE(ended.code == 0);
      return objects_of(ended.out).back();
    };

    const Json read = limit({"--reader"});
    CHECK(read["messages"].get<std::uint64_t>() > 0);
    CHECK(read["reader_messages"] >= read["messages"]);
    CHECK(read["leader"]["syncs"].get<std::uint64_t>() > 0);

    const Json five = limit({"--servers", "5", "--log", "none", "--single"});
    CHECK(five["messages"].get<std::uint64_t>() > 0);
    CHECK(five["leader"]["syncs"] == 0);

    const Json crowd = limit({"--sockets", "100", "--log", "recycled", "--size", "100"});
    CHECK(crowd["messages"].get<std::uint64_t>() >= 100);

    const Json paced = limit({"--rate", "1000", "--log", "unsynced"});
    CHECK(paced["messages"].get<std::uint64_t>() >= 250);
    CHECK(paced["messages"].get<std::uint64_t>() <= 601);  // those of the warm-up may be late
  }
}

}  // namespace zabmq::cluster
