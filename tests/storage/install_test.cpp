// Install: another history takes the place of this one, or does not; whatever happens in between,
// it is the one or the other, complete.
#include <doctest/doctest.h>

#include <cerrno>

#include "ledger.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

constexpr Zxid z(std::uint64_t counter, std::uint32_t epoch = 1) {
  return {Epoch{epoch}, counter};
}

// A server with an old history, and the one of its leader, kept from 10.20 on.
struct Scene {
  Scene() {
    m.options.spare_segments = 1;
    m.start();
    old.write(m, 60);
    save(m, old.snapshot(z(50)));
    m.set_delivered(z(52));
    leader.options.segment_size = 1 << 20;
    leader.start();
    leader.maker.begin_epoch(Epoch{10});
    theirs.write(leader, 100, 1000);
    floor = theirs.at(z(20, 10));
  }

  Installation installation(Zxid state = z(35, 10), std::uint32_t generation = 1) const {
    return {floor, generation, theirs.snapshot(state, z(25, 10), z(20, 10))};
  }
  // The leader's records behind `after`, up to `up_to`.
  Slice records(Zxid after, Zxid up_to) {
    std::vector<Slice> slices;
    for (Zxid at = after; at < up_to; at = next(at)) {
      slices.push_back(joined(leader.read_cold(FromZxid{next(at)}, next(at), 1).slices));
    }
    return joined(slices);
  }
  void install(const Installation& what) {
    const std::size_t told = m.rewound_told.size();
    m.log->install(what);
    m.run();
    REQUIRE(m.rewound_told.size() == told + 1);
  }
  bool old_is_there() const {
    return m.log->last().digest == old.last().digest && !m.log->installing() &&
           m.log->floor().zxid == Zxid{};
  }

  Machine m;
  Ledger old;
  Machine leader;
  Ledger theirs;
  LastRecord floor;
};

// What a start with the identity record's generation finds: the one history or the other, whole.
void check_state(const MemoryDisk::State& state, std::uint32_t generation, const Scene& s,
                 Zxid at_least) {
  LogOptions options = s.m.options;
  options.generation = generation;
  const Found found = look_at_everything(state, options);
  INFO((found.failure ? found.failure->text : ""));
  REQUIRE_FALSE(found.failure);
  const Ledger& expected = generation == 0 ? s.old : s.theirs;
  std::vector<Digest> all = expected.digests(generation == 0 ? Zxid{} : s.floor.zxid);
  REQUIRE(found.digests.size() <= all.size());
  all.resize(found.digests.size());
  REQUIRE(found.digests == all);
  REQUIRE(found.history.last.zxid >= at_least);
  REQUIRE(found.history.floor.zxid == (generation == 0 ? Zxid{} : s.floor.zxid));
}

