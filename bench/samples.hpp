// Samples: batch bodies and records of chosen sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::bench {

using Buffer = std::vector<std::byte>;

// `count` messages of `size` bytes with a short topic.
Buffer sample_body(std::uint32_t count, std::size_t size);

// The header of a batch with this body that continues `before`.
struct Before {
  Zxid zxid;
  Offset offset = 0;
  Digest digest = Digest::none;
};
RecordHeader sample_header(const Before& before, Bytes body, std::uint32_t count);

// Header, body and padding; `before` moves on to it.
Slice sample_record(Before& before, Bytes body, std::uint32_t count);

}  // namespace zabmq::bench
