// Exhaustive test: the bounded exhaustive search visits what it says, the same every time, and
// complains of what it should.
#include "sim/exhaustive/exhaustive.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "sim/exhaustive/search.hpp"
#include "sim/exhaustive/starts.hpp"

namespace zabmq::sim::exhaustive {
namespace {

constexpr unsigned test_depth = 7;  // of every start: a few seconds at most

const StartKind& kind_of(const std::string& name) {
  for (const StartKind& kind : start_kinds()) {
    if (kind.name == name) return kind;
  }
  FAIL("no start " << name);
  return start_kinds().front();
}

// A cluster in which 1.1 is committed on servers 2 and 3, and all are LOOKING.
struct OneBehind {
  OneBehind() { start = kind_of("one-behind").build(cluster); }

  Cluster cluster{Limits{}, Elections::free, Grain::coarse};
  Start start;
};

// What the checks over the whole cluster say when server 2 comes to have this disk.
Violations violations_of(OneBehind& past, const Disk& disk, Zxid delivered) {
  const State after = past.cluster.with_disk(past.start.state, 1, disk, delivered);
  ServersNow now{};
  for (std::uint32_t i = 0; i < servers_count; ++i) now[i] = &past.cluster.server(after, i);
  Ghost ghost = past.cluster.ghost(after);
  Violations violations;
  GhostStep(ghost, now, violations)
      .check(past.cluster.server(past.start.state, 1), *now[1], nullptr);
  return violations;
}

// An operator puts back a copy of server 2's disk from before 1.1: the one fault against which no
// protocol helps.
Start rolled_back(Cluster& cluster) {
  Start start = kind_of("one-behind").build(cluster);
  Disk old = cluster.server(start.state, 1).disk;
  old.log.clear();
  old.durable = 0;
  start.state = cluster.with_disk(start.state, 1, old, {});
  return start;
}

bool contains(const std::vector<std::string>& lines, const std::string& words) {
  for (const std::string& line : lines) {
    if (line.find(words) != line.npos) return true;
  }
  return false;
}

TEST_SUITE("sim/exhaustive") {
  TEST_CASE("exhaustive: every start to a small depth -> no violation, every level finished") {
    Options options;
    options.depth_max = test_depth;
    unsigned levels = 0;
    const Report report = explore(options, [&](const Progress&) { ++levels; });

    INFO(text(report));
    CHECK_FALSE(report.violation);
    CHECK(report.end == Report::End::depth);
    REQUIRE(report.starts.size() == start_names().size());
    CHECK(levels == test_depth * report.starts.size());
    for (const Report::Start& start : report.starts) {
      CAPTURE(start.name);
      CHECK(start.depth == test_depth);
      CHECK(start.states > 1000);
      CHECK(start.transitions > start.states);
    }
  }

  TEST_CASE("exhaustive: the same search again -> the same states, steps and report") {
    Options options;
    options.depth_max = test_depth;
    options.only = "broadcast";

    const std::string first = text(explore(options));
    CHECK(first == text(explore(options)));
    CHECK(first.find("broadcast: depth 7, ") == 0);
  }

  TEST_CASE("exhaustive: no time, no memory -> ends at once and says why") {
    Options options;
    options.out_of_time = [] { return true; };
    CHECK(explore(options).end == Report::End::time);

    options.out_of_time = nullptr;
    options.memory_max = 1;
    CHECK(explore(options).end == Report::End::memory);
  }

  TEST_CASE("exhaustive: nothing may happen -> all states are visited and there is an end") {
    Options options;
    options.limits = {.transactions = 0, .crashes = 0, .cuts = 0, .pauses = 0, .elections = 1};
    options.only = "election";
    const Report report = explore(options);

    INFO(text(report));
    CHECK(report.end == Report::End::all);
    CHECK_FALSE(report.violation);
    CHECK(report.starts.front().all);
    // An election, two followers, discovery and synchronization with each.
    CHECK(report.starts.front().depth > 10);
  }

  TEST_CASE("exhaustive: a disk rolled back under a voter -> found, with the shortest trace") {
    Search search({"rolled-back", Elections::free, rolled_back}, Limits{});
    Search::Outcome outcome = Search::Outcome::finished;
    while (outcome == Search::Outcome::finished && search.depth() < 10) {
      outcome = search.next_level([] { return false; });
    }

    REQUIRE(outcome == Search::Outcome::violated);
    const Report::Violation& found = *search.violation();
    CHECK(contains(found.what, "lacks committed 1.1"));
    CHECK(found.depth == search.depth() + 1);
    CHECK(contains(found.trace, "set-up: server 3 is elected by itself and 2, which follows"));
    CHECK(contains(found.trace, "ACK-E"));
    CHECK(contains(found.trace, "  " + std::to_string(found.depth) + ". "));
  }

  TEST_CASE("exhaustive: what is under way -> can be told while the search runs") {
    std::function<std::string()> under_way;
    std::string told;
    Options options;
    options.only = "broadcast";
    options.under_way = &under_way;
    options.out_of_time = [&] {
      told = under_way();
      return told.find("  2. ") != told.npos;
    };
    CHECK(explore(options).end == Report::End::time);
    CHECK(told.find("under way: server ") != told.npos);
  }

  TEST_CASE("ghost: a disk with what was committed -> no complaint") {
    OneBehind past;
    const Disk same = past.cluster.server(past.start.state, 1).disk;
    CHECK(violations_of(past, same, {Epoch{1}, 1}).empty());
  }

  TEST_CASE("ghost: a disk without what was committed -> a loss") {
    OneBehind past;
    Disk disk = past.cluster.server(past.start.state, 1).disk;
    disk.log.clear();
    disk.durable = 0;
    CHECK(contains(violations_of(past, disk, {}), "server 2: loses committed 1.1"));
  }

  TEST_CASE("ghost: another transaction with a known zxid -> never proposed, and a loss") {
    OneBehind past;
    Disk disk = past.cluster.server(past.start.state, 1).disk;
    disk.log = {make_record({Epoch{1}, 1}, Digest::none, ServerId{1})};
    const Violations violations = violations_of(past, disk, {Epoch{1}, 1});
    CHECK(contains(violations, "has 1.1, never proposed with this history"));
    CHECK(contains(violations, "committed 1.1 where another server committed 1.1"));
  }

  TEST_CASE("ghost: a commit that only one disk has -> not durable on a quorum") {
    OneBehind past;
    Disk disk = past.cluster.server(past.start.state, 1).disk;
    disk.log.push_back(make_record({Epoch{1}, 2}, disk.last_digest(), ServerId{3}));
    disk.durable = 2;
    CHECK(contains(violations_of(past, disk, {Epoch{1}, 2}),
                   "committed 1.2, which is not durable on a quorum of disks"));
  }
}

}  // namespace
}  // namespace zabmq::sim::exhaustive
