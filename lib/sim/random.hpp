// Random: the one source of chance in a simulated world. The same seed gives the same numbers in
// every build and on every machine, which <random>'s distributions do not promise.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "zabmq/types.hpp"

namespace zabmq::sim {

// SplitMix64 (Steele, Lea, Flood 2014): small state, passes BigCrush, and forks cleanly.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15);
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  // An independent stream: what one part of the world draws does not move the others.
  Random fork() { return Random(next()); }

  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {  // inclusive
    return low + below(high - low + 1);
  }
  // In millionths, so that no floating-point rounding can differ between builds.
  bool chance(std::uint32_t per_million) { return below(1'000'000) < per_million; }
  bool coin() { return (next() & 1) != 0; }

  // Mostly around `mean`, sometimes several times as much: a geometric mixture in whole numbers.
  std::uint64_t about(std::uint64_t mean) {
    const std::uint64_t bits = next();
    const auto doublings = static_cast<unsigned>(std::countr_zero(bits | 0x100));  // 0..8
    return mean / 4 + below(mean / 2 + 1) + (mean * doublings) / 2;
  }

  Uuid uuid() {
    Uuid id;
    for (std::size_t i = 0; i < id.bytes.size(); i += 8) {
      const std::uint64_t word = next();
      for (std::size_t b = 0; b < 8; ++b) id.bytes[i + b] = static_cast<std::byte>(word >> (8 * b));
    }
    return id;
  }

 private:
  std::uint64_t state_;
};

}  // namespace zabmq::sim
