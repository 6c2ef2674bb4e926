// ConnectionRules: HELLO and what it must come before; questions; leaving.
#include <algorithm>
#include <string>

#include "cli/conformance/connection.hpp"
#include "cli/conformance/rules.hpp"
#include "cli/conformance/stream.hpp"

namespace zabmq::cli::conformance {

namespace {

void expect_reset(Context& context, const std::vector<std::string>& parts) {
  Connection link(context);
  link.send_raw(parts);
  link.expect(Command::reset, "RESET");
}

void unknown_connection(Context& context) {
  const std::string body = body_of({{context.topic, "payload"}});
  expect_reset(context, {header_of({6})});
  expect_reset(context, {header_of({7, 1})});
  expect_reset(context, {header_of(subscribe_frame(1, from_first()))});
  expect_reset(context, {header_of({2, 1, 1, 1, checksum_of(body)}), body});
  expect_reset(context, {header_of({4, 1, 1, 1})});
  expect_reset(context, {header_of({8, 1})});
}

void unknown_malformed(Context& context) {
  expect_reset(context, {"no frame"});
  expect_reset(context, {header_of({6}) + "x"});
}

void welcome_is_whole(Context& context) {
  Connection link(context);
  const Welcome welcome = link.hello();
  require_equal("version", 1, welcome.version);
  require(!is_none(welcome.cluster), "a cluster id", "zeros");
  require(!is_none(welcome.history), "a history id", "zeros");
  require(welcome.server > 0, "the server's id", "0");
  require(!welcome.publisher_open, "no publisher that is open: none was named", "an open one");
  require(welcome.payload_max > 0 && welcome.payload_max <= welcome.batch_bytes_max,
          "payload_max of at most batch_bytes_max",
          std::to_string(welcome.payload_max) + ", " + std::to_string(welcome.batch_bytes_max));
  require(welcome.heartbeat_ms > 0, "heartbeat_ms above 0", "0");
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void expect_hello_refused(Context& context, const List& hello, const std::string& theirs,
                          const std::string& ours) {
  const std::string expected = "REFUSED refused about the connection, with both values in the text";
  Connection link(context);
  link.send(hello);
  const Refused refused = link.expect_refused(about_connection, Code::refused, expected);
  require(contains(refused.text, theirs) && contains(refused.text, ours), expected, refused.text);
  require_equal("id", 0, refused.id);
}

void other_version(Context& context) {
  expect_hello_refused(context, {1, 2, 3, Uuid{}, Uuid{}, 0, Uuid{}, 0}, "2", "1");
  Connection link(context);
  link.send({1, 1, 9, Uuid{}, Uuid{}, 0, Uuid{}, 0});
  const Welcome welcome(link.expect(Command::welcome, "WELCOME to who also speaks version 1"));
  require_equal("version", 1, welcome.version);
}

void other_cluster(Context& context) {
  const Welcome welcome = Connection(context).hello();
  const Uuid other = random_id();
  expect_hello_refused(context, {1, 1, 1, other, Uuid{}, 0, Uuid{}, 0}, to_string(other),
                       to_string(welcome.cluster));
}

void other_history(Context& context) {
  const Welcome welcome = Connection(context).hello();
  const Uuid other = random_id();
  expect_hello_refused(context, {1, 1, 1, welcome.cluster, other, 0, Uuid{}, 0}, to_string(other),
                       to_string(welcome.history));
}

void same_cluster(Context& context) {
  const Welcome first = Connection(context).hello();
  Connection link(context);
  link.send({1, 1, 1, first.cluster, first.history, 0, Uuid{}, 0});
  const Welcome second(link.expect(Command::welcome, "WELCOME"));
  require(second.cluster == first.cluster && second.history == first.history, "the same ids",
          "other ones");
}

void pings(Context& context) {
  Connection link(context);
  link.hello();
  const Offset before = link.ping();
  const Offset behind = link.ping();
  require(behind >= before, "a last_committed of at least " + std::to_string(before),
          std::to_string(behind));
}

void status(Context& context) {
  Connection link(context);
  const Welcome welcome = link.hello();
  link.send({7, 17});
  link.send({7, 18});
  const Frame answer = link.expect(Command::status_answer, "STATUS-ANSWER");
  require_equal("request", 17, answer.number(0));
  require_equal("server", welcome.server, answer.number(1));
  require(answer.number(2) <= 3 && answer.number(3) <= 3, "a role and a phase", answer);
  require(answer.number(9) <= answer.number(10) + 1, "first_offset to last_offset", answer);
  const List& servers = std::get<List>(answer.elements[12].is);
  const bool listed = std::any_of(servers.begin(), servers.end(), [&](const Value& server) {
    const List* pair = std::get_if<List>(&server.is);
    return pair && pair->size() >= 2 && pair->front() == Value(welcome.server);
  });
  require(listed, "the server itself among the servers", answer);
  const Frame second = link.expect(Command::status_answer, "STATUS-ANSWER");
  require_equal("request", 18, second.number(0));
}

void no_answer_to_nothing(Context& context) {
  Connection link(context);
  link.hello();
  link.send({4, 12345, 1, 1});
  link.send({5, 12345});
  link.ping("PONG, and no answer to CREDIT and UNSUBSCRIBE before it");
}

void bye(Context& context) {
  Connection link(context);
  link.hello();
  link.send({9});
  link.send({6});
  link.expect(Command::reset, "RESET for PING behind BYE, and no answer to BYE");
  link.hello();
}

}  // namespace

std::vector<Rule> connection_rules() {
  return {
      {"C13", "4.3, 3", "RESET for an unknown connection", unknown_connection},
      {"C14", "4.3, 5", "RESET for a malformed frame of an unknown connection", unknown_malformed},
      {"C15", "4.2", "WELCOME tells server, cluster, history and limits", welcome_is_whole},
      {"C16", "4.3, 2", "another version is refused with both values", other_version},
      {"C17", "4.3, 2", "another cluster is refused with both values", other_cluster},
      {"C18", "4.3, 2", "another history is refused with both values", other_history},
      {"C19", "4.3, 2", "the server's own cluster and history are welcome", same_cluster},
      {"C20", "4.3, 4", "PING is answered PONG", pings},
      {"C21", "4.2", "STATUS is answered with its request, in order", status},
      {"C22", "4.1", "CREDIT and UNSUBSCRIBE have no answer", no_answer_to_nothing},
      {"C23", "4.1", "BYE ends the connection", bye},
  };
}

}  // namespace zabmq::cli::conformance
