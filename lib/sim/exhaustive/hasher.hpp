// Hasher: a canonical byte string of some state, and its 64-bit hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim::exhaustive {

// Every value is added with its type's full width, every sequence and optional with its size first,
// so that two states have equal bytes only when they are equal.
class Hasher {
 public:
  void add(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(std::byte(number >> shift));
  }
  void add_byte(std::uint8_t value) { bytes_.push_back(std::byte{value}); }
  void add(bool value) { add_byte(value ? 1 : 0); }
  void add(ServerId id) { add_byte(static_cast<std::uint8_t>(id)); }
  void add(Epoch epoch) { add(std::uint64_t{static_cast<std::uint32_t>(epoch)}); }
  void add(Digest digest) { add(static_cast<std::uint64_t>(digest)); }
  void add(Zxid zxid) {
    add(zxid.epoch);
    add(zxid.counter);
  }
  void add(const Uuid& id) { bytes_.insert(bytes_.end(), id.bytes.begin(), id.bytes.end()); }
  template <class T>
  void add(const std::optional<T>& value) {
    add(value.has_value());
    if (value) add(*value);
  }

  std::uint64_t hash() const { return static_cast<std::uint64_t>(checksum(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace zabmq::sim::exhaustive
