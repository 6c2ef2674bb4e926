// Retention: what a leader lets go, and when a snapshot is due.
#include "replica/retention.hpp"

#include <doctest/doctest.h>

#include "replica/snapshots.hpp"

using namespace zabmq;
using namespace zabmq::replica;

namespace {

// Five segments of 100 bytes and ten messages each, a second apart.
std::vector<storage::SegmentSpan> five() {
  std::vector<storage::SegmentSpan> segments;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    segments.push_back({{{Epoch{1}, 10 * i}, 10 * i, Digest{i}, i * 1'000'000}, 100});
  }
  return segments;
}

constexpr Zxid all{Epoch{1}, 1000};
constexpr LogTime late = 1'000'000'000;

// The offset up to which nothing need be kept; 0: everything is kept.
Offset floor(RetentionLimits limits, RetentionState state) {
  const auto found = retention_floor(five(), limits, state);
  return found ? found->offset : 0;
}

}  // namespace

TEST_SUITE("replica/retention") {
  TEST_CASE("retention: by bytes, old enough -> the oldest segments, as many as are too much") {
    CHECK(floor({500, 1000, 0}, {{}, all, {}, late}) == 0);
    CHECK(floor({499, 1000, 0}, {{}, all, {}, late}) == 10);
    CHECK(floor({250, 1000, 0}, {{}, all, {}, late}) == 30);
    CHECK(floor({0, 1000, 0}, {{}, all, {}, late}) == 50);
  }

  TEST_CASE("retention: too young -> stays, up to the hard bound") {
    const RetentionLimits limits{100, 300, 10'000'000};
    CHECK(floor(limits, {{}, all, {}, 5'000'000}) == 20);   // the hard bound alone
    CHECK(floor(limits, {{}, all, {}, 13'000'000}) == 30);  // and what is ten seconds old
    CHECK(floor(limits, {{}, all, {}, late}) == 40);
  }

  TEST_CASE("retention: a cursor has not passed -> stays, up to the hard bound") {
    const RetentionLimits limits{100, 300, 0};
    CHECK(floor(limits, {{}, all, Offset{39}, late}) == 30);
    CHECK(floor(limits, {{}, all, Offset{40}, late}) == 40);
    CHECK(floor(limits, {{}, all, Offset{0}, late}) == 20);
  }

  TEST_CASE("retention: what was let go before does not count, and what is not delivered stays") {
    CHECK(floor({250, 1000, 0}, {{Epoch{1}, 30}, all, {}, late}) == 0);
    CHECK(floor({100, 1000, 0}, {{Epoch{1}, 30}, all, {}, late}) == 40);
    CHECK(floor({0, 0, 0}, {{}, {Epoch{1}, 29}, {}, late}) == 20);
  }

  TEST_CASE("snapshots: due by bytes, by age, and when retention has moved") {
    SnapshotClock clock(ServerId{1}, {1000, 60'000, 1 << 20});
    CHECK_FALSE(clock.due(5'000, false));
    CHECK_FALSE(clock.due(500'000, false));  // nothing was delivered
    clock.on_delivered(400);
    SUBCASE("bytes: at half of them at the earliest, at all of them at the latest") {
      SnapshotClock fresh(ServerId{1}, {1000, 60'000, 1 << 20});
      fresh.on_delivered(499);
      CHECK_FALSE(fresh.due(0, false));
      fresh.on_delivered(501);
      CHECK(fresh.due(0, false));
      fresh.on_begun(0);
      CHECK_FALSE(fresh.due(0, false));
    }
    SUBCASE("age") {
      CHECK(clock.due(5'000 + 60'000, false));
    }
    SUBCASE("retention") {
      SnapshotClock fresh(ServerId{1}, {1000, 60'000, 1 << 20});
      CHECK_FALSE(fresh.due(0, true));  // not all servers at once
      CHECK(fresh.due(2000, true));
      fresh.on_begun(2000);
      CHECK_FALSE(fresh.due(10'000, false));
    }
    SUBCASE("retention: the snapshot was dropped for want of space -> tried again, idle or not") {
      SnapshotClock fresh(ServerId{1}, {1000, 60'000, 1 << 20});
      CHECK_FALSE(fresh.due(0, true));
      CHECK(fresh.due(2000, true));
      fresh.on_begun(2000);
      CHECK_FALSE(fresh.due(2000, true));
      CHECK(fresh.due(4000, true));
    }
  }
}
