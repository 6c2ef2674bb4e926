// Tidy: line-by-line checks, and a brace counter that knows functions from classes.
#include "tidy.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace zabmq::architecture {
namespace {

constexpr std::size_t first_line_name_max = 60;

std::string place(const SourceFile& file, std::size_t line, const std::string& what) {
  return file.path + ":" + std::to_string(line + 1) + ": " + what;
}

// A path that begins there: "/var/x/" does not begin with "/x/".
bool names_path(const std::string& line, const std::string& path) {
  for (std::size_t at = line.find(path); at != line.npos; at = line.find(path, at + 1)) {
    if (at == 0 || std::isalnum(static_cast<unsigned char>(line[at - 1])) == 0) return true;
  }
  return false;
}

// Columns count characters, not bytes: UTF-8 continuation bytes are not counted.
std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// Follows braces through code without comments and literals. Namespaces and classes are entered;
// anything else in braces that has a parameter list before it is a function body.
class FunctionFinder {
 public:
  struct Function {
    std::size_t first = 0;  // line of the opening brace
    std::size_t last = 0;
  };

  std::vector<Function> find(const std::vector<std::string>& code) {
    for (std::size_t line = 0; line < code.size(); ++line) {
      if (is_directive(code[line])) continue;
      for (const char c : code[line]) take(c, line);
      take(' ', line);
    }
    return functions_;
  }

 private:
  static bool is_directive(const std::string& line) {
    const std::size_t first = line.find_first_not_of(' ');
    return first != line.npos && line[first] == '#';
  }

  void take(char c, std::size_t line) {
    if (body_depth_ > 0) {
      in_body(c, line);
    } else if (c == '{') {
      open(line);
    } else if (c == '}' || c == ';') {
      statement_.clear();
    } else {
      statement_ += c;
    }
  }

  void open(std::size_t line) {
    if (enters_scope()) {
      statement_.clear();
      return;
    }
    first_ = line;
    body_depth_ = 1;
  }

  // namespace, class and so on: what stands inside is looked at; a function's body is not.
  bool enters_scope() const {
    if (statement_.find('(') != statement_.npos && !is_test_suite()) return false;
    const std::vector<std::string> words = words_of(statement_);
    return std::any_of(words.begin(), words.end(), [](const std::string& word) {
      return word == "namespace" || word == "class" || word == "struct" || word == "union" ||
             word == "extern" || word == "TEST_SUITE";
    });
  }

  bool is_test_suite() const { return statement_.find("TEST_SUITE") != statement_.npos; }

  void in_body(char c, std::size_t line) {
    if (c == '{') ++body_depth_;
    if (c != '}' || --body_depth_ > 0) return;
    // A member initialised with braces looks like a short body: the real one follows, and counts.
    if (statement_.find('(') == statement_.npos) return statement_.clear();
    functions_.push_back({first_, line});
    if (!has_initialiser_list()) statement_.clear();
  }

  bool has_initialiser_list() const {
    const std::size_t close = statement_.rfind(')');
    const std::size_t colon = statement_.find(':', close == statement_.npos ? 0 : close);
    return colon != statement_.npos && statement_.find("::", colon) != colon;
  }

  std::vector<Function> functions_;
  std::string statement_;
  std::size_t body_depth_ = 0;
  std::size_t first_ = 0;
};

}  // namespace

std::vector<std::string> long_lines(const SourceFile& file) {
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::size_t columns = columns_of(file.lines[i]);
    if (columns > columns_max) bad.push_back(place(file, i, std::to_string(columns) + " columns"));
  }
  return bad;
}

std::vector<std::string> long_functions(const SourceFile& file) {
  std::vector<std::string> bad;
  for (const auto& [first, last] : FunctionFinder().find(code_of(file))) {
    const std::size_t lines = last - first + 1;
    if (lines > function_lines_max)
      bad.push_back(place(file, first, "a function of " + std::to_string(lines) + " lines"));
  }
  return bad;
}

std::vector<std::string> bad_first_line(const SourceFile& file) {
  const std::string first = file.lines.empty() ? "" : file.lines.front();
  const std::size_t colon = first.find(": ");
  const bool good = first.starts_with("// ") && colon != first.npos && colon > 3 &&
                    colon < first_line_name_max && colon + 2 < first.size();
  if (good) return {};
  return {place(file, 0, "the first line is not `// Name: what it is.`")};
}

std::vector<std::string> unguarded_header(const SourceFile& file) {
  if (!file.path.ends_with(".hpp")) return {};
  if (std::find(file.lines.begin(), file.lines.end(), "#pragma once") != file.lines.end())
    return {};
  return {place(file, 0, "no #pragma once")};
}

std::vector<std::string> forbidden_text(const SourceFile& file) {
  // In two parts, so that this file may be checked too.
  static const std::array<std::string, 3> unfinished = {
      std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X"};
  static const std::array<std::string, 4> paths = {
      std::string("/wo") + "rk/", std::string("/fa") + "rm/", std::string("/ho") + "me/",
      std::string("/tm") + "p/"};
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::vector<std::string> words = words_of(file.lines[i]);
    for (const std::string& word : unfinished) {
      if (std::find(words.begin(), words.end(), word) != words.end())
        bad.push_back(place(file, i, word));
    }
    for (const std::string& path : paths) {
      if (names_path(file.lines[i], path)) bad.push_back(place(file, i, path));
    }
  }
  return bad;
}

std::vector<std::string> foreign_words(const SourceFile& file) {
  static const std::array foreign = {"term",     "terms",  "apply", "applied", "applies",
                                     "applying", "master", "slave", "raft",    "Raft",
                                     "paxos",    "view",   "views"};
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    for (const std::string& word : words_of(file.lines[i])) {
      if (std::find(foreign.begin(), foreign.end(), word) != foreign.end())
        bad.push_back(place(file, i, "\"" + word + "\" is not Zab's word"));
    }
  }
  return bad;
}

std::vector<std::string> sleeps(const SourceFile& file) {
  static const std::array sleeping = {"sleep_for", "sleep_until", "usleep", "nanosleep", "sleep"};
  const std::vector<std::string> code = code_of(file);
  std::vector<std::string> bad;
  for (std::size_t i = 0; i < code.size(); ++i) {
    for (const std::string& word : words_of(code[i])) {
      if (std::find(sleeping.begin(), sleeping.end(), word) != sleeping.end())
        bad.push_back(place(file, i, word + " in a test"));
    }
  }
  return bad;
}

}  // namespace zabmq::architecture
