// Timeline: when messages were acknowledged and when faults were at work, on the one clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::nemesis {

using Nanos = std::uint64_t;  // of CLOCK_MONOTONIC

Nanos now_ns();
constexpr Nanos to_ns(std::chrono::milliseconds ms) {
  return static_cast<Nanos>(ms.count()) * 1'000'000;
}

// May be used from any thread.
class Timeline {
 public:
  // For so long after a fault ended a moment does not count as free of faults.
  static constexpr std::chrono::milliseconds aftermath{1000};

  void begin(Nanos now) { start_ = now; }  // before any other call
  void acknowledged(Nanos invoked, Nanos now, Offset offset);
  void fault(Nanos begin, Nanos end);
  void violation(std::string text);  // of a promise that the history checker does not see
  void finish(Nanos now);            // what comes later does not count as time

  Offset top() const;    // greatest offset in a receipt
  Nanos newest() const;  // when the message was invoked that a receipt came for
  Nanos start() const { return start_; }
  std::vector<std::string> violations() const;

  struct Summary {
    std::uint64_t acknowledged = 0;
    double seconds = 0;
    double fault_free_seconds = 0;
    double per_fault_free_second = 0;
    double longest_silence = 0;  // seconds without an acknowledgement
    double total_silence = 0;    // in slots of a tenth of a second
  };
  Summary summary() const;

 private:
  static constexpr Nanos slot_ns = 100'000'000;

  mutable std::mutex mutex_;
  Nanos start_ = 0;
  Nanos end_ = 0;
  std::vector<std::uint32_t> slots_;  // acknowledgements
  Nanos last_ = 0;
  Nanos longest_ = 0;
  Nanos newest_ = 0;
  Offset top_ = 0;
  std::vector<std::pair<Nanos, Nanos>> faults_;
  std::vector<std::string> violations_;
};

}  // namespace zabmq::nemesis
