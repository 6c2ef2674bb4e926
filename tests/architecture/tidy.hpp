// Tidy: the size and form of source files, as CONTRIBUTING.md asks for them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "source_tree.hpp"

namespace zabmq::architecture {

inline constexpr std::size_t columns_max = 100;
inline constexpr std::size_t function_lines_max = 70;
inline constexpr std::size_t file_lines_max = 600;

// Each returns "path:line: what is wrong", one entry a place.
std::vector<std::string> long_lines(const SourceFile& file);
std::vector<std::string> long_functions(const SourceFile& file);
std::vector<std::string> bad_first_line(const SourceFile& file);
std::vector<std::string> unguarded_header(const SourceFile& file);
std::vector<std::string> forbidden_text(const SourceFile& file);  // unfinished work, machine paths
std::vector<std::string> foreign_words(const SourceFile& file);   // other protocols' words
std::vector<std::string> sleeps(const SourceFile& file);

}  // namespace zabmq::architecture
