// Documents: a small reader of Markdown, as far as this repository uses it.
#include "documents.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace zabmq::architecture {
namespace {

const std::vector<std::string_view> top_folders = {"docs/", "examples/", "bench/", "tests/",
                                                   "lib/",  "broker/",   "cmake/", "clients/"};

// What stands between each pair of `quote` in a line.
std::vector<std::string> spans(std::string_view line, char quote) {
  std::vector<std::string> found;
  for (std::size_t at = line.find(quote); at != line.npos; at = line.find(quote, at)) {
    const std::size_t end = line.find(quote, at + 1);
    if (end == line.npos) break;
    found.emplace_back(line.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return found;
}

bool looks_like_path(std::string_view text) {
  return starts_with_any(text, top_folders) && text.find_first_of(" *<$") == text.npos;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "" : path.substr(0, slash + 1);
}

std::vector<std::string> link_targets(std::string_view line) {
  std::vector<std::string> targets;
  for (std::size_t at = line.find("]("); at != line.npos; at = line.find("](", at + 1)) {
    const std::size_t end = line.find_first_of(")#", at);
    if (end == line.npos) break;
    std::string target(line.substr(at + 2, end - at - 2));
    if (!target.empty() && target.find("://") == target.npos) targets.push_back(target);
  }
  return targets;
}

std::string without_comment(const std::string& line) {
  const std::size_t comment = line.starts_with('#') ? 0 : line.find(" #");
  return line.substr(0, comment);
}

std::vector<std::string> split_words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Everything that could be a command line: shell lines, and code spans.
std::vector<std::string> command_lines(const SourceFile& document) {
  std::vector<std::string> lines = shell_lines(document);
  for (const std::string& line : document.lines) {
    const auto found = spans(line, '`');
    lines.insert(lines.end(), found.begin(), found.end());
  }
  return lines;
}

// The words behind `program` in a line, up to a pipe or the like.
std::vector<std::string> words_behind(const std::string& line, std::string_view program) {
  const std::vector<std::string> words = split_words(line);
  const auto begin = std::find(words.begin(), words.end(), program);
  if (begin == words.end()) return {};
  const auto end = std::find_if(begin, words.end(), [](const std::string& word) {
    return word == "|" || word == "&&" || word == ";" || word == ">" || word == "<";
  });
  return {begin + 1, end};
}

}  // namespace

Texts named_paths(const SourceFile& document) {
  Texts paths;
  for (const std::string& line : document.lines) {
    for (const std::string& target : link_targets(line))
      paths.insert(folder_of(document.path) + target);
    for (const std::string& span : spans(line, '`')) {
      if (looks_like_path(span)) paths.insert(span);
    }
  }
  return paths;
}

std::vector<std::string> shell_lines(const SourceFile& document) {
  std::vector<std::string> lines;
  bool inside = false;
  for (const std::string& line : document.lines) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
    } else if (inside) {
      lines.push_back(without_comment(line));
    }
  }
  return lines;
}

Texts commands_of(const SourceFile& document, std::string_view program) {
  Texts commands;
  for (const std::string& line : command_lines(document)) {
    const auto words = words_behind(line, program);
    if (!words.empty() && std::islower(static_cast<unsigned char>(words.front()[0])) != 0)
      commands.insert(words.front());
  }
  return commands;
}

Texts options_of(const SourceFile& document, std::string_view program) {
  Texts options;
  for (const std::string& line : command_lines(document)) {
    for (const std::string& word : words_behind(line, program)) {
      if (word.starts_with("--")) options.insert(word.substr(0, word.find('=')));
    }
  }
  return options;
}

std::vector<Quotation> quotations(const SourceFile& document) {
  std::vector<Quotation> found;
  std::string path;
  bool inside = false;
  for (const std::string& line : document.lines) {
    if (line.starts_with("```")) {
      inside = !inside && !path.empty();
      if (inside) found.push_back({path, ""});
      if (!inside) path.clear();
    } else if (inside) {
      found.back().text += line + "\n";
    } else if (line.starts_with("<!-- ") && line.ends_with(" -->")) {
      path = line.substr(5, line.size() - 9);
    }
  }
  return found;
}

Texts first_column(const SourceFile& document) {
  Texts cells;
  for (const std::string& line : document.lines) {
    if (!line.starts_with("| `")) continue;
    const auto found = spans(line.substr(0, line.find('|', 1)), '`');
    cells.insert(found.begin(), found.end());
  }
  return cells;
}

Texts literals_of(const SourceFile& file) {
  Texts literals;
  for (const std::string& line : file.lines) {
    const auto found = spans(line, '"');
    literals.insert(found.begin(), found.end());
  }
  return literals;
}

}  // namespace zabmq::architecture
