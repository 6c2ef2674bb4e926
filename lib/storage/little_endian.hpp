// Little-endian: integers, enums and identifiers at fixed places of the on-disk layouts.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "zabmq/types.hpp"

namespace zabmq::storage {

static_assert(std::endian::native == std::endian::little, "the layouts are little-endian");

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <class T>
T get(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// A zxid takes 16 bytes: u32 epoch, u32 zero, u64 counter.
inline void put_zxid(std::byte* at, Zxid zxid) {
  put(at, zxid.epoch);
  put(at + 4, std::uint32_t{0});
  put(at + 8, zxid.counter);
}

inline Zxid get_zxid(const std::byte* at) {
  return {get<Epoch>(at), get<std::uint64_t>(at + 8)};
}

inline bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace zabmq::storage
