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
    hello.known = true;
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
}
