// Source tree: reading the repository's files and blanking out what is not code.
#include "source_tree.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace zabmq::architecture {
namespace {

namespace fs = std::filesystem;

const fs::path& root() {
  static const fs::path path = ZABMQ_SOURCE_DIR;
  return path;
}

bool wanted(const fs::path& path, const std::vector<std::string_view>& endings) {
  const std::string name = path.filename().string();
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// Walks one file character by character and remembers what it is inside of.
class Blanker {
 public:
  std::string blank(std::string_view line) {
    std::string code(line);
    // Only block comments and raw strings go on in the next line.
    if (state_ != State::block_comment && state_ != State::raw_string) state_ = State::code;
    for (std::size_t i = 0; i < line.size(); ++i) i += step(line, i, code);
    return code;
  }

 private:
  enum class State { code, line_comment, block_comment, string, character, raw_string };

  // Handles the character at `i`; returns how many more it has consumed.
  std::size_t step(std::string_view line, std::size_t i, std::string& code) {
    switch (state_) {
      case State::code:
        return step_code(line, i, code);
      case State::line_comment:
        code[i] = ' ';
        return 0;
      case State::block_comment:
        return step_until("*/", line, i, code);
      case State::raw_string:
        return step_until(raw_end_, line, i, code);
      case State::string:
        return step_literal('"', line, i, code);
      case State::character:
        return step_literal('\'', line, i, code);
    }
    return 0;
  }

  std::size_t step_code(std::string_view line, std::size_t i, std::string& code) {
    const std::string_view rest = line.substr(i);
    if (rest.starts_with("//")) {
      state_ = State::line_comment;
      code[i] = ' ';
    } else if (rest.starts_with("/*")) {
      state_ = State::block_comment;
      code[i] = code[i + 1] = ' ';
      return 1;
    } else if (rest.starts_with("R\"")) {
      state_ = State::raw_string;
      raw_end_ = ")" + std::string(rest.substr(2, rest.find('(') - 2)) + "\"";
      return 1;
    } else if (line[i] == '"') {
      state_ = State::string;
    } else if (line[i] == '\'' && !is_digit_separator(line, i)) {
      state_ = State::character;
    }
    return 0;
  }

  static bool is_digit_separator(std::string_view line, std::size_t i) {
    return i > 0 && std::isxdigit(static_cast<unsigned char>(line[i - 1])) != 0;
  }

  std::size_t step_until(std::string_view end, std::string_view line, std::size_t i,
                         std::string& code) {
    if (!line.substr(i).starts_with(end)) {
      code[i] = ' ';
      return 0;
    }
    for (std::size_t k = 0; k < end.size(); ++k) code[i + k] = ' ';
    state_ = State::code;
    return end.size() - 1;
  }

  std::size_t step_literal(char quote, std::string_view line, std::size_t i, std::string& code) {
    if (line[i] == quote) {
      state_ = State::code;
      return 0;
    }
    code[i] = ' ';
    if (line[i] != '\\' || i + 1 >= line.size()) return 0;
    code[i + 1] = ' ';
    return 1;
  }

  State state_ = State::code;
  std::string raw_end_;
};

}  // namespace

SourceFile from_text(std::string path, std::string_view text) {
  SourceFile file{std::move(path), {}};
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) file.lines.push_back(line);
  return file;
}

SourceFile read_source(const std::string& path) {
  std::ifstream in(root() / path);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return from_text(path, text.str());
}

bool exists(const std::string& path) {
  return fs::exists(root() / path);
}

std::vector<SourceFile> read_tree(const std::vector<std::string>& folders,
                                  const std::vector<std::string_view>& endings) {
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    if (fs::is_regular_file(root() / folder)) files.push_back(read_source(folder));
    if (!fs::is_directory(root() / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root() / folder)) {
      if (!entry.is_regular_file() || !wanted(entry.path(), endings)) continue;
      files.push_back(read_source(entry.path().lexically_relative(root()).string()));
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

const std::vector<SourceFile>& cpp_sources() {
  static const std::vector<SourceFile> files =
      read_tree({"lib", "broker", "examples", "bench", "tests"}, {".cpp", ".hpp"});
  return files;
}

std::vector<std::string> code_of(const SourceFile& file) {
  Blanker blanker;
  std::vector<std::string> code;
  code.reserve(file.lines.size());
  for (const std::string& line : file.lines) code.push_back(blanker.blank(line));
  return code;
}

std::vector<std::string> words_of(std::string_view line) {
  const auto in_word = [](char c) {
    return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
  };
  std::vector<std::string> words;
  for (auto at = line.begin(); at != line.end();) {
    at = std::find_if(at, line.end(), in_word);
    const auto end = std::find_if_not(at, line.end(), in_word);
    if (at != end) words.emplace_back(at, end);
    at = end;
  }
  return words;
}

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace zabmq::architecture
