// PublishingRules: receipts, sequences, conditions.
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr int attempts_max = 20;  // at a condition that others may break
constexpr Sequence pipelined = 50;

std::string to_text(const BatchReceipt& receipt) {
  return "offset " + std::to_string(receipt.base_offset) + ", zxid " + to_string(receipt.zxid);
}

void require_same(const BatchReceipt& first, const BatchReceipt& again) {
  require(first.base_offset == again.base_offset && first.zxid == again.zxid,
          "the first RECEIPT again: " + to_text(first), to_text(again));
}

void receipts(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt first = publisher.publish(1, 3);
  require(first.base_offset > 0 && !is_none(first.zxid), "an offset and a zxid", to_text(first));
  const BatchReceipt second = publisher.publish(4);
  require(second.base_offset > first.last_offset() && second.zxid > first.zxid,
          "a place behind " + to_text(first), to_text(second));
}

void delivered_as_told(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1, 3);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset));
  const Record record = stream.find(publisher.id(), 1, "the batch that has a receipt");
  const RecordHeader& header = record.header;
  require_equal("base offset", receipt.base_offset, header.base_offset);
  require_equal("count", 3, header.count);
  require_equal("instance", publisher.instance(), header.instance);
  require(header.zxid == receipt.zxid, "zxid " + to_string(receipt.zxid), to_string(header.zxid));
  require(record.body == body_of(publisher.messages(1, 3)), "the bytes that were published",
          "other ones");
}

void pipelined_in_order(Context& context) {
  TestPublisher publisher(context);
  for (Sequence n = 1; n <= pipelined; ++n) publisher.send(n, publisher.messages(n));
  Offset last = 0;
  for (Sequence n = 1; n <= pipelined; ++n) {
    const BatchReceipt receipt = publisher.receipt(n, 1, "RECEIPT of " + std::to_string(n));
    require(receipt.base_offset > last, "an offset above " + std::to_string(last),
            to_text(receipt));
    last = receipt.base_offset;
  }
}

void copies(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt first = publisher.publish(1, 2);
  publisher.publish(3);
  require_same(first, publisher.publish(1, 2));
  for (int i = 0; i < 3; ++i) publisher.send(4, publisher.messages(4));
  const BatchReceipt fourth = publisher.receipt(4, 1, "RECEIPT");
  for (int i = 1; i < 3; ++i) {
    require_same(fourth, publisher.receipt(4, 1, "RECEIPT for each copy"));
  }
}

void hole(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1, 2);
  const std::string expected = "REFUSED with hole, last_sequence 2";
  publisher.send(4, publisher.messages(4));
  const Refused refused = publisher.refused(4, Code::refused, expected);
  require(refused.hole, expected, "no hole");
  require_equal("last_sequence", 2, refused.last_sequence);
  publisher.publish(3, publisher.messages(3, 2), "RECEIPT for what fills the hole");
}

void other_boundaries(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1, 3);
  publisher.publish(4, 3);
  const std::pair<Sequence, std::size_t> wrong[] = {{4, 4}, {4, 2}, {5, 2}, {6, 2}, {1, 6}, {3, 2}};
  for (const auto& [first, count] : wrong) {
    publisher.send(first, publisher.messages(first, count));
    publisher.refused(first, Code::protocol,
                      "REFUSED protocol for " + std::to_string(count) + " messages from " +
                          std::to_string(first) + ", taken as 1..3 and 4..6");
  }
  publisher.publish(7, publisher.messages(7), "RECEIPT for what comes next");
}

void impossible_sequences(Context& context) {
  TestPublisher publisher(context);
  for (const Sequence first : {Sequence{0}, ~Sequence{0}}) {
    publisher.send(first, publisher.messages(1, 2));
    publisher.refused(first, Code::protocol, "REFUSED protocol");
  }
  publisher.publish(1);
}

// --- conditions ---

Refused refused_condition(TestPublisher& publisher, Sequence first, Offset condition) {
  const std::string expected = "REFUSED refused with the condition";
  publisher.send(first, publisher.messages(first), condition);
  const Refused refused = publisher.refused(first, Code::refused, expected);
  require(refused.expect_last_offset.has_value(), expected, "REFUSED without it");
  require_equal("expect_last_offset", condition, *refused.expect_last_offset);
  return refused;
}

void condition_broken(Context& context) {
  TestPublisher publisher(context);
  const Offset last = publisher.publish(1, 2).last_offset();
  for (const Offset condition : {last - 1, last + 1'000'000'000'000}) {
    const Refused refused = refused_condition(publisher, 3, condition);
    require(refused.last_offset >= last, "a last_offset of at least " + std::to_string(last),
            std::to_string(refused.last_offset));
  }
}

void condition_takes_no_sequence(Context& context) {
  TestPublisher publisher(context);
  const Offset last = publisher.publish(1).last_offset();
  refused_condition(publisher, 2, last - 1);
  publisher.publish(2, publisher.messages(2), "RECEIPT for the next batch of that sequence");
}

// Publishes with the condition until nobody else comes in between.
BatchReceipt publish_behind_last(TestPublisher& publisher, Offset& condition) {
  const std::string expected = "RECEIPT for a condition that holds";
  bool others = false;
  for (int i = 0; i < attempts_max; ++i) {
    publisher.send(2, publisher.messages(2), condition);
    const Frame answer = publisher.link().next(expected);
    if (answer.command == Command::receipt) return BatchReceipt(answer);
    require(answer.command == Command::refused, expected, answer);
    const Refused refused(answer);
    require(refused.expect_last_offset.has_value(), expected, answer);
    others = others || refused.last_offset > condition;
    condition = std::max(condition, refused.last_offset);
  }
  require(others, expected, "REFUSED, although nobody else publishes");
  throw Skip{"others publish too fast for a condition to hold"};
}

void condition_holds(Context& context) {
  TestPublisher publisher(context);
  Offset condition = publisher.publish(1).last_offset();
  const BatchReceipt receipt = publish_behind_last(publisher, condition);
  require_equal("offset", condition + 1, receipt.base_offset);
}

void copy_of_conditional(Context& context) {
  TestPublisher publisher(context);
  Offset condition = publisher.publish(1).last_offset();
  const BatchReceipt receipt = publish_behind_last(publisher, condition);
  publisher.publish(3);
  publisher.send(2, publisher.messages(2), condition);
  require_same(receipt, publisher.receipt(2, 1, "the first RECEIPT again"));
}

}  // namespace

std::vector<Rule> publishing_rules() {
  return {
      {"C32", "4.4, 6", "RECEIPT for the whole batch, each behind the one before", receipts},
      {"C33", "4.4, 6", "a batch is delivered as its receipt says", delivered_as_told},
      {"C34", "4.4, 5", "batches sent without waiting are taken in order", pipelined_in_order},
      {"C35", "4.4, 5", "a batch sent again gets its first receipt", copies},
      {"C36", "4.4, 8", "a hole is refused with the last sequence taken", hole},
      {"C37", "4.4, 5", "other boundaries are refused as protocol", other_boundaries},
      {"C38", "4.4, 1", "impossible sequences are refused", impossible_sequences},
      {"C39", "4.4, 12", "a condition that does not hold is refused", condition_broken},
      {"C40", "4.4, 12", "a refused condition takes no sequence", condition_takes_no_sequence},
      {"C41", "4.4, 12", "a condition that holds is taken behind it", condition_holds},
      {"C42", "4.4, 12", "a conditional batch taken before gets its receipt", copy_of_conditional},
  };
}

}  // namespace zabmq::cli::conformance
