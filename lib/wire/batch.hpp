// Batch: the body a publisher encodes once and every subscriber reads: messages back to back, each an
// 8-byte little-endian header (u32 payload length, u8 topic length, u8 flags, u16 headers length),
// then topic, headers (a msgpack map, may be absent), payload. No padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::wire {

inline constexpr std::size_t message_header_size = 8;
inline constexpr std::uint32_t batch_count_max = 65535;

struct BatchLimits {
  std::size_t payload_max = 1 << 20;
  std::size_t batch_max = 2 << 20;
};

struct BatchMessage {
  std::string_view topic;
  Bytes headers;    // msgpack map, or empty
  Bytes payload;
};

// 1 to 200 bytes of UTF-8 without control characters and without '*'.
bool valid_topic(std::string_view topic);
bool valid_utf8(std::string_view text);

std::size_t encoded_size(const BatchMessage& message);
void append_message(std::vector<std::byte>& body, const BatchMessage& message);  // limits are the caller's

// The leader's walk: the messages fill the body exactly, number `count` (1..65,535) and keep the
// limits; topics are valid. Does not look at the checksum.
bool valid_batch(Bytes body, std::uint32_t count, const BatchLimits& limits);

// Walks a body that was validated. next() is nullopt at the end or at the first malformed message.
class BatchReader {
 public:
  explicit BatchReader(Bytes body) : rest_(body) {}
  std::optional<BatchMessage> next();

 private:
  Bytes rest_;
};

}  // namespace zabmq::wire
