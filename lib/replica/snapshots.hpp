// Snapshots: when this server's state is written to disk: after so many bytes of delivered records,
// after so much time, and when retention has moved, because only what a snapshot covers is freed.
// All of them are drawn out by the server's id, so that servers do not all write at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "zabmq/types.hpp"

namespace zabmq::replica {

struct SnapshotLimits {
  std::uint64_t bytes = 256 << 20;          // of delivered records since the last one
  std::uint64_t age_ms = 3'600'000;         // with anything delivered since
  std::uint64_t state_bytes_max = 1 << 30;  // of a state that another server sends
};

class SnapshotClock {
 public:
  SnapshotClock(ServerId self, SnapshotLimits limits) : self_(self), limits_(limits) {}

  void on_delivered(std::size_t record_bytes) { bytes_ += record_bytes; }
  // `retention_moved`: the newest snapshot still wants what the state does not.
  bool due(std::uint64_t now_ms, bool retention_moved) {
    if (!started_) saved_ms_ = now_ms;
    started_ = true;
    if (bytes_ == 0 && !retention_moved) return false;
    if (retention_moved && retention_ms_ == never) {
      retention_ms_ = now_ms + std::min(share(retention_delay_max_ms), limits_.age_ms);
    }
    return now_ms >= retention_ms_ || bytes_ >= share(limits_.bytes) ||
           now_ms >= saved_ms_ + share(limits_.age_ms);
  }
  // It is being written, or was dropped for want of space: what retention waits for is tried again.
  void on_begun(std::uint64_t now_ms) {
    bytes_ = 0;
    retention_ms_ = never;
    saved_ms_ = now_ms;
    ++begun_;
  }

 private:
  static constexpr std::uint64_t retention_delay_max_ms = 2000;
  static constexpr std::uint64_t never = ~std::uint64_t{0};

  // 50 to 100 percent, another one each time.
  std::uint64_t share(std::uint64_t most) const {
    constexpr std::uint64_t steps = 51;
    const std::uint64_t step = (static_cast<std::uint64_t>(self_) * 17 + begun_ * 29) % steps;
    return std::max<std::uint64_t>(1, most / 100 * (50 + step));
  }

  ServerId self_;
  SnapshotLimits limits_;
  std::uint64_t bytes_ = 0;
  std::uint64_t retention_ms_ = never;  // when what has moved is to be written
  bool started_ = false;
  std::uint64_t saved_ms_ = 0;
  std::uint64_t begun_ = 0;
};

}  // namespace zabmq::replica
