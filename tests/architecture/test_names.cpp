// Test names: taken out of the sources.
#include "test_names.hpp"

#include <algorithm>
#include <cctype>

namespace zabmq::architecture {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return parts;
}

constexpr std::string_view zookeeper = "ZOOKEEPER-";

// The row that one piece of a list names; `before` is the piece in front of it.
std::string row_of(const std::string& piece, const std::string& before) {
  const std::vector<std::string> words = split(piece, " ");
  if (is_number(piece) && before.starts_with(zookeeper)) return std::string(zookeeper) + piece;
  if (is_number(piece) && before.starts_with("scenario ")) return "scenario " + piece;
  const bool numbered = words.size() > 1 && words[0] == "scenario" && is_number(words[1]);
  if (numbered || (words.size() == 2 && words[0] == "jzab")) return words[0] + " " + words[1];
  if (words[0].starts_with(zookeeper)) return words[0];
  if (words[0] == "ZK" && words.size() > 1) return piece;
  const bool letter = piece[0] == 'J' || piece[0] == 'Z';
  if (letter && is_number(std::string_view(piece).substr(1))) return piece;
  const bool test = piece.starts_with("test") && piece.size() > 4 && std::isupper(piece[4]) != 0;
  return test && words.size() == 1 ? piece : "";
}

}  // namespace

// The names of the test cases in a file: the literal behind each TEST_CASE, pieces put together.
std::vector<std::string> test_names(const SourceFile& file) {
  std::string text;
  for (const std::string& line : file.lines) text += line + "\n";
  std::vector<std::string> names;
  constexpr std::string_view macro = "TEST_CASE";
  for (std::size_t at = text.find(macro); at != text.npos; at = text.find(macro, at)) {
    at = text.find_first_of("\"\n;", text.find('(', at));
    while (at != text.npos && text[at] == '\n') at = text.find_first_of("\"\n;", at + 1);
    if (at == text.npos || text[at] != '"') continue;
    names.emplace_back();
    while (at < text.size() && text[at] == '"') {
      const std::size_t end = text.find('"', at + 1);
      names.back() += text.substr(at + 1, end - at - 1);
      at = text.find_first_not_of(" \n", end + 1);
    }
  }
  return names;
}

std::string program_of(const SourceFile& file) {
  return file.path.substr(0, file.path.find('/', std::string_view("tests/").size()));
}

std::vector<std::string> known_rows(std::string_view test_name) {
  std::vector<std::string> rows;
  const std::size_t colon = test_name.find(':');
  if (colon == test_name.npos || colon == 0) return rows;
  std::string before;
  for (const std::string& piece : split(test_name.substr(0, colon), ", ")) {
    const std::string row = piece.empty() ? "" : row_of(piece, before);
    if (row.empty() && rows.empty()) return rows;
    if (!row.empty()) rows.push_back(row);
    before = row;
  }
  return rows;
}

}  // namespace zabmq::architecture
