// RecordBuilder: log records as a server would send them, for tests of subscribers.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wire/batch.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::client::testing {

using TopicAndPayload = std::pair<std::string, std::string>;

class RecordBuilder {
 public:
  explicit RecordBuilder(Offset base = 1) : next_(base) {}

  RecordBuilder& batch(const std::vector<TopicAndPayload>& messages) {
    std::vector<std::byte> body;
    for (const auto& [topic, payload] : messages) {
      const Bytes bytes{reinterpret_cast<const std::byte*>(payload.data()), payload.size()};
      wire::append_message(body, {.topic = topic, .payload = bytes});
    }
    return add(RecordKind::batch, body, static_cast<std::uint32_t>(messages.size()));
  }
  RecordBuilder& batch_of(std::size_t messages) {
    std::vector<TopicAndPayload> list;
    for (std::size_t i = 0; i < messages; ++i) list.emplace_back("t", std::to_string(next_ + i));
    return batch(list);
  }
  RecordBuilder& no_op() { return add(RecordKind::no_op, {}, 0); }
  RecordBuilder& add(RecordKind kind, const std::vector<std::byte>& body, std::uint32_t count) {
    RecordHeader header;
    header.kind = kind;
    header.body_size = static_cast<std::uint32_t>(body.size());
    header.count = count;
    header.zxid = {Epoch{1}, ++counter_};
    header.base_offset = kind == RecordKind::batch ? next_ : next_ - 1;
    header.time = 1'000'000 + counter_;
    header.body_checksum = checksum(body);
    header.previous = previous_;
    const std::size_t begin = bytes_.size();
    bytes_.resize(begin + record_size(header.body_size));
    previous_ = encode_header(header, std::span<std::byte, record_header_size>(
                                          bytes_.data() + begin, record_header_size));
    if (!body.empty()) {
      std::memcpy(bytes_.data() + begin + record_header_size, body.data(), body.size());
    }
    next_ += count;
    return *this;
  }

  Offset next() const { return next_; }
  std::vector<std::byte> bytes() const { return bytes_; }
  Slice take() {
    const auto owner = std::make_shared<std::vector<std::byte>>(std::exchange(bytes_, {}));
    return {owner, Bytes(*owner)};
  }

 private:
  Offset next_;
  std::uint64_t counter_ = 0;
  Digest previous_ = Digest::none;
  std::vector<std::byte> bytes_;
};

inline Slice slice_of(std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {owner, Bytes(*owner)};
}

}  // namespace zabmq::client::testing
