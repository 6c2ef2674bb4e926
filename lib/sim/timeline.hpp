// Timeline: simulated time, and what is to happen when. Two things at the same time happen in the
// order in which they were planned, so that a run depends on its seed alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace zabmq::sim {

using Micros = std::uint64_t;  // since the world began
inline constexpr Micros millisecond = 1000;
inline constexpr Micros second = 1'000'000;

class Timeline {
 public:
  // A call with at most two words of captures is kept without an allocation.
  using Call = std::function<void()>;

  Micros now() const { return now_; }
  bool empty() const { return planned_.empty(); }
  Micros next_at() const { return planned_.front().at; }

  void at(Micros when, Call call) {
    planned_.push_back({std::max(when, now_), order_++, std::move(call)});
    std::push_heap(planned_.begin(), planned_.end(), later);
  }
  void after(Micros delay, Call call) { at(now_ + delay, std::move(call)); }

  // Moves time to the next planned call and makes it. Precondition: !empty().
  void step() {
    std::pop_heap(planned_.begin(), planned_.end(), later);
    Planned next = std::move(planned_.back());
    planned_.pop_back();
    now_ = next.at;
    next.call();
  }

 private:
  struct Planned {
    Micros at = 0;
    std::uint64_t order = 0;
    Call call;
  };
  static bool later(const Planned& a, const Planned& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  Micros now_ = 0;
  std::uint64_t order_ = 0;
  std::vector<Planned> planned_;  // a heap, the earliest in front
};

}  // namespace zabmq::sim
