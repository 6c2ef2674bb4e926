// Random: seeded runs of a log against a model, with crashes. ZABMQ_SEED=n repeats one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "ledger.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

constexpr std::uint64_t seed_count = 150;
constexpr int operations = 120;

// What all runs together must have seen.
struct Seen {
  int starts_from_snapshots = 0;
  int starts_with_floor = 0;
  int taken_over = 0;
  int given_up = 0;
  int recycled = 0;
};

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed) {
    m_.options.segment_size = 8 << 10 << below(3);
    m_.options.group_bytes_max = 1 << 10 << below(4);
    m_.options.spare_segments = below(2);
    m_.options.spare_after_idle_ms = 300;
    m_.options.waypoint_interval = 256 << below(4);
    m_.options.tail_cache_bytes = 2 << 10 << below(5);
    m_.options.min_free_bytes = 1;
  }

  void go() {
    m_.start();
    for (int i = 0; i < operations; ++i) {
      CAPTURE(i);
      one();
      check();
    }
    m_.run();
    check_all();
    restart();
  }
  const Seen& seen() const { return seen_; }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool chance(std::size_t percent) { return below(100) < percent; }

  void one() {
    const std::size_t dice = below(100);
    if (dice < 40) {
      append();
    } else if (dice < 65) {
      for (std::size_t n = below(12); n > 0; --n) m_.disk.step();
    } else if (dice < 72) {
      m_.tick(below(250));
    } else if (dice < 78) {
      deliver();
    } else if (dice < 83) {
      m_.run();
      read();
    } else if (dice < 87) {
      cut();
    } else if (dice < 90) {
      drain();
    } else if (dice < 95) {
      save_snapshot();
    } else if (dice < 96) {
      install();
    } else {
      restart();
    }
  }

  void append() {
    if (chance(10)) m_.maker.begin_epoch(next(m_.log->last().zxid.epoch));
    const std::uint32_t size = static_cast<std::uint32_t>(chance(10) ? below(5000) : below(400));
    const Slice records = chance(20) ? m_.maker.no_op()
                          : chance(50)
                              ? m_.maker.group({size, size / 2, 8})
                              : m_.maker.batch(size, 1 + static_cast<std::uint32_t>(below(4)));
    log(records);
    m_.append(records);
  }

  void log(const Slice& records) {
    for (std::size_t at = 0; at < records.size();) {
      const RecordHeader header = *parse_record(records.bytes().subspan(at));
      const std::size_t size = record_size(header.body_size);
      logged_.push_back(header);
      bytes_.push_back(records.sub(at, size));
      at += size;
    }
  }

  void cut_model(std::size_t kept) {
    logged_.resize(kept);
    bytes_.resize(kept);
  }

  // Of the delivered point; sometimes it wants less than the one before.
  void save_snapshot() {
    if (m_.log->saving_snapshot()) return;
    deliver();
    const std::size_t first = count_up_to(m_.log->floor().zxid);
    const std::size_t last = count_up_to(delivered_);
    if (last <= first) return;
    const Zxid at = logged_[last - 1].zxid;
    if (chance(60)) retained_ = std::max(retained_, logged_[below(last)].zxid);
    if (at < retained_) return;
    m_.log->save_snapshot(Ledger(logged_).snapshot(at, retained_, m_.log->floor().zxid));
  }

  // A leader's history: ours as far as it was delivered, and what this leader has proposed.
  void install() {
    m_.drain();
    m_.run();
    cut_model(count_up_to(m_.log->last().zxid));
    const std::vector<RecordHeader> old = logged_;
    const std::vector<Slice> old_bytes = bytes_;
    const Zxid old_delivered = delivered_;
    const std::size_t common = count_up_to(delivered_);
    cut_model(common + below(logged_.size() - common + 1));
    RecordMaker leader(Ledger(logged_).last());
    leader.begin_epoch(next(m_.log->last().zxid.epoch));
    for (std::size_t n = 1 + below(40); n > 0; --n) {
      log(leader.batch(static_cast<std::uint32_t>(below(900))));
    }
    const std::size_t state = std::max(common, 1 + below(logged_.size()));
    const std::size_t floor = below(state + 1);
    if (take_over(floor, state)) {
      delivered_ = logged_[state - 1].zxid;
      retained_ = std::max(retained_, floor > 0 ? logged_[floor - 1].zxid : Zxid{});
      ++m_.options.generation;  // the identity record
      ++seen_.taken_over;
      m_.log->remove_replaced();
      for (std::size_t n = below(12); n > 0; --n) m_.disk.step();
      return restart();
    }
    ++seen_.given_up;
    logged_ = old;
    bytes_ = old_bytes;
    delivered_ = old_delivered;
    reset_maker();
    check_all();
  }

  // False: it was given up, or a crash came before the identity record.
  bool take_over(std::size_t floor, std::size_t state) {
    const Ledger ledger(logged_);
    const Zxid at_floor = floor > 0 ? logged_[floor - 1].zxid : Zxid{};
    const Zxid wanted = std::max(retained_, at_floor);
    const Zxid at = logged_[state - 1].zxid;
    if (wanted > at) return false;
    m_.rewound_told.clear();
    m_.log->install(
        {ledger.at(at_floor), m_.options.generation + 1, ledger.snapshot(at, wanted, at_floor)});
    for (std::size_t n = below(20); n > 0; --n) m_.disk.step();
    if (chance(40)) m_.run();
    if (!m_.rewound_told.empty()) {
      for (std::size_t i = floor; i < bytes_.size(); ++i) {
        m_.append(bytes_[i]);
        if (chance(50)) m_.disk.step();
      }
      if (chance(70)) m_.run();
    }
    if (m_.rewound_told.empty() || m_.log->durable() < at || chance(20)) {
      if (chance(50)) {
        crash();
      } else {
        m_.drain();
        m_.run();
      }
      return false;
    }
    m_.log->adopt_installed();
    if (chance(20)) return crash(), false;
    return true;
  }

  void deliver() {
    if (m_.log->durable() > delivered_) delivered_ = m_.log->durable();
    m_.set_delivered(delivered_);
  }

  // The position in the model behind a transaction.
  std::size_t count_up_to(Zxid zxid) const {
    return static_cast<std::size_t>(
        std::upper_bound(logged_.begin(), logged_.end(), zxid,
                         [](Zxid z, const RecordHeader& h) { return z < h.zxid; }) -
        logged_.begin());
  }

  void cut() {
    m_.run();
    const std::size_t least = count_up_to(delivered_);
    const std::size_t kept = least + below(logged_.size() - least + 1);
    const Zxid to = kept == 0 ? Zxid{} : logged_[kept - 1].zxid;
    const Digest digest = kept == 0 ? Digest::none : logged_[kept - 1].checksum;
    const Epoch greatest = m_.log->last().zxid.epoch;
    if (chance(60)) {
      REQUIRE(m_.rewind(to, digest));
      cut_model(kept);
    } else {
      // A crash on the way: the old history or the cut one.
      m_.rewound_told.clear();
      m_.log->rewind(to, digest);
      for (std::size_t n = below(14); n > 0; --n) m_.disk.step();
      const bool told = !m_.rewound_told.empty();
      crash();
      if (told || m_.log->last().zxid == to) {
        REQUIRE(m_.log->last().digest == digest);
        cut_model(kept);
      } else {
        REQUIRE(m_.log->last().digest == logged_.back().checksum);
      }
      after_start();
    }
    m_.maker.begin_epoch(next(greatest));  // a zxid is never used twice
  }

  void drain() {
    for (std::size_t n = below(6); n > 0; --n) m_.disk.step();
    m_.drain();
    m_.run();
    REQUIRE(m_.drained_told.back() == m_.log->last().zxid);
    REQUIRE(m_.log->durable() == m_.log->last().zxid);
    cut_model(count_up_to(m_.log->last().zxid));
    reset_maker();
  }

  void crash() {
    m_.kill();
    if (chance(30)) {
      m_.disk.crash_process();
    } else {
      const std::uint64_t salt = random_();
      m_.disk.lose_power({[&](std::size_t) { return (random_() ^ salt) % 3 != 0; },
                          below(m_.disk.directory_changes() + 1)});
    }
    m_.start();
    const std::vector<Snapshot>& used = m_.visited.snapshots;
    retained_ = used.empty() ? Zxid{} : used.front().retained.zxid;
  }

  void restart() {
    const Zxid durable = m_.log->durable();
    crash();
    REQUIRE(m_.log->last().zxid >= durable);
    cut_model(count_up_to(m_.log->last().zxid));
    after_start();
  }

  void after_start() {
    const Zxid last = m_.log->last().zxid;
    REQUIRE((logged_.empty() ? Zxid{} : logged_.back().zxid) == last);
    const Zxid snapshot =
        m_.visited.snapshots.empty() ? Zxid{} : m_.visited.snapshots.front().at.zxid;
    seen_.starts_from_snapshots += !is_none(snapshot);
    seen_.starts_with_floor += !is_none(m_.log->floor().zxid);
    REQUIRE(m_.visited.records == kept_behind(snapshot));
    REQUIRE(m_.log->recovered().unused_snapshots.empty());
    const Zxid recovered = m_.log->recovered().delivered;
    REQUIRE(recovered <= delivered_);
    REQUIRE(std::is_sorted(m_.visited.delivered.begin(), m_.visited.delivered.end()));
    delivered_ = recovered;
    check_all();
    reset_maker();
  }

  void reset_maker() {
    m_.maker.continue_from(m_.log->last());
    m_.maker.begin_epoch(next(m_.log->last().zxid.epoch));
  }

  void read() {
    const std::size_t floor = count_up_to(m_.log->floor().zxid);
    if (logged_.size() == floor) return;
    const std::size_t first = floor + below(logged_.size() - floor);
    const std::size_t last = first + below(logged_.size() - first);
    const ReadResult result =
        m_.read_cold(FromZxid{logged_[first].zxid}, logged_[last].zxid, below(9000));
    const std::vector<RecordHeader> got = headers_of(result);
    REQUIRE_FALSE(got.empty());
    REQUIRE(got.size() <= last - first + 1);
    REQUIRE(
        std::equal(got.begin(), got.end(), logged_.begin() + static_cast<std::ptrdiff_t>(first)));
    if (const auto hot = m_.log->read_hot(FromZxid{logged_[first].zxid}, logged_[last].zxid,
                                          std::size_t{1} << 30))
      REQUIRE(headers_of(*hot).size() == last - first + 1);
  }

  void check() {
    REQUIRE_FALSE(m_.failure_told);
    REQUIRE(m_.log->last().zxid == (logged_.empty() ? Zxid{} : logged_.back().zxid));
    if (m_.log->durable() == checked_durable_) return;
    // What counts as durable is on the platter, now.
    checked_durable_ = m_.log->durable();
    MemoryDisk power(m_.disk.state());
    power.lose_power(MemoryDisk::nothing());
    const Found found = look_at(power.state(), m_.options);
    INFO((found.failure ? found.failure->text : ""));
    REQUIRE_FALSE(found.failure);
    REQUIRE(found.history.last.zxid >= checked_durable_);
  }

  std::vector<RecordHeader> kept_behind(Zxid zxid) const {
    return {logged_.begin() + static_cast<std::ptrdiff_t>(count_up_to(zxid)), logged_.end()};
  }

  void check_all() {
    REQUIRE(m_.read_everything(1 + below(10'000)) == kept_behind(m_.log->floor().zxid));
    const Found everything = look_at_everything(m_.disk.state(), m_.options);
    INFO((everything.failure ? everything.failure->text : ""));
    REQUIRE_FALSE(everything.failure);
    if (everything.files.chain.empty()) return;
    seen_.recycled += everything.files.chain.back().header.recycled;
  }

  std::mt19937_64 random_;
  Machine m_;
  std::vector<RecordHeader> logged_;  // the history as it must be, from its beginning
  std::vector<Slice> bytes_;          // of its records
  Zxid delivered_;
  Zxid retained_;
  Seen seen_;
  Zxid checked_durable_;
};

Seen run_seed(std::uint64_t seed) {
  INFO("repeat with ZABMQ_SEED=" << seed << " storage_tests -tc=\"random:*\"");
  Run run(seed);
  run.go();
  return run.seen();
}

TEST_SUITE("storage/random") {
  TEST_CASE(
      "random: appends, cuts, snapshots, retention, other histories and crashes -> always the "
      "history of the model") {
    if (const char* seed = std::getenv("ZABMQ_SEED"))
      return static_cast<void>(run_seed(std::strtoull(seed, nullptr, 10)));
    Seen all;
    for (std::uint64_t seed = 1; seed <= seed_count; ++seed) {
      const Seen seen = run_seed(seed);
      all.starts_from_snapshots += seen.starts_from_snapshots;
      all.starts_with_floor += seen.starts_with_floor;
      all.taken_over += seen.taken_over;
      all.given_up += seen.given_up;
      all.recycled += seen.recycled;
    }
    CHECK(all.starts_from_snapshots > 100);
    CHECK(all.starts_with_floor > 50);
    CHECK(all.taken_over > 10);
    CHECK(all.given_up > 10);
    CHECK(all.recycled > 5);
  }
}

}  // namespace
}  // namespace zabmq::storage
