// Source tree: the files of this repository, as the architecture tests read them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zabmq::architecture {

struct SourceFile {
  std::string path;                // relative to the repository, "lib/zab/core.hpp"
  std::vector<std::string> lines;  // without line ends
};

// Every file below `folders` (or a file itself) whose name ends in one of `endings`, sorted by
// path.
std::vector<SourceFile> read_tree(const std::vector<std::string>& folders,
                                  const std::vector<std::string_view>& endings);

SourceFile read_source(const std::string& path);  // of one file, which must exist
bool exists(const std::string& path);
SourceFile from_text(std::string path, std::string_view text);

// All C++ of the project.
const std::vector<SourceFile>& cpp_sources();

// The same lines with comments and the contents of string and character literals blanked out, so
// that braces and words found in them are code.
std::vector<std::string> code_of(const SourceFile& file);

// The words of a line: runs of letters, digits and underscores.
std::vector<std::string> words_of(std::string_view line);

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes);
std::string joined(const std::vector<std::string>& lines);  // one a line, for messages

}  // namespace zabmq::architecture
