// Batch: the body a publisher encodes once and every subscriber reads: messages back to back, each
// an 8-byte little-endian header (u32 payload length, u8 topic length, u8 flags, u16 headers
// length), then topic, headers (a msgpack map, may be absent), payload. No padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::wire {

inline constexpr std::size_t message_header_size = 8;
inline constexpr std::uint32_t batch_count_max = 65535;
inline constexpr std::size_t message_headers_max = 64 * 1024 - 1;  // bytes of one message's headers
inline constexpr std::size_t header_entries_max = 256;             // names in them

struct BatchLimits {
  std::size_t payload_max = 1 << 20;
  std::size_t batch_max = 2 << 20;
};

struct BatchMessage {
  std::string_view topic;
  Bytes headers = {};  // msgpack map, or empty
  Bytes payload = {};
};

// 1 to 200 bytes of UTF-8 without control characters and without '*'.
bool valid_topic(std::string_view topic);
// What a subscription asks for: a topic, or the beginning of topics with a '*' behind it
// ("orders/*";
// "*" alone: all).
bool valid_topic_filter(std::string_view filter);
bool matches(std::string_view filter, std::string_view topic);  // both valid
bool valid_utf8(std::string_view text);

std::size_t encoded_size(const BatchMessage& message);
std::size_t encoded_size(std::span<const BatchMessage> messages);
void append_message(std::vector<std::byte>& body,
                    const BatchMessage& message);  // limits are the caller's

// The leader's walk: the messages fill the body exactly, number `count` (1..65,535) and keep the
// limits; topics are valid. Does not look at the checksum.
bool valid_batch(Bytes body, std::uint32_t count, const BatchLimits& limits);

// Message headers: a msgpack map from strings to strings, in the order given; none at all is no
// bytes. nullopt when encoding: over a limit above. When decoding: not such a map, trailing bytes,
// or over a limit; never throws.
using HeaderList = std::vector<std::pair<std::string, std::string>>;
std::optional<std::vector<std::byte>> encode_headers(const HeaderList& headers);
std::optional<HeaderList> decode_headers(Bytes bytes);

// Walks a body that was validated. next() is nullopt at the end or at the first malformed message.
class BatchReader {
 public:
  explicit BatchReader(Bytes body) : rest_(body) {}
  std::optional<BatchMessage> next();

 private:
  Bytes rest_;
};

}  // namespace zabmq::wire
