// StartRules: where a subscription begins.
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr Offset far_ahead = Offset{1} << 62;

Frame status_of(Connection& link) {
  link.send({7, 1});
  return link.expect(Command::status_answer, "STATUS-ANSWER");
}
Offset first_kept(Connection& link) {
  return status_of(link).number(9);
}

// The last offset that was committed when the leader was asked.
Offset end_of_cluster(Context& context) {
  Connection link(context);
  link.hello();
  const Stream stream(link, from_new(), {.until_end = true});
  require(stream.end().has_value(), "SUBSCRIBED with has_end", "without");
  return *stream.end();
}

void first(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1);
  Connection link(context);
  link.hello();
  const Offset before = first_kept(link);
  Stream stream(link, from_first());
  stream.take();
  link.send({5, 1});
  const Offset behind = first_kept(link);  // retention may have come in between
  require(stream.next() >= before && stream.next() <= behind,
          "next " + std::to_string(before) + ", the first offset kept",
          std::to_string(stream.next()));
}

void fresh(Context& context) {
  TestPublisher publisher(context);
  const Offset old = publisher.publish(1).last_offset();
  Connection link(context);
  link.hello();
  Stream stream(link, from_new());
  require(stream.next() > old, "next above " + std::to_string(old) + ", acknowledged before",
          std::to_string(stream.next()));
  const Offset young = publisher.publish(2).base_offset;
  require(stream.next() <= young, "next of at most " + std::to_string(young),
          std::to_string(stream.next()));
  stream.find(publisher.id(), 2, "the message published behind SUBSCRIBED");
}

void offset(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1, 3);
  Connection link(context);
  link.hello();
  // In the middle of a batch as well.
  for (const Offset at : {receipt.base_offset, receipt.last_offset()}) {
    Stream stream(link, from_offset(at), {}, at);
    require_equal("next", at, stream.next());
    const Delivery delivery = stream.take();
    require(
        !delivery.batches.empty() && delivery.batches.front().header.publisher == publisher.id(),
        "the batch of offset " + std::to_string(at), "another one");
    link.send({5, at});
  }
}

void zxid(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1);
  const BatchReceipt receipt = publisher.publish(2, 2);
  Connection link(context);
  link.hello();
  const Stream stream(link, from_zxid(receipt.zxid));
  require_equal("next", receipt.base_offset, stream.next());
}

LogTime time_of(Context& context, const TestPublisher& publisher, const BatchReceipt& receipt) {
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset));
  return stream.find(publisher.id(), receipt.first_sequence, "the batch").header.time;
}

void time(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1);
  const LogTime start = time_of(context, publisher, receipt);
  Connection link(context);
  link.hello();
  Stream stream(link, from_time(start));
  require(stream.next() <= receipt.base_offset,
          "next of at most " + std::to_string(receipt.base_offset), std::to_string(stream.next()));
  for (const Record& batch : stream.take().batches) {
    require(batch.header.time >= start, "log times from " + std::to_string(start),
            std::to_string(batch.header.time));
  }
  link.send({5, 1});
  if (stream.next() <= first_kept(link)) return;
  Stream before(link, from_offset(stream.next() - 1), {}, 2);
  const LogTime older = before.take().batches.at(0).header.time;
  require(older < start, "the first record that is not older", "one behind it");
}

void time_ahead(Context& context) {
  TestPublisher publisher(context);
  const Offset last = publisher.publish(1).last_offset();
  Connection link(context);
  link.hello();
  const Stream stream(link, from_time(LogTime{1} << 62));
  require(stream.next() > last, "next above " + std::to_string(last),
          std::to_string(stream.next()));
}

// A normal resume: whoever has everything begins there.
void behind_end(Context& context) {
  TestPublisher publisher(context);
  const Offset last = publisher.publish(1).last_offset();
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(last + 1));
  require_equal("next", last + 1, stream.next());
  publisher.publish(2);
  stream.find(publisher.id(), 2, "the message published behind SUBSCRIBED");
}

void beyond_end(Context& context) {
  TestPublisher publisher(context);
  const Offset last = publisher.publish(1).last_offset();
  const std::string expected = "REFUSED refused about the subscribe";
  Connection link(context);
  link.hello();
  link.send(subscribe_frame(9, from_offset(far_ahead)));
  const Refused far = link.expect_refused(about_subscribe, Code::refused, expected);
  require_equal("id", 9, far.id);
  require(far.last_offset >= last && far.last_offset < far_ahead - 1,
          "a last_offset of at least " + std::to_string(last), std::to_string(far.last_offset));

  const Offset end = end_of_cluster(context);
  link.send(subscribe_frame(10, from_offset(end + 2)));
  const Frame answer = link.next(expected);
  if (answer.command == Command::refused) return;
  require(end_of_cluster(context) > end, expected + ": it is two behind the end", answer);
}

void beyond_end_zxid(Context& context) {
  TestPublisher publisher(context);
  const Zxid last = publisher.publish(1).zxid;
  Connection link(context);
  link.hello();
  link.send(subscribe_frame(9, from_zxid({last.epoch, last.counter + far_ahead})));
  link.expect_refused(about_subscribe, Code::refused, "REFUSED refused about the subscribe");
}

void offset_zero(Context& context) {
  Connection link(context);
  link.hello();
  link.send(subscribe_frame(9, from_offset(0)));
  const Refused refused =
      link.expect_refused(about_subscribe, Code::protocol, "REFUSED protocol about the subscribe");
  require_equal("id", 9, refused.id);
}

void below_floor(Context& context) {
  Connection link(context);
  link.hello();
  const Offset kept = first_kept(link);
  if (kept <= 1) throw Skip{"everything is kept"};
  link.send(subscribe_frame(9, from_offset(kept - 1)));
  const Frame gap = link.expect(Command::gap, "GAP");
  require_equal("subscription", 9, gap.number(0));
  require(gap.number(1) >= kept, "the first offset kept, " + std::to_string(kept), gap);
}

void until_end(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1, 3);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset), {.until_end = true});
  require(stream.end().has_value(), "SUBSCRIBED with has_end", "without");
  require(*stream.end() >= receipt.last_offset(),
          "an end of at least " + std::to_string(receipt.last_offset()),
          std::to_string(*stream.end()));
  stream.find(publisher.id(), 1, "what lies before the end");
}

}  // namespace

std::vector<Rule> start_rules() {
  return {
      {"C51", "4.2", "start first: the first offset kept", first},
      {"C52", "4.2", "start new: behind everything acknowledged", fresh},
      {"C53", "4.5, 2", "start at an offset: SUBSCRIBED names it", offset},
      {"C54", "4.2", "start at a zxid: its first message", zxid},
      {"C55", "4.5, 9", "start at a time: the first record not older", time},
      {"C56", "4.5, 9", "start at a time ahead: behind the cluster's end", time_ahead},
      {"C57", "4.5, 10", "a start one behind the end is served", behind_end},
      {"C58", "4.5, 10", "a start further beyond the end is refused", beyond_end},
      {"C59", "4.5, 10", "a zxid beyond the end is refused", beyond_end_zxid},
      {"C60", "4.1", "offset 0 is refused", offset_zero},
      {"C61", "4.5, 10", "a start below the first kept offset ends in GAP", below_floor},
      {"C62", "4.5, 8", "until_end: the end includes everything acknowledged", until_end},
  };
}

}  // namespace zabmq::cli::conformance
