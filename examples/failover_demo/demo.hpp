// Demo: a file goes through a real cluster whose leader is killed half way, and every subscriber is
// compared with the file.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "cli/signals.hpp"

namespace zabmq::demo {

struct Options {
  std::filesystem::path file;
  std::size_t kills = 1;  // rounds: the file is sent again and a leader killed in each
  std::filesystem::path keep_data = {};  // empty: a temporary directory, removed at the end
};

// Ctrl-C or SIGTERM; everything has been cleaned up when this arrives in main.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// Something took longer than the demo allows.
struct TooSlow : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// True: the verdict holds in every round.
bool run(const Options& options, cli::StopSignals& stop);

}  // namespace zabmq::demo
