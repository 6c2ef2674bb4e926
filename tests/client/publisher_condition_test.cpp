// PublisherConditionTest: messages that are taken only behind an expected last offset.
#include "client/publisher_fixture.hpp"

namespace zabmq::client {
namespace {

using testing::PublisherFixture;
using testing::three_servers;
using testing::uuid;
using Strings = std::vector<std::string>;

}  // namespace

TEST_SUITE("client/publisher_condition") {
  TEST_CASE("condition: a message with one -> a batch of its own, with what was expected") {
    PublisherFixture f;
    f.open();
    f.queue("a");
    CHECK(f.put_if(41, "b") == 2);
    f.put("c");

    REQUIRE(f.sent.size() == 2);
    CHECK(f.sent[0].payloads == Strings{"a"});
    CHECK_FALSE(f.sent[0].publish.expect_last_offset);
    CHECK(f.sent[1].payloads == Strings{"b"});
    CHECK(f.sent[1].publish.expect_last_offset == Offset{41});

    f.give_all({f.receipt(1, 1, 41), f.receipt(2, 1, 42)});
    REQUIRE(f.sent.size() == 3);  // what is behind it waited for the answer
    CHECK(f.sent[2].payloads == Strings{"c"});
    CHECK(f.take_outcomes().size() == 2);
  }

  TEST_CASE("condition: refused -> that message alone fails, what is behind takes its place") {
    PublisherFixture f;
    f.open();
    f.put_if(41, "a");
    CHECK(f.queue("b") == 2);
    CHECK(f.publish("c", 5000, Offset{50}).value() == 3);
    f.turn();
    CHECK(f.take_sent().size() == 1);

    f.give(f.refused_condition(1, 41, 49));

    const auto outcomes = f.take_outcomes();
    REQUIRE(outcomes.size() == 1);
    REQUIRE(outcomes[0].error);
    CHECK(outcomes[0].payload == "a");
    CHECK(outcomes[0].error->code == Code::refused);
    CHECK(outcomes[0].error->outcome == Outcome::no);
    CHECK(f.connects.size() == 1);  // no copy of it is left: no newer instance is needed
    const auto sent = f.take_sent();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].payloads == Strings{"b"});
    CHECK(sent[0].publish.first_sequence == 1);
    CHECK(sent[1].payloads == Strings{"c"});
    CHECK(sent[1].publish.first_sequence == 2);
    CHECK(f.intake.next_sequence() == 3);
    f.give_all({f.receipt(1, 1, 50), f.receipt(2, 1, 51)});
    CHECK(f.take_outcomes().size() == 2);
    CHECK(f.put("d") == 3);
  }

  TEST_CASE("condition: refused while batches before it wait -> told behind their receipts") {
    PublisherFixture f;
    f.open();
    f.put("a");
    f.put_if(7, "b");
    f.give(f.refused_condition(2, 7, 9));
    CHECK(f.take_outcomes().empty());

    f.give(f.receipt(1, 1, 10));

    const auto outcomes = f.take_outcomes();
    REQUIRE(outcomes.size() == 2);
    CHECK(outcomes[0].receipt);
    CHECK(outcomes[1].error);
    CHECK(f.session.acknowledged() == 1);
    CHECK(f.put("c") == 2);
  }

  TEST_CASE(
      "condition: refused to a second copy -> a newer instance fences the first and asks again") {
    PublisherFixture f;
    f.open();
    f.put_if(41, "a");
    f.session.lost("gone");
    f.turn();
    f.wait_for_connect();
    f.open(1, 0);
    f.take_sent();

    f.give(f.refused_condition(1, 41, 42));  // the first copy may still arrive somewhere

    CHECK(f.take_outcomes().empty());
    CHECK(f.hellos.back().instance == 0);
    SUBCASE("it was not taken, and is not now") {
      f.open(2, 0);
      const auto sent = f.take_sent();
      REQUIRE(sent.size() == 1);
      CHECK(sent[0].publish.instance == 2);
      f.give(f.refused_condition(1, 41, 42));
      const auto outcomes = f.take_outcomes();
      REQUIRE(outcomes.size() == 1);
      CHECK(outcomes[0].error->outcome == Outcome::no);
    }
    SUBCASE("it was taken") {
      f.open(2, 1);
      CHECK(f.take_sent().size() == 1);
      f.give(f.receipt(1, 1, 42));
      const auto outcomes = f.take_outcomes();
      REQUIRE(outcomes.size() == 1);
      CHECK(outcomes[0].receipt->offset == 42);
    }
    CHECK_FALSE(f.session.dead());
  }

  TEST_CASE("condition: outcome open, then refused to retry() -> known, and publishing goes on") {
    PublisherFixture f;
    f.open();
    f.put_if(41, "a", 100);
    f.advance(110);
    REQUIRE(f.take_outcomes().size() == 1);
    std::optional<Result<Receipt>> answer;
    f.session.retry(1, f.now + 5000, [&answer](const Result<Receipt>& r) { answer = r; });
    f.turn();

    f.give(f.refused_condition(1, 41, 42));

    REQUIRE(answer);
    CHECK(answer->error().code == Code::refused);
    CHECK(answer->error().outcome == Outcome::no);
    CHECK(answer->error().first == Offset{42});
    CHECK(f.put("b") == 1);
    f.give(f.receipt(1, 1, 43));
    const auto outcomes = f.take_outcomes();
    REQUIRE(outcomes.size() == 1);
    CHECK(outcomes[0].receipt->sequence == 1);
  }

  TEST_CASE("condition: refused to a publisher with a session file -> it goes on") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7), .ends_at_failure = true});
    f.open();
    f.put_if(41, "a");
    f.give(f.refused_condition(1, 41, 42));
    CHECK(f.take_outcomes().size() == 1);
    CHECK(f.put("b") == 1);
  }

  TEST_CASE("condition: refused for being fenced -> the publisher is over, as always") {
    PublisherFixture f;
    f.open();
    f.put_if(41, "a");
    f.give(f.refusal(1, Code::refused));
    CHECK(f.session.dead());
  }
}

}  // namespace zabmq::client
