// Nemesis: real servers, real clients, faults, and a verdict.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace zabmq::nemesis {

struct Options {
  std::uint64_t seconds = 120;
  std::size_t servers = 3;
  std::uint64_t seed = 0;
  std::filesystem::path directory;  // for everything; empty: a temporary one, kept on failure only
  bool separate = true;             // network namespaces, when we may make them
};

// Prints a report; its last line is the verdict. True: the run was valid, and the promises hold. A
// run that was interrupted has no other verdict.
bool run(const Options& options, const std::function<bool()>& interrupted);

}  // namespace zabmq::nemesis
