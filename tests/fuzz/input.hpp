// Input: what a fuzzer's bytes are taken for: small numbers and choices, one after the other. When
// the bytes are used up everything is 0, so every input is a whole one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "zabmq/types.hpp"

namespace zabmq::fuzz {

class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  Bytes rest() const { return rest_; }

  std::uint8_t byte() { return number<std::uint8_t>(); }
  template <class T>
  T number() {
    T value{};
    const std::size_t size = std::min(sizeof value, rest_.size());
    std::memcpy(&value, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  // 0 .. limit - 1; one byte when that is enough.
  std::size_t below(std::size_t limit) {
    if (limit <= 1) return 0;
    return limit <= 256 ? byte() % limit : number<std::uint32_t>() % limit;
  }
  bool flag() { return (byte() & 1u) != 0; }
  Bytes bytes(std::size_t count) {
    const Bytes front = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(front.size());
    return front;
  }

 private:
  Bytes rest_;
};

}  // namespace zabmq::fuzz
