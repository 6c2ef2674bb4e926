// Options tests: units, keys, bounds, contradictions.
#include "node/options.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace zabmq;
using node::Options;

namespace {

std::string problem_of(const std::string& assignment) {
  Options options;
  const auto problem = options.set(assignment);
  return problem ? problem->text : "";
}

}  // namespace

TEST_SUITE("node/options") {
  TEST_CASE("options: sizes and durations -> exact values, a unit is required") {
    CHECK(node::parse_size("64MiB") == std::uint64_t{64} << 20);
    CHECK(node::parse_size("3KiB") == 3072);
    CHECK(node::parse_size("2GiB") == std::uint64_t{2} << 30);
    CHECK(node::parse_size("10B") == 10);
    CHECK(node::parse_duration_ms("100ms") == 100);
    CHECK(node::parse_duration_ms("5s") == 5000);
    CHECK(node::parse_duration_ms("2m") == 120'000);
    CHECK(node::parse_duration_ms("1h") == 3'600'000);
    for (const char* bad : {"", "5", "MiB", "-1s", "1.5s", "5 s", "5S", "1s ",
                            "99999999999999999999s", "18446744073709551615h"}) {
      CAPTURE(bad);
      CHECK_FALSE(node::parse_duration_ms(bad));
      CHECK_FALSE(node::parse_size(bad));
    }
  }

  TEST_CASE("options: a key is set -> the layers below see it") {
    Options options;

    for (const char* assignment :
         {"timing.heartbeat=50ms", "timing.peer_timeout=400ms", "limits.max_payload=64KiB",
          "limits.max_clients=7", "limits.session_ttl=2h", "storage.batch_max=512KiB"}) {
      CHECK_FALSE(options.set(assignment));
    }

    const replica::Options below = options.for_replica();
    CHECK(below.zab.heartbeat_ms == 50);
    CHECK(below.zab.peer_timeout_ms == 400);
    CHECK(below.batch.payload_max == 64 * 1024);
    CHECK(below.connections_max == 7);
    CHECK(below.publisher_ttl_us == std::uint64_t{7'200'000'000});
    CHECK(below.group_bytes_max == 512 * 1024);
    CHECK_FALSE(options.check());
  }

  TEST_CASE("options: nothing is set -> the defaults of the layers below, and no contradiction") {
    const Options options;
    const replica::Options ours = options.for_replica();
    const replica::Options theirs;

    CHECK_FALSE(options.check());
    CHECK(ours.zab.heartbeat_ms == theirs.zab.heartbeat_ms);
    CHECK(ours.zab.sync_timeout_ms == theirs.zab.sync_timeout_ms);
    CHECK(ours.batch.batch_max == theirs.batch.batch_max);
    CHECK(ours.in_flight_bytes_max == theirs.in_flight_bytes_max);
    CHECK(ours.publisher_ttl_us == theirs.publisher_ttl_us);
    CHECK(ours.question_timeout_ms == theirs.question_timeout_ms);
    CHECK(options.min_free_bytes() == 2 * options.storage.segment_size);
  }

  TEST_CASE("options: every listed key accepts its listed default") {
    for (const node::OptionKey& key : node::option_keys()) {
      Options options;
      const std::string assignment = std::string(key.key) + "=" + std::string(key.default_value);
      CAPTURE(assignment);
      CHECK_FALSE(options.set(assignment));
      CHECK_FALSE(options.check());
    }
  }

  TEST_CASE("options: unknown key, bad value or no '=' -> a problem naming both") {
    CHECK(problem_of("timing.hartbeat=5ms") ==
          "--set timing.hartbeat=5ms: unknown key 'timing.hartbeat'");
    CHECK(problem_of("timing.heartbeat=fast") ==
          "--set timing.heartbeat=fast: expected a duration such as 100ms, 5s, 1m");
    CHECK(problem_of("limits.max_payload=1GiB") ==
          "--set limits.max_payload=1GiB: expected 1B to 64MiB");
    CHECK(problem_of("limits.max_clients=many") ==
          "--set limits.max_clients=many: expected a whole number");
    CHECK(problem_of("storage.durability=memory") ==
          "--set storage.durability=memory: expected fsync (weaker modes do not exist yet)");
    CHECK(problem_of("log.level=loud") ==
          "--set log.level=loud: expected debug, info, warning or error");
    CHECK(problem_of("heartbeat") == "--set heartbeat: expected KEY=VALUE");
  }

  TEST_CASE("options: values that contradict each other -> a problem naming both keys") {
    Options options;
    REQUIRE_FALSE(options.set("timing.heartbeat=800ms"));
    REQUIRE(options.check());
    CHECK(options.check()->text.find("timing.peer_timeout=1s") != std::string::npos);
    CHECK(options.check()->text.find("timing.heartbeat (800ms)") != std::string::npos);

    Options small;
    REQUIRE_FALSE(small.set("storage.segment_size=1MiB"));
    REQUIRE(small.check());
    CHECK(small.check()->text.find("storage.segment_size=1MiB") != std::string::npos);

    Options tight;
    REQUIRE_FALSE(tight.set("limits.max_payload=2MiB"));
    REQUIRE(tight.check());
    CHECK(tight.check()->text.find("limits.max_batch=2MiB") != std::string::npos);
  }
}
