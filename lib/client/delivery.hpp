// Delivery: a DELIVER frame on its way to the subscriber, checked once, then walked message by
// message without copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/batch.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/subscriber.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

// Verified records and the part of them that the subscriber is to see.
struct Delivery {
  Slice records;
  Offset first = 0;   // messages below were delivered before, or lie before the start
  Offset last = 0;    // messages above lie behind the end that was asked for
  LogTime since = 0;  // what is older lies before the start that was asked for
  std::uint64_t credit_messages = 0;  // given back when the subscriber is through with it
  std::uint64_t credit_bytes = 0;
  std::optional<Gap> gap = std::nullopt;  // nothing but this: what was due is not there
};

// Checks the records of a DELIVER frame that is to begin with offset `next` and end with `up_to`:
// every header and body checksum, and that no offset is missing or repeated. Only the first batch
// of a subscription may begin below `next`. nullopt: they are as they should be; else what is
// wrong.
std::optional<std::string> wrong_with_records(Bytes records, Offset next, Offset up_to,
                                              bool may_begin_below);

// Walks deliveries and keeps the messages of the wanted topics.
class MessageCursor {
 public:
  explicit MessageCursor(std::vector<std::string> topics);  // filters; none: all topics

  void start(Delivery delivery);  // the one before is dropped, and with it what its messages show
  // The next message; nullptr: the delivery is through, or malformed.
  const Message* next();
  bool malformed() const { return malformed_; }
  const Delivery& delivery() const { return delivery_; }
  // Every offset below was seen or filtered out; 0: nothing was started.
  Offset next_offset() const { return next_offset_; }

 private:
  bool open_next_batch();
  bool wanted(std::string_view topic);

  const std::vector<std::string> topics_;
  Delivery delivery_;
  Bytes rest_;  // records behind the open batch
  RecordHeader header_;
  wire::BatchReader batch_{Bytes{}};
  std::uint32_t left_ = 0;  // messages of the open batch that were not read yet
  Offset next_offset_ = 0;
  Message message_;
  bool malformed_ = false;
  std::string_view last_topic_;  // in the delivery's memory
  bool last_wanted_ = false;
};

}  // namespace zabmq::client
