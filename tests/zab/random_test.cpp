// Random: seeded runs of whole clusters. ZABMQ_SEED=n repeats one with a trace, ZABMQ_SEED=n..m
// runs a range. A seed that once failed is named below and always runs.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "zab/harness/random_run.hpp"

namespace zabmq::zab::test {
namespace {

// All runs of a range must have been worth something together.
void run_seeds(std::uint64_t first, std::uint64_t last) {
  RandomRunResult sum;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("repeat with ZABMQ_SEED=" << seed << " zab_tests -tc=\"random: the seed in ZABMQ_SEED\"");
    const RandomRunResult result = RandomRun(seed, RandomRun::steps_default).run();
    sum.committed += result.committed;
    sum.epochs += result.epochs;
    sum.crashes += result.crashes;
    sum.sessions_lost += result.sessions_lost;
  }
  const std::uint64_t runs = last - first + 1;
  MESSAGE("seeds " << first << ".." << last << ": " << sum.committed << " committed, " << sum.epochs
                   << " epochs, " << sum.crashes << " crashes, " << sum.sessions_lost
                   << " sessions lost");
  CHECK(sum.committed > 10 * runs);
  CHECK(sum.epochs > 2 * runs);
}

TEST_SUITE("zab/random") {
  TEST_CASE("random: seeds 1..20") {
    run_seeds(1, 20);
  }

  TEST_CASE("random: the seed in ZABMQ_SEED") {
    const char* variable = std::getenv("ZABMQ_SEED");
    if (variable == nullptr) return;
    const std::string text = variable;
    const std::size_t dots = text.find("..");
    if (dots != std::string::npos) {
      return run_seeds(std::stoull(text.substr(0, dots)), std::stoull(text.substr(dots + 2)));
    }
    const Trace trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    RandomRun(std::stoull(text), RandomRun::steps_default).run(trace);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
