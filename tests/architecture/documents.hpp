// Documents: what the Markdown files claim about the tree, taken out so that it can be checked.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "source_tree.hpp"

namespace zabmq::architecture {

using Texts = std::set<std::string, std::less<>>;

// Targets of relative links `[..](target)` and of code spans that look like paths of this
// repository.
Texts named_paths(const SourceFile& document);

// The lines of all fenced shell blocks, without comments.
std::vector<std::string> shell_lines(const SourceFile& document);

// Sub-commands and long options given to `program` in shell lines and code spans.
Texts commands_of(const SourceFile& document, std::string_view program);
Texts options_of(const SourceFile& document, std::string_view program);

// A fenced block behind a line `<!-- path -->`: a quotation of that file.
struct Quotation {
  std::string path;
  std::string text;
};
std::vector<Quotation> quotations(const SourceFile& document);

// The code spans in the first column of every table.
Texts first_column(const SourceFile& document);

// All string literals of a C++ file.
Texts literals_of(const SourceFile& file);

}  // namespace zabmq::architecture
