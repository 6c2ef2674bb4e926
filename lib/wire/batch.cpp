// Batch: the message layout, byte by byte. Golden bytes: tests/wire/batch_test.cpp.
#include "wire/batch.hpp"

#include <bit>
#include <cstring>

#include "zabmq/check.hpp"

namespace zabmq::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "the layout is little-endian");

constexpr std::size_t topic_max = 200;

struct MessageHeader {
  std::uint32_t payload_size = 0;
  std::uint8_t topic_size = 0;
  std::uint8_t flags = 0;  // none are defined: zero
  std::uint16_t headers_size = 0;
};
static_assert(sizeof(MessageHeader) == message_header_size);

std::size_t size_behind(const MessageHeader& h) {
  return std::size_t{h.topic_size} + h.headers_size + h.payload_size;
}

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The message at the front of `rest`, which it is taken off.
std::optional<BatchMessage> take_message(Bytes& rest) {
  if (rest.size() < message_header_size) return std::nullopt;
  MessageHeader h;
  std::memcpy(&h, rest.data(), sizeof h);
  const Bytes behind = rest.subspan(message_header_size);
  if (h.flags != 0 || size_behind(h) > behind.size()) return std::nullopt;

  rest = behind.subspan(size_behind(h));
  const std::size_t payload_at = std::size_t{h.topic_size} + h.headers_size;
  return BatchMessage{.topic = as_text(behind.first(h.topic_size)),
                      .headers = behind.subspan(h.topic_size, h.headers_size),
                      .payload = behind.subspan(payload_at, h.payload_size)};
}

bool is_continuation(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

// Length of the UTF-8 character at the front of `text`, 0 if there is none. Refuses what has a
// shorter form, surrogates, and what lies above U+10FFFF.
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(at(i))) return 0;
  }
  const unsigned char second = at(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

// C0, DEL and C1 (U+0080 to U+009F, in UTF-8 c2 80 to c2 9f).
bool is_control(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead < 0x20 || lead == 0x7f;
  return lead == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

bool topic_characters(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0 || text[0] == '*' || is_control(text.substr(0, length))) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool valid_topic(std::string_view topic) {
  return !topic.empty() && topic.size() <= topic_max && topic_characters(topic);
}

bool valid_topic_filter(std::string_view filter) {
  if (!filter.ends_with('*')) return valid_topic(filter);
  return filter.size() <= topic_max && topic_characters(filter.substr(0, filter.size() - 1));
}

bool matches(std::string_view filter, std::string_view topic) {
  if (!filter.ends_with('*')) return topic == filter;
  return topic.starts_with(filter.substr(0, filter.size() - 1));
}

std::size_t encoded_size(const BatchMessage& message) {
  return message_header_size + message.topic.size() + message.headers.size() +
         message.payload.size();
}

std::size_t encoded_size(std::span<const BatchMessage> messages) {
  std::size_t size = 0;
  for (const BatchMessage& message : messages) size += encoded_size(message);
  return size;
}

void append_message(std::vector<std::byte>& body, const BatchMessage& message) {
  ZABMQ_CHECK(message.topic.size() <= topic_max);
  ZABMQ_CHECK(message.headers.size() <= message_headers_max);
  ZABMQ_CHECK(message.payload.size() <= UINT32_MAX);
  const MessageHeader h{.payload_size = static_cast<std::uint32_t>(message.payload.size()),
                        .topic_size = static_cast<std::uint8_t>(message.topic.size()),
                        .flags = 0,
                        .headers_size = static_cast<std::uint16_t>(message.headers.size())};
  const std::size_t begin = body.size();
  body.resize(begin + encoded_size(message));
  std::byte* at = body.data() + begin;
  const auto put = [&at](const void* from, std::size_t size) {
    if (size > 0) std::memcpy(at, from, size);
    at += size;
  };
  put(&h, sizeof h);
  put(message.topic.data(), message.topic.size());
  put(message.headers.data(), message.headers.size());
  put(message.payload.data(), message.payload.size());
}

bool valid_batch(Bytes body, std::uint32_t count, const BatchLimits& limits) {
  if (count == 0 || count > batch_count_max || body.size() > limits.batch_max) return false;
  std::string_view valid;  // most batches have one topic: it is looked at once
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::optional<BatchMessage> message = take_message(body);
    if (!message || message->payload.size() > limits.payload_max) return false;
    if (i == 0 || message->topic != valid) {
      if (!valid_topic(message->topic)) return false;
      valid = message->topic;
    }
  }
  return body.empty();
}

std::optional<BatchMessage> BatchReader::next() {
  std::optional<BatchMessage> message = take_message(rest_);
  if (!message) rest_ = {};
  return message;
}

}  // namespace zabmq::wire
