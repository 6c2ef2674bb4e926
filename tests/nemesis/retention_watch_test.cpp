// Retention watch tests: true gaps pass, a gap that no server shows is found, and counters of
// processes that come and go add up.
#include "nemesis/engine/retention_watch.hpp"

#include <doctest/doctest.h>

namespace zabmq::nemesis {
namespace {

// Three servers in broadcast with that first offset.
ClusterStatus cluster(Offset first, std::uint64_t installed = 0, std::uint64_t overtaken = 0) {
  ClusterStatus status;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    ServerStatus& server = status.servers.emplace_back();
    server.id = ServerId{i};
    server.reachable = true;
    server.phase = Phase::broadcast;
    server.first_offset = first;
  }
  status.servers[1].counters = {"commits=7", "snapshots_installed=" + std::to_string(installed),
                                "cursors_overtaken=" + std::to_string(overtaken)};
  return status;
}

constexpr bool at_end = true;

}  // namespace

TEST_CASE("retention watch: how often messages were let go, and snapshots of several processes") {
  RetentionWatch watch(3);
  watch.saw(1, cluster(1));
  watch.saw(2, cluster(100, 1));
  watch.saw(3, cluster(100, 2));
  watch.saw(4, cluster(90, 0));  // a server that is behind, and was started again
  watch.saw(5, cluster(200, 1));
  CHECK(watch.counts().let_go == 2);
  CHECK(watch.counts().first_offset == 200);
  CHECK(watch.counts().installed == 3);
  CHECK(watch.violations(at_end).empty());
}

TEST_CASE("retention watch: a gap that a server shows, before or after -> true") {
  RetentionWatch watch(3);
  watch.saw(1, cluster(100));
  watch.gap(2, {"ann", 7, 100});
  watch.gap(3, {"bob", 7, 150});
  CHECK(watch.violations(at_end).size() == 1);  // not shown yet
  watch.saw(4, cluster(150));
  CHECK(watch.violations(at_end).empty());
  CHECK(watch.counts().gaps == 2);
}

TEST_CASE("retention watch: a gap above what all servers begin with -> found") {
  RetentionWatch watch(3);
  watch.gap(10, {"ann", 7, 101});
  watch.saw(9, cluster(100));  // asked before it was told
  ClusterStatus partial = cluster(100);
  partial.servers[2].reachable = false;  // that one may know more
  for (int i = 0; i < 20; ++i) watch.saw(11, partial);
  CHECK(watch.violations(!at_end).empty());
  for (int i = 0; i < RetentionWatch::looks_max; ++i) watch.saw(12, cluster(100));
  REQUIRE(watch.violations(!at_end).size() == 1);
  CHECK(watch.violations(at_end).front() ==
        "ann was told that what is below offset 101 is gone, and all servers begin with 100 or "
        "below");
  watch.saw(13, cluster(300));  // too late
  CHECK(watch.violations(at_end).size() == 1);
}

TEST_CASE("retention watch: a gap with nothing in it -> found") {
  RetentionWatch watch(3);
  watch.saw(1, cluster(100));
  watch.gap(2, {"ann", 100, 100});
  CHECK(watch.violations(!at_end).size() == 1);
}

TEST_CASE("retention watch: a gap of a durable cursor -> true only when one was overtaken") {
  RetentionWatch watch(3);
  watch.saw(1, cluster(100));
  watch.gap(2, {"ann", 50, 100, true});
  watch.saw(3, cluster(100));
  CHECK(watch.violations(at_end).size() == 1);
  watch.saw(4, cluster(100, 0, 1));
  CHECK(watch.violations(at_end).empty());
}

}  // namespace zabmq::nemesis
