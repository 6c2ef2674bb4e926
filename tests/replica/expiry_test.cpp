// Expiry: publishers that the cluster forgets.
#include <doctest/doctest.h>

#include "leader_fixture.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId carol{3};
constexpr ConnectionId dave{4};

wire::Hello opening(const Uuid& id, std::optional<Instance> known = std::nullopt) {
  wire::Hello hello;
  hello.publisher = id;
  hello.known = known;
  return hello;
}

// Alice's publisher is forgotten soon. Carol's makes time pass in the log.
struct Forgetful : Leader {
  explicit Forgetful(replica::Options options = {}) : Leader(with_ttl(options)) {}

  static replica::Options with_ttl(replica::Options options) {
    options.publisher_ttl_us = 10'000;
    return options;
  }
  void ask(ConnectionId from, std::optional<Instance> known) {
    server.say(from, opening(publisher, known));
  }
  Instance opened(ConnectionId from) {
    server.settle();
    const auto welcomes = server.clients.take<wire::Welcome>(from);
    REQUIRE(welcomes.size() == 1);
    return welcomes.front().instance;
  }
  // By a record that is the next one.
  void let_time_pass() {
    server.tick(20);
    server.say(carol, opening(make_uuid(99)));
  }
};

}  // namespace

TEST_SUITE("replica/expiry") {
  // Found by the simulator, seed 1795708853695: opened like a new one, it appended again.
  TEST_CASE("publisher: a new instance of a known one that was forgotten -> expired, not opened") {
    Forgetful leader;
    leader.ask(bob, 1);
    CHECK(leader.opened(bob) == 2);

    // By a record in front of it that is in flight, and may be lost: nothing is over yet.
    leader.server.disk_works = false;
    leader.let_time_pass();
    leader.ask(bob, 1);
    CHECK(leader.refusal(bob).code == Code::unavailable);
    leader.server.disk_works = true;
    leader.server.settle();
    leader.ask(bob, 1);
    CHECK(leader.refusal(bob).code == Code::expired);
    CHECK(leader.replica().status().publishers == 1);
  }

  // Found by review: a HELLO that came late had opened it like a new one, so it was known.
  TEST_CASE("publisher: forgotten, and opened anew by a late HELLO -> expired to who had the old") {
    Forgetful leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.settle();
    leader.let_time_pass();
    leader.server.settle();
    const wire::Welcome late = leader.server.open_publisher(dave, publisher);
    CHECK(late.instance == 2);
    CHECK(late.last_sequence == 0);

    leader.ask(bob, 1);
    CHECK(leader.refusal(bob).code == Code::expired);
    leader.ask(bob, 2);
    CHECK(leader.opened(bob) == 3);
  }

  // Found by review: its batch in flight was taken to keep it, whatever came behind that.
  TEST_CASE(
      "publisher: a batch of it and what frees it in flight, then a new instance -> expired") {
    Forgetful leader;
    leader.server.publish(alice, 1, {"a"});
    leader.server.disk_works = false;
    leader.server.settle();
    leader.let_time_pass();
    leader.ask(bob, 1);
    leader.server.publish(alice, 2, {"b"});
    leader.server.publish(alice, 1, {"a"});  // again: it was taken, and has its receipt
    leader.server.disk_works = true;
    leader.server.settle();
    CHECK(leader.server.clients.take<wire::Welcome>(bob).empty());
    CHECK(leader.refusal(bob).code == Code::unavailable);
    CHECK(leader.refusal(alice).code == Code::unavailable);
    CHECK(leader.receipts().size() == 2);

    leader.ask(bob, 1);
    CHECK(leader.refusal(bob).code == Code::expired);
    CHECK(leader.replica().status().last_offset == 1);
  }

  // Found by review: its place was counted as free for the one before, and taken again.
  TEST_CASE("publishers: all places taken, an idle one is freed for another -> it is busy itself") {
    replica::Options options;
    options.publishers_max = 1;
    Forgetful leader(options);
    leader.let_time_pass();
    leader.ask(bob, std::nullopt);
    CHECK(leader.refusal(bob).code == Code::busy);
    CHECK(leader.replica().status().publishers == 1);
  }

  TEST_CASE("publisher: closed and opened anew in flight -> who had the old one waits, expired") {
    Leader leader;
    leader.server.disk_works = false;
    leader.server.say(alice, wire::ClosePublisher{1});
    leader.server.say(carol, opening(publisher));
    leader.server.say(bob, opening(publisher, 1));
    CHECK(leader.refusal(bob).code == Code::unavailable);

    leader.server.disk_works = true;
    leader.server.settle();
    leader.server.say(bob, opening(publisher, 1));
    CHECK(leader.refusal(bob).code == Code::expired);
  }
}
