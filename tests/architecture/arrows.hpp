// Arrows: who may include whom. The table of docs/architecture.md as code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "source_tree.hpp"

namespace zabmq::architecture {

// The layer that a path belongs to: "types", "api", "zab", ..., "broker", "cli", "examples",
// "bench", "tests"; empty for none.
std::string layer_of(std::string_view path);

// What is wrong with the includes of one file, one sentence each.
std::vector<std::string> bad_includes(const SourceFile& file);

}  // namespace zabmq::architecture
