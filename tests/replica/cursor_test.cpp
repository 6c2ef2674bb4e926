// Cursors: durable ones, as clients move, use, list and remove them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cluster.hpp"
#include "leader_fixture.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

wire::Subscribe with_cursor(std::uint64_t name, std::string cursor, wire::StartKind start) {
  wire::Subscribe request = from_first(name);
  request.start = start;
  request.cursor = std::move(cursor);
  return request;
}

wire::MoveCursor moving(std::uint64_t request, Offset offset, std::string name = "billing") {
  return {request, std::move(name), offset, false};
}

// A leader with messages 1 to 5.
struct Five : Leader {
  explicit Five(replica::Options options = {}) : Leader(options) {
    Sequence sequence = 0;
    for (const char* payload : {"a", "b", "c", "d", "e"}) {
      server.publish(alice, ++sequence, {payload});
    }
    CHECK(receipts().size() == 5);
  }
  std::vector<wire::CursorMoved> moved() {
    server.settle();
    return server.clients.take<wire::CursorMoved>(alice);
  }
  std::vector<wire::CursorPlace> list(const std::string& after = {}) {
    server.say(alice, wire::ListCursors{9, after});
    server.settle();
    const auto pages = server.clients.take<wire::Cursors>(alice);
    REQUIRE(pages.size() == 1);
    CHECK(pages[0].request == 9);
    more = pages[0].more;
    return pages[0].cursors;
  }
  std::vector<std::string> delivered_from(const std::string& cursor, wire::StartKind start) {
    server.subscribe(bob, with_cursor(1, cursor, start));
    server.settle();
    return server.take_delivered(bob);
  }
  bool more = false;
};

// Three servers, five messages, delivered everywhere.
struct CursorCluster : Cluster {
  CursorCluster() : Cluster(3) {
    leader = wait_for_leader();
    follower = followers_of(leader).front();
    other = followers_of(leader).back();
    wire::Hello opening;
    opening.publisher = publisher;
    at(leader).say(alice, opening);
    CHECK(wait([&] { return !at(leader).clients.take<wire::Welcome>(alice).empty(); }));
    at(leader).publish(alice, 1, {"a", "b", "c", "d", "e"});
    CHECK(wait([&] { return delivered(follower) == 5 && delivered(other) == 5; }));
    for (const ServerId server : all()) {
      wire::Hello hello;
      at(server).say(bob, hello);
    }
    settle();
  }
  Offset delivered(ServerId server) { return at(server).replica->state().delivered_offset(); }
  std::optional<Offset> place(ServerId server) {
    return at(server).replica->state().cursors().find("billing");
  }
  template <class Answer>
  Answer answer(ServerId server) {
    std::vector<Answer> answers;
    wait([&] {
      for (Answer& one : at(server).clients.take<Answer>(bob)) answers.push_back(std::move(one));
      return !answers.empty();
    });
    REQUIRE(answers.size() == 1);
    return answers.front();
  }

  ServerId leader, follower, other;
};

}  // namespace

