// Test names test: every test case can be run by its name, alone.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "test_names.hpp"

namespace zabmq::architecture {
namespace {

TEST_SUITE("architecture/test names") {
  TEST_CASE("test names: no semicolon, which would make two tests of one, and neither would run") {
    std::vector<std::string> bad;
    std::size_t count = 0;
    for (const SourceFile& file : read_tree({"tests"}, {"_test.cpp"})) {
      for (const std::string& name : test_names(file)) {
        ++count;
        if (name.find(';') != name.npos) bad.push_back(file.path + ": " + name);
      }
    }
    INFO(joined(bad));
    CHECK(bad.empty());
    CHECK(count > 500);
  }

  TEST_CASE("test names: unique in their program, so that each can be run alone") {
    std::map<std::string, std::set<std::string>> seen;
    std::vector<std::string> bad;
    for (const SourceFile& file : read_tree({"tests"}, {"_test.cpp"})) {
      for (const std::string& name : test_names(file)) {
        if (!seen[program_of(file)].insert(name).second) bad.push_back(file.path + ": " + name);
      }
    }
    INFO(joined(bad));
    CHECK(bad.empty());
    CHECK(seen.size() > 5);
  }

  TEST_CASE("test names: planted -> found, also over two lines and behind a type") {
    const std::string macro = std::string("TEST") + "_CASE";  // in two parts: this file is read too
    const SourceFile planted =
        from_text("tests/x/x_test.cpp", macro + "(\"a -> b\") {\n}\n" + macro +
                                            "(\n    \"c, \"\n    \"d\") {\n" + macro +
                                            "_FIXTURE(Fixture, \"e; f\") {\n");

    CHECK(test_names(planted) == std::vector<std::string>{"a -> b", "c, d", "e; f"});
  }
}

}  // namespace
}  // namespace zabmq::architecture
