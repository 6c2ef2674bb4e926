// Known bugs test: docs/known-bugs.md and the tests that are named after its rows agree.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "test_names.hpp"

namespace zabmq::architecture {
namespace {

using Rows = std::map<std::string, std::set<std::string>>;  // row -> programs; none: a reason

// Every defect of ZooKeeper's that is known to have lost data or stood still: a row may say that it
// cannot happen here, but it may not be left out.
constexpr int zookeeper_ids[] = {
    261,  335,  498,  512,  569,  582,  596,  764,  769,  790,  1081, 1154, 1156, 1192, 1277, 1282,
    1343, 1419, 1465, 1489, 1514, 1549, 1653, 1675, 1697, 1699, 1732, 1797, 1818, 2080, 2164, 2172,
    2247, 2249, 2307, 2325, 2332, 2354, 2355, 2418, 2420, 2574, 2678, 2778, 2832, 2845, 2846, 2872,
    2959, 3023, 3056, 3104, 3109, 3127, 3231, 3240, 3526, 3537, 3574, 3642, 3644, 3701, 3720, 3756,
    3769, 3829, 3911, 4269, 4394, 4502, 4541, 4643, 4646, 4685, 4712, 4785, 4837, 4882, 4925, 5094};
constexpr const char* others[] = {"ZK truncate",
                                  "ZK boot check",
                                  "testHighestZxidJoinLate",
                                  "testEarlyLeaderAbandonment",
                                  "testFailedTxnAsPartOfQuorumLoss",
                                  "testElectionFraud",
                                  "testLeaderOutOfView",
                                  "testInconsistentDueToNewLeaderOrder",
                                  "testDiffSyncAfterSnap",
                                  "jzab lastSeenZxid",
                                  "jzab 26dba612",
                                  "jzab 7ce86f39",
                                  "jzab 77ab2409",
                                  "jzab 61f9d57d",
                                  "jzab COP",
                                  "jzab #77",
                                  "jzab #164"};

// "| a | b | c |" -> a, b, c; empty for other lines, headings and rules.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("| ") || line.starts_with("| Row ")) return cells;
  for (std::size_t at = 2; at < line.size();) {
    const std::size_t end = line.find(" |", at);
    if (end == line.npos) break;
    cells.push_back(line.substr(at, end - at));
    at = end + 3;
  }
  return cells;
}

Rows rows_of(const SourceFile& document, std::vector<std::string>& problems) {
  Rows rows;
  for (const std::string& line : document.lines) {
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() != 3) continue;
    if (rows.contains(cells[0])) problems.push_back(cells[0] + ": two rows");
    std::set<std::string>& programs = rows[cells[0]];
    for (std::size_t at = cells[2].find('`'); at != cells[2].npos;) {
      const std::size_t end = cells[2].find('`', at + 1);
      if (end == cells[2].npos) break;
      programs.insert(cells[2].substr(at + 1, end - at - 1));
      at = cells[2].find('`', end + 1);
    }
    const bool reason = cells[2].starts_with("none: ") && cells[2].size() > 10;
    if (programs.empty() != reason) problems.push_back(cells[0] + ": neither a test nor a reason");
  }
  return rows;
}

Rows rows_of_tests(const std::vector<SourceFile>& files) {
  Rows rows;
  for (const SourceFile& file : files) {
    for (const std::string& name : test_names(file)) {
      for (const std::string& row : known_rows(name)) rows[row].insert(program_of(file));
    }
  }
  return rows;
}

std::vector<std::string> differences(const Rows& table, const Rows& tests) {
  std::vector<std::string> found;
  for (const auto& [row, programs] : table) {
    for (const std::string& program : programs) {
      const auto at = tests.find(row);
      if (at == tests.end() || !at->second.contains(program)) {
        found.push_back(row + ": no test in " + program + " has this name");
      }
    }
  }
  for (const auto& [row, programs] : tests) {
    for (const std::string& program : programs) {
      const auto at = table.find(row);
      if (at == table.end() || !at->second.contains(program)) {
        found.push_back(row + ": a test in " + program + " has no row");
      }
    }
  }
  return found;
}

TEST_SUITE("architecture/known bugs") {
  TEST_CASE("known bugs: every row has its test or a reason, every such test its row") {
    std::vector<std::string> problems;
    const Rows table = rows_of(read_source("docs/known-bugs.md"), problems);
    const Rows tests = rows_of_tests(read_tree({"tests"}, {"_test.cpp"}));
    for (const std::string& difference : differences(table, tests)) problems.push_back(difference);
    INFO(joined(problems));
    CHECK(problems.empty());
  }

  TEST_CASE("known bugs: the tables are complete: scenarios, J1 to J17, Z1 to Z12, ids") {
    std::vector<std::string> problems;
    const Rows table = rows_of(read_source("docs/known-bugs.md"), problems);
    const auto all = [&](const std::string& prefix, unsigned last) {
      for (unsigned i = 1; i <= last; ++i) {
        const std::string row = prefix + std::to_string(i);
        if (!table.contains(row)) problems.push_back(row + ": no row");
      }
    };
    all("scenario ", 89);
    all("J", 17);
    all("Z", 12);
    for (const int id : zookeeper_ids) {
      const std::string row = "ZOOKEEPER-" + std::to_string(id);
      if (!table.contains(row)) problems.push_back(row + ": no row");
    }
    for (const char* row : others) {
      if (!table.contains(row)) problems.push_back(std::string(row) + ": no row");
    }
    INFO(joined(problems));
    CHECK(problems.empty());
    CHECK(table.size() > 200);
  }

  TEST_CASE("known bugs: planted names, rows and differences -> found") {
    using Names = std::vector<std::string>;
    CHECK(known_rows("ZOOKEEPER-1154, 1156, J8, scenario 49 join-late: a -> b") ==
          Names{"ZOOKEEPER-1154", "ZOOKEEPER-1156", "J8", "scenario 49"});
    CHECK(known_rows("scenario 27, 28: x") == Names{"scenario 27", "scenario 28"});
    CHECK(known_rows("ZOOKEEPER-2845 A, scenario 34: x") == Names{"ZOOKEEPER-2845", "scenario 34"});
    CHECK(known_rows("testElectionFraud, jzab 26dba612: x") ==
          Names{"testElectionFraud", "jzab 26dba612"});
    CHECK(known_rows("ZK truncate, J6: x") == Names{"ZK truncate", "J6"});
    CHECK(known_rows("jzab #77: x") == Names{"jzab #77"});
    CHECK(known_rows("start: first -> everything") == Names{});
    CHECK(known_rows("test names: unique") == Names{});

    const SourceFile document =
        from_text("docs/x.md",
                  "| Row | What | Test |\n|---|---|---|\n"
                  "| J1 | a | `tests/zab` |\n| J2 | b | none: no snapshots |\n"
                  "| J3 | c | maybe |\n| J1 | d | `tests/net` |\n");
    std::vector<std::string> problems;
    const Rows table = rows_of(document, problems);
    CHECK(problems == Names{"J3: neither a test nor a reason", "J1: two rows"});
    CHECK(table.at("J1") == std::set<std::string>{"tests/net", "tests/zab"});
    CHECK(differences({{"J1", {"tests/zab"}}}, {{"J2", {"tests/net"}}}) ==
          Names{"J1: no test in tests/zab has this name", "J2: a test in tests/net has no row"});
  }
}

}  // namespace
}  // namespace zabmq::architecture
