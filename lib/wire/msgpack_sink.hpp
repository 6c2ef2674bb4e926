// MsgpackSink: lets msgpack write straight into a byte vector.
#pragma once

#include <cstddef>
#include <vector>

namespace zabmq::wire {

struct MsgpackSink {
  std::vector<std::byte>& out;

  void write(const char* data, std::size_t size) {
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    out.insert(out.end(), bytes, bytes + size);
  }
};

}  // namespace zabmq::wire
