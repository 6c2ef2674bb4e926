// Test names: the names of the test cases, and the known bugs and scenarios that they begin with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "source_tree.hpp"

namespace zabmq::architecture {

// The names of the test cases in a file: the literal behind each TEST_CASE, pieces put together.
std::vector<std::string> test_names(const SourceFile& file);

std::string program_of(const SourceFile& file);  // "tests/zab"

// "ZOOKEEPER-1154, 1156, J8, scenario 49 join-late: text" -> the four rows of docs/known-bugs.md:
// "ZOOKEEPER-1154", "ZOOKEEPER-1156", "J8", "scenario 49". Empty: an ordinary name.
std::vector<std::string> known_rows(std::string_view test_name);

}  // namespace zabmq::architecture
