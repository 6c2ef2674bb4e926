// Visited: the hashes of the states that were met, in an open table: eight bytes each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace zabmq::sim::exhaustive {

class Visited {
 public:
  Visited() : slots_(std::size_t{1} << 12) {}

  // True when the hash is new.
  bool insert(std::uint64_t hash) {
    if (hash == 0) hash = 1;  // 0 marks a free slot
    if (4 * (count_ + 1) > 3 * slots_.size()) grow();
    return put(hash);
  }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return slots_.size() * sizeof(std::uint64_t); }

 private:
  bool put(std::uint64_t hash) {
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != 0) {
      if (slots_[at] == hash) return false;
      at = (at + 1) & (slots_.size() - 1);
    }
    slots_[at] = hash;
    ++count_;
    return true;
  }
  void grow() {
    std::vector<std::uint64_t> old(slots_.size() * 2);
    std::swap(old, slots_);
    count_ = 0;
    for (std::uint64_t hash : old) {
      if (hash != 0) put(hash);
    }
  }

  std::vector<std::uint64_t> slots_;  // a power of two
  std::size_t count_ = 0;
};

}  // namespace zabmq::sim::exhaustive
