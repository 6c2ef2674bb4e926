// InstanceRules: opening a publisher, coming back, fencing, closing.
#include <string>

#include "cli/conformance/rules.hpp"
#include "cli/conformance/test_publisher.hpp"

namespace zabmq::cli::conformance {

namespace {

// Here: at the server under test itself, unlike what TestPublisher does.
void opening(Context& context) {
  Connection link(context);
  const Uuid id = random_id();
  const Welcome welcome = link.hello(id);
  if (!welcome.publisher_open) {
    require(!welcome.leader_endpoint.empty() && welcome.leader != welcome.server,
            "a publisher that is open, or the endpoint of another server that leads", "neither");
    throw Skip{"this server names its leader instead: " + welcome.leader_endpoint};
  }
  require(welcome.instance > 0, "an instance above 0", "0");
  require_equal("last_sequence", 0, welcome.last_sequence);
  link.send({8, welcome.instance});
}

void coming_back(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1, 3);
  TestPublisher again(context, publisher.id(), publisher.instance());
  require(again.welcome().publisher_open, "a publisher that is open", "one that is not");
  require_equal("instance", publisher.instance(), again.instance());
  require_equal("last_sequence", 3, again.welcome().last_sequence);
  again.publish(4, again.messages(4), "RECEIPT on the new connection");
}

void newer_instance(Context& context) {
  TestPublisher older(context);
  older.publish(1, 3);
  TestPublisher newer(context, older.id(), 0);
  require(newer.instance() > older.instance(),
          "an instance above " + std::to_string(older.instance()),
          std::to_string(newer.instance()));
  require_equal("last_sequence", 3, newer.welcome().last_sequence);
  newer.publish(4, newer.messages(4), "RECEIPT for last_sequence + 1");
  Connection link(context, *context.publishing);
  link.send({1, 1, 1, Uuid{}, Uuid{}, 0, older.id(), 0, newer.instance()});
  const Welcome welcome(link.expect(Command::welcome, "WELCOME of a known publisher"));
  require_equal("last_sequence", 4, welcome.last_sequence);
}

void fenced_hello(Context& context) {
  TestPublisher older(context);
  older.publish(1);
  TestPublisher newer(context, older.id(), 0);
  Connection link(context, *context.publishing);
  link.send({1, 1, 1, Uuid{}, Uuid{}, 0, older.id(), older.instance()});
  const Refused refused = link.expect_refused(about_connection, Code::refused,
                                              "REFUSED refused about the connection: fenced");
  require_equal("the newest instance as id,", newer.instance(), refused.id);
}

void fenced_publish(Context& context) {
  TestPublisher older(context);
  older.publish(1);
  TestPublisher newer(context, older.id(), 0);
  const std::string expected = "REFUSED refused without hole: fenced";
  older.send(2, older.messages(2));
  const Refused refused = older.refused(2, Code::refused, expected);
  require(!refused.hole && !refused.expect_last_offset, expected, "a hole or a condition");
  newer.publish(2, newer.messages(2), "RECEIPT for the newer instance's");
}

void closing(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1);
  publisher.link().send({8, publisher.instance()});
  const Frame closed = publisher.link().expect(Command::closed, "CLOSED");
  require_equal("instance", publisher.instance(), closed.number(0));
}

void close(TestPublisher& publisher) {
  publisher.link().send({8, publisher.instance()});
  publisher.link().expect(Command::closed, "CLOSED");
}

void closed_is_expired(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1);
  close(publisher);
  Connection link(context, *context.publishing);
  link.send({1, 1, 1, Uuid{}, Uuid{}, 0, publisher.id(), publisher.instance()});
  link.expect_refused(about_connection, Code::expired, "REFUSED expired about the connection");
  Connection anew(context, *context.publishing);
  anew.send({1, 1, 1, Uuid{}, Uuid{}, 0, publisher.id(), 0, publisher.instance()});
  anew.expect_refused(about_connection, Code::expired, "REFUSED expired to a known publisher");
  publisher.send(2, publisher.messages(2));
  publisher.link().expect_refused(about_publish, Code::expired, "REFUSED expired");
}

void closed_opens_anew(Context& context) {
  TestPublisher publisher(context);
  publisher.publish(1, 2);
  close(publisher);
  TestPublisher again(context, publisher.id(), 0);
  require(again.welcome().publisher_open, "a publisher that is open", "one that is not");
  require_equal("last_sequence", 0, again.welcome().last_sequence);
  again.publish(1);
}

}  // namespace

std::vector<Rule> instance_rules() {
  return {
      {"C43", "4.4, 2", "HELLO with instance 0 opens a publisher, or names another leader",
       opening},
      {"C44", "4.4, 3", "HELLO with the instance goes on with it", coming_back},
      {"C45", "4.4, 4", "a new instance of a known publisher goes on behind the last sequence",
       newer_instance},
      {"C46", "4.4, 4", "HELLO of an older instance is fenced", fenced_hello},
      {"C47", "4.4, 4", "PUBLISH of an older instance is fenced", fenced_publish},
      {"C48", "4.4, 11", "CLOSE is answered CLOSED", closing},
      {"C49", "4.4, 11",
       "a closed publisher is expired, also where a new instance of a known one is asked for",
       closed_is_expired},
      {"C50", "4.4, 11", "a closed uuid is opened like a new one", closed_opens_anew},
  };
}

}  // namespace zabmq::cli::conformance
