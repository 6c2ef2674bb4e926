// Timeline: slots of a tenth of a second.
#include "nemesis/engine/timeline.hpp"

#include <algorithm>

namespace zabmq::nemesis {

Nanos now_ns() {
  return static_cast<Nanos>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void Timeline::acknowledged(Nanos invoked, Nanos now, Offset offset) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, invoked);
  top_ = std::max(top_, offset);
  if (end_ != 0) return;
  longest_ = std::max(longest_, now - std::min(std::max(last_, start_), now));
  last_ = now;
  const std::size_t slot = (now - start_) / slot_ns;
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  ++slots_[slot];
}

void Timeline::fault(Nanos begin, Nanos end) {
  const std::lock_guard lock(mutex_);
  faults_.emplace_back(begin, end);
}

void Timeline::violation(std::string text) {
  const std::lock_guard lock(mutex_);
  violations_.push_back(std::move(text));
}

void Timeline::finish(Nanos now) {
  const std::lock_guard lock(mutex_);
  end_ = now;
  longest_ = std::max(longest_, end_ - std::max(last_, start_));
  slots_.resize((end_ - start_) / slot_ns);
}

Offset Timeline::top() const {
  const std::lock_guard lock(mutex_);
  return top_;
}

Nanos Timeline::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

std::vector<std::string> Timeline::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

Timeline::Summary Timeline::summary() const {
  const std::lock_guard lock(mutex_);
  std::vector<bool> at_fault(slots_.size());
  for (const auto& [begin, end] : faults_) {
    const std::size_t first = (std::max(begin, start_) - start_) / slot_ns;
    const std::size_t last = (end + to_ns(aftermath) - start_) / slot_ns;
    for (std::size_t slot = first; slot <= last && slot < at_fault.size(); ++slot) {
      at_fault[slot] = true;
    }
  }
  Summary summary;
  std::uint64_t free = 0;
  std::uint64_t free_slots = 0;
  std::uint64_t silent_slots = 0;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    summary.acknowledged += slots_[slot];
    if (slots_[slot] == 0) ++silent_slots;
    if (at_fault[slot]) continue;
    free += slots_[slot];
    ++free_slots;
  }
  constexpr double slot_seconds = static_cast<double>(slot_ns) / 1e9;
  summary.seconds = static_cast<double>(end_ - start_) / 1e9;
  summary.fault_free_seconds = static_cast<double>(free_slots) * slot_seconds;
  if (free_slots > 0) {
    summary.per_fault_free_second = static_cast<double>(free) / summary.fault_free_seconds;
  }
  summary.longest_silence = static_cast<double>(longest_) / 1e9;
  summary.total_silence = static_cast<double>(silent_slots) * slot_seconds;
  return summary;
}

}  // namespace zabmq::nemesis
