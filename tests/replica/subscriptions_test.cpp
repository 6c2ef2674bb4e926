// Subscriptions: starts, credit, fairness, slow links and cold logs, seen through a cluster of one.
#include "replica/subscriptions.hpp"

#include <doctest/doctest.h>

#include "replica/records.hpp"
#include "server.hpp"

using namespace zabmq;
using namespace zabmq::testing;
using Sent = replica::ClientLinks::Sent;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};
constexpr ConnectionId carol{3};

// A leader with `batches` batches of two messages each: "1", "2", ...
struct History : Solo {
  explicit History(std::size_t batches, replica::Options options = {}) : Solo(options) {
    server.open_publisher(alice, make_uuid(7));
    for (std::size_t i = 0; i < batches; ++i) add();
    server.clients.take();
  }
  void add() {
    server.publish(alice, next, {std::to_string(next), std::to_string(next + 1)});
    next += 2;
    server.settle();
  }
  wire::Subscribed subscribed(ConnectionId who = bob) {
    server.settle();
    const auto answers = server.clients.take<wire::Subscribed>(who);
    REQUIRE(answers.size() == 1);
    return answers[0];
  }
  // Retention decides that what lies up to this transaction need not be kept.
  void stop_retaining(Zxid up_to) {
    server.log.spans = {{server.log.end_at(up_to), 1000}};
    server.tick(server.options.retention_interval_ms);
    server.settle();
    REQUIRE(replica().state().retained().zxid == up_to);
    for (int seconds = 0; seconds < 3; ++seconds) {  // the snapshot that frees it may wait
      server.tick(1000);
      server.settle();
    }
    REQUIRE(server.log.kept_from.zxid == up_to);
  }
  std::vector<std::string> delivered(ConnectionId who = bob) {
    server.settle();
    return server.take_delivered(who);
  }
  Sequence next = 1;
};

replica::Options retaining_nothing() {
  replica::Options options;
  options.retention.bytes_max = 0;
  return options;
}

std::vector<std::string> numbers(Sequence first, Sequence last) {
  std::vector<std::string> texts;
  for (Sequence s = first; s <= last; ++s) texts.push_back(std::to_string(s));
  return texts;
}

}  // namespace

