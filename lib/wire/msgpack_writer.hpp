// MsgpackWriter: msgpack values behind each other, for what is larger than a frame's header. Hides
// the library from those that only need arrays, numbers and bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::wire {

class MsgpackWriter {
 public:
  // Appends to `out`, which outlives the writer.
  explicit MsgpackWriter(std::vector<std::byte>& out) : out_(out) {}

  void array(std::size_t count);  // of the values that follow
  void number(std::uint64_t value);
  void binary(Bytes bytes);

 private:
  std::vector<std::byte>& out_;
};

}  // namespace zabmq::wire
