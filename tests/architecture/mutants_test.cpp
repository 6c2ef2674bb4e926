// Mutants test: no build but the one for them has any, and each of them stands in the code.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "source_tree.hpp"
#include "zabmq/mutant.hpp"
#include "zabmq/mutant_catalogue.hpp"

// A constant, whatever the name: the compiler drops what stands behind it.
static_assert(!ZABMQ_MUTANT(any_name));
static_assert(!zabmq::mutants::built_in);

namespace zabmq::architecture {
namespace {

using Texts = std::set<std::string>;

constexpr std::string_view headers[] = {"lib/include/zabmq/mutant.hpp",
                                        "lib/include/zabmq/mutant_catalogue.hpp"};

bool is_mutant_header(const std::string& path) {
  return std::find(std::begin(headers), std::end(headers), path) != std::end(headers);
}

// The lines that hold `word`, as "path: line".
std::vector<std::string> lines_with(const std::vector<SourceFile>& files, std::string_view word) {
  std::vector<std::string> found;
  for (const SourceFile& file : files) {
    for (const std::string& line : file.lines) {
      if (line.find(word) != line.npos) found.push_back(file.path + ": " + line);
    }
  }
  return found;
}

// The names in ZABMQ_MUTANT(name).
void add_sites(const SourceFile& file, Texts& sites) {
  constexpr std::string_view macro = "ZABMQ_MUTANT(";
  for (const std::string& line : code_of(file)) {
    for (std::size_t at = line.find(macro); at != line.npos; at = line.find(macro, at)) {
      at += macro.size();
      sites.insert(line.substr(at, line.find(')', at) - at));
    }
  }
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_SUITE("architecture/mutants") {
  TEST_CASE("mutants: only the preset `mutants` turns them on") {
    const auto on = lines_with(read_tree({"CMakePresets.json", "CMakeLists.txt", "cmake", "lib",
                                          "broker", "examples", "bench", "tests", "run", ".ci"},
                                         {".json", ".txt", ".cmake", "run"}),
                               "ZABMQ_MUTANTS");
    INFO(joined(on));

    REQUIRE(on.size() == 4);  // the option, its preset, and the definition under its condition
    CHECK(on[0].starts_with("CMakeLists.txt: option(ZABMQ_MUTANTS"));
    CHECK(on[0].ends_with(" OFF)"));
    CHECK(on[1].find("\"ZABMQ_MUTANTS\": \"ON\"") != std::string::npos);
    CHECK(on[2] == "cmake/compile_options.cmake: if(ZABMQ_MUTANTS)");
    CHECK(on[3].find("target_compile_definitions") != std::string::npos);

    const std::vector<std::string> presets = read_source("CMakePresets.json").lines;
    const auto line_with = [&](std::string_view text) {
      return std::find_if(presets.begin(), presets.end(),
                          [&](const std::string& line) { return line.find(text) != line.npos; });
    };
    const auto preset = line_with("\"name\": \"mutants\"");
    const auto turned_on = line_with("ZABMQ_MUTANTS");
    CHECK(preset < turned_on);
    CHECK(std::none_of(std::next(preset), turned_on,
                       [](const std::string& line) { return line.find("\"name\"") != line.npos; }));
  }

  TEST_CASE("mutants: chosen nowhere in the product, and unknown to every test") {
    std::vector<std::string> bad;
    for (const SourceFile& file : cpp_sources()) {
      if (is_mutant_header(file.path) || file.path == "tests/architecture/mutants_test.cpp") {
        continue;
      }
      const bool sites = starts_with_any(file.path, {"lib/"}) && !file.path.starts_with("lib/sim/");
      for (const std::string& word : {std::string("ZABMQ_MUTANTS"), std::string("mutants::chosen"),
                                      std::string(sites ? "mutant_catalogue" : "ZABMQ_MUTANT(")}) {
        const auto found = lines_with({file}, word);
        bad.insert(bad.end(), found.begin(), found.end());
      }
    }
    INFO(joined(bad));
    CHECK(bad.empty());
  }

  TEST_CASE("mutants: every one in the catalogue stands in the code, and no other") {
    Texts listed;
    for (const mutants::Mutant& mutant : mutants::catalogue) listed.emplace(mutant.name);
    Texts sites;
    for (const SourceFile& file : cpp_sources()) {
      if (file.path.starts_with("lib/") && !is_mutant_header(file.path)) add_sites(file, sites);
    }

    CHECK(sites == listed);
    CHECK(listed.size() == mutants::catalogue.size());
    CHECK(listed.size() >= 24);
    CHECK_FALSE(mutants::choose(mutants::catalogue.front().name));
  }

  TEST_CASE("mutants: zabmqd -> knows nothing of any") {
    const std::string program = content_of(std::filesystem::path(ZABMQ_BIN_DIR) / "zabmqd");
    REQUIRE(program.find("zabmqd") != program.npos);  // the search finds what is there

    CHECK(program.find("5zabmq7mutants") == program.npos);  // their namespace, as symbols have it
    for (const mutants::Mutant& mutant : mutants::catalogue) {
      CAPTURE(mutant.name);
      CHECK(program.find(mutant.name) == program.npos);
      CHECK(program.find(mutant.what) == program.npos);
    }
  }
}

}  // namespace
}  // namespace zabmq::architecture
