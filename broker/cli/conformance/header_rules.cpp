// HeaderRules: what a header must be, by what happens to one that is not.
#include <string>

#include "cli/conformance/connection.hpp"
#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"

namespace zabmq::cli::conformance {

namespace {

constexpr const char* protocol_refusal = "REFUSED protocol about the connection, outcome 0";

// A malformed frame is answered, nothing of it is used, and the connection goes on.
void expect_malformed(Connection& link, const std::vector<std::string>& parts) {
  link.send_raw(parts);
  const Refused refused = link.expect_refused(about_connection, Code::protocol, protocol_refusal);
  require(refused.outcome == Outcome::no, protocol_refusal, "outcome 1");
  link.ping("PONG, and nothing for a malformed frame before it");
}

void expect_malformed(Context& context, const std::vector<std::string>& parts) {
  Connection link(context);
  link.hello();
  expect_malformed(link, parts);
}

std::string packed(const List& array) {
  std::string bytes;
  append(bytes, array);
  return bytes;
}

void wrong_checksum(Context& context) {
  Connection link(context);
  link.hello();
  for (const std::size_t at : {std::size_t{0}, std::size_t{7}, std::size_t{9}}) {
    std::string header = header_of({7, 17});
    header[at] = static_cast<char>(header[at] ^ 1);
    expect_malformed(link, {header});
  }
}

void bytes_behind(Context& context) {
  expect_malformed(context, {sealed(packed({6}) + packed({6}))});
}

void too_short(Context& context) {
  Connection link(context);
  link.hello();
  expect_malformed(link, {""});
  expect_malformed(link, {header_of({6}).substr(0, 7)});
  expect_malformed(link, {sealed("")});
  expect_malformed(link, {sealed(packed({7, 17}).substr(0, 2))});
}

void missing_element(Context& context) {
  Connection link(context);
  link.hello();
  List subscribe = subscribe_frame(1, from_first());
  subscribe.pop_back();
  expect_malformed(link, {header_of(subscribe)});
  expect_malformed(link, {header_of({7})});
  expect_malformed(link, {header_of({2, 1, 1, 1}), "body"});
}

void mistyped_element(Context& context) {
  Connection link(context);
  link.hello();
  expect_malformed(link, {header_of({7, "17"})});
  expect_malformed(link, {header_of({"7", 17})});
  expect_malformed(link, {sealed("\x92\x07\xff")});  // -1
  expect_malformed(link, {sealed("\x06")});          // no array
  List subscribe = subscribe_frame(1, from_first());
  subscribe[6] = 0;  // for a flag
  expect_malformed(link, {header_of(subscribe)});
  expect_malformed(link, {header_of({1, 1, 1, Bin{std::string(15, 'x')}, Uuid{}, 0, Uuid{}, 0})});
}

void out_of_range(Context& context) {
  Connection link(context);
  link.hello();
  expect_malformed(link, {header_of(subscribe_frame(1, {.kind = 200}))});
  expect_malformed(link, {header_of({2, 1, 1, std::uint64_t{1} << 32, 0}), "body"});
}

void further_elements(Context& context) {
  Connection link(context);
  link.hello();
  link.send({6, 1, "text", List{1, true, Uuid{}}});
  link.expect(Command::pong, "PONG to a PING with further elements");
  link.send_raw({sealed(std::string("\x93\x06\xff\x81\xa1k\xcb\0\0\0\0\0\0\0\0", 15))});
  link.expect(Command::pong, "PONG to a PING with further elements of other types");
}

void any_width(Context& context) {
  Connection link(context);
  link.hello();
  link.send_raw({sealed(std::string("\x92\xcd\0\x07\xcf\0\0\0\0\0\0\0\x11", 13))});
  const Frame answer = link.expect(Command::status_answer, "STATUS-ANSWER");
  require_equal("request", 17, answer.number(0));
}

void over_limit(Context& context) {
  Connection link(context);
  link.hello();
  const List too_many =
      subscribe_frame(1, from_first(), {.topics = std::vector<std::string>(65, "t")});
  expect_malformed(link, {header_of(too_many)});
  const List too_long = subscribe_frame(1, from_first(), {.topics = {std::string(201, 'x')}});
  expect_malformed(link, {header_of(too_long)});
}

void over_header_limit(Context& context) {
  expect_malformed(context, {header_of({6, Bin{std::string(64 * 1024, 'x')}})});
}

void unknown_command(Context& context) {
  Connection link(context);
  link.hello();
  expect_malformed(link, {header_of({60, 1, 2, 3})});
  expect_malformed(link, {header_of({72, 1})});  // a server's
}

void three_parts(Context& context) {
  expect_malformed(context, {header_of({6}), "body", "more"});
}

}  // namespace

std::vector<Rule> header_rules() {
  return {
      {"C1", "1", "a wrong checksum is refused", wrong_checksum},
      {"C2", "1", "bytes behind the array are refused", bytes_behind},
      {"C3", "1", "a header that is cut off is refused", too_short},
      {"C4", "1", "a missing element is refused", missing_element},
      {"C5", "1", "a mistyped element is refused", mistyped_element},
      {"C6", "1", "a number out of range is refused", out_of_range},
      {"C7", "1", "further elements are ignored", further_elements},
      {"C8", "1", "integers of any width are read", any_width},
      {"C9", "4.2", "a list or text over its limit is refused", over_limit},
      {"C10", "4.2", "a header of more than 64 KiB is refused", over_header_limit},
      {"C11", "4", "an unknown command is refused", unknown_command},
      {"C12", "1", "a frame of three parts is refused", three_parts},
  };
}

}  // namespace zabmq::cli::conformance
