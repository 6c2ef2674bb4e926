// StreamRules: deliveries, credit, heartbeats, and the end of a subscription.
#include <algorithm>
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr std::uint64_t plenty = 1 << 20;
constexpr std::size_t digests_compared = 16;  // records

void chain(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1, 2).base_offset;
  for (Sequence n = 3; n <= 20; ++n) publisher.publish(n);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(first), {.messages = 3});
  stream.find(publisher.id(), 20, "all of the batches, a few at a time");
}

void digests(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1).base_offset;
  for (Sequence n = 2; n <= digests_compared; ++n) publisher.publish(n);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(first));
  std::optional<RecordHeader> before;
  for (std::size_t seen = 0; seen < digests_compared;) {
    const Delivery delivery = stream.take();
    for (const Record& record : delivery.records) {
      const bool next = before && follows(record.header.zxid, before->zxid);
      require(!next || record.header.previous == before->checksum,
              "the digest of " + to_string(before ? before->zxid : Zxid{}) + " in " +
                  to_string(record.header.zxid),
              "another one");
      require(!before || record.header.zxid > before->zxid, "zxids that rise",
              to_string(record.header.zxid));
      before = record.header;
      ++seen;
    }
    stream.credit(delivery.up_to - delivery.after, delivery.bytes);
  }
}

void whole_batch(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1, 5);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset), {.messages = 1});
  const Delivery delivery = stream.take();
  require(delivery.up_to == receipt.last_offset(),
          "the whole batch, up to " + std::to_string(receipt.last_offset()),
          std::to_string(delivery.up_to));
  Stream bytes(link, from_offset(receipt.base_offset), {.messages = plenty, .bytes = 1}, 2);
  require_equal("up to", receipt.last_offset(), bytes.take().up_to);
}

void no_credit(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1, 2).base_offset;
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(first), {.messages = 0});
  stream.expect_idle("nothing without credit in messages");
  stream.credit(1, 0);
  stream.take("DELIVER once there is credit");

  Connection other(context);
  other.hello();
  Stream bytes(other, from_offset(first), {.messages = plenty, .bytes = 0});
  bytes.expect_idle("nothing without credit in bytes");
  bytes.credit(0, 1);
  bytes.take("DELIVER once there is credit");
}

void credit_in_messages(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1, 3);
  publisher.publish(4);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset), {.messages = 1});
  require_equal("up to", receipt.last_offset(), stream.take().up_to);
  stream.expect_idle("nothing: 1 - 3 messages are left");
  stream.credit(2, plenty);
  stream.expect_idle("nothing: 0 messages are left");
  stream.credit(1, plenty);
  require_equal("batches for one message of credit,", 1, stream.take().batches.size());
}

void credit_in_bytes(Context& context) {
  TestPublisher publisher(context);
  const BatchReceipt receipt = publisher.publish(1);
  publisher.publish(2);
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(receipt.base_offset), {.messages = plenty, .bytes = 1});
  const Delivery delivery = stream.take();
  require_equal("up to", receipt.last_offset(), delivery.up_to);
  stream.expect_idle("nothing: the body's bytes are used up");
  stream.credit(0, delivery.bytes - 1);
  stream.expect_idle("nothing: 0 bytes are left");
  stream.credit(0, 1);
  stream.take("DELIVER with a byte of credit");
}

void heartbeat(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1).base_offset;
  Connection link(context);
  link.hello();
  Stream stream(link, from_offset(first), {.messages = 1});
  stream.take();
  stream.expect_idle("the heartbeat of an idle subscription");
  stream.expect_idle("the next heartbeat");
}

// The second subscription's own heartbeat shows that a delivery or heartbeat of the first would
// have come by then.
void unsubscribing(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1).base_offset;
  Connection link(context);
  link.hello();
  Stream ended(link, from_offset(first), {.messages = 0}, 1);
  link.send({5, 1});
  link.send({4, 1, plenty, plenty});
  Stream other(link, from_offset(first), {.messages = 0}, 2);
  other.expect_idle("nothing of what was ended");
}

void same_number(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1).base_offset;
  const Offset second = publisher.publish(2).base_offset;
  Connection link(context);
  link.hello();
  Stream older(link, from_offset(first), {.messages = 0}, 7);
  Stream newer(link, from_offset(second), {.messages = 0}, 7);
  require_equal("next", second, newer.next());
  newer.credit(1, 0);
  newer.take();
}

void two_at_once(Context& context) {
  TestPublisher publisher(context);
  const Offset first = publisher.publish(1).base_offset;
  const Offset second = publisher.publish(2).base_offset;
  Connection link(context);
  link.hello();
  Stream one(link, from_offset(second), {.among_others = true}, 1);
  one.take();
  Stream other(link, from_offset(first), {.among_others = true}, 2);
  other.take("DELIVER of the second subscription");
  publisher.publish(3);
  one.credit(1, 1 << 20);
  one.take("DELIVER of the first subscription, which goes on beside the second");
}

// In version 1 filtering is the client's: what it does not want proves that there is no gap.
void filtered(Context& context) {
  TestPublisher publisher(context);
  const std::string in = context.topic + "/in";
  const Offset first = publisher.publish(1, {{context.topic + "/out", "p"}}).base_offset;
  publisher.publish(2, {{in, "p"}, {context.topic + "/out", "p"}});
  publisher.publish(4, {{context.topic + "/out", "p"}});
  publisher.publish(5, {{in, "p"}});
  const std::vector<std::string> filters[] = {
      {in}, {context.topic + "/i*"}, {in, "other/*"}, {"*"}};
  for (const std::vector<std::string>& filter : filters) {
    Connection link(context);
    link.hello();
    Stream stream(link, from_offset(first), {.topics = filter});
    require_equal("next", first, stream.next());
    stream.find(publisher.id(), 2, "what is wanted, and every offset before it");
    stream.credit(plenty, plenty);
    stream.find(publisher.id(), 5, "what is wanted, and every offset before it");
  }
}

void wrong_filters(Context& context) {
  Connection link(context);
  link.hello();
  const std::string wrong[] = {"", "a*b", "**", "\n", "a\n*", "\xff"};
  for (const std::string& filter : wrong) {
    link.send(subscribe_frame(9, from_first(), {.topics = {"good", filter}}));
    const Refused refused = link.expect_refused(about_subscribe, Code::protocol,
                                                "REFUSED protocol about the subscribe");
    require_equal("id", 9, refused.id);
  }
}

}  // namespace

std::vector<Rule> stream_rules() {
  return {
      {"C63", "4.5, 3", "each DELIVER continues the stream, its batches without a gap", chain},
      {"C64", "3", "a record has the digest of the one before", digests},
      {"C65", "4.5, 6", "a batch is sent whole while any credit is left", whole_batch},
      {"C66", "4.5, 6", "nothing is sent without credit", no_credit},
      {"C67", "4.5, 6", "messages below zero are given back before the next", credit_in_messages},
      {"C68", "4.5, 6", "bytes below zero are given back before the next", credit_in_bytes},
      {"C69", "4.5, 7", "COVERED is the heartbeat of an idle subscription", heartbeat},
      {"C70", "4.1", "UNSUBSCRIBE ends the subscription", unsubscribing},
      {"C71", "4.5, 1", "another subscription of the same number takes its place", same_number},
      {"C72", "4.5, 1", "a connection has several subscriptions", two_at_once},
      {"C73", "4.5, 4", "a filtered stream covers every offset", filtered},
      {"C74", "4.5, 4", "what is no filter is refused", wrong_filters},
  };
}

}  // namespace zabmq::cli::conformance
