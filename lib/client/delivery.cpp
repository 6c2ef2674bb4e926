// Delivery: checking records, and walking the messages in them.
#include "client/delivery.hpp"

#include <algorithm>
#include <utility>

namespace zabmq::client {

std::optional<std::string> wrong_with_records(Bytes records, Offset next, Offset up_to,
                                              bool may_begin_below) {
  while (!records.empty()) {
    const std::optional<RecordHeader> header = parse_record(records);
    if (!header) return "a damaged record behind offset " + std::to_string(next - 1);
    records = records.subspan(record_size(header->body_size));
    if (header->kind != RecordKind::batch) continue;
    const bool begins_well =
        header->base_offset == next || (may_begin_below && header->base_offset < next &&
                                        header->base_offset > 0 && header->end_offset() >= next);
    if (header->count == 0 || !begins_well) {
      return "offset " + std::to_string(header->base_offset) + " came where " +
             std::to_string(next) + " was due";
    }
    next = header->end_offset() + 1;
    may_begin_below = false;
  }
  if (next != up_to + 1) {
    return "records up to offset " + std::to_string(next - 1) + " came where " +
           std::to_string(up_to) + " was announced";
  }
  return std::nullopt;
}

MessageCursor::MessageCursor(std::vector<std::string> topics) : topics_(std::move(topics)) {}

void MessageCursor::start(Delivery delivery) {
  delivery_ = std::move(delivery);
  rest_ = delivery_.records.bytes();
  next_offset_ = delivery_.first;
  batch_ = wire::BatchReader(Bytes{});
  left_ = 0;
  last_topic_ = {};
}

const Message* MessageCursor::next() {
  while (left_ > 0 || open_next_batch()) {
    const Offset offset = header_.end_offset() - left_ + 1;
    const std::optional<wire::BatchMessage> read = batch_.next();
    if (!read) {
      malformed_ = true;
      return nullptr;
    }
    --left_;
    if (offset < delivery_.first || offset > delivery_.last) continue;
    next_offset_ = offset + 1;
    if (header_.time < delivery_.since || !wanted(read->topic)) continue;
    message_ = {.offset = offset,
                .zxid = header_.zxid,
                .time = header_.time,
                .topic = read->topic,
                .payload = read->payload,
                .headers = read->headers};
    return &message_;
  }
  if (next_offset_ != 0) next_offset_ = std::max(next_offset_, delivery_.last + 1);
  return nullptr;
}

// The records were verified when they came; here only their headers are looked at again.
bool MessageCursor::open_next_batch() {
  while (!malformed_ && !rest_.empty()) {
    const std::optional<RecordHeader> header = parse_header(rest_);
    if (!header || rest_.size() < record_size(header->body_size)) {
      malformed_ = true;
      return false;
    }
    const Bytes body = rest_.subspan(record_header_size, header->body_size);
    rest_ = rest_.subspan(record_size(header->body_size));
    if (header->kind != RecordKind::batch) continue;
    header_ = *header;
    batch_ = wire::BatchReader(body);
    left_ = header_.count;
    return true;
  }
  return false;
}

// Runs of one topic are common: the last answer is kept.
bool MessageCursor::wanted(std::string_view topic) {
  if (topics_.empty()) return true;
  if (last_topic_.empty() || topic != last_topic_) {
    last_topic_ = topic;
    last_wanted_ = std::any_of(topics_.begin(), topics_.end(), [topic](const std::string& filter) {
      return wire::matches(filter, topic);
    });
  }
  return last_wanted_;
}

}  // namespace zabmq::client
