// Visited: which states were met, and with how much of the limits used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/exhaustive/budget.hpp"

namespace zabmq::sim::exhaustive {

// The states' hashes in an open table, twelve bytes each. A state that was met with no more of any
// limit used, and no later, can do whatever this one can: this one is not new.
class Visited {
 public:
  Visited() : hashes_(std::size_t{1} << 12), used_(hashes_.size()) {}

  // `hash` is of everything but `used`. True when the state is new.
  bool insert(std::uint64_t hash, std::uint32_t used) {
    if (hash == 0) hash = 1;  // 0 marks a free slot
    if (4 * (count_ + 1) > 3 * hashes_.size()) grow();
    std::size_t at = hash & (hashes_.size() - 1);
    for (; hashes_[at] != 0; at = (at + 1) & (hashes_.size() - 1)) {
      if (hashes_[at] == hash && covers(used_[at], used)) return false;
    }
    hashes_[at] = hash;
    used_[at] = used;
    ++count_;
    return true;
  }
  std::size_t size() const { return count_; }
  std::size_t bytes() const {
    return hashes_.size() * (sizeof(std::uint64_t) + sizeof(std::uint32_t));
  }

 private:
  void grow() {
    std::vector<std::uint64_t> hashes(hashes_.size() * 2);
    std::vector<std::uint32_t> used(hashes.size());
    std::swap(hashes, hashes_);
    std::swap(used, used_);
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      if (hashes[i] == 0) continue;
      std::size_t at = hashes[i] & (hashes_.size() - 1);
      while (hashes_[at] != 0) at = (at + 1) & (hashes_.size() - 1);
      hashes_[at] = hashes[i];
      used_[at] = used[i];
    }
  }

  std::vector<std::uint64_t> hashes_;  // a power of two
  std::vector<std::uint32_t> used_;
  std::size_t count_ = 0;
};

}  // namespace zabmq::sim::exhaustive