TEST_SUITE("replica/cursor") {
  TEST_CASE("cursor: moved -> told where it stands, never back, listed") {
    Five f;
    f.server.say(alice, moving(1, 3));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{1, 3}});
    f.server.say(alice, moving(2, 2));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{2, 3}});
    f.server.say(alice, moving(3, 0, "audit"));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{3, 0}});

    CHECK(f.list() == std::vector<wire::CursorPlace>{{"audit", 0}, {"billing", 3}});
    CHECK(f.list("audit") == std::vector<wire::CursorPlace>{{"billing", 3}});
    CHECK(f.list("billing").empty());
    CHECK_FALSE(f.more);
  }

  TEST_CASE("cursor: a move that changes nothing -> answered without a transaction") {
    Five f;
    f.server.say(alice, moving(1, 3));
    f.moved();
    const Zxid before = f.replica().status().last_committed;
    f.server.say(alice, moving(2, 3));
    CHECK(f.moved().size() == 1);
    CHECK(f.replica().status().last_committed == before);
  }

  TEST_CASE("cursor: a start with it -> behind what was acknowledged, whatever the start says") {
    Five f;
    f.server.say(alice, moving(1, 3));
    f.moved();
    CHECK(f.delivered_from("billing", wire::StartKind::first) ==
          std::vector<std::string>{"d", "e"});
    CHECK(f.delivered_from("billing", wire::StartKind::fresh) ==
          std::vector<std::string>{"d", "e"});
    f.server.say(alice, moving(2, 5));
    f.moved();
    CHECK(f.delivered_from("billing", wire::StartKind::first).empty());
  }

  TEST_CASE("cursor: a start with one that does not exist -> at the start's word") {
    Five f;
    CHECK(f.delivered_from("new one", wire::StartKind::first).size() == 5);
    CHECK(f.delivered_from("new one", wire::StartKind::fresh).empty());
    CHECK(f.list().empty());
  }

  TEST_CASE("cursor: acknowledged beyond the end -> refused, the last offset is told") {
    Five f;
    f.server.say(alice, moving(7, 6));
    const wire::Refused refused = f.refusal();
    CHECK(refused.about == wire::About::cursor);
    CHECK(refused.id == 7);
    CHECK(refused.code == Code::refused);
    CHECK(refused.outcome == Outcome::no);
    CHECK(refused.last_offset == 5);
    CHECK(f.list().empty());
  }

  TEST_CASE("cursor: no name -> protocol, to who moves it and to who subscribes") {
    for (const std::string& name : {std::string(), std::string("a*"), std::string("a\nb")}) {
      Five f;
      f.server.say(alice, moving(1, 1, name));
      wire::Refused refused = f.refusal();
      CHECK(refused.about == wire::About::cursor);
      CHECK(refused.code == Code::protocol);
      f.server.say(alice, with_cursor(1, name, wire::StartKind::first));
      refused = f.refusal();
      CHECK(refused.about == wire::About::subscribe);
      CHECK(refused.code == Code::protocol);
    }
  }

  TEST_CASE("cursor: removed -> gone, its name begins anew, twice is no error") {
    Five f;
    f.server.say(alice, moving(1, 3));
    f.moved();
    for (std::uint64_t request = 2; request < 4; ++request) {
      f.server.say(alice, wire::MoveCursor{request, "billing", 0, true});
      CHECK(f.moved() == std::vector<wire::CursorMoved>{{request, 0}});
      CHECK(f.list().empty());
    }
    CHECK(f.delivered_from("billing", wire::StartKind::first).size() == 5);
  }

  TEST_CASE("cursor: as many as may be -> refused, those that exist move, removal makes room") {
    replica::Options options;
    options.cursors_max = 2;
    Five f(options);
    for (const char* name : {"a", "b", "c"}) f.server.say(alice, moving(1, 1, name));
    CHECK(f.refusal().code == Code::refused);  // also when they come at once
    CHECK(f.moved().size() == 2);
    f.server.say(alice, moving(2, 2, "a"));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{2, 2}});
    f.server.say(alice, wire::MoveCursor{3, "b", 0, true});
    CHECK(f.moved().size() == 1);
    f.server.say(alice, moving(4, 1, "c"));
    CHECK(f.moved().size() == 1);
  }

  TEST_CASE("cursor: moves of cursors that exist take nobody's place") {
    replica::Options options;
    options.cursors_max = 3;
    Five f(options);
    for (const char* name : {"a", "b"}) f.server.say(alice, moving(1, 1, name));
    CHECK(f.moved().size() == 2);
    for (const char* name : {"a", "b"}) f.server.say(alice, moving(2, 5, name));
    f.server.say(alice, moving(3, 1, "c"));
    CHECK(f.moved().size() == 3);
  }

  TEST_CASE("cursor: moved behind a removal in flight -> exists again") {
    Five f;
    f.server.say(alice, moving(1, 5));
    f.moved();
    f.server.say(alice, wire::MoveCursor{2, "billing", 0, true});
    f.server.say(alice, moving(3, 5));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{2, 0}, {3, 5}});
    CHECK(f.list().size() == 1);
  }

  TEST_CASE(
      "cursor: a client that asks for lists and does not read -> one answer waits, not many") {
    Five f;
    f.server.say(alice, moving(1, 5));
    f.moved();
    f.server.clients.state[alice] = replica::ClientLinks::Sent::full;
    for (std::uint64_t request = 0; request < 100; ++request) {
      f.server.say(alice, wire::ListCursors{request, ""});
    }
    f.server.clients.state.erase(alice);
    f.server.tick();
    f.server.settle();
    CHECK(f.server.clients.take<wire::Cursors>(alice).size() == 1);
  }

  TEST_CASE("cursor: more than one answer holds -> in pages") {
    Five f;
    for (int i = 0; i < 300; ++i) f.server.say(alice, moving(1, 1, std::to_string(1000 + i)));
    CHECK(f.moved().size() == 300);
    const auto first = f.list();
    CHECK(first.size() == wire::cursors_max);
    CHECK(f.more);
    CHECK(f.list(first.back().name).size() == 300 - wire::cursors_max);
    CHECK_FALSE(f.more);
  }

  TEST_CASE("cursor: the disk is nearly full -> one that exists moves, a new one is refused") {
    Five f;
    f.server.say(alice, moving(1, 1));
    f.moved();
    f.server.log.full = true;
    f.server.say(alice, moving(2, 2));
    CHECK(f.moved() == std::vector<wire::CursorMoved>{{2, 2}});
    f.server.say(alice, moving(3, 2, "new one"));
    CHECK(f.refusal().code == Code::no_space);
    f.server.log.last_space = true;  // is what floors need
    f.server.say(alice, moving(4, 3));
    CHECK(f.refusal().code == Code::no_space);
  }

  TEST_CASE("cursor: through a follower -> the leader's answer, the same state everywhere") {
    CursorCluster c;
    c.at(c.follower).say(bob, moving(1, 3));
    CHECK(c.answer<wire::CursorMoved>(c.follower) == wire::CursorMoved{1, 3});
    CHECK(c.wait([&] { return c.place(c.follower) == 3 && c.place(c.other) == 3; }));
    CHECK(c.place(c.leader) == 3);
    c.at(c.follower).say(bob, moving(2, 6));
    CHECK(c.answer<wire::Refused>(c.follower).last_offset == 5);
    CHECK(c.at(c.follower).replica->queues().forwarded_bytes == 0);
  }

  TEST_CASE("cursor: a follower that lags -> waits for what was acknowledged elsewhere") {
    CursorCluster c;
    c.at(c.other).disk_works = false;
    c.at(c.follower).say(bob, moving(1, 4));
    CHECK(c.answer<wire::CursorMoved>(c.follower).offset == 4);
    CHECK(c.place(c.other) == std::nullopt);

    c.at(c.other).say(bob, with_cursor(1, "billing", wire::StartKind::first));
    c.settle();
    CHECK(c.at(c.other).clients.take<wire::Subscribed>(bob).empty());
    c.at(c.other).disk_works = true;
    const auto answer = c.answer<wire::Subscribed>(c.other);
    CHECK(answer.next == 5);
    CHECK(answer.from_cursor);
  }

  TEST_CASE("cursor: without a quorum -> unavailable, to who moves it and to who subscribes") {
    CursorCluster c;
    c.crash(c.leader);
    c.crash(c.other);
    REQUIRE(c.wait([&] { return c.at(c.follower).replica->status().leader == ServerId::none; }));
    c.at(c.follower).say(bob, moving(1, 3));
    wire::Refused refused = c.answer<wire::Refused>(c.follower);
    CHECK(refused.about == wire::About::cursor);
    CHECK(refused.code == Code::unavailable);
    CHECK(refused.outcome == Outcome::no);
    c.at(c.follower).say(bob, with_cursor(1, "billing", wire::StartKind::first));
    refused = c.answer<wire::Refused>(c.follower);
    CHECK(refused.about == wire::About::subscribe);
    CHECK(refused.code == Code::unavailable);
  }

  TEST_CASE("cursor: the leader is lost -> it may have moved, again is safe, and it survives") {
    CursorCluster c;
    const ServerId old_leader = c.leader;
    c.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      return from != old_leader || !std::holds_alternative<zab::ForwardAnswer>(message);
    };
    c.at(c.follower).say(bob, moving(1, 3));
    c.settle();
    c.crash(old_leader);
    const auto refused = c.answer<wire::Refused>(c.follower);
    CHECK(refused.code == Code::unavailable);
    CHECK(refused.outcome == Outcome::maybe);

    c.tamper = nullptr;
    c.leader = c.wait_for_leader();
    c.at(c.follower).say(bob, moving(2, 3));
    CHECK(c.answer<wire::CursorMoved>(c.follower) == wire::CursorMoved{2, 3});
    c.start(old_leader);
    CHECK(c.wait([&] { return c.place(old_leader) == 3; }));
  }
}
