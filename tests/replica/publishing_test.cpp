// Publishing: what a leader answers to publishers, seen through a cluster of one.
#include <doctest/doctest.h>

#include "leader_fixture.hpp"
#include "replica/proposals.hpp"

using namespace zabmq;
using namespace zabmq::testing;

TEST_SUITE("replica/publishing") {
  TEST_CASE("publisher: HELLO with instance 0 -> WELCOME once its transaction is delivered") {
    Solo solo;
    wire::Hello hello;
    hello.publisher = publisher;
    solo.server.disk_works = false;

    solo.server.say(alice, hello);
    solo.server.settle();
    CHECK(solo.server.clients.take<wire::Welcome>(alice).empty());

    solo.server.disk_works = true;
    solo.server.settle();
    const auto answers = solo.server.clients.take<wire::Welcome>(alice);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].publisher_open);
    CHECK(answers[0].instance == 1);
    CHECK(answers[0].last_sequence == 0);
    CHECK(answers[0].leader == ServerId{1});
    CHECK(answers[0].leader_endpoint == "tcp://server-1");
  }

  TEST_CASE("publisher: HELLO repeated while it is being opened -> one instance, one WELCOME") {
    Solo solo;
    wire::Hello hello;
    hello.publisher = publisher;

    solo.server.say(alice, hello);
    solo.server.say(alice, hello);
    solo.server.settle();

    const auto answers = solo.server.clients.take<wire::Welcome>(alice);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].instance == 1);
  }

  TEST_CASE("batch: the next sequence -> RECEIPT with offset and zxid, in order") {
    Leader leader;

    leader.server.publish(alice, 1, {"a", "b"});
    leader.server.publish(alice, 3, {"c"});

    const auto receipts = leader.receipts();
    REQUIRE(receipts.size() == 2);
    CHECK(receipts[0].first_sequence == 1);
    CHECK(receipts[0].count == 2);
    CHECK(receipts[0].base_offset == 1);
    CHECK(receipts[1].first_sequence == 3);
    CHECK(receipts[1].base_offset == 3);
    CHECK(receipts[1].zxid == next(receipts[0].zxid));
    CHECK(leader.server.replica->status().last_offset == 3);
  }

  TEST_CASE("batches: arrived while a write runs -> one group, one append") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.replica().step();  // its write is under way
    const std::size_t appends = leader.server.log.appends;

    for (Sequence s = 2; s <= 9; ++s) {
      leader.server.publish(alice, s, {"x"});
      leader.replica().step();
    }
    CHECK(leader.server.log.appends == appends);

    CHECK(leader.receipts().size() == 9);
    CHECK(leader.server.log.appends == appends + 1);
  }

  TEST_CASE("batches: a full group is waiting -> proposed although a write runs") {
    replica::Options options;
    options.group_bytes_max = 1000;
    Leader leader(options);
    leader.server.publish(alice, 1, {"a"});
    leader.replica().step();
    const std::size_t appends = leader.server.log.appends;

    leader.server.publish(alice, 2, {std::string(500, 'x')});
    leader.server.publish(alice, 3, {std::string(500, 'y')});
    leader.replica().step();

    CHECK(leader.server.log.appends == appends + 1);
    CHECK(leader.receipts().size() == 3);
  }

  TEST_CASE("batch: in flight and sent again -> one record, each copy has its answer") {
    replica::Options options;
    options.group_bytes_max = 1;  // nothing waits for the write before it
    Leader leader(options);
    leader.server.disk_works = false;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    wire::Hello again;
    again.publisher = publisher;
    again.instance = 1;
    leader.server.say(bob, again);
    leader.server.settle();
    const auto welcome = leader.server.clients.take<wire::Welcome>(bob);
    REQUIRE(welcome.size() == 1);
    CHECK(welcome[0].publisher_open);
    CHECK(welcome[0].last_sequence == 1);  // in flight counts as taken

    leader.server.publish(bob, 1, {"a"});
    leader.server.publish(bob, 1, {"a"});
    leader.server.settle();
    const std::size_t records = leader.server.log.records();
    leader.server.disk_works = true;

    const auto receipts = leader.receipts(bob);
    REQUIRE(receipts.size() == 2);
    CHECK(receipts[0] == receipts[1]);
    CHECK(leader.receipts(alice) == std::vector{receipts[0]});
    CHECK(leader.server.log.records() == records);
  }

  TEST_CASE("batch: more copies than may wait for a receipt -> busy, those that wait have it") {
    replica::Options options;
    options.group_bytes_max = 1;
    Leader leader(options);
    leader.server.disk_works = false;
    constexpr std::size_t waiting = 1 + replica::Proposals::copies_max;
    for (std::size_t i = 0; i < waiting + 1; ++i) leader.server.publish(alice, 1, {"a"});

    const wire::Refused refused = leader.refusal();
    CHECK(refused.code == Code::busy);
    CHECK(refused.id == 1);
    leader.server.disk_works = true;

    CHECK(leader.receipts().size() == waiting);
    leader.server.publish(alice, 1, {"a"});
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("batch: delivered and sent again -> the stored receipt, nothing appended") {
    Leader leader;
    leader.server.publish(alice, 1, {"a", "b"});
    const auto first = leader.receipts();
    const std::size_t records = leader.server.log.records();

    leader.server.publish(alice, 1, {"a", "b"});

    CHECK(leader.receipts() == first);
    CHECK(leader.server.log.records() == records);
    CHECK(leader.replica().counters().duplicates == 1);
  }

  TEST_CASE("batch: a hole -> REFUSED with the last sequence taken, the rest goes on from there") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.publish(alice, 4, {"d"});

    const wire::Refused refused = leader.refusal();
    CHECK(refused.hole);
    CHECK(refused.id == 4);
    CHECK(refused.last_sequence == 1);
    CHECK(refused.outcome == Outcome::no);
    leader.server.publish(alice, 2, {"b"});
    CHECK(leader.receipts().size() == 2);
  }

  TEST_CASE("batch: partly old, or other boundaries -> protocol") {
    Leader leader;
    leader.server.publish(alice, 1, {"a", "b"});
    leader.server.settle();

    leader.server.publish(alice, 2, {"b", "c"});
    CHECK(leader.refusal().code == Code::protocol);
    leader.server.publish(alice, 1, {"a"});
    CHECK(leader.refusal().code == Code::protocol);
  }

  TEST_CASE("batch: other boundaries than one in flight -> protocol") {
    Leader leader;
    leader.server.publish(alice, 1, {"a", "b"});
    leader.replica().step();

    leader.server.publish(alice, 1, {"a"});

    CHECK(leader.refusal().code == Code::protocol);
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("batch: older than the kept receipts -> duplicate, maybe") {
    replica::Options options;
    options.receipts_max = 2;
    Leader leader(options);
    for (Sequence s = 1; s <= 3; ++s) {
      leader.server.publish(alice, s, {"x"});
      CHECK(leader.receipts().size() == 1);
    }

    leader.server.publish(alice, 1, {"x"});

    const wire::Refused refused = leader.refusal();
    CHECK(refused.code == Code::duplicate);
    CHECK(refused.outcome == Outcome::maybe);
    leader.server.publish(alice, 2, {"x"});
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("batches: more in flight than receipts are kept -> busy") {
    replica::Options options;
    options.receipts_max = 2;
    Leader leader(options);
    for (Sequence s = 1; s <= 3; ++s) leader.server.publish(alice, s, {"x"});

    const wire::Refused refused = leader.refusal();
    CHECK(refused.code == Code::busy);
    CHECK(refused.id == 3);
    CHECK(leader.receipts().size() == 2);
  }

  TEST_CASE("publisher: opened again -> the older instance is fenced, the sequence goes on") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();

    const wire::Welcome newer = leader.server.open_publisher(bob, publisher);
    CHECK(newer.instance == 2);
    CHECK(newer.last_sequence == 1);

    leader.server.publish(alice, 2, {"b"});
    const wire::Refused refused = leader.refusal(alice);
    CHECK(refused.code == Code::refused);
    CHECK(refused.text.find("fenced") != std::string::npos);
    CHECK(leader.replica().counters().fenced == 1);
    leader.server.clients.take<wire::Receipt>(bob);
    leader.server.publish(bob, 2, {"b"}, 2);
    CHECK(leader.receipts(bob).size() == 1);
  }

  // Its proposal may be lost with a leader that has been deposed: an answer that is final may not
  // depend on it. Taken for fenced once.
  TEST_CASE("publisher: the newer instance is only in flight -> unavailable, maybe, until it is") {
    replica::Options options;
    options.group_bytes_max = 1;  // nothing waits for the write before it
    Leader leader(options);
    leader.server.publish(alice, 1, {"a"});
    CHECK(leader.receipts().size() == 1);
    leader.server.disk_works = false;
    wire::Hello newer;
    newer.publisher = publisher;
    leader.server.say(bob, newer);
    leader.server.settle();

    leader.server.publish(alice, 2, {"b"});
    const wire::Refused batch = leader.refusal(alice);
    CHECK(batch.about == wire::About::publish);
    CHECK(batch.code == Code::unavailable);
    CHECK(batch.outcome == Outcome::maybe);
    CHECK(batch.text.find("another process is being given this publisher") != std::string::npos);
    wire::Hello returning = newer;
    returning.instance = 1;
    leader.server.say(ConnectionId{3}, returning);
    const wire::Refused greeting = leader.refusal(ConnectionId{3});
    CHECK(greeting.about == wire::About::connection);
    CHECK(greeting.code == Code::unavailable);
    leader.server.say(alice, wire::ClosePublisher{1});
    const wire::Refused close = leader.refusal(alice);
    CHECK(close.about == wire::About::close);
    CHECK(close.code == Code::unavailable);
    CHECK(leader.replica().counters().fenced == 0);

    leader.server.disk_works = true;
    leader.server.settle();
    leader.server.publish(alice, 2, {"b"});
    CHECK(leader.refusal(alice).code == Code::refused);
    leader.server.say(ConnectionId{3}, returning);
    CHECK(leader.refusal(ConnectionId{3}).code == Code::refused);
    CHECK(leader.replica().counters().fenced == 2);
  }

  TEST_CASE("publisher: an instance that was never opened -> protocol") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"}, 5);
    CHECK(leader.refusal().code == Code::protocol);

    wire::Hello hello;
    hello.publisher = publisher;
    hello.instance = 5;
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::protocol);
  }

  TEST_CASE("publisher: not in the table -> expired") {
    Leader leader;
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    hello.instance = 1;

    leader.server.say(bob, hello);

    CHECK(leader.refusal(bob).code == Code::expired);
  }

  TEST_CASE(
      "publisher: closed -> CLOSED, its entry is freed, its forgotten processes stay fenced") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.say(alice, wire::ClosePublisher{1});
    leader.server.settle();
    leader.server.publish(alice, 2, {"b"});

    CHECK(leader.refusal().code == Code::expired);
    CHECK(leader.server.clients.take<wire::Closed>(alice).size() == 1);
    CHECK(leader.replica().status().publishers == 0);

    const wire::Welcome anew = leader.server.open_publisher(bob, publisher);
    CHECK(anew.instance == 2);
    CHECK(anew.last_sequence == 0);
    leader.server.publish(alice, 1, {"z"}, 1);
    CHECK(leader.refusal().text.find("fenced") != std::string::npos);
  }

  // A deposed leader has closes in flight that will never be committed.
  TEST_CASE("publisher: its close is not committed yet -> `expired` is told to nobody") {
    Leader leader;
    leader.server.disk_works = false;
    leader.server.say(alice, wire::ClosePublisher{1});
    leader.server.publish(alice, 1, {"behind the close"});
    const wire::Refused batch = leader.refusal();
    CHECK(batch.about == wire::About::publish);
    CHECK(batch.code == Code::unavailable);
    CHECK(batch.outcome == Outcome::maybe);
    wire::Hello again;
    again.publisher = publisher;
    again.instance = 1;
    leader.server.say(bob, again);
    CHECK(leader.refusal(bob).code == Code::unavailable);
    leader.server.say(alice, wire::ClosePublisher{1});  // once more
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Closed>(alice).empty());

    leader.server.disk_works = true;
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Closed>(alice).size() == 2);
    leader.server.say(bob, again);
    CHECK(leader.refusal(bob).code == Code::expired);
  }

  TEST_CASE("publisher: closed, and closed again later -> expired") {
    Leader leader;
    leader.server.say(alice, wire::ClosePublisher{1});
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Closed>(alice).size() == 1);
    leader.server.say(alice, wire::ClosePublisher{1});
    const wire::Refused again = leader.refusal();
    CHECK(again.about == wire::About::close);
    CHECK(again.id == 1);
    CHECK(again.code == Code::expired);
  }

  TEST_CASE("publishers: the table is full -> busy, by name of the bound") {
    replica::Options options;
    options.publishers_max = 1;
    Leader leader(options);
    wire::Hello hello;
    hello.publisher = make_uuid(8);

    leader.server.say(bob, hello);

    const wire::Refused refused = leader.refusal(bob);
    CHECK(refused.code == Code::busy);
    CHECK(refused.text.find("1 publishers") != std::string::npos);
  }

  TEST_CASE("publishers: the table is full of expired ones, and nothing is proposed -> room") {
    replica::Options options;
    options.publishers_max = 1;
    options.publisher_ttl_us = 50'000;
    Leader leader(options);
    leader.server.tick(100);

    CHECK(leader.server.open_publisher(bob, make_uuid(8)).publisher_open);

    CHECK(leader.replica().state().publishers().size() == 1);
    CHECK(leader.replica().state().publishers().find(publisher) == nullptr);
  }

  TEST_CASE("publishers: an expired one with a batch in flight keeps its place -> busy") {
    replica::Options options;
    options.publishers_max = 1;
    options.publisher_ttl_us = 50'000;
    Leader leader(options);
    leader.server.tick(100);
    leader.server.disk_works = false;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    wire::Hello hello;
    hello.publisher = make_uuid(8);

    leader.server.say(bob, hello);
    leader.server.settle();
    leader.server.disk_works = true;

    CHECK(leader.refusal(bob).code == Code::busy);
    CHECK(leader.receipts(alice).size() == 1);
  }

  TEST_CASE(
      "scenario 70 B-overload: in_flight_bytes_max is reached -> busy, and it ends by itself") {
    replica::Options options;
    options.in_flight_bytes_max = 1000;
    Leader leader(options);
    leader.server.disk_works = false;
    leader.server.publish(alice, 1, {std::string(700, 'x')});
    leader.server.publish(alice, 2, {std::string(700, 'y')});

    CHECK(leader.refusal().code == Code::busy);

    leader.server.disk_works = true;
    CHECK(leader.receipts().size() == 1);
    leader.server.publish(alice, 2, {std::string(700, 'y')});
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("leader: the space ends while batches wait -> none of them is proposed") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.log.full = true;

    CHECK(leader.refusal().code == Code::no_space);
    CHECK(leader.server.log.last().offset == 0);
  }

  TEST_CASE("leader: no space, and a write that does not end -> who asks meanwhile is told") {
    Leader leader;
    leader.server.disk_works = false;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    leader.server.log.full = true;

    leader.server.publish(alice, 2, {"b"});

    CHECK(leader.refusal().code == Code::no_space);
    leader.server.disk_works = true;
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("leader: no space, and a publisher closes -> as long as there is not only the last") {
    Leader leader;
    leader.server.log.last_space = true;
    leader.server.say(alice, wire::ClosePublisher{1});
    CHECK(leader.refusal().code == Code::no_space);

    leader.server.log.last_space = false;
    leader.server.log.full = true;
    leader.server.say(alice, wire::ClosePublisher{1});
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Closed>(alice).size() == 1);
  }

  TEST_CASE("leader: no space, and a batch that was taken comes again -> its receipt") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    const auto first = leader.receipts();
    leader.server.log.full = true;

    leader.server.publish(alice, 1, {"a"});

    CHECK(leader.receipts() == first);
  }

  TEST_CASE("leader: limits were lowered, and a batch that was taken comes again -> its receipt") {
    Leader leader;
    leader.server.publish(alice, 1, {std::string(700, 'x')});
    const auto first = leader.receipts();
    REQUIRE(first.size() == 1);
    wire::BatchLimits lowered{.payload_max = 500, .batch_max = 600};
    SUBCASE("of a batch") {}
    SUBCASE("of a message") {
      lowered.batch_max = 6000;
    }
    leader.server.crash();
    leader.server.options.batch = lowered;
    leader.server.start();
    REQUIRE(leader.server.lead());
    const Instance instance = leader.server.open_publisher(alice, publisher).instance;

    leader.server.publish(alice, 1, {std::string(700, 'x')}, instance);
    CHECK(leader.receipts() == first);
    leader.server.publish(alice, 2, {std::string(700, 'x')}, instance);
    CHECK(leader.refusal().code == Code::too_large);
  }

  TEST_CASE("leader: no space -> no_space, and it ends by itself") {
    Leader leader;
    leader.server.log.full = true;
    leader.server.publish(alice, 1, {"a"});
    CHECK(leader.refusal().code == Code::no_space);

    wire::Hello hello;
    hello.publisher = make_uuid(8);
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::no_space);

    leader.server.log.full = false;
    leader.server.publish(alice, 1, {"a"});
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("batch: malformed -> refused and counted, other publishers notice nothing") {
    Leader leader;
    leader.server.open_publisher(bob, make_uuid(8));
    const Slice body = make_body({"a", "b"});
    wire::Publish frame;
    frame.instance = 1;
    frame.first_sequence = 1;
    frame.count = 2;
    frame.body_checksum = checksum(body.bytes());
    wire::Publish wrong = frame;

    SUBCASE("a wrong checksum") {
      wrong.body_checksum = Digest{1};
    }
    SUBCASE("a wrong count") {
      wrong.count = 3;
    }
    SUBCASE("no message") {
      wrong.count = 0;
    }
    SUBCASE("sequence 0") {
      wrong.first_sequence = 0;
    }
    SUBCASE("sequences beyond the last number") {
      wrong.first_sequence = ~Sequence{0};
    }
    leader.server.say(alice, wrong, body);
    leader.server.publish(bob, 1, {"fine"});

    CHECK(leader.refusal().code == Code::protocol);
    CHECK(leader.replica().counters().batches_malformed == 1);
    CHECK(leader.receipts(bob).size() == 1);
    leader.server.say(alice, frame, body);
    CHECK(leader.receipts().size() == 1);
  }

  TEST_CASE("batch: a payload or a body over its limit -> too_large") {
    replica::Options options;
    options.batch = {100, 300};
    Leader leader(options);

    leader.server.publish(alice, 1, {std::string(101, 'x')});
    CHECK(leader.refusal().code == Code::too_large);
    leader.server.publish(alice, 1,
                          {std::string(100, 'x'), std::string(100, 'x'), std::string(100, 'x')});
    CHECK(leader.refusal().code == Code::too_large);
  }

  TEST_CASE("batch: on a connection without a publisher -> protocol") {
    Leader leader;
    leader.server.say(bob, wire::Hello{});
    leader.server.publish(bob, 1, {"a"});
    CHECK(leader.refusal(bob).code == Code::protocol);
  }

  TEST_CASE("restart: a publisher's receipts are recovered from the log") {
    Leader leader;
    leader.server.publish(alice, 1, {"a", "b"});
    const auto first = leader.receipts();
    leader.server.crash();
    leader.server.start();
    REQUIRE(leader.server.lead());

    wire::Hello again;
    again.publisher = publisher;
    again.instance = 1;
    leader.server.say(bob, again);
    leader.server.settle();
    const auto welcome = leader.server.clients.take<wire::Welcome>(bob);
    REQUIRE(welcome.size() == 1);
    CHECK(welcome[0].last_sequence == 2);
    leader.server.publish(bob, 1, {"a", "b"});
    CHECK(leader.receipts(bob) == first);
  }

  TEST_CASE("log time: never goes back, whatever the wall clock says") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    const LogTime before = leader.server.log.last().time;

    leader.server.now_ms += 10;
    leader.replica().tick(leader.server.now_ms, 5);
    leader.server.publish(alice, 2, {"b"});
    leader.server.settle();

    CHECK(leader.server.log.last().time == before);
  }
}
