// Tidy test: form and size of every source file; the lists of exceptions may only shrink.
#include "tidy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace zabmq::architecture {
namespace {

using Check = std::vector<std::string> (*)(const SourceFile&);
using Paths = std::set<std::string>;

// Runs `check` on every file and reports what it finds; a file in `exceptions` must still need to
// be there, so the list cannot outlive its reasons.
void check_all(const std::vector<SourceFile>& files, Check check, const Paths& exceptions = {}) {
  std::vector<std::string> bad;
  Paths needed;
  for (const SourceFile& file : files) {
    const auto found = check(file);
    if (found.empty()) continue;
    if (exceptions.contains(file.path)) {
      needed.insert(file.path);
    } else {
      bad.insert(bad.end(), found.begin(), found.end());
    }
  }
  INFO(joined(bad));
  CHECK(bad.empty());
  for (const std::string& path : exceptions) {
    CAPTURE(path);  // no longer needs to be an exception
    CHECK(needed.contains(path));
  }
}

std::vector<SourceFile> sources_below(const std::vector<std::string_view>& folders) {
  std::vector<SourceFile> files;
  for (const SourceFile& file : cpp_sources()) {
    if (starts_with_any(file.path, folders)) files.push_back(file);
  }
  return files;
}

std::vector<std::string> too_long(const SourceFile& file) {
  if (file.lines.size() <= file_lines_max) return {};
  return {file.path + ": " + std::to_string(file.lines.size()) + " lines"};
}

SourceFile function_of(std::size_t body_lines, const std::string& head, const std::string& before) {
  std::string text = before + "\n" + head + " {\n";
  for (std::size_t i = 0; i < body_lines; ++i) text += "  call({1, 2});\n";
  return from_text("lib/x/x.cpp", text + "}\n");
}

TEST_SUITE("architecture/tidy") {
  TEST_CASE("tidy: every source file -> lines of at most 100 columns") {
    check_all(cpp_sources(), long_lines);
  }

  TEST_CASE("tidy: every source file -> functions of at most 70 lines") {
    // One contract, a sub-case for each promise, on each file system.
    check_all(cpp_sources(), long_functions, {"tests/storage/file_system_test.cpp"});
  }

  TEST_CASE("tidy: every source file -> at most 600 lines") {
    // Many small cases about one handler; nothing but tests may stand here.
    check_all(cpp_sources(), too_long,
              {"tests/zab/follower_test.cpp", "tests/zab/leader_test.cpp"});
  }

  TEST_CASE("tidy: every source file -> its first line says what it is") {
    check_all(cpp_sources(), bad_first_line);
  }

  TEST_CASE("tidy: every header -> may be included twice") {
    check_all(cpp_sources(), unguarded_header);
  }

  TEST_CASE("tidy: the whole tree -> no unfinished work and no path of one machine") {
    check_all(read_tree({"lib", "broker", "examples", "bench", "tests", "docs", "cmake", "run",
                         ".ci", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CMakeLists.txt",
                         "CMakePresets.json"},
                        {".cpp", ".hpp", ".md", ".txt", ".cmake", "run"}),
              forbidden_text);
  }

  TEST_CASE("tidy: the protocol core -> only Zab's own words") {
    check_all(sources_below({"lib/zab/"}), foreign_words);
  }

  TEST_CASE("tidy: tests -> nothing sleeps") {
    check_all(sources_below({"tests/"}), sleeps);
  }
}

TEST_SUITE("architecture/tidy itself") {
  TEST_CASE("tidy: a line of 101 columns -> reported, 100 columns of UTF-8 -> not") {
    std::string wide;
    for (std::size_t i = 0; i < columns_max; ++i) wide += "\u00e9";

    CHECK(long_lines(from_text("a.cpp", wide)).empty());
    CHECK(long_lines(from_text("a.cpp", wide + "x")).size() == 1);
  }

  TEST_CASE("tidy: a function of 71 lines -> reported, wherever it stands") {
    const std::size_t limit = function_lines_max - 2;  // braces take two lines
    const struct {
      std::string head;
      std::string before;
    } heads[] = {{"void f(int a)", ""},
                 {"Class::Class(int a) : a_{a}, b_(2)", ""},
                 {"auto f() -> int", "namespace n { class C { int x = 0; };"},
                 {"int f() const", "class C final : public B {"},
                 {"TEST_CASE(\"a { b\")", "TEST_SUITE(\"s\") {"},
                 {"bool operator==(const T&)", "enum class E { a, b };\nint x[] = {1, 2};"}};
    for (const auto& [head, before] : heads) {
      CAPTURE(head);
      CHECK(long_functions(function_of(limit, head, before)).empty());
      CHECK(long_functions(function_of(limit + 1, head, before)).size() == 1);
    }
  }

  TEST_CASE("tidy: a class of 200 lines with short functions -> not reported") {
    std::string text = "class C {\n";
    for (int i = 0; i < 100; ++i) text += "  int f() const {\n  return 1; }\n";

    CHECK(long_functions(from_text("a.cpp", text + "};\n")).empty());
  }

  TEST_CASE("tidy: braces in comments, strings and characters -> are not code") {
    const auto code = code_of(from_text(
        "a.cpp", "a(\"{\"); // }\nb('{'); /* {\n } */ c(R\"x({ \" )x\");\nint n = 1'000'000; {"));

    CHECK(code[0].find_first_of("{}") == std::string::npos);
    CHECK(code[1].find_first_of("{}") == std::string::npos);
    CHECK(code[2].find_first_of("{}") == std::string::npos);
    CHECK(code[2].find("c(") != std::string::npos);
    CHECK(code[3].find('{') != std::string::npos);
  }

  TEST_CASE("tidy: planted faults -> each is reported") {
    CHECK_FALSE(bad_first_line(from_text("a.hpp", "#pragma once\n")).empty());
    CHECK_FALSE(bad_first_line(from_text("a.hpp", "// no name\n")).empty());
    CHECK(bad_first_line(from_text("a.hpp", "// Name: what it is.\n")).empty());
    CHECK_FALSE(unguarded_header(from_text("a.hpp", "// Name: x.\n")).empty());
    CHECK_FALSE(forbidden_text(from_text("a.cpp", std::string("// TO") + "DO later")).empty());
    CHECK_FALSE(forbidden_text(from_text("a.cpp", std::string("open(\"/tm") + "p/x\")")).empty());
    CHECK_FALSE(foreign_words(from_text("a.cpp", "int term = 1;")).empty());
    CHECK(foreign_words(from_text("a.cpp", "int determine = 1;")).empty());
    CHECK_FALSE(sleeps(from_text("a.cpp", "std::this_thread::sleep_for(1s);")).empty());
    CHECK(sleeps(from_text("a.cpp", "// never sleep")).empty());
  }
}

}  // namespace
}  // namespace zabmq::architecture
