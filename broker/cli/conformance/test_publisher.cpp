// TestPublisher: opening where a publisher is taken, and freeing what was opened.
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

// Opens a publisher at `endpoint`, to find out whether one can be, and frees it.
Welcome try_opening(Context& context, const std::string& endpoint) {
  Connection link(context, endpoint);
  const Welcome welcome = link.hello(random_id());
  if (welcome.publisher_open) link.send({8, welcome.instance});
  return welcome;
}

std::string publishing_endpoint(Context& context) {
  if (context.publishing) return *context.publishing;
  try {
    Welcome welcome = try_opening(context, context.endpoint);
    std::string endpoint = context.endpoint;
    if (!welcome.publisher_open && !welcome.leader_endpoint.empty()) {
      endpoint = welcome.leader_endpoint;
      welcome = try_opening(context, endpoint);
    }
    if (welcome.publisher_open) return context.publishing.emplace(endpoint);
  } catch (const Broken&) {
    // The same as a WELCOME that opens nothing.
  }
  throw Skip{"no publisher could be opened"};
}

}  // namespace

TestPublisher::TestPublisher(Context& context)
    : context_(context),
      id_(random_id()),
      link_(context, publishing_endpoint(context)),
      welcome_(link_.hello(id_)) {}

TestPublisher::TestPublisher(Context& context, const Uuid& id, Instance instance)
    : context_(context),
      id_(id),
      link_(context, publishing_endpoint(context)),
      welcome_(link_.hello(id_, instance)) {}

TestPublisher::~TestPublisher() {
  try {
    link_.send({8, instance()});
  } catch (...) {
    // It expires by itself.
  }
}

Messages TestPublisher::messages(Sequence first, std::size_t count) const {
  Messages made;
  for (std::size_t i = 0; i < count; ++i) {
    made.push_back({context_.topic, "message " + std::to_string(first + i)});
  }
  return made;
}

void TestPublisher::send(Sequence first, const Messages& messages, std::optional<Offset> expect) {
  const std::string body = body_of(messages);
  List array{2, instance(), first, messages.size(), checksum_of(body)};
  if (expect) array.emplace_back(*expect);
  link_.send(array, body);
}

void TestPublisher::send_body(Sequence first, std::uint64_t count, const std::string& body,
                              std::optional<std::uint64_t> checksum) {
  link_.send({2, instance(), first, count, checksum.value_or(checksum_of(body))}, body);
}

BatchReceipt TestPublisher::receipt(Sequence first, std::uint64_t count,
                                    const std::string& expected) {
  const Frame frame = link_.expect(Command::receipt, expected);
  const BatchReceipt receipt(frame);
  require(receipt.first_sequence == first && receipt.count == count, expected, frame);
  return receipt;
}

BatchReceipt TestPublisher::publish(Sequence first, const Messages& messages,
                                    const std::string& expected) {
  send(first, messages);
  return receipt(first, messages.size(), expected);
}

Refused TestPublisher::refused(Sequence first, Code code, const std::string& expected) {
  const Refused refused = link_.expect_refused(about_publish, code, expected);
  require_equal("REFUSED about sequence", first, refused.id);
  require(refused.outcome == Outcome::no, expected + ", outcome 0", "outcome 1");
  return refused;
}

}  // namespace zabmq::cli::conformance
