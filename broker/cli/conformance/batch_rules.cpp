// BatchRules: what a batch body must be. Of one that is refused nothing may be ordered: its first
// sequence goes to the next batch.
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr const char* protocol_refusal = "REFUSED protocol about the publish";

// Refused, and sequence 1 is still free.
void expect_refused(TestPublisher& publisher, std::uint64_t count, const std::string& body,
                    Code code, const std::string& expected) {
  publisher.send_body(1, count, body);
  publisher.refused(1, code, expected);
}

void expect_free(TestPublisher& publisher) {
  publisher.publish(1, publisher.messages(1), "RECEIPT for the next batch of sequence 1");
}

void wrong_checksum(Context& context) {
  TestPublisher publisher(context);
  const std::string body = body_of(publisher.messages(1));
  publisher.send_body(1, 1, body, checksum_of(body) ^ 1);
  publisher.refused(1, Code::protocol, protocol_refusal);
  std::string damaged = body;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  publisher.send_body(1, 1, damaged, checksum_of(body));
  publisher.refused(1, Code::protocol, protocol_refusal);
  expect_free(publisher);
}

void wrong_count(Context& context) {
  TestPublisher publisher(context);
  const std::string body = body_of(publisher.messages(1, 3));
  for (const std::uint64_t count : {0u, 1u, 2u, 4u, 65536u}) {
    expect_refused(publisher, count, body, Code::protocol,
                   protocol_refusal + std::string(" for count ") + std::to_string(count));
  }
  expect_free(publisher);
}

void not_filled(Context& context) {
  TestPublisher publisher(context);
  const std::string body = body_of(publisher.messages(1, 2));
  expect_refused(publisher, 2, body + std::string(8, '\0'), Code::protocol, protocol_refusal);
  expect_refused(publisher, 2, body + "x", Code::protocol, protocol_refusal);
  expect_refused(publisher, 2, body.substr(0, body.size() - 1), Code::protocol, protocol_refusal);
  expect_refused(publisher, 1, "short", Code::protocol, protocol_refusal);
  expect_refused(publisher, 1, "", Code::protocol, protocol_refusal);
  expect_free(publisher);
}

void flags(Context& context) {
  TestPublisher publisher(context);
  Messages messages = publisher.messages(1);
  messages[0].flags = 1;
  expect_refused(publisher, 1, body_of(messages), Code::protocol, protocol_refusal);
  expect_free(publisher);
}

void topics(Context& context) {
  TestPublisher publisher(context);
  const std::string wrong[] = {"",
                               context.topic + "*",
                               context.topic + "\n",
                               context.topic + '\0',
                               context.topic + "\x7f",
                               context.topic + "\xc2\x85",
                               context.topic + "\xff",
                               context.topic + "\xed\xa0\x80",
                               context.topic + "\xc0\xaf",
                               std::string(201, 'x')};
  for (const std::string& topic : wrong) {
    expect_refused(publisher, 1, body_of({{topic, "payload"}}), Code::protocol, protocol_refusal);
  }
  const std::string longest = context.topic + std::string(200 - context.topic.size(), 'x');
  publisher.publish(1, {{longest, "p"}}, "RECEIPT for a topic of 200 bytes");
  publisher.publish(2, {{context.topic + "/\xc3\xa9", "p"}}, "RECEIPT for a topic in UTF-8");
}

void headers(Context& context) {
  TestPublisher publisher(context);
  const std::string expected = "RECEIPT: the server does not look into headers";
  publisher.publish(1, {{context.topic, "payload", "\xc1 no map"}}, expected);
  publisher.publish(2, {{context.topic, "", std::string(65535, 'x')}}, expected);
}

void payload_limit(Context& context) {
  TestPublisher publisher(context);
  const std::string payload(publisher.welcome().payload_max, 'x');
  expect_refused(publisher, 1, body_of({{context.topic, payload + "x"}}), Code::too_large,
                 "REFUSED too_large");
  publisher.publish(1, {{context.topic, payload}}, "RECEIPT for a payload of payload_max");
}

void batch_limit(Context& context) {
  TestPublisher publisher(context);
  const std::size_t limit = publisher.welcome().batch_bytes_max;
  const std::size_t piece = std::min<std::size_t>(publisher.welcome().payload_max, 64 * 1024);
  Messages messages;
  std::string body;
  while (body.size() <= limit) {
    messages.push_back({context.topic, std::string(piece, 'x')});
    body += body_of({messages.back()});
  }
  if (body.size() - limit > piece) throw Skip{"a body just above the limit cannot be made"};
  messages.back().payload.resize(piece - (body.size() - limit) + 1);
  expect_refused(publisher, messages.size(), body_of(messages), Code::too_large,
                 "REFUSED too_large for a body of batch_bytes_max + 1");
  messages.back().payload.pop_back();
  publisher.publish(1, messages, "RECEIPT for a body of batch_bytes_max");
}

}  // namespace

std::vector<Rule> batch_rules() {
  return {
      {"C24", "2", "a body without its checksum is refused", wrong_checksum},
      {"C25", "2", "a wrong count is refused", wrong_count},
      {"C26", "2", "messages that do not fill the body are refused", not_filled},
      {"C27", "2", "flags are refused", flags},
      {"C28", "2", "what is no topic is refused", topics},
      {"C29", "2", "headers are not looked into", headers},
      {"C30", "2", "a payload over the limit is too_large", payload_limit},
      {"C31", "2", "a body over the limit is too_large", batch_limit},
  };
}

}  // namespace zabmq::cli::conformance
