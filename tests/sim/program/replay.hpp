// Replay: which seeds are asked for, how short a run can be that still fails, and the command that
// runs it again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "sim/world.hpp"

namespace zabmq::sim::program {

// "A..B", A not above B.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_seeds(const std::string& text);

// A safety phase that still fails, when one of `whole` does; a run with a shorter one is a prefix
// until there.
Micros shortest_safety(Micros whole, const std::function<bool(Micros)>& fails);

// Exactly this run, and its last events.
std::string command_of(std::uint64_t seed, const RunOptions& options, const std::string& mutant);

}  // namespace zabmq::sim::program
