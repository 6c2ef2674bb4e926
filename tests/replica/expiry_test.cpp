// Expiry: publishers that the cluster forgets.
#include <doctest/doctest.h>

#include "leader_fixture.hpp"

using namespace zabmq;
using namespace zabmq::testing;

TEST_SUITE("replica/expiry") {
  // Found by the simulator, seed 1795708853695: opened like a new one, it appended again.
  TEST_CASE("publisher: a new instance of a known one that was forgotten -> expired, not opened") {
    replica::Options options;
    options.publisher_ttl_us = 10'000;
    Leader leader(options);
    wire::Hello hello;
    hello.publisher = publisher;
    hello.known = 1;
    leader.server.say(bob, hello);
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Welcome>(bob).back().instance == 2);

    // By a record in front of it that is in flight, and may be lost: nothing is over yet.
    leader.server.disk_works = false;
    leader.server.tick(20);
    wire::Hello other;
    other.publisher = make_uuid(99);
    leader.server.say(ConnectionId{3}, other);
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::unavailable);
    leader.server.disk_works = true;
    leader.server.settle();
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::expired);
    CHECK(leader.replica().status().publishers == 1);
  }
  // Found by review: a HELLO that came late had opened it like a new one, so it was known.
  TEST_CASE("publisher: forgotten, and opened anew by a late HELLO -> expired to who had the old") {
    replica::Options options;
    options.publisher_ttl_us = 10'000;
    Leader leader(options);
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    leader.server.tick(20);
    leader.server.open_publisher(ConnectionId{3}, make_uuid(99));  // time passes in the log
    const wire::Welcome late = leader.server.open_publisher(ConnectionId{4}, publisher);
    CHECK(late.instance == 2);
    CHECK(late.last_sequence == 0);

    wire::Hello hello;
    hello.publisher = publisher;
    hello.known = 1;
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::expired);
    hello.known = 2;
    leader.server.say(bob, hello);
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Welcome>(bob).back().instance == 3);
  }

  // Found by review: its batch in flight was taken to keep it, whatever came behind that.
  TEST_CASE(
      "publisher: a batch of it and what frees it in flight, then a new instance -> expired") {
    replica::Options options;
    options.publisher_ttl_us = 10'000;
    Leader leader(options);
    leader.server.publish(alice, 1, {"a"});
    leader.server.disk_works = false;
    leader.server.settle();
    leader.server.tick(20);
    wire::Hello other;
    other.publisher = make_uuid(99);
    leader.server.say(ConnectionId{3}, other);
    wire::Hello hello;
    hello.publisher = publisher;
    hello.known = 1;
    leader.server.say(bob, hello);
    leader.server.publish(alice, 2, {"b"});
    leader.server.publish(alice, 1, {"a"});  // again: it was taken, and has its receipt
    leader.server.disk_works = true;
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Welcome>(bob).empty());
    CHECK(leader.refusal(bob).code == Code::unavailable);
    CHECK(leader.refusal(alice).code == Code::unavailable);
    CHECK(leader.receipts().size() == 2);

    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::expired);
    CHECK(leader.replica().status().last_offset == 1);
  }

  // Found by review: its place was counted as free for the one before, and taken again.
  TEST_CASE("publishers: all places taken, an idle one is freed for another -> it is busy itself") {
    replica::Options options;
    options.publisher_ttl_us = 10'000;
    options.publishers_max = 1;
    Leader leader(options);
    leader.server.tick(20);
    wire::Hello other;
    other.publisher = make_uuid(99);
    leader.server.say(ConnectionId{3}, other);
    wire::Hello hello;
    hello.publisher = publisher;
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::busy);
    CHECK(leader.replica().status().publishers == 1);
  }

  TEST_CASE("publisher: closed and opened anew in flight -> who had the old one waits, expired") {
    Leader leader;
    leader.server.disk_works = false;
    leader.server.say(alice, wire::ClosePublisher{1});
    wire::Hello hello;
    hello.publisher = publisher;
    leader.server.say(ConnectionId{3}, hello);
    hello.known = 1;
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::unavailable);

    leader.server.disk_works = true;
    leader.server.settle();
    leader.server.say(bob, hello);
    CHECK(leader.refusal(bob).code == Code::expired);
  }
}
