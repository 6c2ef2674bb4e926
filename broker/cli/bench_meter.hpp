// BenchMeter: counts and times what is done, apart for the interval and for the measured time.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "cli/histogram.hpp"

namespace zabmq::cli {

using BenchClock = std::chrono::steady_clock;

// When a run begins, from when it counts, and when it ends.
struct BenchTimes {
  BenchClock::time_point begin;
  BenchClock::time_point warm;
  BenchClock::time_point end;
};

// One thread records, another may look.
class BenchMeter {
 public:
  struct Interval {
    std::uint64_t messages = 0;
    Histogram latency_us;
  };
  struct Total {
    std::uint64_t messages = 0;  // done between warm and end
    std::uint64_t bytes = 0;
    Histogram latency_us;  // of what was intended between warm and end, however late it was done
  };

  explicit BenchMeter(const BenchTimes& times) : times_(times) {}

  void record(BenchClock::time_point intended, BenchClock::time_point done, std::size_t bytes);
  void count(std::uint64_t messages, std::uint64_t bytes, BenchClock::time_point done);

  void move_interval_to(Interval& sum);
  Total total() const;

 private:
  const BenchTimes times_;
  mutable std::mutex mutex_;
  Interval interval_;
  Total total_;
};

}  // namespace zabmq::cli
