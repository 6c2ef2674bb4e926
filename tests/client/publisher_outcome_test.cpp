// PublisherOutcomeTest: what callers are told when things go wrong, and what may follow.
#include "client/publisher_fixture.hpp"

namespace zabmq::client {
namespace {

using testing::PublisherFixture;
using testing::three_servers;
using testing::uuid;
using Strings = std::vector<std::string>;

void reconnect(PublisherFixture& f, Instance instance, Sequence last) {
  f.session.lost("the connection was closed");
  f.turn();
  f.wait_for_connect();
  f.open(instance, last);
}

PublisherSession::Options session_file_options() {
  return {.endpoints = three_servers, .publisher = uuid(7), .ends_at_failure = true};
}

}  // namespace

TEST_SUITE("client/publisher_outcomes") {
  TEST_CASE("deadline: never sent -> unavailable (no), and the sequence is used again") {
    PublisherFixture f;
    f.open();
    f.session.lost("gone");
    f.turn();
    CHECK(f.put("1", 300) == 1);
    CHECK(f.put("2", 5000) == 2);

    f.advance(310);

    auto told = f.take_outcomes();
    REQUIRE(told.size() == 2);  // nothing may overtake what failed
    for (const auto& one : told) {
      REQUIRE(one.error);
      CHECK(one.error->code == Code::unavailable);
      CHECK(one.error->outcome == Outcome::no);
    }
    CHECK(told[1].error->sequence == 2);
    CHECK(f.put("3") == 1);
    if (!f.connected) f.wait_for_connect();
    f.open(1, 0);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].publish.first_sequence == 1);
    CHECK(f.sent[0].payloads == Strings{"3"});
  }

  TEST_CASE("deadline: sent and not answered -> unknown (maybe), what was never sent -> no") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.put("2");
    f.put("3");

    f.advance(310);

    auto told = f.take_outcomes();
    REQUIRE(told.size() == 3);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(told[i].error->code == Code::unknown_outcome);
      CHECK(told[i].error->outcome == Outcome::maybe);
      CHECK(told[i].error->sequence == i + 1);
    }
    CHECK(told[2].error->code == Code::unavailable);
    CHECK(told[2].error->outcome == Outcome::no);
  }

  TEST_CASE("deadlines: a shorter one behind a longer one waits for it") {
    PublisherFixture f;
    f.open();
    f.put("1", 5000);
    f.put("2", 100);
    f.advance(500);
    CHECK(f.outcomes.empty());
    f.give_all({f.receipt(1, 1, 1), f.receipt(2, 1, 2)});
    CHECK(f.outcomes.size() == 2);
    f.put("3", 100);
    f.advance(150);
    CHECK(f.outcomes.size() == 3);  // alone it has its own
  }

  TEST_CASE("open outcome: nothing more is taken or sent until retry() has it known") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.advance(310);
    f.take_sent();
    const Result<Sequence> refused = f.publish("2");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    f.session.lost("gone");
    f.advance(5000);
    CHECK_FALSE(f.connected);  // nothing to say

    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 5000, [&](Result<Receipt> result) { retried = std::move(result); });
    f.turn();
    REQUIRE(f.connected);
    f.open(1, 1);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].payloads == Strings{"1"});
    f.give(f.receipt(1, 1, 9));

    REQUIRE(retried);
    CHECK(retried->value().offset == 9);
    CHECK(retried->value().sequence == 1);
    CHECK(f.put("2") == 2);
    CHECK(f.take_sent().back().publish.first_sequence == 2);
  }

  TEST_CASE("open outcome: a late receipt -> retry() has it at once, publishing goes on") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.advance(310);
    CHECK(f.take_outcomes().size() == 1);

    f.give(f.receipt(1, 1, 9));

    CHECK(f.outcomes.empty());  // told once
    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 100, [&](Result<Receipt> result) { retried = std::move(result); });
    f.turn();
    REQUIRE(retried);
    CHECK(retried->value().offset == 9);
    CHECK(f.put("2") == 2);
  }

  // Found by simulation (seed 871): the answer was forgotten, and retry() said "did not happen".
  TEST_CASE("open outcome: a late duplicate -> retry() says that it was taken") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.advance(310);
    CHECK(f.take_outcomes().size() == 1);

    f.give(f.refusal(1, Code::duplicate, Outcome::maybe));

    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 100, [&](Result<Receipt> result) { retried = std::move(result); });
    f.turn();
    REQUIRE((retried && !*retried));
    CHECK(retried->error().code == Code::duplicate);
    CHECK(retried->error().outcome == Outcome::maybe);
    CHECK(f.put("2") == 2);
  }

  TEST_CASE("retry: its deadline passes -> unknown again, and it can be asked again") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.advance(310);
    for (int i = 0; i < 2; ++i) {
      std::optional<Result<Receipt>> retried;
      f.session.retry(1, f.now + 200, [&](Result<Receipt> result) { retried = std::move(result); });
      f.advance(250);
      REQUIRE((retried && !*retried));
      CHECK(retried->error().code == Code::unknown_outcome);
      CHECK(retried->error().sequence == 1);
    }
  }

  TEST_CASE("retry: of what has no open outcome -> refused") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.give(f.receipt(1, 1, 1));
    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 200, [&](Result<Receipt> result) { retried = std::move(result); });
    f.turn();
    REQUIRE((retried && !*retried));
    CHECK(retried->error().code == Code::refused);
    CHECK(retried->error().outcome == Outcome::no);
  }

  TEST_CASE("retry: the server refuses it for good -> the definite answer") {
    PublisherFixture f;
    f.open();
    f.put("1", 300);
    f.advance(310);
    f.give(f.refusal(1, Code::busy));  // late: that copy was not taken, and there was no other
    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 5000, [&](Result<Receipt> result) { retried = std::move(result); });
    f.advance(Route::pause_max_ms);
    CHECK(f.take_sent().size() == 2);
    f.give(f.refusal(1, Code::too_large));
    f.turn();
    REQUIRE((retried && !*retried));
    CHECK(retried->error().code == Code::too_large);
    CHECK(retried->error().outcome == Outcome::no);
  }

  TEST_CASE(
      "deadline: busy until then -> busy (no), and a new instance before the sequence is used") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1", 100);
    f.give(f.refusal(1, Code::no_space));

    f.now += 200;  // while it is still holding back
    f.turn();

    REQUIRE(f.outcomes.size() == 1);
    CHECK(f.outcomes[0].error->code == Code::no_space);
    CHECK(f.outcomes[0].error->outcome == Outcome::no);
    f.turn();
    CHECK(f.hellos.size() == 2);
    CHECK(f.hellos.back().instance == 0);
    f.take_sent();
    CHECK(f.put("2") == 1);
    CHECK(f.sent.empty());
    f.open(2, 0);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].publish.instance == 2);
    CHECK(f.sent[0].publish.first_sequence == 1);
  }

  TEST_CASE("deadline: busy, but an earlier copy went astray -> unknown (maybe)") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1", 2000);
    reconnect(f, 1, 0);
    f.give(f.refusal(1, Code::busy));

    f.advance(2500);

    REQUIRE(f.outcomes.size() == 1);
    CHECK(f.outcomes[0].error->code == Code::unknown_outcome);
    CHECK(f.outcomes[0].error->outcome == Outcome::maybe);
  }

  TEST_CASE("deadline: behind a message that was not taken nothing was, whatever was sent") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1", 100);
    f.put("2", 100);
    f.give(f.refusal(1, Code::busy));  // 2 is not answered yet

    f.now += 200;
    f.turn();

    REQUIRE(f.outcomes.size() == 2);
    CHECK(f.outcomes[0].error->code == Code::busy);
    CHECK(f.outcomes[1].error->code == Code::busy);
    CHECK(f.outcomes[1].error->outcome == Outcome::no);
  }

  TEST_CASE("server answers maybe -> the batch is sent again, unknown at its deadline") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1", 3000);
    f.take_sent();
    f.give(f.refusal(1, Code::unknown_outcome, Outcome::maybe));
    f.wait_for_connect();
    f.open(1, 1);
    CHECK(f.take_sent().size() == 1);
    f.give(f.refusal(1, Code::busy));
    f.advance(3000);
    REQUIRE(f.outcomes.size() == 1);
    CHECK(f.outcomes[0].error->code == Code::unknown_outcome);
  }

  TEST_CASE("final refusal: earlier batches keep their receipts, later ones fail with it") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7)}, {.body_bytes = 1});
    f.open();
    for (const char* payload : {"1", "2", "3"}) f.put(payload);

    f.give(f.refusal(2, Code::protocol));
    CHECK(f.outcomes.empty());
    f.give(f.receipt(1, 1, 1));

    REQUIRE(f.outcomes.size() == 3);
    CHECK(f.outcomes[0].receipt);
    CHECK(f.outcomes[1].error->code == Code::protocol);
    CHECK(f.outcomes[1].error->outcome == Outcome::no);
    CHECK(f.outcomes[2].error->outcome == Outcome::no);
    CHECK(f.publish("again").value() == 2);
  }

  TEST_CASE("duplicate without receipt -> told as such, the rest goes on") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    f.give_all({f.refusal(1, Code::duplicate, Outcome::maybe), f.receipt(2, 1, 2)});
    REQUIRE(f.outcomes.size() == 2);
    CHECK(f.outcomes[0].error->code == Code::duplicate);
    CHECK(f.outcomes[1].receipt);
    CHECK(f.put("3") == 3);
  }

  TEST_CASE("fenced: what was never taken -> refused (no), the publisher is over") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1");
    f.give(f.receipt(1, 1, 1));
    f.take_outcomes();
    f.put("2");
    f.put("3");
    f.put("4");

    f.give(f.refusal(2, Code::refused));

    REQUIRE(f.outcomes.size() == 3);
    for (const auto& one : f.outcomes) {
      CHECK(one.error->code == Code::refused);
      CHECK(one.error->outcome == Outcome::no);
    }
    CHECK_FALSE(f.publish("5"));
    CHECK_FALSE(f.connected);
  }

  TEST_CASE(
      "fenced: a copy went astray before -> by the last sequence taken, if the server tells it") {
    for (const Sequence last : {Sequence{0}, Sequence{1}, Sequence{2}}) {
      CAPTURE(last);
      PublisherFixture f;
      f.open(1, 0);
      f.put("1");
      f.give(f.receipt(1, 1, 1));
      f.take_outcomes();
      f.put("2");
      f.session.lost("gone");
      f.turn();
      f.wait_for_connect();
      wire::Refused fenced;
      fenced.code = Code::refused;
      fenced.id = 2;  // the newest instance
      fenced.last_sequence = last;
      f.give(fenced);
      REQUIRE(f.session.dead());
      REQUIRE(f.outcomes.size() == 1);
      const bool known_not_taken = last == 1;
      CHECK(f.outcomes[0].error->code == (known_not_taken ? Code::refused : Code::unknown_outcome));
      CHECK(f.outcomes[0].error->outcome == (known_not_taken ? Outcome::no : Outcome::maybe));
    }
  }

  TEST_CASE("fenced by the own HELLO that was given up -> opened again, nothing is lost") {
    PublisherFixture f;
    f.advance(connect_patience_ms + 10);
    f.wait_for_connect();
    REQUIRE(f.hellos.size() == 2);
    f.open(1, 0);
    f.put("1");
    f.take_sent();

    f.give(f.refusal(1, Code::refused));  // the first HELLO arrived late and opened instance 2

    CHECK(f.outcomes.empty());
    f.turn();
    CHECK(f.hellos.size() == 3);
    CHECK(f.hellos.back().instance == 0);
    f.open(3, 0);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].publish.instance == 3);
    f.give(f.receipt(1, 1, 5));
    CHECK(f.outcomes[0].receipt);
  }

  TEST_CASE("expired -> over, nothing of it can be tried again") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.give(f.refusal(1, Code::expired));
    REQUIRE(f.outcomes.size() == 1);
    CHECK(f.outcomes[0].error->code == Code::expired);
    const Result<Sequence> more = f.publish("2");
    REQUIRE_FALSE(more);
    CHECK(more.error().code == Code::expired);
  }

  TEST_CASE("reopened: somebody else has published in between -> over, not mixed") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1", 100);
    f.give(f.refusal(1, Code::busy));
    f.now += 200;
    f.turn();
    f.turn();
    f.open(2, 5);
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::refused);
  }

  TEST_CASE("session file: the first failure ends the publisher") {
    PublisherFixture f(session_file_options());
    f.open();
    f.session.lost("gone");
    f.turn();
    f.put("1", 200);
    f.advance(250);
    REQUIRE(f.outcomes.size() == 1);
    const Result<Sequence> next = f.publish("2");
    REQUIRE_FALSE(next);
    CHECK(next.error().code == Code::refused);
    CHECK(next.error().outcome == Outcome::no);
  }

  TEST_CASE("session file: a retry that succeeds -> publishing goes on") {
    PublisherFixture f(session_file_options());
    f.open();
    f.put("1", 200);
    f.advance(250);
    std::optional<Result<Receipt>> retried;
    f.session.retry(1, f.now + 500, [&](Result<Receipt> result) { retried = std::move(result); });
    f.give(f.receipt(1, 1, 1));
    f.turn();
    REQUIRE((retried && *retried));
    CHECK(f.put("2") == 2);
  }

  TEST_CASE("session file: not taken behind an open outcome -> over, also when that is known") {
    PublisherFixture f(session_file_options());
    f.open();
    f.put("1", 200);
    f.put("2", 200);
    f.queue("3", 200);  // two frames are on their way: this one is not sent
    f.advance(250);
    REQUIRE(f.outcomes.size() == 3);
    REQUIRE(f.outcomes[2].error->outcome == Outcome::no);
    f.session.retry(1, f.now + 500, [](const Result<Receipt>&) {});
    f.give(f.receipt(1, 1, 1));
    f.give(f.receipt(2, 1, 2));

    const Result<Sequence> next = f.publish("4");  // would take the place of "3"
    REQUIRE_FALSE(next);
    CHECK(next.error().code == Code::refused);
    CHECK(next.error().outcome == Outcome::no);
  }

  TEST_CASE("abandon: sent -> unknown (maybe), never sent -> unavailable (no), waiting calls too") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    f.queue("3");
    std::optional<std::optional<Error>> closed;
    f.session.close(f.now + 500, [&](std::optional<Error> error) { closed = std::move(error); });

    f.session.abandon();
    f.turn();

    REQUIRE(f.outcomes.size() == 3);
    CHECK(f.outcomes[0].error->outcome == Outcome::maybe);
    CHECK(f.outcomes[1].error->outcome == Outcome::maybe);
    CHECK(f.outcomes[2].error->code == Code::unavailable);
    REQUIRE((closed && *closed));
    CHECK(f.byes == 1);
  }

  // Found by review: what stands behind a batch that the full disk refused is refused as a hole.
  TEST_CASE("deadline: refused for the disk, the rest as holes -> the disk is named") {
    PublisherFixture f;
    f.open();
    f.put("1", 500);
    f.put("2", 500);
    wire::Refused full = f.refusal(1, Code::no_space);
    full.text = "the leader's disk is nearly full";
    wire::Refused hole = f.hole(2, 0);
    hole.text = "sequence 2 leaves a hole";
    f.give_all({full, hole});
    CHECK(f.session.trouble().find("nearly full") != std::string::npos);
    f.advance(600);
    const auto outcomes = f.take_outcomes();
    REQUIRE(outcomes.size() == 2);
    for (const auto& told : outcomes) {
      REQUIRE(told.error);
      CHECK(std::string(told.error->what()).find("nearly full") != std::string::npos);
      CHECK(std::string(told.error->what()).find("hole") == std::string::npos);
    }
  }
}

}  // namespace zabmq::client
