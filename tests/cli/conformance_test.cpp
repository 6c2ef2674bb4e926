// ConformanceTest: the list of rules is docs/wire.md's, and the tool's own codec reads and writes
// the golden bytes of that page.
#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli/conformance/frame.hpp"
#include "cli/conformance/rules.hpp"

namespace zabmq::cli::conformance {
namespace {

std::vector<std::string> lines_of_page() {
  std::ifstream stream(ZABMQ_SOURCE_DIR "/docs/wire.md");
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  REQUIRE(lines.size() > 100);
  return lines;
}

std::string from_hex(const std::string& text) {
  std::string bytes;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

// Those of section 4.7, as hexadecimal text by the line that stands above.
std::vector<std::pair<std::string, std::string>> golden_headers() {
  std::vector<std::pair<std::string, std::string>> found;
  bool inside = false;
  for (const std::string& line : lines_of_page()) {
    if (line.starts_with("### ")) inside = line == "### 4.7 Golden bytes";
    if (!inside || line.empty()) continue;
    if (line.starts_with("  ") && !found.empty()) {
      found.back().second += line;
    } else if (line.find(" [") != std::string::npos) {
      found.emplace_back(line, "");
    }
  }
  return found;
}

Value round_trip(const Value& value) {
  std::string bytes;
  append(bytes, value);
  const std::optional<Value> read = parse(bytes);
  REQUIRE(read.has_value());
  return *read;
}

}  // namespace

TEST_SUITE("cli/conformance") {
  TEST_CASE("conformance: the rules it checks -> those of docs/wire.md, and no other") {
    std::vector<std::string> checked;
    std::set<std::string> ids;
    for (const Rule& rule : all_rules()) {
      checked.push_back("| " + std::string(rule.id) + " | " + rule.where + " | " + rule.name +
                        " |");
      CHECK(ids.insert(rule.id).second);
      CHECK((rule.check != nullptr));
    }

    std::vector<std::string> listed;
    for (const std::string& line : lines_of_page()) {
      if (line.starts_with("| C") && line.find_first_of("0123456789") == 3) listed.push_back(line);
    }
    CHECK(checked == listed);
    CHECK(checked.size() > 80);
  }

  TEST_CASE("conformance: where a rule comes from -> a section of docs/wire.md") {
    std::set<std::string> sections;
    for (const std::string& line : lines_of_page()) {
      if (!line.starts_with("## ") && !line.starts_with("### ")) continue;
      std::istringstream words(line);
      std::string number;
      words >> number >> number;
      if (number.ends_with('.')) number.pop_back();
      sections.insert(number);
    }
    for (const Rule& rule : all_rules()) {
      const std::string where = rule.where;
      CAPTURE(where);
      CHECK(sections.contains(where.substr(0, where.find(','))));
    }
  }

  TEST_CASE("conformance: golden headers of docs/wire.md -> read, and the same when written") {
    const auto golden = golden_headers();
    CHECK(golden.size() >= 16);
    for (const auto& [text, hex] : golden) {
      CAPTURE(text);
      const std::string header = from_hex(hex);
      const std::optional<Value> value = parse(header.substr(8));
      REQUIRE(value.has_value());
      CHECK(header_of(std::get<List>(value->is)) == header);
      const bool from_server = std::get<List>(value->is).front() != Value(1) &&
                               std::get<std::uint64_t>(std::get<List>(value->is).front().is) > 64;
      if (from_server) CHECK_NOTHROW(frame_of({header}));
    }
  }

  TEST_CASE("conformance: values -> the same when read again") {
    Uuid id;
    id.bytes[3] = std::byte{7};
    for (const Value& value :
         {Value(0), Value(127), Value(128), Value(65535), Value(65536), Value(~std::uint64_t{0}),
          Value(true), Value(false), Value(), Value(""), Value(std::string(31, 'x')),
          Value(std::string(32, 'x')), Value(std::string(70000, 'x')), Value(id),
          Value(List{1, List{}, List(20, Value("y"))})}) {
      CHECK(round_trip(value) == value);
    }
  }

  TEST_CASE("conformance: values that are cut off, too deep or followed by more -> none") {
    std::string bytes;
    append(bytes, List{1, 70000, "text", Bin{"bytes"}, List{true}});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK_FALSE(parse(bytes.substr(0, size)).has_value());
    }
    CHECK_FALSE(parse(bytes + "x").has_value());
    CHECK_FALSE(parse(std::string(100, '\x91')).has_value());
    CHECK_FALSE(parse("\xc1").has_value());
    CHECK(parse("\x92\xff\x81\xa1k\xca....").has_value());  // of types that no frame has
  }

  TEST_CASE("conformance: frames that section 4.2 does not know -> broken") {
    const std::string pong = header_of({72, 5});
    CHECK(frame_of({pong}).number(0) == 5);
    CHECK(frame_of({header_of({72, 5, "newer"})}).number(0) == 5);
    for (const std::vector<std::string>& parts : {std::vector<std::string>{},
                                                  {pong, "", ""},
                                                  {pong + "x"},
                                                  {pong.substr(1)},
                                                  {header_of({72})},
                                                  {header_of({72, "5"})},
                                                  {header_of({99, 5})},
                                                  {sealed("\x05")},
                                                  {""}}) {
      CHECK_THROWS_AS(frame_of(parts), Broken);
    }
  }
}

}  // namespace zabmq::cli::conformance
