// Batch bodies: what a publisher sends and the leader walks once before it proposes; subscribers
// read what was let through. A valid body is read to its last byte, message by message, and written
// again it is the same.
#include <algorithm>

#include "allocated.hpp"
#include "input.hpp"
#include "target.hpp"
#include "wire/batch.hpp"

namespace zabmq::fuzz {
namespace {

constexpr std::size_t bytes_for_one = 128;
constexpr std::size_t bytes_at_least = 64 << 10;
constexpr wire::BatchLimits limits{.payload_max = 1 << 10, .batch_max = 4 << 10};

void check_headers(Bytes headers) {
  const Allocated allocated;
  const auto list = wire::decode_headers(headers);
  ZABMQ_CHECK(allocated.bytes() <= bytes_at_least + bytes_for_one * headers.size());
  if (!list) return;
  ZABMQ_CHECK(list->size() <= wire::header_entries_max);
  const auto encoded = wire::encode_headers(*list);
  ZABMQ_CHECK(encoded);
  ZABMQ_CHECK(wire::decode_headers(*encoded) == list);
}

void check_body(Bytes body, std::uint32_t count) {
  const bool valid = wire::valid_batch(body, count, limits);
  wire::BatchReader reader(body);
  std::vector<std::byte> written;
  std::uint32_t messages = 0;
  while (const auto message = reader.next()) {
    ++messages;
    ZABMQ_CHECK(messages <= body.size());
    check_headers(message->headers);
    if (!valid) continue;
    wire::append_message(written, *message);
    ZABMQ_CHECK(wire::valid_topic(message->topic));
    ZABMQ_CHECK(message->payload.size() <= limits.payload_max);
  }
  if (!valid) return;
  ZABMQ_CHECK(messages == count);
  ZABMQ_CHECK(body.size() <= limits.batch_max);
  ZABMQ_CHECK(std::equal(written.begin(), written.end(), body.begin(), body.end()));
  ZABMQ_CHECK(!wire::valid_batch(body, count + 1, limits));
  ZABMQ_CHECK(!wire::valid_batch(body.first(body.size() - 1), count, limits));
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const auto count = static_cast<std::uint32_t>(input.below(8));
  check_body(input.rest(), count);
  check_headers(input.rest());
}

}  // namespace zabmq::fuzz
