// Histogram: how many values fell where, in buckets whose width grows with the value.
//
// Log-linear: each power of two is split into 64 equal buckets, so a percentile is off by less than
// 1.6 % and never too low. Memory is fixed; recording is a shift and an increment.
#pragma once

#include <array>
#include <cstdint>

namespace zabmq::cli {

class Histogram {
 public:
  void record(std::uint64_t value);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The least value that `share` (0..1) of all recorded ones do not exceed, rounded up to the end
  // of its bucket, never above max(). 0 when nothing was recorded.
  std::uint64_t percentile(double share) const;

 private:
  static constexpr unsigned split_bits = 6;
  static constexpr std::size_t split = std::size_t{1} << split_bits;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t last_value_of(std::size_t bucket);

  std::array<std::uint64_t, split*(64 - split_bits + 1)> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace zabmq::cli
