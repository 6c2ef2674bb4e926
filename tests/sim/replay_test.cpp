// Replay: what zabmq-sim is asked for, and what it says to run a failure again.
#include "sim/program/replay.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace zabmq::sim;
using namespace zabmq::sim::program;

TEST_SUITE("sim/replay") {
  TEST_CASE("replay: A..B -> both ends, anything else -> nothing") {
    CHECK(parse_seeds("3..17") == std::pair<std::uint64_t, std::uint64_t>{3, 17});
    CHECK(parse_seeds("5..5") == std::pair<std::uint64_t, std::uint64_t>{5, 5});
    for (const char* wrong : {"", "..", "a..b", "1..b", "7", "7..", "..7", "9..8", "1..2x", "-1..2",
                              "1..99999999999999999999"}) {
      CHECK_MESSAGE(!parse_seeds(wrong), wrong);
    }
  }

  TEST_CASE("replay: halving -> a time that fails, close to the first one") {
    std::vector<Micros> tried;
    const Micros found = shortest_safety(40 * second, [&](Micros safety) {
      tried.push_back(safety);
      return safety >= 13 * second;
    });
    CHECK(found >= 13 * second);
    CHECK(found < 13 * second + second / 4);
    CHECK(tried.size() <= 8);
    CHECK(shortest_safety(40 * second, [](Micros) { return false; }) == 40 * second);
  }

  TEST_CASE("replay: the command says everything that the run depended on") {
    RunOptions options;
    CHECK(command_of(42, options, "") == "zabmq-sim --seed 42 --trace");
    options.safety = 3 * second + 70;
    options.fault_free = options.client_rules = true;
    CHECK(command_of(42, options, "lost_ack") ==
          "zabmq-sim --seed 42 --safety 3.000070 --fault-free --client-rules --mutant lost_ack "
          "--trace");
  }
}
