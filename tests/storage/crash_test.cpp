// Crashes between any two steps: of appending over segment boundaries, and of cutting. Whatever the
// disk keeps of the unsynced rest, what was told stands and nothing is half done.
#include <doctest/doctest.h>

#include <functional>

#include "machine.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

// The disk recovers, and recovering again finds the same, also after a second crash at any step of
// the first repair. (Until the repair has ended, a power failure may still take what only the page
// cache had; nobody was told.)
void check_recovery(const MemoryDisk::State& state, const Found& found, bool crash_again) {
  REQUIRE_FALSE(found.failure);
  Machine m(state);
  const bool all_synced = m.disk.dirty_sectors().empty() && m.disk.directory_changes() == 0;
  REQUIRE_FALSE(m.open());
  for (;;) {
    if (crash_again && (all_synced || m.log->ready())) {
      for (const MemoryDisk::State& second : after_crash(m.disk)) {
        const Found again = look_at(second);
        REQUIRE_FALSE(again.failure);
        REQUIRE(again.digests == found.digests);
      }
    }
    if (!m.disk.step()) break;
  }
  REQUIRE(m.log->ready());
  REQUIRE(digests_of(m.read_everything()) == found.digests);
  m.maker.continue_from(m.log->last());
  m.maker.begin_epoch(Epoch{1000});
  m.write(m.maker.batch(10));
  MemoryDisk power(m.disk.state());
  power.lose_power(MemoryDisk::nothing());
  REQUIRE(look_at(power.state()).history.last.zxid == Zxid{Epoch{1000}, 1});
}

// Begins `action` on a disk like `start`, and crashes after each number of steps; `check` judges
// what is found, given the machine as it was.
void crash_everywhere(const Machine& start, const std::function<void(Machine&)>& action,
                      const std::function<void(const Machine&, const Found&)>& check) {
  for (std::size_t steps = 0;; ++steps) {
    CAPTURE(steps);
    Machine m(start.disk.state(), start.options);
    m.start();
    action(m);
    std::size_t done = 0;
    while (done < steps && m.disk.step()) ++done;
    std::size_t choice = 0;
    for (const MemoryDisk::State& state : after_crash(m.disk)) {
      CAPTURE(choice);
      const Found found = look_at(state, m.options);
      INFO((found.failure ? found.failure->text : ""));
      REQUIRE_FALSE(found.failure);
      check(m, found);
      check_recovery(state, found, choice % 5 == 0);
      ++choice;
    }
    if (done < steps) {
      REQUIRE(steps > 3);
      return;
    }
  }
}

void stop_cleanly(Machine& m) {
  m.kill();
  m.disk.lose_power(MemoryDisk::everything());
}

TEST_SUITE("storage/crash") {
  TEST_CASE("crash: between any two steps of creating segments -> what was told durable is there") {
    for (const std::size_t spares : {std::size_t{0}, std::size_t{1}}) {
      Machine m;
      m.options.spare_segments = spares;
      if (spares > 0) m.disk.set_content("spare-1", std::vector<std::byte>(m.options.segment_size));
      m.start();
      RecordMaker future;
      const std::vector<std::uint32_t> sizes = {20'000, 30'000, 30'000, 500};
      const std::vector<Digest> all = digests_of(headers_of(RecordMaker().group(sizes).bytes()));
      stop_cleanly(m);

      crash_everywhere(
          m,
          [&](Machine& run) {
            for (const std::uint32_t size : sizes) run.append(run.maker.group({size}));
          },
          [&](const Machine& run, const Found& found) {
            REQUIRE(found.history.last.zxid.counter >= run.durable_told.size());
            REQUIRE(found.digests.size() <= all.size());
            REQUIRE(found.history.last.zxid >= run.log->durable());
          });
    }
  }

  TEST_CASE(
      "ZK truncate, J6, scenario 79 L-truncate-crash: between any two steps of a cut -> the old "
      "history or the "
      "cut one, the cut once "
      "told") {
    Machine m;
    m.start();
    m.write(m.maker.group({20'000, 20'000}));
    m.write(m.maker.group({30'000}));
    m.write(m.maker.group({1000, 1000, 1000}));
    REQUIRE(m.disk.names().size() == 2);
    const std::vector<Digest> all = digests_of(m.read_everything());
    stop_cleanly(m);

    for (const std::size_t kept :
         {std::size_t{5}, std::size_t{3}, std::size_t{1}, std::size_t{0}}) {
      CAPTURE(kept);
      std::vector<Digest> cut = all;
      cut.resize(kept);
      crash_everywhere(
          m,
          [&](Machine& run) {
            run.log->rewind(kept == 0 ? Zxid{} : Zxid{Epoch{1}, kept},
                            kept == 0 ? Digest::none : cut.back());
          },
          [&](const Machine& run, const Found& found) {
            if (run.rewound_told.empty()) {
              REQUIRE((found.digests == all || found.digests == cut));
            } else {
              REQUIRE(found.digests == cut);
            }
          });
    }
  }

  TEST_CASE("crash: between any two steps of a cut and the records after it -> no mixture") {
    Machine m;
    m.start();
    m.write(m.maker.group({600, 700, 800, 900}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    stop_cleanly(m);
    RecordMaker other({Zxid{Epoch{1}, 2}, 2, all[1], 2});
    other.begin_epoch(Epoch{2});
    const Slice later = other.group({600, 700, 800, 900});
    std::vector<Digest> cut = {all[0], all[1]};
    const std::vector<Digest> tail = digests_of(headers_of(later.bytes()));

    // The records follow as soon as the cut is told.
    struct Follower final : HistoryLog::Listener {
      explicit Follower(Machine& machine, Slice records) : m(machine), next(std::move(records)) {}
      void on_durable(Zxid up_to) override { m.durable_told.push_back(up_to); }
      void on_rewound(bool matched) override {
        m.rewound_told.push_back(matched);
        m.log->append(next);
        m.log->flush();
      }
      void on_drained(Zxid) override {}
      void on_failed(const Failure& failure) override { m.failure_told = failure; }
      Machine& m;
      Slice next;
    };
    std::unique_ptr<Follower> follower;
    crash_everywhere(
        m,
        [&](Machine& run) {
          follower = std::make_unique<Follower>(run, later);
          run.log->set_listener(follower.get());
          run.durable_told.clear();
          run.log->rewind({Epoch{1}, 2}, all[1]);
        },
        [&](const Machine& run, const Found& found) {
          if (run.rewound_told.empty() && found.digests == all) return;
          REQUIRE(found.digests.size() >= 2);
          std::vector<Digest> expected = cut;
          expected.insert(expected.end(), tail.begin(),
                          tail.begin() + static_cast<std::ptrdiff_t>(found.digests.size() - 2));
          REQUIRE(found.digests == expected);
          if (!run.durable_told.empty()) REQUIRE(found.digests.size() == 6);
        });
  }
}

}  // namespace
}  // namespace zabmq::storage