TEST_SUITE("replica/subscriptions") {
  TEST_CASE("start: first -> everything, then what comes") {
    History history(3);
    history.server.subscribe(bob, from_first(1));
    CHECK(history.subscribed().next == 1);
    CHECK(history.delivered() == numbers(1, 6));
    history.add();
    CHECK(history.delivered() == numbers(7, 8));
  }

  TEST_CASE("start: an offset inside a batch -> the whole batch, covering from the offset on") {
    History history(3);
    history.server.subscribe(bob, from_offset(1, 4));
    CHECK(history.subscribed().next == 4);
    history.server.settle();

    const auto frames = history.server.clients.take<wire::Deliver>(bob);
    REQUIRE(!frames.empty());
    CHECK(frames.front().after == 3);
    CHECK(frames.back().up_to == 6);
  }

  TEST_CASE(
      "start: end + 1 -> a normal resume, beyond -> refused with the last offset, 0 -> protocol") {
    History history(2);
    history.server.subscribe(bob, from_offset(1, 5));
    CHECK(history.subscribed().next == 5);

    history.server.subscribe(bob, from_offset(2, 6));
    history.server.subscribe(bob, from_offset(3, 0));
    history.server.settle();
    const auto refused = history.server.clients.take<wire::Refused>(bob);
    REQUIRE(refused.size() == 2);
    CHECK(refused[0].code == Code::protocol);
    CHECK(refused[1].code == Code::refused);
    CHECK(refused[1].first_offset == 1);
    CHECK(refused[1].last_offset == 4);
    history.add();
    CHECK(history.delivered() == numbers(5, 6));
  }

  TEST_CASE("start: zxid -> the first message of the first transaction from there on") {
    History history(2);
    const Zxid last = history.replica().status().last_committed;
    wire::Subscribe request = from_first(1);
    request.start = wire::StartKind::zxid;

    request.zxid = last;
    history.server.subscribe(bob, request);
    CHECK(history.subscribed().next == 3);
    CHECK(history.delivered() == numbers(3, 4));

    request.zxid = Zxid{};
    history.server.subscribe(bob, request);
    CHECK(history.subscribed().next == 1);

    request.zxid = next(last);
    history.server.subscribe(bob, request);
    CHECK(history.subscribed().next == 5);

    request.zxid = next(next(last));
    history.server.subscribe(bob, request);
    history.server.settle();
    const auto refused = history.server.clients.take<wire::Refused>(bob);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].last_offset == 4);
  }

  TEST_CASE("start: zxid in a cold log -> looked up on the disk") {
    History history(2);
    history.server.log.cold = true;
    wire::Subscribe request = from_first(1);
    request.start = wire::StartKind::zxid;
    request.zxid = history.replica().status().last_committed;
    history.server.subscribe(bob, request);
    CHECK(history.subscribed().next == 3);
    CHECK(history.delivered() == numbers(3, 4));
  }

  TEST_CASE("start: time -> the first message as young as that, one ahead waits behind the end") {
    History history(1);
    const auto time_of_last = [&] {
      const auto read = history.server.log.read_hot(
          storage::After{}, history.replica().status().last_committed, 1 << 20);
      LogTime time = 0;
      for (const Slice& slice : read->slices) {
        replica::RecordWalk walk(slice.bytes());
        while (const auto header = walk.next()) time = header->time;
      }
      return time;
    };
    const LogTime one = time_of_last();
    history.server.tick(1000);
    history.add();
    const LogTime two = time_of_last();
    REQUIRE(two > one);
    wire::Subscribe request = from_first(1);
    request.start = wire::StartKind::time;
    const auto begins = [&](LogTime time) {
      request.time = time;
      history.server.clients.take();
      history.server.subscribe(bob, request);
      return history.subscribed().next;
    };

    CHECK(begins(0) == 1);
    CHECK(begins(one) == 1);
    CHECK(begins(one + 1) == 3);
    CHECK(begins(two) == 3);
    CHECK(history.delivered() == numbers(3, 4));
    history.server.log.cold = true;
    CHECK(begins(one + 1) == 3);
    history.server.log.cold = false;
    CHECK(begins(two + 1) == 5);
    history.add();
    CHECK(history.delivered() == numbers(5, 6));
  }

  TEST_CASE("start: below what is kept -> GAP with the first offset, never a silent skip") {
    History history(3, retaining_nothing());
    const Zxid old = {history.replica().status().epoch, 2};
    history.stop_retaining(old);

    history.server.subscribe(bob, from_offset(1, 2));
    wire::Subscribe request = from_first(2);
    request.start = wire::StartKind::zxid;
    request.zxid = old;
    history.server.subscribe(bob, request);
    history.server.subscribe(bob, from_first(3));
    history.server.settle();

    const auto gaps = history.server.clients.take<wire::Gap>(bob);
    REQUIRE(gaps.size() == 2);
    CHECK(gaps[0].first == 3);
    CHECK(gaps[1].first == 3);
    CHECK(history.subscribed().next == 3);
    CHECK(history.replica().counters().gaps == 2);
  }

  TEST_CASE("stream: overtaken by what is kept -> GAP") {
    replica::Options options = retaining_nothing();
    options.retention_hold_ms = 5000;
    History history(3, options);
    history.server.subscribe(bob, from_first(1, 1));
    CHECK(history.delivered() == numbers(1, 2));
    const Zxid up_to{history.replica().status().epoch, 3};
    SUBCASE("within its time -> it reads on") {
      history.server.log.spans = {{history.server.log.end_at(up_to), 1000}};
      history.server.tick(1000);
      history.server.settle();
      CHECK(history.replica().state().retained().zxid == up_to);
      CHECK(history.server.log.kept_from.zxid < up_to);
      history.server.say(bob, wire::Credit{1, 100, 1000});
      CHECK(history.delivered() == numbers(3, 6));
      return;
    }
    history.server.log.spans = {{history.server.log.end_at(up_to), 1000}};
    history.server.tick(1000);
    history.server.settle();
    history.server.tick(5001);

    history.server.say(bob, wire::Credit{1, 100, 1000});
    history.server.settle();

    CHECK(history.server.clients.take<wire::Gap>(bob).size() == 1);
    CHECK(history.replica().status().subscriptions == 0);
  }

  // Found by review: the time began with the first pass, however long ago.
  TEST_CASE("stream: passed by retention a second time -> it may read on for as long again") {
    replica::Options options = retaining_nothing();
    options.retention_hold_ms = 5000;
    History history(5, options);
    history.server.subscribe(bob, from_first(1, 1));
    CHECK(history.delivered() == numbers(1, 2));
    const auto retain = [&](std::uint64_t counter) {
      const Zxid up_to{history.replica().status().epoch, counter};
      history.server.log.spans = {{history.server.log.end_at(up_to), 1000}};
      history.server.tick(1000);
      history.server.settle();
      CHECK(history.replica().state().retained().zxid == up_to);
    };
    retain(3);  // two messages ahead of it
    history.server.say(bob, wire::Credit{1, 5, 100'000});
    CHECK(history.delivered() == numbers(3, 6));
    for (int seconds = 0; seconds < 7; ++seconds) {
      history.server.tick(1000);
      history.server.settle();
    }
    retain(5);

    history.server.say(bob, wire::Credit{1, 100, 100'000});
    CHECK(history.delivered() == numbers(7, 10));
    CHECK(history.server.clients.take<wire::Gap>(bob).empty());
  }

  TEST_CASE("start: until_end and fresh -> the end as a quorum knows it") {
    History history(2);
    wire::Subscribe request = from_first(1);
    request.until_end = true;
    history.server.subscribe(bob, request);
    const wire::Subscribed until = history.subscribed();
    CHECK(until.has_end);
    CHECK(until.end == 4);
    CHECK(until.next == 1);

    request.start = wire::StartKind::fresh;
    history.server.subscribe(carol, request);
    const wire::Subscribed fresh = history.subscribed(carol);
    CHECK(fresh.next == 5);
    CHECK(fresh.end == 4);
  }

  TEST_CASE("credit: a batch is sent whole while any is left, then nothing until it is positive") {
    History history(3);
    history.server.subscribe(bob, from_first(1, 1));
    CHECK(history.delivered() == numbers(1, 2));  // one below zero

    history.server.say(bob, wire::Credit{1, 1, 0});
    CHECK(history.delivered().empty());
    history.server.say(bob, wire::Credit{1, 1, 0});
    CHECK(history.delivered() == numbers(3, 4));
  }

  TEST_CASE("credit: in bytes -> the same, an offset inside a batch costs only what is covered") {
    History history(3);
    history.server.subscribe(bob, from_first(1, 1000, 1));
    CHECK(history.delivered() == numbers(1, 2));
    history.server.say(bob, wire::Credit{1, 0, 1});
    CHECK(history.delivered().empty());

    wire::Subscribe request = from_offset(2, 2);
    request.credit_messages = 2;
    history.server.subscribe(carol, request);
    CHECK(history.delivered(carol) == numbers(1, 4));  // covers 2, then 3 and 4
  }

  TEST_CASE("credit: absurd amounts -> no overflow") {
    History history(2);
    history.server.subscribe(bob, from_first(1, ~std::uint64_t{0}, ~std::uint64_t{0}));
    history.server.say(bob, wire::Credit{1, ~std::uint64_t{0}, ~std::uint64_t{0}});
    CHECK(history.delivered() == numbers(1, 4));
  }

  TEST_CASE("frames: each begins where the one before ended, whatever the slices") {
    replica::Options options;
    options.read_bytes_max = 300;
    History history(6, options);
    history.server.subscribe(bob, from_first(1));
    history.server.settle();
    Offset covered = 0;
    for (const wire::Deliver& frame : history.server.clients.take<wire::Deliver>(bob)) {
      CHECK(frame.after == covered);
      CHECK(frame.up_to > covered);
      covered = frame.up_to;
    }
    CHECK(covered == 12);
  }

  TEST_CASE("records: hot -> the log's own memory goes out") {
    History history(1);
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(carol, from_first(1));
    history.server.settle();
    std::vector<const std::byte*> bodies;
    for (const FakeClients::Frame& frame : history.server.clients.frames) {
      if (std::holds_alternative<wire::Deliver>(frame.message)) {
        bodies.push_back(frame.body.bytes().data());
      }
    }
    REQUIRE(bodies.size() == 2);
    CHECK(bodies[0] == bodies[1]);
  }

  TEST_CASE(
      "cold log: one read under way for each, cold_reads_max for all -> everybody is served") {
    replica::Options options;
    options.cold_reads_max = 2;
    History history(5, options);
    history.server.log.cold = true;
    for (std::uint64_t c = 10; c < 15; ++c) {
      history.server.subscribe(ConnectionId{c}, from_first(1));
    }

    history.replica().step();
    CHECK(history.server.log.cold_reads_waiting() == 2);

    history.server.settle();
    for (std::uint64_t c = 10; c < 15; ++c) {
      CHECK(history.server.take_delivered(ConnectionId{c}) == numbers(1, 10));
    }
  }

  TEST_CASE(
      "cold log: the subscriber leaves while its read is under way -> the slot is free again") {
    replica::Options options;
    options.cold_reads_max = 1;
    History history(2, options);
    history.server.log.cold = true;
    history.server.subscribe(bob, from_first(1));
    history.replica().step();
    REQUIRE(history.server.log.cold_reads_waiting() == 1);

    history.server.say(bob, wire::Unsubscribe{1});
    history.server.subscribe(carol, from_first(1));

    CHECK(history.delivered(carol) == numbers(1, 4));
    CHECK(history.delivered(bob).empty());
  }

  TEST_CASE("cold log: who is woken for a slot has no use for it -> the next one gets it") {
    replica::Options options;
    options.cold_reads_max = 1;
    History history(2, options);
    history.server.log.cold = true;
    for (std::uint64_t c = 10; c < 13; ++c) {
      history.server.subscribe(ConnectionId{c}, from_first(1));
    }
    history.replica().step();
    REQUIRE(history.server.log.cold_reads_waiting() == 1);

    history.server.log.cold = false;  // the others find it in memory
    history.server.settle();
    for (std::uint64_t c = 10; c < 13; ++c) {
      CHECK(history.server.take_delivered(ConnectionId{c}) == numbers(1, 4));
    }
  }

  TEST_CASE("budget: a step serves so much and says that there is more, turn by turn") {
    replica::Options options;
    options.serve_bytes_per_step = 1;
    History history(1, options);
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(carol, from_first(1));

    CHECK(history.replica().step());
    CHECK(history.server.take_delivered(bob) == numbers(1, 2));
    CHECK(history.server.take_delivered(carol).empty());
    history.replica().step();
    CHECK(history.server.take_delivered(carol) == numbers(1, 2));
  }

  TEST_CASE("link: full -> the subscriber lags, is tried again, and misses nothing") {
    History history(2);
    history.server.subscribe(bob, from_first(1));
    history.server.settle();
    history.server.take_delivered(bob);
    history.server.clients.state[bob] = Sent::full;
    history.server.subscribe(carol, from_first(1));
    history.add();
    history.add();
    CHECK(history.delivered(carol) == numbers(1, 8));

    history.server.clients.state.clear();
    for (int i = 0; i < 100; ++i) history.server.tick();
    CHECK(history.delivered() == numbers(5, 8));
  }

  TEST_CASE("link: full at SUBSCRIBED -> the answer comes later, before the first message") {
    History history(1);
    history.server.say(bob, wire::Hello{});
    history.server.settle();
    history.server.clients.take();
    history.server.clients.state[bob] = Sent::full;
    history.server.say(bob, from_first(1));
    history.server.settle();

    history.server.clients.state.clear();
    for (int i = 0; i < 10; ++i) history.server.tick();
    history.server.settle();
    REQUIRE(history.server.clients.frames.size() == 2);
    CHECK(std::holds_alternative<wire::Subscribed>(history.server.clients.frames[0].message));
    CHECK(std::holds_alternative<wire::Deliver>(history.server.clients.frames[1].message));
  }

  TEST_CASE("link: gone -> connection and subscriptions are forgotten") {
    History history(1);
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(bob, from_first(2));
    history.server.settle();
    history.server.clients.state[bob] = Sent::gone;

    history.add();

    CHECK(history.replica().status().subscriptions == 0);
    CHECK(history.replica().status().connections == 1);
  }

  TEST_CASE("COVERED: an idle subscription -> each heartbeat, how far its own stream has come") {
    History history(2);
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(carol, from_first(1, 1));  // stops for lack of credit
    history.server.settle();
    history.server.clients.take();

    history.server.tick(1000);
    history.server.settle();
    auto covered = history.server.clients.take<wire::Covered>(bob);
    REQUIRE(covered.size() == 1);
    CHECK(covered[0].up_to == 4);
    CHECK(history.server.clients.take<wire::Covered>(carol).at(0).up_to == 2);
    history.server.tick(500);
    CHECK(history.server.clients.take<wire::Covered>(bob).empty());
    history.server.tick(500);
    CHECK(history.server.clients.take<wire::Covered>(bob).size() == 1);
  }

  TEST_CASE("subscription: the same name again -> replaces the older, too many -> busy") {
    replica::Options options;
    options.subscriptions_max = 2;
    History history(1, options);
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(bob, from_first(1));
    history.server.subscribe(bob, from_first(2));
    CHECK(history.replica().status().subscriptions == 2);

    history.server.subscribe(bob, from_first(3));

    const auto refused = history.server.clients.take<wire::Refused>(bob);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].code == Code::busy);
    CHECK(refused[0].id == 3);
  }

  TEST_CASE("subscription: ended by the client -> nothing more comes") {
    History history(1);
    history.server.subscribe(bob, from_first(1));
    CHECK(history.delivered().size() == 2);
    history.server.say(bob, wire::Unsubscribe{1});
    history.add();
    CHECK(history.delivered().empty());
  }

  TEST_CASE("subscriptions: a client that comes and goes -> no queue grows") {
    FakeLog log;
    FakeClients links;
    replica::ServerState state;
    replica::Options options;
    replica::Counters counters;
    replica::Clients clients(links, options, counters);
    replica::EndQuestions questions(
        1000, [](std::uint64_t, std::optional<replica::End>) {},
        [](ServerId, std::uint64_t, replica::End) {});
    replica::Subscriptions subscriptions(log, state, clients, questions, options, counters);
    clients.add(bob);

    for (std::uint64_t name = 1; name <= 1000; ++name) {
      subscriptions.subscribe(bob, from_first(name));
      subscriptions.serve();  // waits for data
      subscriptions.unsubscribe(bob, name);
    }

    CHECK(subscriptions.size() == 0);
    CHECK(subscriptions.queued() < 100);
  }
}
