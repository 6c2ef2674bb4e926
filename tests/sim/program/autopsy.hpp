// Autopsy: what a reader needs of a seed that failed: the shortest run that still fails, and what
// happened last.
#pragma once

#include <cstdint>
#include <string>

#include "seed_run.hpp"

namespace zabmq::sim::program {

// Prints to stderr, with the command that does the same. Runs the seed again, several times when
// the safety phase can be shortened.
void print_autopsy(std::uint64_t seed, const RunOptions& options, const std::string& mutant);

}  // namespace zabmq::sim::program
