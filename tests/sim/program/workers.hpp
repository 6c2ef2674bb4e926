// Workers: seeds run in processes of their own, so that an abort of the code under test ends one
// seed and is reported like any other violation, with its seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "seed_run.hpp"

namespace zabmq::sim::program {

struct Work {
  std::uint64_t first = 1;
  std::uint64_t last = 1;  // inclusive
  std::optional<std::chrono::steady_clock::time_point> until;
  unsigned jobs = 1;
  bool stop_at_first = false;  // violation
  RunOptions options;
};

// Each finished seed's tally, in whatever order they finish.
using OnSeed = std::function<void(const Tally&)>;

Tally run_all(const Work& work, const OnSeed& on_seed);

}  // namespace zabmq::sim::program
