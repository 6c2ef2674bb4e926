// Verdicts: what ends a publisher for good is told by a leader that a quorum follows.
#include <doctest/doctest.h>

#include <vector>

#include "cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};

void open_publisher(Cluster& cluster, Server& server, ConnectionId who) {
  wire::Hello hello;
  hello.publisher = make_uuid(99);
  server.say(who, hello);
  REQUIRE(cluster.wait([&] { return !server.clients.take<wire::Welcome>(who).empty(); }));
}

template <class Answer>
std::vector<Answer> wait_for(Cluster& cluster, Server& server, ConnectionId who) {
  std::vector<Answer> answers;
  REQUIRE(cluster.wait([&] {
    answers = server.clients.take<Answer>(who);
    return !answers.empty();
  }));
  return answers;
}

// A leader and a follower that follows it, at which alice has opened publisher 99 as instance 1.
struct Opened {
  Opened() {
    open_publisher(three, three.at(leader), alice);
    REQUIRE(three.wait([&] { return three.at(follower).replica->status().leader == leader; }));
  }

  static wire::Hello hello(Instance instance) {
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    hello.instance = instance;
    return hello;
  }

  Cluster three{3};
  const ServerId leader = three.wait_for_leader();
  const ServerId follower = three.followers_of(leader).front();
};

}  // namespace

