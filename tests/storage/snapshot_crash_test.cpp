// Snapshot crashes: between any two steps of saving, of freeing segments and of writing over them.
#include <doctest/doctest.h>

#include <functional>

#include "ledger.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

constexpr Zxid z(std::uint64_t counter) {
  return {Epoch{12}, counter};
}

// What any start must find: a history from a floor on, with all that was durable, and a snapshot.
void check_state(const MemoryDisk::State& state, const LogOptions& options, const Ledger& ledger,
                 Zxid durable, Zxid floor_at_most) {
  const Found all = look_at_everything(state, options);
  INFO((all.failure ? all.failure->text : ""));
  REQUIRE_FALSE(all.failure);
  REQUIRE(all.history.unused_snapshots.empty());
  REQUIRE(all.history.last.zxid >= durable);
  const Zxid floor = all.history.floor.zxid;
  REQUIRE(floor <= floor_at_most);
  std::vector<Digest> digests = ledger.digests(floor);
  REQUIRE(all.digests.size() <= digests.size());
  digests.resize(all.digests.size());
  REQUIRE(all.digests == digests);

  const Found fast = look_at(state, options);
  REQUIRE_FALSE(fast.failure);
  REQUIRE(fast.history.last.digest == all.history.last.digest);
  REQUIRE(fast.history.ends == all.history.ends);
  REQUIRE(fast.history.floor == all.history.floor);
  REQUIRE(fast.history.snapshot == all.history.snapshot);
  REQUIRE(fast.history.torn == all.history.torn);
}

struct Story {
  Ledger ledger;
  std::vector<std::function<void(Machine&)>> actions;
};

// Three snapshots, the third of which frees segments, whose files are written over; and again.
Story make_story(Machine& m) {
  Story story;
  m.maker.begin_epoch(Epoch{12});
  story.ledger.write(m, 66);
  const std::vector<SegmentSpan> spans = m.log->segments();
  REQUIRE(spans.size() >= 3);
  for (const std::uint64_t at : {64, 65}) {
    save(m, story.ledger.snapshot(z(at), spans[1].end.zxid));
  }
  m.kill();
  m.disk.lose_power(MemoryDisk::everything());
  RecordMaker future(story.ledger.last());
  const auto save_at = [&](std::uint64_t at, Zxid retained, Zxid floor) {
    story.actions.push_back([snapshot = story.ledger.snapshot(z(at), retained, floor)](
                                Machine& run) { run.log->save_snapshot(snapshot); });
    story.actions.push_back([](Machine& run) { run.tick(1); });
  };
  save_at(66, spans[1].end.zxid, {});
  for (int i = 0; i < 4; ++i) {
    const Slice records = future.group({9000, 9000, 9000});
    story.ledger.add(records);
    story.actions.push_back([records](Machine& run) { run.append(records); });
  }
  save_at(72, spans[2].end.zxid, spans[1].end.zxid);
  return story;
}

TEST_SUITE("storage/snapshot crash") {
  TEST_CASE(
      "scenario 78 L-snap-crash, J7: a crash at any step of saving, freeing and writing over -> a "
      "whole history, from a floor that a snapshot allows") {
    Machine start;
    start.options.spare_segments = 1;
    start.start();
    const Story story = make_story(start);
    std::size_t reached = 0;
    for (std::size_t steps = 0; reached == 0; ++steps) {
      CAPTURE(steps);
      Machine m(start.disk.state(), start.options);
      m.start();
      std::size_t left = steps;
      std::size_t begun = 0;
      for (; begun < story.actions.size(); ++begun) {
        story.actions[begun](m);
        while (left > 0 && m.disk.step()) --left;
        if (left == 0) break;
      }
      const Zxid durable = m.log->durable();
      const Zxid floor = m.log->floor().zxid;
      std::size_t choice = 0;
      for (const MemoryDisk::State& state : after_crash(m.disk)) {
        CAPTURE(choice);
        check_state(state, m.options, story.ledger, durable, floor);
        if (choice++ % 4 != 0) continue;
        // It starts, and goes on.
        Machine again(state, m.options);
        again.start();
        const Zxid last = again.log->last().zxid;
        REQUIRE(last >= durable);
        again.maker.begin_epoch(Epoch{20});
        again.write(again.maker.batch(10));
        again.tick(1);
        again.run();
        MemoryDisk power(again.disk.state());
        power.lose_power(MemoryDisk::nothing());
        const Found found = look_at(power.state(), m.options);
        REQUIRE_FALSE(found.failure);
        REQUIRE(found.history.last.zxid == Zxid{Epoch{20}, 1});
      }
      if (begun == story.actions.size()) reached = steps;
    }
    CHECK(reached > 40);
  }

  TEST_CASE("snapshot: saved again and again over crashes of all kinds -> never less than before") {
    Machine m;
    m.options.spare_segments = 1;
    m.start();
    m.maker.begin_epoch(Epoch{12});
    Ledger ledger;
    std::uint64_t random = 1;
    const auto below = [&](std::uint64_t n) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      return (random >> 33) % n;
    };
    Zxid floor;
    Zxid retained;
    for (int round = 0; round < 150; ++round) {
      CAPTURE(round);
      ledger.write(m, 1 + below(9), static_cast<std::uint32_t>(below(6000)));
      const std::vector<SegmentSpan> spans = m.log->segments();
      if (!spans.empty()) retained = std::max(retained, spans[below(spans.size())].end.zxid);
      const Zxid at{Epoch{12}, ledger.last().zxid.counter - below(2)};
      m.log->save_snapshot(ledger.snapshot(at, std::min(at, retained), m.log->floor().zxid));
      for (std::uint64_t n = below(30); n > 0; --n) m.disk.step();
      m.tick(below(3) == 0 ? 1200 : 1);
      for (std::uint64_t n = below(30); n > 0; --n) m.disk.step();
      floor = m.log->floor().zxid;
      const std::uint64_t mask = below(1u << 16);
      const std::uint64_t changes = below(m.disk.directory_changes() + 1);
      m.restart_after_power_loss({[&](std::size_t s) { return (mask >> (s % 16) & 1u) != 0; },
                                  static_cast<std::size_t>(changes)});
      REQUIRE(m.log->last().digest == ledger.last().digest);
      REQUIRE(m.log->floor().zxid <= floor);
      REQUIRE(digests_of(m.read_everything()) == ledger.digests(m.log->floor().zxid));
      REQUIRE_FALSE(look_at_everything(m.disk.state(), m.options).failure);
    }
    CHECK(floor > z(300));
  }
}

}  // namespace
}  // namespace zabmq::storage
