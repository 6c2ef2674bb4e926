// Budget: how often the limited things have happened, packed into one number.
#pragma once

#include <cstdint>

namespace zabmq::sim::exhaustive {

enum class Limited : std::uint8_t {
  transactions,
  crashes,
  cuts,
  pauses,
  elections,
  questions,
  wipes
};

inline std::uint8_t used_of(std::uint32_t used, Limited what) {
  return static_cast<std::uint8_t>(used >> (4 * static_cast<unsigned>(what)) & 0xf);
}

inline void use(std::uint32_t& used, Limited what) {
  used += std::uint32_t{1} << (4 * static_cast<unsigned>(what));
}

// True when `a` has used no more of anything than `b`: per field, without a carry into the next.
inline bool covers(std::uint32_t a, std::uint32_t b) {
  constexpr std::uint32_t guard = 0x8888'8888;  // no limit is above 7
  return (((b | guard) - a) & guard) == guard;
}

}  // namespace zabmq::sim::exhaustive
