// Retention: whole segments that no snapshot wants are freed, and their files become segments
// again. What is below the floor is never read, and never taken for something else.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "ledger.hpp"
#include "storage/mark.hpp"
#include "storage/spares.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

constexpr Zxid z(std::uint64_t counter, std::uint32_t epoch = 1) {
  return {Epoch{epoch}, counter};
}

// About twenty records of 3000 bytes in a segment.
struct Scene {
  explicit Scene(LogOptions options = small_options()) : m(std::move(options)) { m.start(); }

  // A snapshot at the end, of a state that wants nothing up to `retained`.
  void save_at_end(Zxid retained) {
    save(m, ledger.snapshot(ledger.last().zxid, retained, m.log->floor().zxid));
  }
  void tick(int times) {
    for (int i = 0; i < times; ++i) {
      m.tick(1);
      m.run();
    }
  }
  // Three, so that retention frees what none of them wants.
  void retain_from(Zxid retained) {
    for (int i = 0; i < 3; ++i) {
      ledger.write(m, 1, 10);
      save_at_end(retained);
    }
  }
  std::size_t segments() const { return names_with(m, "0000").size(); }

  Machine m;
  Ledger ledger;
};

TEST_SUITE("storage/retention") {
  TEST_CASE("retention: segments at or below what is retained -> freed, the floor rises") {
    Scene s;
    s.ledger.write(s.m, 100);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    REQUIRE(spans.size() >= 4);
    CHECK(s.m.log->floor().zxid == Zxid{});

    s.retain_from(z(spans[1].end.zxid.counter + 3));

    CHECK(is_same(s.m.log->floor(), spans[1].end));
    CHECK(s.m.log->segments().front().end.zxid == spans[2].end.zxid);
    CHECK(s.segments() == spans.size() + 1 - 2);
    CHECK(digests_of(s.m.read_everything()) == s.ledger.digests(spans[1].end.zxid));
    for (int restarts = 0; restarts < 2; ++restarts) {
      s.m.restart_after_power_loss(MemoryDisk::nothing());
      CHECK(is_same(s.m.log->floor(), spans[1].end));
      CHECK(s.m.log->recovered().ends ==
            std::vector<EpochLast>{{Epoch{1}, s.ledger.last().zxid.counter}});
      CHECK(digests_of(s.m.read_everything()) == s.ledger.digests(spans[1].end.zxid));
      CHECK(look_at_everything(s.m.disk.state()).digests == s.ledger.digests(spans[1].end.zxid));
    }
  }

  TEST_CASE(
      "retention: exactly the end of a segment is retained -> freed, and with one less kept") {
    Scene s;
    s.ledger.write(s.m, 60);
    const Zxid end = s.m.log->segments().front().end.zxid;
    s.retain_from(z(end.counter - 1));
    CHECK(s.m.log->floor().zxid == Zxid{});
    s.retain_from(end);
    CHECK(s.m.log->floor().zxid == end);
  }

  TEST_CASE("retention: the newest segment, or all of the history -> the newest one stays") {
    Scene s;
    s.ledger.write(s.m, 60);
    for (int i = 0; i < 3; ++i) s.save_at_end(s.ledger.last().zxid);
    s.retain_from(s.ledger.last().zxid);
    CHECK(s.segments() == 1);
    s.ledger.write(s.m, 1);
    s.m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(s.m.log->last().zxid == s.ledger.last().zxid);
  }

  TEST_CASE(
      "ZOOKEEPER-3231, 2574, 1797, 2420, scenario 77 L-purge: the oldest of three snapshots -> "
      "what "
      "it needs is there, whichever newer ones are damaged") {
    Scene s;
    s.ledger.write(s.m, 100);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    for (std::uint64_t i = 0; i < 3; ++i) {
      s.ledger.write(s.m, 1, 10);
      s.save_at_end(spans[i].end.zxid);
    }
    CHECK(s.m.log->floor().zxid == spans[0].end.zxid);  // what the oldest does not want
    const std::vector<std::string> names = names_with(s.m, "snapshot-");
    REQUIRE(names.size() == 3);
    for (unsigned damaged = 0; damaged < 8; ++damaged) {
      CAPTURE(damaged);
      MemoryDisk disk(s.m.disk.state());
      for (std::size_t i = 0; i < 3; ++i) {
        if ((damaged >> i & 1u) != 0) disk.flip_bit(names[i], 99, 2);
      }
      const Found found = look_at(disk.state());
      if (damaged == 7) {
        REQUIRE(found.failure);
        CHECK(found.failure->kind == StartFailure::Kind::corrupt);
        CHECK(found.failure->text.find("00000001.seg") != std::string::npos);
        CHECK(found.failure->text.find("move the data directory away") != std::string::npos);
        continue;
      }
      INFO((found.failure ? found.failure->text : ""));
      REQUIRE_FALSE(found.failure);
      CHECK(found.history.floor.zxid == spans[0].end.zxid);
      CHECK(found.history.last.zxid == s.ledger.last().zxid);
      Machine again(disk.state());
      again.start();
      CHECK(digests_of(again.read_everything()) == s.ledger.digests(spans[0].end.zxid));
    }
  }

  TEST_CASE("retention: somebody holds -> nothing behind that place is freed until it is let go") {
    Scene s;
    s.ledger.write(s.m, 100);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    s.m.log->hold_behind(spans[0].end.zxid);
    s.retain_from(spans[2].end.zxid);
    CHECK(s.m.log->floor().zxid == spans[0].end.zxid);
    s.m.log->hold_behind(z(2));
    s.m.tick(1);
    CHECK(s.m.log->floor().zxid == spans[0].end.zxid);
    s.m.log->hold_behind({});
    s.m.tick(1);
    CHECK(s.m.log->floor().zxid == spans[2].end.zxid);
  }

  TEST_CASE(
      "retention: reads below the floor, from the floor on -> nothing, and all, hot and cold") {
    Scene s;
    s.m.options.tail_cache_bytes = 64 << 20;
    s.m.restart();
    s.ledger.write(s.m, 60);
    const LastRecord end = s.m.log->segments().front().end;
    s.retain_from(end.zxid);
    REQUIRE(s.m.log->floor().zxid == end.zxid);
    for (const bool cold : {false, true}) {
      if (cold) s.m.restart();
      const auto first = [&](ReadFrom from) -> std::optional<Zxid> {
        const auto hot = s.m.log->read_hot(from, no_end, 1 << 20);
        const std::vector<RecordHeader> records = headers_of(s.m.read_cold(from, no_end, 1 << 20));
        REQUIRE(hot.has_value() == (!cold || records.empty()));
        if (hot) REQUIRE(headers_of(*hot).empty() == records.empty());
        return records.empty() ? std::nullopt : std::optional(records.front().zxid);
      };
      CHECK(first(After{z(end.zxid.counter - 1)}) == std::nullopt);
      CHECK(first(After{Zxid{}}) == std::nullopt);
      CHECK(first(After{end.zxid}) == next(end.zxid));
      CHECK(first(AtOffset{end.offset}) == std::nullopt);
      CHECK(first(AtOffset{end.offset + 1}) == next(end.zxid));
      CHECK(first(FromZxid{end.zxid}) == std::nullopt);
      CHECK(first(FromZxid{next(end.zxid)}) == next(end.zxid));
      CHECK(first(FromTime{end.time}) == std::nullopt);
      CHECK(first(FromTime{end.time + 1}) == next(end.zxid));
      CHECK(s.m.digest_at(z(3)) == std::nullopt);
      CHECK(s.m.digest_at(end.zxid) == end.digest);
      CHECK(s.m.digest_at(next(end.zxid)) == s.ledger.at(next(end.zxid)).digest);
    }
  }

  TEST_CASE("retention: a read is under way where it frees -> starts again, finds the floor") {
    Scene s;
    s.m.options.spare_segments = 2;
    s.m.restart();
    s.ledger.write(s.m, 100);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    for (std::uint64_t i = 3; i > 0; --i) {
      const Zxid at = z(s.ledger.last().zxid.counter - i + 1);
      s.m.log->save_snapshot(s.ledger.snapshot(at, spans[1].end.zxid));
      s.m.run();
    }
    std::vector<std::optional<ReadResult>> answers(3);
    s.m.log->read_cold(After{z(1)}, no_end, 1000, [&](ReadResult r) { answers[0] = r; });
    s.m.log->read_cold(After{spans[1].end.zxid}, no_end, 1000,
                       [&](ReadResult r) { answers[1] = r; });
    s.m.tick(1);
    REQUIRE(s.m.log->floor().zxid == spans[1].end.zxid);
    const Slice more =
        s.m.maker.group({3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000});
    for (int i = 0; i < 4; ++i) {
      s.m.append(i == 0 ? more : s.m.maker.group({3000, 3000, 3000, 3000, 3000, 3000, 3000}));
      while (s.m.disk.step_writer()) {
      }
    }
    REQUIRE(names_with(s.m, "spare-").size() < 2);  // over the old bytes
    s.m.log->read_cold(After{z(1)}, no_end, 1000, [&](ReadResult r) { answers[2] = r; });
    s.m.run();

    REQUIRE((answers[0] && answers[1] && answers[2]));
    CHECK(headers_of(*answers[1]).front().zxid == next(spans[1].end.zxid));
    CHECK(answers[0]->slices.empty());
    CHECK(answers[2]->slices.empty());
    CHECK_FALSE(s.m.failure_told);
  }

  TEST_CASE("retention: a snapshot that the disk did not give away at the start -> counts") {
    Scene s;
    s.ledger.write(s.m, 60);
    s.save_at_end({});
    s.ledger.write(s.m, 40);
    s.save_at_end(s.m.log->segments().at(1).end.zxid);
    const std::string newest = snapshot_name(s.m.options.generation, s.ledger.last().zxid);
    bool passed_over = false;
    for (std::size_t reads = 0; !passed_over; ++reads) {
      REQUIRE(reads < 100);
      s.m.kill();
      s.m.disk.crash_process();
      s.m.disk.fail(MemoryDisk::Operation::read, EIO, reads);
      if (s.m.open()) continue;
      const std::vector<std::string>& unused = s.m.log->recovered().unused_snapshots;
      passed_over = !unused.empty() && unused.front() != newest;
    }
    s.m.run();
    s.m.tick(1);
    CHECK(s.m.log->floor().zxid == Zxid{});

    s.m.kill();
    s.m.disk.crash_process();
    s.m.disk.flip_bit(newest, 100, 3);
    s.m.start();
    CHECK(s.m.log->last().zxid == s.ledger.last().zxid);
  }

  TEST_CASE("page cache: whole segments behind its bound -> dropped once each, the newest stay") {
    Scene s;
    s.m.options.page_cache_bytes = 5 * s.m.options.segment_size / 2;
    s.m.restart();
    s.ledger.write(s.m, 150);
    const std::vector<std::string> names = names_with(s.m, "0000");
    REQUIRE(names.size() >= 6);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool whole = i + 4 < names.size();
      const std::size_t pages = s.m.disk.content(names[i]).size() / 4096 + 1;
      CHECK(s.m.disk.uncached_pages(names[i]) == (whole ? pages : 0));
    }
    CHECK(s.m.disk.pages_read() == 0);

    CHECK(digests_of(s.m.read_everything()) == s.ledger.digests({}));
  }

  TEST_CASE("page cache: a recycled segment that was dropped -> no page is read to be written") {
    Scene s;
    s.m.options.page_cache_bytes = 0;
    s.m.options.spare_segments = 1;
    s.m.restart();
    s.ledger.write(s.m, 150);
    s.retain_from(s.m.log->segments().at(4).end.zxid);
    REQUIRE(s.m.disk.uncached_pages("spare-1") > 0);
    std::uint64_t recycled = 0;
    while (!names_with(s.m, "spare-").empty()) {
      s.ledger.write(s.m, 1, 700);
      recycled += look_at(s.m.disk.state(), s.m.options).files.chain.back().header.recycled;
    }
    CHECK(recycled > 20);
    CHECK(s.m.disk.pages_read() == 0);
  }

  TEST_CASE("recycling: a freed segment -> the next one is written over it") {
    Scene s;
    s.m.options.spare_segments = 1;
    s.m.restart();
    s.ledger.write(s.m, 150);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    REQUIRE(spans.size() >= 6);
    s.retain_from(spans[4].end.zxid);
    CHECK(names_with(s.m, "spare-").size() == 1 + spares_extra_max);  // the others are removed
    CHECK(s.m.disk.content("spare-1").size() > s.m.options.segment_size / 2);
    const MemoryDisk::State with_spares = s.m.disk.state();

    for (const bool restarted : {false, true}) {
      Scene again(s.m.options);
      again.m.kill();
      again.m.disk.replace(with_spares);
      again.m.start();
      again.ledger = s.ledger;
      if (restarted) again.m.restart_after_power_loss(MemoryDisk::nothing());
      while (!names_with(again.m, "spare-").empty()) {
        again.ledger.write(again.m, 1);
        // After every record: no torn write is seen in old bytes, and nothing of them is taken.
        const Found found = look_at(again.m.disk.state(), again.m.options);
        REQUIRE_FALSE(found.failure);
        REQUIRE_FALSE(found.history.torn);
        REQUIRE(found.history.last.digest == again.ledger.last().digest);
      }
      again.ledger.write(again.m, 10);
      CHECK(digests_of(again.m.read_everything()) == again.ledger.digests(spans[4].end.zxid));
      again.m.restart_after_power_loss(MemoryDisk::nothing());
      CHECK(digests_of(again.m.read_everything()) == again.ledger.digests(spans[4].end.zxid));
    }
  }

  TEST_CASE(
      "recycling: a write into a recycled segment is torn -> seen, and nothing of it returns") {
    Scene s;
    s.m.options.spare_segments = 1;
    s.m.restart();
    s.ledger.write(s.m, 60, 1000);
    s.ledger.write(s.m, 40, 2500);
    s.retain_from(s.m.log->segments().at(1).end.zxid);
    REQUIRE_FALSE(names_with(s.m, "spare-").empty());
    while (!look_at(s.m.disk.state(), s.m.options).files.chain.back().header.recycled) {
      s.ledger.write(s.m, 1);
    }
    s.ledger.write(s.m, 3, 100);
    const Found clean = look_at(s.m.disk.state(), s.m.options);
    REQUIRE(clean.files.chain.back().header.recycled);
    REQUIRE_FALSE(clean.history.torn);
    const LastRecord before = s.m.log->last();

    const Slice group = s.m.maker.group({500, 600, 700});
    s.m.append(group);
    REQUIRE(s.m.disk.step_writer());  // written, not synced
    const std::size_t sectors = s.m.disk.dirty_sectors().size();
    REQUIRE(sectors >= 4);
    std::size_t torn = 0;
    for (unsigned kept = 0; kept < 1u << sectors; ++kept) {
      CAPTURE(kept);
      MemoryDisk disk(s.m.disk.state());
      disk.lose_power({[&](std::size_t sector) { return (kept >> sector & 1u) != 0; }, 0});
      const Found found = look_at(disk.state(), s.m.options);
      REQUIRE_FALSE(found.failure);
      const std::size_t records = found.history.last.zxid.counter - before.zxid.counter;
      REQUIRE(records <= 3);
      if (found.history.torn) {
        ++torn;
        REQUIRE(found.history.torn->file == clean.files.chain.back().name());
        REQUIRE(records < 3);
      }
      // Repaired, and the leader sends the first record again, whose write is torn behind it: the
      // others may not come back.
      Machine again(disk.state(), s.m.options);
      again.start();
      if (records > 0) continue;
      const std::size_t first = record_size(500);
      again.write(group.sub(0, first));
      MemoryDisk power(again.disk.state());
      power.lose_power(MemoryDisk::nothing());
      const Found third = look_at(power.state(), s.m.options);
      REQUIRE_FALSE(third.failure);
      REQUIRE(third.history.last.zxid == next(before.zxid));
      REQUIRE_FALSE(third.history.torn);
    }
    CHECK(torn > 0);
  }

  TEST_CASE("recycling: damage in a recycled segment with a later mark -> corrupt, as ever") {
    Scene s;
    s.m.options.spare_segments = 1;
    s.m.restart();
    s.ledger.write(s.m, 100);
    s.retain_from(s.m.log->segments().at(1).end.zxid);
    const std::size_t spares = names_with(s.m, "spare-").size();
    while (names_with(s.m, "spare-").size() == spares) s.ledger.write(s.m, 1);
    s.ledger.write(s.m, 3, 100);
    const Found clean = look_at(s.m.disk.state(), s.m.options);
    const Segment& newest = clean.files.chain.back();
    REQUIRE(newest.header.recycled);
    for (std::uint64_t p = 0; p < clean.files.last_write; p += 7) {
      MemoryDisk disk(s.m.disk.state());
      disk.flip_bit(newest.name(), p, 2);
      const Found found = look_at(disk.state(), s.m.options);
      CAPTURE(p);
      REQUIRE(found.failure);
      REQUIRE(found.failure->kind == StartFailure::Kind::corrupt);
    }
  }

  TEST_CASE("retention: a segment of the middle is missing -> refused, unless it is not wanted") {
    Scene s;
    s.ledger.write(s.m, 100);
    const std::vector<SegmentSpan> spans = s.m.log->segments();
    const std::vector<std::byte> second = s.m.disk.content("00000002.seg");
    s.retain_from(spans[1].end.zxid);
    s.ledger.write(s.m, 1);
    save(s.m, s.ledger.snapshot(s.ledger.last().zxid, spans[1].end.zxid, spans[1].end.zxid));
    REQUIRE(s.m.log->floor().zxid == spans[1].end.zxid);
    for (const std::string& name : names_with(s.m, "0000")) {
      CAPTURE(name);
      MemoryDisk disk(s.m.disk.state());
      REQUIRE(disk.open_directory());
      disk.remove(name, [](const IoStatus&) {});
      disk.run_all();
      disk.crash_process();
      const Found found = look_at(disk.state());
      REQUIRE(found.failure);
      CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    }
    // One that was freed comes back, its removal was not synced: in front of the snapshot's floor.
    MemoryDisk disk(s.m.disk.state());
    disk.set_content("00000002.seg", second);
    const Found found = look_at(disk.state());
    REQUIRE_FALSE(found.failure);
    CHECK(found.history.floor.zxid == spans[1].end.zxid);
    CHECK(found.history.ends == std::vector<EpochLast>{{Epoch{1}, s.ledger.last().zxid.counter}});
    CHECK(found.files.useless == std::vector<std::string>{"00000002.seg"});
  }

  TEST_CASE("retention: many epochs and long histories -> two digits and more everywhere") {
    Scene s;
    s.m.options.spare_segments = 1;
    s.m.restart();
    for (std::uint32_t epoch = 8; epoch < 108; epoch += 3) {
      s.m.maker.begin_epoch(Epoch{epoch});
      s.ledger.write(s.m, 13);
      const std::vector<SegmentSpan> spans = s.m.log->segments();
      s.save_at_end(spans.empty() ? Zxid{} : spans.back().end.zxid);
      if (epoch % 2 == 0) s.m.restart_after_power_loss(MemoryDisk::nothing());
      const Zxid floor = s.m.log->floor().zxid;
      REQUIRE(digests_of(s.m.read_everything()) == s.ledger.digests(floor));
      REQUIRE_FALSE(look_at_everything(s.m.disk.state(), s.m.options).failure);
      REQUIRE(s.segments() <= 4);
    }
    CHECK(s.m.log->floor().zxid.epoch > Epoch{90});
  }

  TEST_CASE("no space: a freed segment -> is what the next one is made of") {
    Scene s;
    s.m.options.min_free_bytes = 100'000;
    s.m.options.spare_segments = 1;
    s.m.restart();
    s.ledger.write(s.m, 100);
    std::uint64_t used = 0;
    for (const std::string& name : s.m.disk.names()) used += s.m.disk.content(name).size();
    s.m.disk.set_capacity(used + 80'000);
    s.m.tick(1);
    REQUIRE(s.m.log->no_space());
    const Slice waiting =
        s.m.maker.group({3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000,
                         3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000});
    s.m.append(waiting);
    s.m.run();
    REQUIRE(s.m.log->durable() < s.m.maker.last().zxid);
    const Zxid durable = s.m.log->durable();
    s.ledger.add(waiting);

    const Zxid retained = s.m.log->segments().at(2).end.zxid;
    for (std::uint64_t i = 3; i > 0; --i) {
      save(s.m, s.ledger.snapshot({durable.epoch, durable.counter - i + 1}, retained));
    }

    CHECK(s.m.log->durable() == s.m.maker.last().zxid);
    CHECK_FALSE(s.m.failure_told);
  }

  // Three snapshots are of three transactions; on a full disk there may be none to come.
  TEST_CASE("no space: one snapshot that wants less -> the older ones go, and what they held") {
    Scene s;
    s.m.options.min_free_bytes = 100'000;
    s.m.restart();
    s.ledger.write(s.m, 60);
    s.save_at_end({});
    s.ledger.write(s.m, 40);
    s.save_at_end({});
    std::uint64_t used = 0;
    for (const std::string& name : s.m.disk.names()) used += s.m.disk.content(name).size();
    s.m.disk.set_capacity(used + 90'000);
    s.m.tick(1);
    REQUIRE(s.m.log->no_space());
    const storage::SegmentSpan kept_behind = s.m.log->segments().at(1);

    SUBCASE("nobody reads there") {
      s.ledger.write(s.m, 1, 10);
      s.m.log->save_snapshot(
          s.ledger.snapshot(s.ledger.last().zxid, kept_behind.end.zxid, s.m.log->floor().zxid));
      s.m.run();
      s.tick(1);  // it is read back, and the floor rises in the next tick, not before
      CHECK(s.m.log->floor().zxid == Zxid{});
      s.tick(2);
      CHECK(s.m.log->floor().zxid > Zxid{});
      CHECK_FALSE(s.m.log->no_space());
      CHECK(is_same(s.m.log->floor(), kept_behind.end));
      CHECK(names_with(s.m, "snapshot").size() == 1);
    }
    SUBCASE("a bit has flipped in it") {
      s.ledger.write(s.m, 1, 10);
      const Zxid at = s.ledger.last().zxid;
      s.m.log->save_snapshot(s.ledger.snapshot(at, kept_behind.end.zxid));
      s.m.run();
      s.m.disk.flip_bit(storage::snapshot_name(s.m.options.generation, at), 100, 3);
      s.m.tick(1);
      CHECK(s.m.log->no_space());
      CHECK(names_with(s.m, "snapshot").size() == 3);
      CHECK_FALSE(s.m.failure_told);

      save(s.m, s.ledger.snapshot(at, kept_behind.end.zxid));  // the next one is whole again
      s.tick(3);
      CHECK_FALSE(s.m.log->no_space());
      CHECK(is_same(s.m.log->floor(), kept_behind.end));
      CHECK(names_with(s.m, "snapshot").size() == 1);
    }
    SUBCASE("somebody reads there") {
      s.m.log->hold_behind(z(1));
      s.ledger.write(s.m, 1, 10);
      s.save_at_end(kept_behind.end.zxid);
      CHECK(s.m.log->no_space());
      CHECK(names_with(s.m, "snapshot").size() == 3);
    }
    SUBCASE("a crash at any moment of it") {
      s.ledger.write(s.m, 1, 10);
      s.m.log->save_snapshot(s.ledger.snapshot(s.ledger.last().zxid, kept_behind.end.zxid));
      s.m.run();
      s.m.tick(1);
      do {
        for (const MemoryDisk::State& state : after_crash(s.m.disk)) {
          REQUIRE_FALSE(look_at_everything(state, s.m.options).failure);
        }
      } while (s.m.disk.step());
    }
    s.m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(s.m.log->last().zxid == s.ledger.last().zxid);
    CHECK(digests_of(s.m.read_everything()) == s.ledger.digests(s.m.log->floor().zxid));
  }
}

}  // namespace
}  // namespace zabmq::storage
