// Random: seeded runs of a log against a model, with crashes. ZABMQ_SEED=n repeats one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "machine.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

constexpr std::uint64_t seed_count = 60;
constexpr int operations = 120;

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
    } else if (dice < 91) {
      drain();
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
    for (const RecordHeader& header : headers_of(records.bytes())) logged_.push_back(header);
    m_.append(records);
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
      logged_.resize(kept);
    } else {
      // A crash on the way: the old history or the cut one.
      m_.rewound_told.clear();
      m_.log->rewind(to, digest);
      for (std::size_t n = below(14); n > 0; --n) m_.disk.step();
      const bool told = !m_.rewound_told.empty();
      crash();
      if (told || m_.log->last().zxid == to) {
        REQUIRE(m_.log->last().digest == digest);
        logged_.resize(kept);
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
    logged_.resize(count_up_to(m_.log->last().zxid));
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
  }

  void restart() {
    const Zxid durable = m_.log->durable();
    crash();
    REQUIRE(m_.log->last().zxid >= durable);
    logged_.resize(count_up_to(m_.log->last().zxid));
    after_start();
  }

  void after_start() {
    const Zxid last = m_.log->last().zxid;
    REQUIRE((logged_.empty() ? Zxid{} : logged_.back().zxid) == last);
    REQUIRE(m_.visited.records == logged_);
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
    if (logged_.empty()) return;
    const std::size_t first = below(logged_.size());
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
    REQUIRE_FALSE(found.failure);
    REQUIRE(found.history.last.zxid >= checked_durable_);
  }

  void check_all() { REQUIRE(m_.read_everything(1 + below(10'000)) == logged_); }

  std::mt19937_64 random_;
  Machine m_;
  std::vector<RecordHeader> logged_;  // the history as it must be
  Zxid delivered_;
  Zxid checked_durable_;
};

void run_seed(std::uint64_t seed) {
  INFO("repeat with ZABMQ_SEED=" << seed << " storage_tests -tc=\"random:*\"");
  Run(seed).go();
}

TEST_SUITE("storage/random") {
  TEST_CASE("random: appends, cuts, drains and crashes -> always the history of the model") {
    if (const char* seed = std::getenv("ZABMQ_SEED"))
      return run_seed(std::strtoull(seed, nullptr, 10));
    for (std::uint64_t seed = 1; seed <= seed_count; ++seed) run_seed(seed);
  }
}

}  // namespace
}  // namespace zabmq::storage