TEST_SUITE("storage/install") {
  TEST_CASE("install: another history -> the log is that one, from its floor on") {
    Scene s;
    s.install(s.installation());

    CHECK(s.m.log->installing());
    CHECK(is_same(s.m.log->last(), s.floor));
    CHECK(s.m.log->durable() == s.floor.zxid);
    CHECK(is_same(s.m.log->floor(), s.floor));
    CHECK(s.m.read_everything().empty());
    CHECK(s.m.digest_at(z(50)) == std::nullopt);
    s.m.write(s.records(z(20, 10), z(60, 10)));
    CHECK(s.m.durable_told.back() == z(60, 10));
    CHECK(s.m.read_everything().size() == 40);

    s.m.log->adopt_installed();
    CHECK_FALSE(s.m.log->installing());
    s.m.log->remove_replaced();
    s.m.run();
    CHECK(names_with(s.m, "snapshot-") == std::vector<std::string>{"snapshot-1-10.35"});
    s.m.set_delivered(z(60, 10));
    s.m.options.generation = 1;
    s.m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(is_same(s.m.log->floor(), s.floor));
    CHECK(s.m.visited.snapshots.at(0).at.zxid == z(35, 10));
    CHECK(s.m.visited.records.size() == 25);
    CHECK(s.m.log->recovered().ends == std::vector<EpochLast>{{Epoch{10}, 60}});
    // It lives on: records, snapshots, retention.
    Ledger now = s.theirs;
    now.cut(z(60, 10));
    now.write(s.m, 60);
    for (std::uint64_t i = 0; i < 3; ++i) {
      now.write(s.m, 1, 10);
      save(s.m, now.snapshot(now.last().zxid, s.m.log->segments().front().end.zxid, z(20, 10)));
    }
    CHECK(s.m.log->floor().zxid > z(60, 10));
    CHECK(names_with(s.m, "snapshot-1-").size() == 3);
    s.m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(digests_of(s.m.read_everything()) == now.digests(s.m.log->floor().zxid));
  }

  TEST_CASE("install: drained -> the old history is back, nothing of the other one is left") {
    for (const int when : {0, 1, 2, 3}) {
      CAPTURE(when);
      Scene s;
      const std::vector<std::string> before = s.m.disk.names();
      if (when == 0) {
        s.m.log->install(s.installation());
      } else {
        s.install(s.installation());
      }
      if (when > 1) s.m.write(s.records(z(20, 10), z(90, 10)));
      if (when == 3) s.m.append(s.records(z(90, 10), z(95, 10)));

      s.m.drain();
      s.m.run();

      CHECK(s.m.drained_told == std::vector<Zxid>{z(60)});
      CHECK(s.old_is_there());
      CHECK(names_with(s.m, "snapshot-") == std::vector<std::string>{"snapshot-0-1.50"});
      for (const std::string& name : before) {
        if (!name.starts_with("spare-")) CHECK(names_with(s.m, name).size() == 1);
      }
      CHECK(digests_of(s.m.read_everything()) == s.old.digests({}));
      s.m.maker.continue_from(s.m.log->last());
      s.old.write(s.m, 30);
      s.m.restart_after_power_loss(MemoryDisk::nothing());
      CHECK(digests_of(s.m.read_everything()) == s.old.digests({}));
      CHECK(s.m.log->recovered().delivered == z(52));
    }
  }

  TEST_CASE("install: given up, and another one -> no mixture of the two") {
    Scene s;
    s.install(s.installation());
    s.m.write(s.records(z(20, 10), z(90, 10)));
    s.m.drain();
    s.m.run();
    s.install(s.installation(z(40, 10)));
    s.m.write(s.records(z(20, 10), z(45, 10)));
    s.m.log->adopt_installed();
    s.m.options.generation = 1;

    s.m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(s.m.log->last().zxid == z(45, 10));
    CHECK(s.m.log->recovered().snapshot == "snapshot-1-10.40");
    CHECK(s.m.read_everything().size() == 25);
    CHECK(names_with(s.m, "snapshot-") == std::vector<std::string>{"snapshot-1-10.40"});
  }

  TEST_CASE(
      "ZOOKEEPER-2872, J7, scenario 46: a crash at any step of installing -> the old history, or "
      "once adopted the other one, durable to its snapshot") {
    Scene start;
    start.m.tick(100);
    start.m.run();
    const MemoryDisk::State state = start.m.disk.state();
    const Slice first = start.records(z(20, 10), z(34, 10));
    const Slice second = start.records(z(34, 10), z(70, 10));
    // Steps of the whole: install, records, adoption, removal; a crash after each.
    for (std::size_t steps = 0;; ++steps) {
      CAPTURE(steps);
      Machine m(state, start.m.options);
      m.start();
      bool adopted = false;
      std::size_t left = steps;
      const auto step_until = [&](auto done) {
        while (!done()) {
          if (left == 0) return false;
          REQUIRE(m.disk.step());
          --left;
        }
        return true;
      };
      const bool ended = [&] {
        m.log->install(start.installation());
        if (!step_until([&] { return !m.rewound_told.empty(); })) return false;
        m.append(first);
        m.append(second);
        if (!step_until([&] { return m.log->durable() == z(70, 10); })) return false;
        m.log->adopt_installed();
        adopted = true;
        if (!step_until([&] { return true; })) return false;
        m.log->remove_replaced();
        return step_until([&] { return m.disk.waiting() == 0; });
      }();
      for (const MemoryDisk::State& crashed : after_crash(m.disk)) {
        if (!m.disk.names().empty() && names_with(m, "00000001.seg").size() == 1) {
          check_state(crashed, 0, start, z(60));
        }
        if (!adopted) continue;
        check_state(crashed, 1, start, z(70, 10));
        // A start removes the rest of the other history, and goes on.
        LogOptions options = start.m.options;
        options.generation = 1;
        Machine again(crashed, options);
        again.start();
        REQUIRE(again.read_everything().size() == 50);
        REQUIRE(names_with(again, "snapshot-0").empty());
      }
      if (ended) break;
    }
  }

  TEST_CASE("install: a crash at any step of giving up and of the next one -> the old history") {
    Scene start;
    const MemoryDisk::State state = start.m.disk.state();
    const Slice records = start.records(z(20, 10), z(70, 10));
    for (std::size_t steps = 0;; ++steps) {
      CAPTURE(steps);
      Machine m(state, start.m.options);
      m.start();
      m.log->install(start.installation());
      m.run();
      m.append(records);
      m.drain();
      std::size_t done = 0;
      bool again = false;
      while (done < steps && m.disk.step()) {
        ++done;
        if (!m.drained_told.empty() && !again) {
          again = true;
          m.log->install(start.installation(z(40, 10)));
        }
      }
      for (const MemoryDisk::State& crashed : after_crash(m.disk)) {
        check_state(crashed, 0, start, z(60));
        Machine next(crashed, start.m.options);
        next.start();
        REQUIRE(names_with(next, "snapshot-1").empty());
        REQUIRE(next.log->last().zxid == z(60));
      }
      if (done < steps) break;
    }
  }

  TEST_CASE("install: records that do not lead to the snapshot's transaction -> refused") {
    Scene s;
    Installation wrong = s.installation();
    wrong.snapshot.at.digest = Digest{5};
    s.install(wrong);
    const Slice good = s.records(z(20, 10), z(34, 10));
    CHECK(s.m.log->continues(good.bytes()));
    CHECK_FALSE(s.m.log->continues(s.records(z(20, 10), z(35, 10)).bytes()));
    s.m.write(good);
    CHECK_FALSE(s.m.log->continues(s.records(z(34, 10), z(36, 10)).bytes()));
    s.m.maker.continue_from(s.m.log->last());
    s.m.maker.begin_epoch(Epoch{11});  // past it
    CHECK_FALSE(s.m.log->continues(s.m.maker.batch(10).bytes()));
  }

  TEST_CASE("install: the snapshot stands at the floor -> an empty log that a start understands") {
    Scene s;
    s.install({s.floor, 1, s.theirs.snapshot(z(20, 10), z(20, 10), z(20, 10))});
    s.m.log->adopt_installed();
    s.m.options.generation = 1;
    s.m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(is_same(s.m.log->last(), s.floor));
    CHECK(s.m.log->recovered().ends.empty());
    CHECK(s.m.log->recovered().delivered == z(20, 10));
    s.m.write(s.records(z(20, 10), z(22, 10)));
    s.m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(s.m.log->last().zxid == z(22, 10));
  }

  TEST_CASE("install: on an empty log, of a history without a floor -> like any other") {
    Scene s;
    Machine m;
    m.start();
    m.log->install({{}, 1, s.theirs.snapshot(z(35, 10))});
    m.run();
    REQUIRE(m.rewound_told.size() == 1);
    m.write(s.records({Epoch{10}, 0}, z(40, 10)));
    m.log->adopt_installed();
    m.log->remove_replaced();
    m.run();
    m.options.generation = 1;
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == 40);
  }

  TEST_CASE("install: a snapshot of the old history is under way -> it ends first") {
    Scene s;
    s.m.log->save_snapshot(s.old.snapshot(z(58)));
    s.install(s.installation());
    CHECK(names_with(s.m, "snapshot-") ==
          std::vector<std::string>{"snapshot-0-1.50", "snapshot-0-1.58", "snapshot-1-10.35"});
    CHECK_FALSE(s.m.log->saving_snapshot());
    s.m.drain();
    s.m.run();
    CHECK(s.old_is_there());
  }

  TEST_CASE(
      "install: a large state -> a step told for each MiB, and the disk does not count as stuck") {
    Scene s;
    Installation large = s.installation();
    const auto state = std::make_shared<std::vector<std::byte>>(3 << 20);
    large.snapshot.state = Slice(state, *state);
    s.m.log->install(large);
    std::uint64_t longest = 0;
    while (s.m.rewound_told.empty() && s.m.disk.step()) {
      s.m.tick(100);
      longest = std::max(longest, s.m.log->oldest_write_age_ms(s.m.now_ms));
    }
    CHECK(s.m.rewound_told.size() == 1);
    CHECK(s.m.install_steps == 8);  // four pieces written, four read back
    CHECK(longest < 1000);          // the pieces alone need more
  }

  TEST_CASE("install: no space -> waits, and begins again, or is drained meanwhile -> given up") {
    for (const auto operation : {MemoryDisk::Operation::create, MemoryDisk::Operation::write}) {
      for (const bool give_up : {false, true}) {
        for (const std::size_t skip : {std::size_t{0}, std::size_t{1}}) {
          Scene s;
          s.m.disk.fail(operation, ENOSPC, skip);
          s.m.log->install(s.installation());
          s.m.run();
          CHECK(s.m.rewound_told.empty());
          CHECK(s.m.log->no_space());
          CHECK_FALSE(s.m.failure_told);
          if (give_up) {
            s.m.drain();
            s.m.run();
            CHECK(s.m.drained_told.size() == 1);
            CHECK(s.old_is_there());
            CHECK(names_with(s.m, "snapshot-1").empty());
          } else {
            s.m.tick(1000);
            s.m.run();
            CHECK(s.m.rewound_told.size() == 1);
            s.m.write(s.records(z(20, 10), z(40, 10)));
            CHECK(s.m.log->durable() == z(40, 10));
          }
        }
      }
    }
  }

  TEST_CASE("install: reads are under way when it begins and when it is given up -> start again") {
    Scene s;
    std::optional<ReadResult> old_read;
    std::optional<ReadResult> other_read;
    s.m.log->read_cold(After{z(3)}, no_end, 1000, [&](ReadResult r) { old_read = r; });
    s.m.log->install(s.installation());
    s.m.run();
    REQUIRE(old_read);
    CHECK(old_read->slices.empty());  // below the floor of what is there now
    s.m.write(s.records(z(20, 10), z(90, 10)));
    s.m.log->read_cold(After{z(20, 10)}, no_end, 1000, [&](ReadResult r) { other_read = r; });
    s.m.drain();
    s.m.run();
    REQUIRE(other_read);
    CHECK(other_read->slices.empty());
    CHECK_FALSE(s.m.failure_told);
  }

  TEST_CASE(
      "install: the first segment's header is damaged later -> refused, not taken for empty") {
    Scene s;
    s.install(s.installation());
    s.m.write(s.records(z(20, 10), z(40, 10)));
    s.m.log->adopt_installed();
    s.m.log->remove_replaced();
    s.m.run();
    const std::string first = names_with(s.m, "0000").front();
    s.m.disk.flip_bit(first, 100, 1);
    CHECK(look_at(s.m.disk.state(), of_generation(1)).failure);
    s.m.disk.flip_bit("snapshot-1-10.35", 100, 1);
    CHECK(look_at(s.m.disk.state(), of_generation(1)).failure);
    // Nothing at all of that generation: the identity record says that there was something.
    CHECK(look_at(MemoryDisk().state(), of_generation(1)).failure);
  }

  TEST_CASE("drain: a cut waits for space -> dropped, and the drain ends") {
    Scene s;
    s.m.disk.fail(MemoryDisk::Operation::rename, ENOSPC);
    s.m.disk.fail(MemoryDisk::Operation::create, ENOSPC);
    s.m.log->rewind(z(55), s.old.at(z(55)).digest);
    s.m.run();
    REQUIRE(s.m.rewound_told.empty());
    REQUIRE(s.m.log->no_space());

    s.m.drain();
    s.m.run();

    CHECK(s.m.drained_told == std::vector<Zxid>{z(60)});
    CHECK(s.old_is_there());
    bool stopped = false;
    s.m.disk.fail(MemoryDisk::Operation::create, ENOSPC);
    s.m.tick(1000);
    s.m.log->rewind(z(55), s.old.at(z(55)).digest);
    s.m.run();
    s.m.log->stop([&] { stopped = true; });
    s.m.run();
    CHECK(stopped);
  }
}

}  // namespace
}  // namespace zabmq::storage
