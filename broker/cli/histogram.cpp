// Histogram: bucket arithmetic.
//
// Values below 64 have a bucket each. A value with its highest bit at position h >= 6 keeps its
// highest seven bits: 100 = 0b1100100 has h = 6 and bucket 100; 201 = 0b11001001 has h = 7, shift
// 1, and shares bucket 64 + 100 with 200.
#include "cli/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace zabmq::cli {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < split) return value;
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - split_bits;
  return shift * split + (value >> shift);
}

std::uint64_t Histogram::last_value_of(std::size_t bucket) {
  if (bucket < split) return bucket;
  const std::size_t shift = bucket / split - 1;
  const std::uint64_t high_bits = bucket - shift * split;
  return (high_bits << shift) + ((std::uint64_t{1} << shift) - 1);
}

void Histogram::record(std::uint64_t value) {
  ++buckets_[bucket_of(value)];
  ++count_;
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::percentile(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return std::min(last_value_of(i), max_);
  }
  return max_;
}

}  // namespace zabmq::cli
