// Stream: what continues what.
#include "cli/conformance/stream.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr int deliveries_max = 1000;  // looked through for a batch
constexpr int heartbeats_max = 3;     // without a delivery

std::string range(Offset after, Offset up_to) {
  return "offsets " + std::to_string(after + 1) + ".." + std::to_string(up_to);
}

}  // namespace

List subscribe_frame(std::uint64_t subscription, const Start& start, const Wanted& wanted) {
  List array{3,
             subscription,
             start.kind,
             start.offset,
             static_cast<std::uint32_t>(start.zxid.epoch),
             start.zxid.counter,
             wanted.until_end,
             wanted.messages,
             wanted.bytes,
             List(wanted.topics.begin(), wanted.topics.end()),
             start.time};
  if (!wanted.cursor.empty()) array.emplace_back(wanted.cursor);
  return array;
}

Stream::Stream(Connection& link, const Start& start, const Wanted& wanted, std::uint64_t number)
    : link_(link), number_(number), alone_(!wanted.among_others) {
  link_.send(subscribe_frame(number, start, wanted));
  const Frame frame = link_.expect(Command::subscribed, "SUBSCRIBED");
  require(frame.number(0) == number, "SUBSCRIBED " + std::to_string(number), frame);
  next_ = frame.number(1);
  require(next_ > 0, "the first offset that will come", frame);
  covered_ = next_ - 1;
  if (frame.flag(3)) end_ = frame.number(2);
}

Frame Stream::next_of_mine(const std::string& expected) {
  Frame frame = link_.next(expected);
  while (!alone_ && frame.command == Command::covered && frame.number(0) != number_) {
    frame = link_.next(expected);
  }
  const bool streams = frame.command == Command::deliver || frame.command == Command::covered;
  require(streams && frame.number(0) == number_, expected, frame);
  if (frame.command == Command::covered) {
    require(frame.number(1) == covered_, "COVERED up to " + std::to_string(covered_), frame);
  }
  return frame;
}

Delivery Stream::take(const std::string& expected) {
  Frame frame = next_of_mine(expected);
  for (int i = 0; i < heartbeats_max && frame.command == Command::covered; ++i) {
    frame = next_of_mine(expected);  // a server that is behind has nothing to send yet
  }
  require(frame.command == Command::deliver, expected, frame);
  Delivery delivery = delivery_of(frame);
  begun_ = begun_ || !delivery.batches.empty();
  covered_ = delivery.up_to;
  return delivery;
}

Delivery Stream::delivery_of(const Frame& frame) const {
  Delivery delivery{
      frame.number(1), frame.number(2), frame.body.size(), records_of(frame.body), {}};
  require(delivery.after == covered_, "DELIVER after " + std::to_string(covered_), frame);
  Offset due = covered_ + 1;
  for (const Record& record : delivery.records) {
    if (record.header.kind != RecordKind::batch) continue;
    const bool first = !begun_ && delivery.batches.empty();
    const Offset base = record.header.base_offset;
    const bool continues =
        base == due || (first && base < due && record.header.end_offset() >= due);
    require(continues, "a batch at offset " + std::to_string(due),
            "one at " + std::to_string(base));
    due = record.header.end_offset() + 1;
    delivery.batches.push_back(record);
  }
  require(due == delivery.up_to + 1, "batches of " + range(covered_, delivery.up_to),
          range(covered_, due - 1));
  return delivery;
}

void Stream::expect_idle(const std::string& expected) {
  const Frame frame = next_of_mine("COVERED: " + expected);
  require(frame.command == Command::covered, expected, frame);
}

void Stream::credit(std::uint64_t messages, std::uint64_t bytes) {
  link_.send({4, number_, messages, bytes});
}

Record Stream::find(const Uuid& publisher, Sequence first, const std::string& expected) {
  for (int i = 0; i < deliveries_max; ++i) {
    const Delivery delivery = take(expected);
    for (const Record& batch : delivery.batches) {
      if (batch.header.publisher == publisher && batch.header.first_sequence == first) return batch;
    }
    credit(delivery.up_to - delivery.after, delivery.bytes);
  }
  throw Broken{expected, std::to_string(deliveries_max) + " deliveries without it"};
}

}  // namespace zabmq::cli::conformance
