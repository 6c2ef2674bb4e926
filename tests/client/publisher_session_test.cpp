// PublisherSessionTest: the publisher's side of the conversation, against a scripted server.
#include "client/publisher_session.hpp"

#include "client/publisher_fixture.hpp"

namespace zabmq::client {
namespace {

using testing::PublisherFixture;
using testing::three_servers;
using testing::uuid;
using Strings = std::vector<std::string>;

wire::Welcome not_here(const PublisherFixture& f, const std::string& leader) {
  wire::Welcome frame = f.welcome(0, 0);
  frame.publisher_open = false;
  frame.leader_endpoint = leader;
  return frame;
}

}  // namespace

TEST_SUITE("client/publisher_session") {
  TEST_CASE("opening: WELCOME of the leader -> sequences go on behind what was taken") {
    PublisherFixture f;
    REQUIRE(f.hellos.size() == 1);
    CHECK(f.connects == Strings{"tcp://a"});
    CHECK(f.hellos[0].publisher == uuid(7));
    CHECK(f.hellos[0].instance == 0);

    f.open(3, 41);

    CHECK(f.session.opened());
    CHECK(f.session.instance() == 3);
    CHECK(f.session.resumed_after() == 41);
    CHECK(f.put("m") == 42);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].publish.first_sequence == 42);
    CHECK(f.sent[0].publish.instance == 3);
  }

  TEST_CASE("opening: WELCOME names the leader -> there at once") {
    PublisherFixture f;

    f.give(not_here(f, "tcp://leader"));

    CHECK(f.connects == Strings{"tcp://a", "tcp://leader"});
    f.open();
    CHECK(f.session.opened());
  }

  TEST_CASE("opening: a server that forwards -> its leader, with the instance that was opened") {
    PublisherFixture f;
    wire::Welcome forwarding = f.welcome(3, 5);
    forwarding.server = ServerId{2};
    forwarding.leader = ServerId{1};
    forwarding.leader_endpoint = "tcp://leader";

    f.give(forwarding);

    CHECK(f.connects == Strings{"tcp://a", "tcp://leader"});
    CHECK(f.hellos.back().instance == 3);
    f.open(3, 5);
    CHECK(f.put("m") == 6);
    CHECK(f.sent.size() == 1);
  }

  TEST_CASE("opening: a server that forwards to a leader out of reach -> it serves") {
    PublisherFixture f;
    wire::Welcome forwarding = f.welcome(3, 0);
    forwarding.server = ServerId{2};
    forwarding.leader = ServerId{1};
    forwarding.leader_endpoint = "tcp://leader";
    f.give(forwarding);
    f.session.lost("cannot be reached");
    f.turn();
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://b");

    f.give(forwarding);

    CHECK(f.connects.size() == 3);
    CHECK(f.put("m") == 1);
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].publish.instance == 3);
  }

  TEST_CASE("opening: a server that forwards, and the publisher stays -> it serves") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7), .stays = true});
    wire::Welcome forwarding = f.welcome(3, 0);
    forwarding.server = ServerId{2};
    forwarding.leader = ServerId{1};
    forwarding.leader_endpoint = "tcp://leader";

    f.give(forwarding);

    CHECK(f.connects == Strings{"tcp://a"});
    CHECK(f.put("m") == 1);
    CHECK(f.sent.size() == 1);

    wire::Refused refusal = f.refusal(1, Code::unavailable);
    refusal.not_leading = true;
    refusal.leader_endpoint = "tcp://leader";
    f.give(refusal);
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://b");
  }

  TEST_CASE("opening: no leader is known -> the next server after a pause") {
    PublisherFixture f;

    f.give(not_here(f, ""));

    CHECK(f.connects.size() == 1);
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://b");
  }

  TEST_CASE("opening: servers that name each other -> pauses between the turns") {
    PublisherFixture f;
    for (unsigned i = 0; i < 4 * Route::redirects_max; ++i) {
      f.give(not_here(f, i % 2 == 0 ? "tcp://b" : "tcp://a"));
    }
    CHECK(f.connects.size() <= 2 + Route::redirects_max);
  }

  TEST_CASE("opening: no answer -> the next server, a connection gets longer than none") {
    PublisherFixture f;
    f.advance(connect_patience_ms - 100);
    CHECK(f.connects.size() == 1);
    f.session.connected(f.now);
    f.advance(welcome_patience_ms - 100);
    CHECK(f.connects.size() == 1);
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://b");
  }

  TEST_CASE("opening: refused by one server -> the others, by all of them -> over") {
    PublisherFixture f;
    wire::Refused other_cluster;
    other_cluster.text = "cluster mismatch";
    for (int server = 0; server < 3; ++server) {
      CHECK_FALSE(f.session.dead());
      f.give(other_cluster);
      if (server < 2) f.wait_for_connect();
    }
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::refused);
    CHECK(std::string(f.session.dead()->what()).find("cluster mismatch") != std::string::npos);
    CHECK_FALSE(f.publish("late"));
  }

  TEST_CASE("opening: the cluster has forgotten a publisher that had published -> expired") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7), .known_last = 10});
    f.open(9, 9);
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::expired);
  }

  // Found by review: `last` is 0 until a receipt was seen, so a forgotten publisher looked new, and
  // what its killed process had published was appended again.
  TEST_CASE("opening: a session file's publisher is known, forgotten -> expired, over") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7), .known_instance = 4});
    CHECK(f.hellos.back().instance == 0);
    CHECK(f.hellos.back().known == 4u);
    f.give(f.expired());
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::expired);
    CHECK(f.session.dead()->outcome == Outcome::maybe);
    CHECK(f.hellos.size() == 1);
  }

  TEST_CASE("opening: a new publisher is not known, a session file's stays so until it is open") {
    PublisherFixture fresh;
    CHECK_FALSE(fresh.hellos.back().known);

    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7), .known_instance = 4});
    f.session.lost("gone");  // before any answer
    f.turn();
    f.wait_for_connect();
    CHECK(f.hellos.back().known == 4u);
    f.open(6, 12);
    CHECK(f.session.opened());
    CHECK(f.session.resumed_after() == 12);
  }

  // Found by the simulator, seed 1795708853695: between the WELCOME of its instance and that of a
  // new one it was forgotten, opened like a new one, and what had been appended was sent again.
  TEST_CASE("opening a new instance: forgotten meanwhile -> expired, nothing is sent again") {
    PublisherFixture f;
    f.open();
    f.put("1", 100);
    f.give(f.refusal(1, Code::no_space));
    f.now += 200;
    f.turn();
    f.turn();
    REQUIRE(f.hellos.size() == 2);
    CHECK(f.hellos.back().instance == 0);
    f.take_sent();
    CHECK(f.hellos.back().known == 1u);
    CHECK(f.session.newest_instance() == 1);
    f.give(f.expired());
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::expired);
    CHECK(f.take_sent().empty());
  }

  TEST_CASE("later HELLOs name cluster, history and instance") {
    PublisherFixture f;
    f.open(5, 0);
    f.session.lost("gone");
    f.turn();
    f.wait_for_connect();
    CHECK(f.hellos.back().cluster == uuid(1));
    CHECK(f.hellos.back().history == uuid(2));
    CHECK(f.hellos.back().instance == 5);
  }

  TEST_CASE("batching: what gathers while two frames are on their way -> one batch") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    for (const char* payload : {"3", "4", "5"}) f.put(payload);
    CHECK(f.take_sent().size() == 2);

    f.give(f.receipt(1, 1, 100));

    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].payloads == Strings{"3", "4", "5"});
    CHECK(f.sent[0].publish.first_sequence == 3);
    CHECK(f.sent[0].publish.count == 3);
  }

  TEST_CASE("batching: a full body does not wait for answers") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7)}, {.body_bytes = 100});
    f.open();
    f.put("1");
    f.put("2");
    f.take_sent();

    for (int i = 0; i < 12; ++i) f.put(std::string(21, 'x'));  // 30 bytes each, full at 120

    CHECK(f.take_sent().size() == 3);
  }

  TEST_CASE("batching: at most 1,024 batches are unacknowledged") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7)}, {.body_bytes = 1});
    f.open();
    for (std::size_t i = 0; i < PublisherSession::batches_max + 5; ++i) f.put("x");
    CHECK(f.sent.size() == PublisherSession::batches_max);

    f.give(f.receipt(1, 1, 1));

    CHECK(f.sent.size() == PublisherSession::batches_max + 1);
  }

  TEST_CASE("J16: receipts in any order -> outcomes in the order of publication") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");

    f.give(f.receipt(2, 1, 8));
    CHECK(f.outcomes.empty());
    f.give(f.receipt(1, 1, 7));

    REQUIRE(f.outcomes.size() == 2);
    CHECK(f.outcomes[0].payload == "1");
    CHECK(f.outcomes[0].receipt->offset == 7);
    CHECK(f.outcomes[0].receipt->sequence == 1);
    CHECK(f.outcomes[1].payload == "2");
    CHECK(f.outcomes[1].receipt->offset == 8);
  }

  TEST_CASE("receipts: of a batch -> each message its own offset and sequence") {
    PublisherFixture f;
    f.open();
    f.queue("1");
    f.queue("2");
    f.queue("3");
    f.turn();

    f.give(f.receipt(1, 3, 50));

    REQUIRE(f.outcomes.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(f.outcomes[i].receipt->offset == 50 + i);
      CHECK(f.outcomes[i].receipt->sequence == 1 + i);
      CHECK(f.outcomes[i].receipt->zxid == Zxid{Epoch{1}, 50});
    }
  }

  TEST_CASE("receipts: a second one -> ignored, for other boundaries -> the connection is left") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.give_all({f.receipt(1, 1, 7), f.receipt(1, 1, 7)});
    CHECK(f.outcomes.size() == 1);
    f.put("2");

    f.give(f.receipt(2, 2, 8));

    CHECK(f.outcomes.size() == 1);
    CHECK_FALSE(f.connected);
  }

  TEST_CASE("reconnect: unacknowledged batches -> again, in order, with the same boundaries") {
    PublisherFixture f;
    f.open();
    f.queue("1");
    f.queue("2");
    f.turn();
    f.put("3");
    f.put("4");
    const auto before = f.take_sent();
    REQUIRE(before.size() == 2);

    f.session.lost("reset by peer");
    f.turn();
    f.wait_for_connect();
    CHECK(f.sent.empty());
    f.open(1, 2);

    REQUIRE(f.sent.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(f.sent[i].publish == before[i].publish);
      CHECK(f.sent[i].payloads == before[i].payloads);
    }
    f.give_all({f.receipt(1, 2, 10), f.receipt(3, 1, 12)});
    CHECK(f.outcomes.size() == 3);
  }

  TEST_CASE("RESET -> HELLO again on a fresh connection, then everything unanswered") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.take_sent();

    f.give(wire::Reset{"unknown connection"});

    CHECK(f.connects == Strings{"tcp://a", "tcp://a"});
    CHECK(f.hellos.size() == 2);
    f.open(1, 0);
    CHECK(f.take_sent().size() == 1);
  }

  TEST_CASE("not leading: with the leader's endpoint -> there, and everything again") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    f.take_sent();
    wire::Refused first = f.refusal(1, Code::unavailable);
    first.not_leading = true;
    first.leader_endpoint = "tcp://c";
    wire::Refused second = first;
    second.id = 2;

    f.give_all({first, second});

    CHECK(f.connects.back() == "tcp://c");
    f.open(1, 0);
    CHECK(f.take_sent().size() == 2);
  }

  // A deposed leader that does not know it yet answers from what it had delivered then. Taken for
  // the loss of acknowledged messages once, and for the end of the publisher.
  TEST_CASE("behind: WELCOME with less than was acknowledged -> another server, nothing is over") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1");
    f.put("2");
    f.give_all({f.receipt(1, 1, 1), f.receipt(2, 1, 2)});
    f.put("3");
    f.session.lost("gone");
    f.turn();
    f.wait_for_connect();
    f.take_sent();
    f.outcomes.clear();

    f.open(1, 1);

    CHECK_FALSE(f.session.dead());
    CHECK_FALSE(f.connected);
    CHECK(f.take_sent().empty());
    CHECK(f.session.trouble().find("behind") != std::string::npos);
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://c");
    CHECK(f.hellos.back().instance == 1);
    f.open(1, 2);
    CHECK(f.take_sent().size() == 1);
    f.give(f.receipt(3, 1, 3));
    REQUIRE(f.outcomes.size() == 1);
    CHECK(f.outcomes[0].receipt);
  }

  TEST_CASE("behind: a hole below what was acknowledged -> another server, nothing is over") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1");
    f.give(f.receipt(1, 1, 1));
    f.put("2");
    f.put("3");
    f.outcomes.clear();

    f.give(f.hole(3, 0));

    CHECK_FALSE(f.session.dead());
    f.wait_for_connect();
    CHECK(f.connects.back() == "tcp://b");
    f.take_sent();
    f.open(1, 1);
    CHECK(f.take_sent().size() == 2);
    f.give_all({f.receipt(2, 1, 2), f.receipt(3, 1, 3)});
    CHECK(f.outcomes.size() == 2);
  }

  TEST_CASE("behind: every server -> messages end at their deadlines, the publisher lives") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1");
    f.give(f.receipt(1, 1, 1));
    f.outcomes.clear();
    f.put("2", 3000);
    f.give(f.hole(2, 0));
    for (int i = 0; i < 500 && f.outcomes.empty(); ++i) {
      f.advance(10);
      if (f.connected && f.session.busy()) f.open(1, 0);
    }
    REQUIRE(f.outcomes.size() == 1);
    REQUIRE(f.outcomes[0].error);
    CHECK(f.outcomes[0].error->code == Code::unavailable);
    CHECK_FALSE(f.session.dead());
  }

  // Opening is a transaction: whoever answers it knows everything that was acknowledged before.
  TEST_CASE("opened anew: less than was acknowledged -> the cluster has forgotten it, over") {
    PublisherFixture f;
    f.open(1, 0);
    f.put("1");
    f.give(f.receipt(1, 1, 1));
    f.put("2", 100);
    f.give(f.refusal(2, Code::busy));
    f.now += 200;
    f.turn();
    f.turn();
    f.open(2, 0);
    REQUIRE(f.session.dead());
    CHECK(f.session.dead()->code == Code::expired);
    CHECK(f.session.dead()->outcome == Outcome::maybe);
  }

  TEST_CASE("hole: a batch was lost on the way -> it and all behind again") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    f.take_sent();

    f.give(f.hole(2, 0));  // 1 was never seen there, and will never be answered
    f.advance(Route::pause_max_ms);

    const auto again = f.take_sent();
    REQUIRE(again.size() == 2);
    CHECK(again[0].publish.first_sequence == 1);
    CHECK(again[1].publish.first_sequence == 2);
  }

  TEST_CASE("hole: behind a batch that was taken -> only from the hole on") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7)}, {.body_bytes = 1});
    f.open();
    for (const char* payload : {"1", "2", "3"}) f.put(payload);
    f.take_sent();

    f.give(f.hole(3, 1));
    f.advance(Route::pause_max_ms);

    const auto again = f.take_sent();
    REQUIRE(again.size() == 2);
    CHECK(again[0].publish.first_sequence == 2);
    CHECK(again[1].publish.first_sequence == 3);
  }

  TEST_CASE("silence: pings are sent, a silent server is left, one that answers is not") {
    PublisherFixture f;
    f.open();
    for (int i = 0; i < 20; ++i) {
      f.advance(ping_interval_ms);
      f.give(wire::ServerPong{});
    }
    CHECK(f.connects.size() == 1);
    CHECK(f.pings >= 19);

    f.advance(silence_max_ms + 100);
    CHECK(f.connects.size() == 2);
  }

  TEST_CASE("no answer to a publish from a server that answers pings -> sent again elsewhere") {
    PublisherFixture f;
    f.open();
    f.put("1", 60000);
    for (int i = 0; i < 11 && f.connects.size() == 1; ++i) {
      f.advance(ping_interval_ms);
      f.give(wire::ServerPong{});
    }
    CHECK(f.now >= 1000 + PublisherSession::answer_patience_ms);
    if (f.connects.size() == 1) f.wait_for_connect();
    f.take_sent();
    f.open(1, 1);
    CHECK(f.take_sent().size() == 1);
  }

  TEST_CASE("close: after the last outcome -> CLOSE, CLOSED, nothing taken any more") {
    PublisherFixture f;
    f.open(4, 0);
    f.queue("1");
    std::optional<std::optional<Error>> closed;
    f.session.close(f.now + 5000, [&](std::optional<Error> error) { closed = std::move(error); });
    f.turn();
    CHECK(f.closes.empty());
    CHECK_FALSE(f.publish("2"));

    f.give(f.receipt(1, 1, 1));
    REQUIRE(f.closes.size() == 1);
    CHECK(f.closes[0].instance == 4);
    f.give(wire::Closed{4});

    REQUIRE(closed);
    CHECK_FALSE(*closed);
    CHECK_FALSE(f.publish("3"));
    CHECK_FALSE(f.connected);
  }

  TEST_CASE("close: the answer was lost -> expired at the next HELLO means closed") {
    PublisherFixture f;
    f.open(4, 0);
    std::optional<std::optional<Error>> closed;
    f.session.close(f.now + 5000, [&](std::optional<Error> error) { closed = std::move(error); });
    f.turn();
    f.turn();
    REQUIRE(f.closes.size() == 1);
    f.session.lost("gone");
    f.turn();
    f.wait_for_connect();
    wire::Refused forgotten;
    forgotten.code = Code::expired;
    f.give(forgotten);
    REQUIRE(closed);
    CHECK_FALSE(*closed);
  }

  TEST_CASE("close: no answer before the deadline -> unknown when it was sent, else unavailable") {
    for (const bool sent : {true, false}) {
      CAPTURE(sent);
      PublisherFixture f;
      f.open(4, 0);
      if (!sent) {
        f.session.lost("gone");
        f.turn();
      }
      std::optional<std::optional<Error>> closed;
      f.session.close(f.now + 300, [&](std::optional<Error> error) { closed = std::move(error); });
      f.advance(400);
      REQUIRE((closed && *closed));
      CHECK((*closed)->code == (sent ? Code::unknown_outcome : Code::unavailable));
      CHECK((*closed)->outcome == (sent ? Outcome::maybe : Outcome::no));
      CHECK(f.publish("goes on"));
    }
  }
}

}  // namespace zabmq::client
