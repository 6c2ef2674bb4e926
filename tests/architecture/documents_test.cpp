// Documents test: what README and docs name exists, and what they list is complete.
#include "documents.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>

namespace zabmq::architecture {
namespace {

std::vector<SourceFile> documents() {
  return read_tree({"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"}, {".md"});
}

// All string literals of the tool's or daemon's sources: flags and sub-commands are among them.
Texts words_of_program(const std::vector<std::string>& folders) {
  Texts words;
  for (const SourceFile& file : read_tree(folders, {".cpp"})) {
    for (const std::string& literal : literals_of(file)) {
      // CLI11 takes "-o,--output" and "--json,!--no-json".
      std::string word;
      for (const char c : literal + ",") {
        if (c != ',') {
          word += c;
        } else {
          words.insert(word);
          word.clear();
        }
      }
    }
  }
  return words;
}

std::vector<std::string> missing(const Texts& wanted, const Texts& present) {
  std::vector<std::string> absent;
  for (const std::string& text : wanted) {
    if (!present.contains(text)) absent.push_back(text);
  }
  return absent;
}

// The names of frames in a codec: literals in capitals.
Texts frame_names(const SourceFile& file) {
  Texts names;
  for (const std::string& literal : literals_of(file)) {
    const bool capitals = literal.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == literal.npos;
    if (capitals && literal.size() > 1) names.insert(literal);
  }
  return names;
}

std::vector<std::string> missing_in_tables(const Texts& names, const SourceFile& document) {
  Texts present;
  for (const std::string& line : document.lines) {
    if (!line.starts_with("|")) continue;
    for (const std::string& name : names) {
      if (line.find(" " + name + " ") != line.npos || line.find(" " + name + ",") != line.npos)
        present.insert(name);
    }
  }
  return missing(names, present);
}

bool has_test(const std::string& layer, const std::string& beginning) {
  for (const SourceFile& file : read_tree({"tests/" + layer}, {".cpp"})) {
    for (const std::string& literal : literals_of(file)) {
      if (!beginning.empty() && literal.starts_with(beginning)) return true;
    }
  }
  return false;
}

// Without indentation: a quotation may be taken from the middle of a function.
std::string flattened(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    const std::size_t first = line.find_first_not_of(' ');
    text += (first == line.npos ? "" : line.substr(first)) + "\n";
  }
  return text;
}

// A quotation may leave something out at a line `// ...`.
std::vector<std::string> parts_of(const std::string& quotation) {
  std::vector<std::string> parts(1);
  for (const std::string& line : from_text("quotation", quotation).lines) {
    if (line == "// ...") {
      parts.emplace_back();
    } else {
      parts.back() += flattened({line});
    }
  }
  return parts;
}

void check_commands(const SourceFile& document, std::string_view program,
                    const std::vector<std::string>& folders) {
  Texts known = words_of_program(folders);
  known.insert({"--help", "--version"});
  const auto commands = missing(commands_of(document, program), known);
  const auto options = missing(options_of(document, program), known);
  CAPTURE(document.path);
  INFO(joined(commands), joined(options));
  CHECK(commands.empty());
  CHECK(options.empty());
}

// "I1", "W4": a letter and a number.
Texts check_names(const std::string& path) {
  Texts names;
  for (const std::string& literal : literals_of(read_source(path))) {
    const bool name = literal.size() > 1 && literal[0] >= 'A' && literal[0] <= 'Z' &&
                      literal.find_first_not_of("0123456789", 1) == literal.npos;
    if (name) names.insert(literal);
  }
  return names;
}

TEST_SUITE("architecture/documents") {
  TEST_CASE("documents: a rule of the history checker and a check of the simulator share no name") {
    const Texts rules = check_names("lib/sim/history_checker.cpp");
    Texts both;
    Texts checks;
    for (const std::string part : {"", "_messages", "_quorums", "_snap"}) {
      checks.merge(check_names("lib/sim/invariants" + part + ".cpp"));
    }
    std::set_intersection(rules.begin(), rules.end(), checks.begin(), checks.end(),
                          std::inserter(both, both.end()));

    CHECK(rules.size() == 19);
    CHECK(checks.contains("I1"));
    CHECK(both.empty());
  }

  TEST_CASE("documents: every path and link -> exists") {
    std::vector<std::string> absent;
    for (const SourceFile& document : documents()) {
      for (const std::string& path : named_paths(document)) {
        if (!exists(path)) absent.push_back(document.path + ": " + path);
      }
    }
    INFO(joined(absent));
    CHECK(absent.empty());
    CHECK(named_paths(read_source("README.md")).contains("docs/architecture.md"));
  }

  TEST_CASE("documents: quoted code -> is the file's") {
    const auto quoted = quotations(read_source("README.md"));

    REQUIRE(quoted.size() >= 2);
    for (const auto& [path, text] : quoted) {
      CAPTURE(path);
      const std::string source = flattened(read_source(path).lines);
      CHECK(text.size() > 200);
      for (const std::string& part : parts_of(text)) {
        CAPTURE(part);
        CHECK(source.find(part) != std::string::npos);
      }
    }
  }

  TEST_CASE("documents: commands and flags of zabmq -> known to the tool") {
    for (const SourceFile& document : documents())
      check_commands(document, "zabmq", {"broker/cli"});
    CHECK(commands_of(read_source("README.md"), "zabmq") ==
          Texts{"bench", "conformance", "dev", "log", "pub", "status", "sub"});
  }

  TEST_CASE("documents: flags of zabmqd -> known to the daemon") {
    for (const SourceFile& document : documents())
      check_commands(document, "zabmqd", {"broker/arguments.cpp"});
    CHECK(options_of(read_source("docs/operations.md"), "zabmqd").contains("--servers"));
  }

  TEST_CASE("documents: commands of ./run -> known to it") {
    const SourceFile run = read_source("run");
    const auto known = [&](const std::string& command) {
      for (const std::string& line : run.lines) {
        if (line.starts_with("    " + command + ")") || line.starts_with("  " + command + " "))
          return true;
      }
      return false;
    };
    for (const SourceFile& document : documents()) {
      for (const std::string& command : commands_of(document, "./run")) {
        CAPTURE(command);
        CHECK(known(command));
      }
    }
  }

  TEST_CASE("documents: keys of --set -> all of them, and no other, in operations.md") {
    Texts keys;
    for (const std::string& literal : literals_of(read_source("lib/node/options.cpp"))) {
      const bool key = starts_with_any(literal, {"timing.", "limits.", "storage.", "log."});
      if (key && literal.find_first_of(" =(") == literal.npos) keys.insert(literal);
    }
    Texts documented;
    for (const std::string& cell : first_column(read_source("docs/operations.md"))) {
      if (starts_with_any(cell, {"timing.", "limits.", "storage.", "log."}))
        documented.insert(cell);
    }
    CHECK(documented == keys);
    CHECK(keys.size() > 20);
  }

  TEST_CASE("documents: every message between servers -> in protocol.md and wire.md") {
    const Texts names = frame_names(read_source("lib/zab/message.cpp"));

    CHECK(names.size() >= 17);
    for (const std::string path : {"docs/protocol.md", "docs/wire.md"}) {
      CAPTURE(path);
      const auto absent = missing_in_tables(names, read_source(path));
      INFO(joined(absent));
      CHECK(absent.empty());
    }
  }

  TEST_CASE("documents: every client frame -> in the tables of wire.md") {
    const Texts names = frame_names(read_source("lib/wire/client_frame.cpp"));
    const auto absent = missing_in_tables(names, read_source("docs/wire.md"));

    INFO(joined(absent));
    CHECK(absent.empty());
    CHECK(names.size() >= 19);
  }

  TEST_CASE("documents: every -tc=PATTERN -> begins the name of a test of that program") {
    std::size_t patterns = 0;
    for (const SourceFile& document : documents()) {
      for (const std::string& line : shell_lines(document)) {
        const std::size_t option = line.find("-tc='");
        if (option == line.npos) continue;
        ++patterns;
        CAPTURE(line);
        const std::size_t program = line.rfind('/', option) + 1;
        const std::string layer = line.substr(program, line.find("_tests", program) - program);
        const std::string name = line.substr(option + 5, line.find('*', option) - option - 5);
        CHECK(has_test(layer, name));
      }
    }
    CHECK(patterns > 3);
  }

  TEST_CASE("documents: the reader -> finds what is planted") {
    const SourceFile planted =
        from_text("docs/x.md",
                  "[a](wire.md) [b](https://example.org) `tests/zab` `tests/*.cpp`\n```sh\n"
                  "zabmq pub t --json | zabmq-other --no  # --comment\n```\n"
                  "<!-- examples/a.cpp -->\n```cpp\nint x;\n```\n| `key.a` | `other` |\n");

    CHECK(named_paths(planted) == Texts{"docs/wire.md", "tests/zab"});
    CHECK(commands_of(planted, "zabmq") == Texts{"pub"});
    CHECK(options_of(planted, "zabmq") == Texts{"--json"});
    REQUIRE(quotations(planted).size() == 1);
    CHECK(quotations(planted).front().text == "int x;\n");
    CHECK(first_column(planted) == Texts{"key.a"});
  }
}

}  // namespace
}  // namespace zabmq::architecture