TEST_SUITE("replica/verdict") {
  // It may know nothing of a publisher that its successor has opened, and `expired` is for good.
  TEST_CASE("cluster: an unknown publisher at a leader that nobody follows -> not expired") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    hello.instance = 1;
    const auto refusal = [&] {
      std::vector<wire::Refused> refusals;
      REQUIRE(three.wait([&] {
        refusals = three.at(leader).clients.take<wire::Refused>(bob);
        return !refusals.empty();
      }));
      return refusals.back();
    };
    three.at(leader).say(bob, hello);
    CHECK(refusal().code == Code::expired);

    three.isolate(leader, true);
    three.at(leader).say(bob, hello);
    three.settle();
    CHECK(three.at(leader).clients.take<wire::Refused>(bob).empty());
    const wire::Refused answer = refusal();
    CHECK(answer.code == Code::unavailable);
    CHECK(answer.outcome == Outcome::maybe);
  }

  // Found by review: each life of a learner counts its requests from 1.
  TEST_CASE("cluster: a verdict held for a learner's earlier life -> never told to its next one") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    const ServerId follower = three.followers_of(leader).front();
    const auto follows = [&] { return three.at(follower).replica->status().leader == leader; };
    REQUIRE(three.wait(follows));
    three.crash(three.followers_of(leader).back());
    bool rounds_end = false;
    three.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice&) {
      return rounds_end || to != leader || !std::holds_alternative<zab::Pong>(message);
    };
    wire::Hello gone;
    gone.publisher = make_uuid(99);
    gone.instance = 1;
    three.at(follower).say(alice, gone);  // request 1 of this life: `expired`, held
    three.settle();
    three.crash(follower);
    three.start(follower);
    REQUIRE(three.wait(follows, 90));
    three.at(leader).disk_works = false;
    wire::Hello opening;
    opening.publisher = make_uuid(8);
    three.at(follower).say(bob, opening);  // request 1 of the next
    three.settle();

    rounds_end = true;
    for (int ticks = 0; ticks < 20; ++ticks) three.tick();
    CHECK(three.at(follower).clients.take<wire::Refused>(bob).empty());
    three.at(leader).disk_works = true;
    std::vector<wire::Welcome> welcomes;
    CHECK(three.wait([&] {
      welcomes = three.at(follower).clients.take<wire::Welcome>(bob);
      return !welcomes.empty();
    }));
  }

  // Found by review: at its successor the condition may hold, and the offset exist.
  TEST_CASE("cluster: a condition, a cursor beyond the end, at a leader nobody follows -> open") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    Server& server = three.at(leader);
    open_publisher(three, server, alice);
    server.say(bob, wire::Hello{});
    const auto refusal_of = [&](ConnectionId who) {
      std::vector<wire::Refused> refusals;
      REQUIRE(three.wait([&] {
        refusals = server.clients.take<wire::Refused>(who);
        return !refusals.empty();
      }));
      return refusals.back();
    };
    const auto ask = [&] {
      server.publish(alice, 1, {"a"}, 1, 7);
      server.say(bob, wire::MoveCursor{1, "billing", 7, false});
    };
    ask();
    CHECK(refusal_of(alice).expect_last_offset == Offset{7});
    CHECK(refusal_of(bob).code == Code::refused);

    three.isolate(leader, true);
    ask();
    three.settle();
    CHECK(server.clients.take<wire::Refused>(alice).empty());
    CHECK(server.clients.take<wire::Refused>(bob).empty());
    for (const ConnectionId who : {alice, bob}) {
      const wire::Refused answer = refusal_of(who);
      CHECK(answer.code == Code::unavailable);
      CHECK(answer.outcome == Outcome::no);
      CHECK_FALSE(answer.expect_last_offset);
      CHECK(answer.last_offset == 0);
    }
  }

  // Found by the simulator, seed 1795690021366: removed and begun anew at its successor, the cursor
  // stands in front of what the reader was told here.
  TEST_CASE("cluster: a cursor that need not move, at a leader nobody follows -> open") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    Server& server = three.at(leader);
    server.say(bob, wire::Hello{});
    const auto move = [&](std::uint64_t request, Offset offset) {
      server.say(bob, wire::MoveCursor{request, "billing", offset, false});
    };
    std::vector<wire::CursorMoved> moved;
    const auto told = [&] {
      moved = server.clients.take<wire::CursorMoved>(bob);
      return !moved.empty();
    };
    move(1, 0);
    REQUIRE(three.wait(told));
    move(2, 0);
    REQUIRE(three.wait(told));
    CHECK(moved.front().request == 2);

    three.isolate(leader, true);
    move(3, 0);
    std::vector<wire::Refused> refusals;
    REQUIRE(three.wait([&] {
      refusals = server.clients.take<wire::Refused>(bob);
      return !refusals.empty();
    }));
    CHECK_FALSE(told());
    CHECK(refusals.front().about == wire::About::cursor);
    CHECK(refusals.front().id == 3);
    CHECK(refusals.front().code == Code::unavailable);
    CHECK(refusals.front().outcome == Outcome::no);
  }

  // Found by review: what its successor has opened it has never heard of.
  TEST_CASE("cluster: an instance that was never opened, at a leader nobody follows -> open") {
    Opened f;
    const auto refusal_at = [&](ServerId asked) {
      f.three.at(asked).say(bob, Opened::hello(2));
      return wait_for<wire::Refused>(f.three, f.three.at(asked), bob).back();
    };
    CHECK(refusal_at(f.leader).code == Code::protocol);
    CHECK(refusal_at(f.follower).code == Code::protocol);

    f.three.isolate(f.leader, true);
    const wire::Refused answer = refusal_at(f.leader);
    CHECK(answer.about == wire::About::connection);
    CHECK(answer.code == Code::unavailable);
    CHECK(answer.outcome == Outcome::no);
  }

  // Found by review: its successor may have closed the publisher, and a process that is told that
  // it is known opens it anew and sends again what was appended before.
  TEST_CASE("cluster: an instance that is known, at a leader nobody follows -> not welcomed") {
    Opened f;
    for (const ServerId asked : {f.leader, f.follower}) {
      f.three.at(asked).say(bob, Opened::hello(1));
      const auto welcomes = wait_for<wire::Welcome>(f.three, f.three.at(asked), bob);
      CHECK(welcomes.front().publisher_open);
      CHECK(welcomes.front().instance == 1);
    }

    f.three.isolate(f.leader, true);
    f.three.at(f.leader).say(bob, Opened::hello(1));
    const auto refusals = wait_for<wire::Refused>(f.three, f.three.at(f.leader), bob);
    CHECK(f.three.at(f.leader).clients.take<wire::Welcome>(bob).empty());
    CHECK(refusals.front().about == wire::About::connection);
    CHECK(refusals.front().code == Code::unavailable);
    CHECK(refusals.front().outcome == Outcome::no);
  }

  // The connection is about what it asked for last.
  TEST_CASE("cluster: HELLO with the instance, then for a new one, at once -> welcomed as new") {
    Opened f;
    Instance newest = 1;
    for (const ServerId asked : {f.leader, f.follower}) {
      f.three.at(asked).say(bob, Opened::hello(newest));
      f.three.at(asked).say(bob, Opened::hello(0));
      const auto welcomes = wait_for<wire::Welcome>(f.three, f.three.at(asked), bob);
      CHECK(welcomes.size() == 1);
      CHECK(welcomes.front().instance == ++newest);
    }
  }

  // Found by review: the earlier one was refused for want of space, and the later never answered.
  TEST_CASE("cluster: no space, HELLO for a new instance, then with the old one -> welcomed") {
    Opened f;
    for (const ServerId asked : {f.leader, f.follower}) {
      f.three.at(f.leader).log.full = true;
      f.three.at(asked).say(bob, Opened::hello(0));
      f.three.at(asked).say(bob, Opened::hello(1));
      const auto welcomes = wait_for<wire::Welcome>(f.three, f.three.at(asked), bob);
      CHECK(welcomes.front().instance == 1);
      CHECK(f.three.at(asked).clients.take<wire::Refused>(bob).empty());
    }
  }

  // Many writers with conditions: all refusals of a moment share one round.
  TEST_CASE("cluster: refused conditions share their quorum round") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    Server& server = three.at(leader);
    open_publisher(three, server, alice);
    int pings = 0;
    three.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      pings += from == leader && std::holds_alternative<zab::Ping>(message) ? 1 : 0;
      return true;
    };
    constexpr std::size_t copies = 50;
    for (std::size_t i = 0; i < copies; ++i) server.publish(alice, 1, {"a"}, 1, 7);
    std::size_t refusals = 0;
    CHECK(three.wait([&] {
      refusals += server.clients.take<wire::Refused>(alice).size();
      return refusals == copies;
    }));
    CHECK(pings < 20);
  }

  // CLOSE of a publisher that only the successor knows: told to be done, its entry would stay.
  TEST_CASE("cluster: CLOSE of an unknown publisher at a leader that nobody follows -> open") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    three.at(leader).say(bob, hello);
    REQUIRE(three.wait([&] { return !three.at(leader).clients.take<wire::Welcome>(bob).empty(); }));
    three.at(leader).say(bob, wire::ClosePublisher{1});
    REQUIRE(three.wait([&] { return !three.at(leader).clients.take<wire::Closed>(bob).empty(); }));
    three.isolate(leader, true);
    three.at(leader).say(bob, wire::ClosePublisher{1});
    std::vector<wire::Refused> refusals;
    REQUIRE(three.wait([&] {
      refusals = three.at(leader).clients.take<wire::Refused>(bob);
      return !refusals.empty();
    }));
    CHECK(three.at(leader).clients.take<wire::Closed>(bob).empty());
    CHECK(refusals.front().about == wire::About::close);
    CHECK(refusals.front().code == Code::unavailable);
    CHECK(refusals.front().outcome == Outcome::maybe);
  }

  // CLOSED has been told, so nothing else may be.
  TEST_CASE("cluster: a close that is committed, not delivered here yet -> expired") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    Server& server = three.at(leader);
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    server.say(bob, hello);
    REQUIRE(three.wait([&] { return !server.clients.take<wire::Welcome>(bob).empty(); }));

    server.disk_works = false;
    server.say(bob, wire::ClosePublisher{1});
    REQUIRE(three.wait([&] { return !server.clients.take<wire::Closed>(bob).empty(); }));
    CHECK(server.replica->status().publishers == 1);
    hello.instance = 1;
    server.say(ConnectionId{3}, hello);
    std::vector<wire::Refused> refusals;
    REQUIRE(three.wait([&] {
      refusals = server.clients.take<wire::Refused>(ConnectionId{3});
      return !refusals.empty();
    }));
    CHECK(refusals.front().code == Code::expired);
  }
}
