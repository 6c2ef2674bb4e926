// Forwarding: publishing through a server that does not lead.
#include <doctest/doctest.h>

#include <algorithm>

#include "cluster.hpp"
#include "replica/forwards.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};
const Uuid publisher = make_uuid(7);

struct Forwarding : Cluster {
  explicit Forwarding(replica::Options options = {}) : Cluster(3, options) {
    leader = wait_for_leader();
    follower = followers_of(leader).front();
    other = followers_of(leader).back();
    CHECK(wait([&] {
      return at(follower).replica->status().leader == leader &&
             at(other).replica->status().leader == leader;
    }));
  }

  void hello(ServerId server, ConnectionId from, Instance instance = 0, Uuid id = publisher) {
    wire::Hello frame;
    frame.publisher = id;
    frame.instance = instance;
    at(server).say(from, frame);
  }
  wire::Welcome open(ServerId server, ConnectionId from, Instance instance = 0) {
    hello(server, from, instance);
    return answer<wire::Welcome>(server, from);
  }
  // The only one that comes.
  template <class Answer>
  Answer answer(ServerId server, ConnectionId from) {
    std::vector<Answer> answers;
    wait([&] {
      for (Answer& one : at(server).clients.take<Answer>(from)) answers.push_back(std::move(one));
      return !answers.empty();
    });
    REQUIRE(answers.size() == 1);
    return answers.front();
  }
  template <class Answer>
  std::size_t answers(ServerId server, ConnectionId from) {
    settle();
    return at(server).clients.take<Answer>(from).size();
  }
  Offset last_offset() { return at(leader).replica->status().last_offset; }

  ServerId leader, follower, other;
};

replica::Options writes_alone() {
  replica::Options options;
  options.group_bytes_max = 1;  // nothing waits for the write that runs
  return options;
}

// A batch of the leader's own client, which no quorum can write.
void leave_in_flight(Forwarding& f) {
  f.open(f.leader, bob);
  f.at(f.leader).disk_works = f.at(f.other).disk_works = false;
  f.at(f.leader).publish(bob, 1, {"a"});
  f.settle();
}

}  // namespace

TEST_SUITE("replica/forwarding") {
  TEST_CASE("forwarding: HELLO at a follower -> WELCOME from there, that names the leader") {
    Forwarding f;

    const wire::Welcome welcome = f.open(f.follower, alice);

    CHECK(welcome.publisher_open);
    CHECK(welcome.instance == 1);
    CHECK(welcome.last_sequence == 0);
    CHECK(welcome.server == f.follower);
    CHECK(welcome.leader == f.leader);
    CHECK(welcome.leader_endpoint == "tcp://server-" + to_string(f.leader));
    CHECK(f.at(f.follower).replica->counters().forwarded == 1);
  }

  TEST_CASE("forwarding: a batch -> RECEIPT from the server that was asked, once it delivered it") {
    Forwarding f;
    f.open(f.follower, alice);
    f.at(f.follower).disk_works = false;

    f.at(f.follower).publish(alice, 1, {"a", "b"});

    CHECK(f.answers<wire::Receipt>(f.follower, alice) == 0);
    CHECK(f.last_offset() == 2);  // committed without this follower
    f.at(f.follower).disk_works = true;
    const auto receipt = f.answer<wire::Receipt>(f.follower, alice);
    CHECK(receipt.first_sequence == 1);
    CHECK(receipt.count == 2);
    CHECK(receipt.base_offset == 1);
    CHECK(f.at(f.follower).replica->state().delivered_offset() == 2);
    CHECK(f.at(f.follower).replica->queues().forwarded_bytes == 0);
  }

  TEST_CASE("forwarding: many batches -> in order, each once") {
    Forwarding f;
    f.open(f.follower, alice);
    for (Sequence s = 1; s <= 100; ++s) f.at(f.follower).publish(alice, s, {std::to_string(s)});
    f.settle();

    const auto receipts = f.at(f.follower).clients.take<wire::Receipt>(alice);
    REQUIRE(receipts.size() == 100);
    for (std::size_t i = 0; i < receipts.size(); ++i) {
      CHECK(receipts[i].first_sequence == i + 1);
      CHECK(receipts[i].base_offset == i + 1);
    }
    CHECK(f.at(f.follower).clients.take<wire::Refused>(alice).empty());
  }

  TEST_CASE("forwarding: refusals and stored receipts -> the leader's word") {
    Forwarding f;
    f.open(f.follower, alice);
    f.at(f.follower).publish(alice, 1, {"a"});
    const auto first = f.answer<wire::Receipt>(f.follower, alice);

    f.at(f.follower).publish(alice, 1, {"a"});
    CHECK(f.answer<wire::Receipt>(f.follower, alice) == first);
    f.at(f.follower).publish(alice, 3, {"c"});
    CHECK(f.answer<wire::Refused>(f.follower, alice).hole);
    f.at(f.follower).publish(alice, 2, {"b"}, 1, 0);
    CHECK(f.answer<wire::Refused>(f.follower, alice).expect_last_offset == Offset{0});
    f.at(f.follower).publish(alice, 2, {"b"}, 9);
    CHECK(f.answer<wire::Refused>(f.follower, alice).code == Code::protocol);
    f.at(f.follower).say(alice, wire::Publish{.instance = 1, .first_sequence = 2, .count = 1});
    CHECK(f.answer<wire::Refused>(f.follower, alice).code == Code::protocol);
    CHECK(f.last_offset() == 1);
    CHECK(f.at(f.follower).replica->queues().forwarded_bytes == 0);
  }

  TEST_CASE("forwarding: another copy at the leader while the first is on its way -> one record") {
    Forwarding f;
    f.open(f.follower, alice);
    f.open(f.leader, bob, 1);
    f.at(f.leader).disk_works = false;
    f.at(f.follower).disk_works = false;
    f.at(f.follower).publish(alice, 1, {"a"});
    f.settle();
    f.at(f.leader).publish(bob, 1, {"a"});
    f.settle();
    f.at(f.other).publish(alice, 1, {"a"});  // no HELLO there

    f.at(f.leader).disk_works = f.at(f.follower).disk_works = true;

    const auto here = f.answer<wire::Receipt>(f.follower, alice);
    CHECK(f.answer<wire::Receipt>(f.leader, bob) == here);
    CHECK(f.answer<wire::Reset>(f.other, alice).reason != "");
    CHECK(f.last_offset() == 1);
  }

  TEST_CASE("forwarding: the publisher is opened again elsewhere -> the older one is fenced") {
    Forwarding f;
    f.open(f.follower, alice);
    CHECK(f.open(f.other, bob).instance == 2);

    f.at(f.follower).publish(alice, 1, {"a"});
    const auto refused = f.answer<wire::Refused>(f.follower, alice);
    CHECK(refused.code == Code::refused);
    CHECK_FALSE(refused.hole);
    f.hello(f.follower, alice, 1);
    const auto at_hello = f.answer<wire::Refused>(f.follower, alice);
    CHECK(at_hello.about == wire::About::connection);
    CHECK(at_hello.id == 2);
  }

  TEST_CASE("forwarding: HELLO with an instance -> the last sequence that the leader has taken") {
    Forwarding f;
    f.open(f.leader, bob);
    f.at(f.leader).publish(bob, 1, {"a", "b", "c"});
    f.settle();

    const wire::Welcome welcome = f.open(f.follower, alice, 1);

    CHECK(welcome.publisher_open);
    CHECK(welcome.instance == 1);
    CHECK(welcome.last_sequence == 3);
  }

  TEST_CASE(
      "forwarding: a record of the publisher's earlier life is delivered late -> no receipt of "
      "it") {
    Forwarding f;
    f.open(f.leader, bob);
    f.at(f.follower).disk_works = false;
    f.at(f.leader).publish(bob, 1, {"old"});
    f.settle();
    f.at(f.leader).say(bob, wire::ClosePublisher{1});
    REQUIRE(f.answer<wire::Closed>(f.leader, bob).instance == 1);
    const wire::Welcome welcome = f.open(f.follower, alice);
    REQUIRE(welcome.instance == 2);
    REQUIRE(welcome.last_sequence == 0);

    f.at(f.follower).publish(alice, 1, {"new"}, 2);
    f.at(f.follower).disk_works = true;

    CHECK(f.answer<wire::Receipt>(f.follower, alice).base_offset == 2);
  }

  TEST_CASE("forwarding: a batch in flight, again from a newer instance -> the leader's receipt") {
    Forwarding f;
    f.open(f.leader, bob);
    f.at(f.leader).disk_works = f.at(f.other).disk_works = false;
    f.at(f.leader).publish(bob, 1, {"a"});
    f.settle();
    f.hello(f.follower, alice);
    f.settle();
    f.at(f.leader).disk_works = f.at(f.other).disk_works = true;
    const auto welcome = f.answer<wire::Welcome>(f.follower, alice);
    REQUIRE(welcome.instance == 2);
    REQUIRE(welcome.last_sequence == 1);
    f.at(f.follower).publish(alice, 1, {"a"}, 2);
    const auto receipt = f.answer<wire::Receipt>(f.follower, alice);
    CHECK(receipt.base_offset == 1);
    CHECK(f.last_offset() == 1);
  }

  TEST_CASE("forwarding: CLOSE -> CLOSED, then expired") {
    Forwarding f;
    f.open(f.follower, alice);
    f.at(f.follower).say(alice, wire::ClosePublisher{1});
    CHECK(f.answer<wire::Closed>(f.follower, alice).instance == 1);
    f.at(f.follower).publish(alice, 1, {"a"});
    CHECK(f.answer<wire::Refused>(f.follower, alice).code == Code::expired);
  }

  TEST_CASE("forwarding: the leader is lost -> unavailable (maybe), a retry finds what happened") {
    for (const bool reaches_leader : {false, true}) {
      CAPTURE(reaches_leader);
      Forwarding f;
      f.open(f.follower, alice);
      const ServerId old_leader = f.leader;
      f.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
        // Its records go out; nobody hears of their commit.
        if (from == old_leader && std::holds_alternative<zab::Commit>(message)) return false;
        return reaches_leader || to != old_leader || !std::holds_alternative<zab::Forward>(message);
      };
      f.at(f.follower).publish(alice, 1, {"a"});
      f.settle();
      f.crash(old_leader);

      const auto refused = f.answer<wire::Refused>(f.follower, alice);
      CHECK(refused.about == wire::About::publish);
      CHECK(refused.id == 1);
      CHECK(refused.code == Code::unavailable);
      CHECK(refused.outcome == Outcome::maybe);
      CHECK(f.at(f.follower).replica->queues().forwarded_bytes == 0);

      f.tamper = nullptr;
      f.leader = f.wait_for_leader();
      for (const ServerId server : {f.follower, f.other}) {
        const wire::Welcome welcome = f.open(server, bob, 1);
        CHECK(welcome.publisher_open);
        f.at(server).publish(bob, 1, {"a"});
        CHECK(f.answer<wire::Receipt>(server, bob).base_offset == 1);
      }
      CHECK(f.last_offset() == 1);
    }
  }

  TEST_CASE("forwarding: without a leader -> refused, nothing is kept") {
    Forwarding f;
    f.open(f.follower, alice);
    f.crash(f.leader);
    f.crash(f.other);
    REQUIRE(f.wait([&] { return f.at(f.follower).replica->status().leader == ServerId::none; }));

    f.at(f.follower).publish(alice, 1, {"a"});

    const auto refused = f.answer<wire::Refused>(f.follower, alice);
    CHECK(refused.not_leading);
    CHECK(refused.outcome == Outcome::no);
    f.hello(f.follower, bob);
    CHECK(f.answer<wire::Refused>(f.follower, bob).code == Code::unavailable);
  }

  TEST_CASE("forwarding: more than the bound on its way -> busy, what is on its way is answered") {
    replica::Options options;
    options.forwarded_bytes_max = 4096;
    Forwarding f(options);
    f.open(f.follower, alice);
    for (Sequence s = 1; s <= 5; ++s) {
      f.at(f.follower).publish(alice, s, {std::string(1000, 'x')});
    }
    CHECK(f.at(f.follower).replica->queues().forwarded_bytes <= 4096);
    f.settle();
    CHECK(f.at(f.follower).clients.take<wire::Receipt>(alice).size() == 3);
    const auto refused = f.at(f.follower).clients.take<wire::Refused>(alice);
    REQUIRE(refused.size() == 2);
    for (const wire::Refused& one : refused) {
      CHECK(one.code == Code::busy);
      CHECK(one.outcome == Outcome::no);
    }
    f.at(f.follower).publish(alice, 4, {"y"});
    CHECK(f.answer<wire::Receipt>(f.follower, alice).first_sequence == 4);
  }

  TEST_CASE("forwarding: answers to a learner's earlier life -> never to its next one") {
    Forwarding f;
    for (int i = 0; i < 3; ++i) f.open(f.leader, bob);
    f.at(f.leader).disk_works = f.at(f.other).disk_works = false;
    f.hello(f.follower, alice);  // request 1 of this life: it would be instance 4
    f.settle();
    f.crash(f.follower);
    f.start(f.follower);
    f.at(f.other).disk_works = true;
    REQUIRE(f.wait([&] { return f.at(f.follower).replica->status().leader == f.leader; }));

    f.hello(f.follower, alice, 0, make_uuid(8));  // request 1 of the next
    f.settle();
    f.at(f.leader).disk_works = true;

    CHECK(f.answer<wire::Welcome>(f.follower, alice).instance == 1);
  }

  TEST_CASE("forwarding: a batch in flight, of an older instance -> the leader's receipt") {
    Forwarding f(writes_alone());
    leave_in_flight(f);
    f.hello(f.follower, alice);
    f.at(f.follower).publish(alice, 1, {"a"}, 2);
    f.settle();
    f.at(f.leader).disk_works = f.at(f.other).disk_works = true;

    CHECK(f.answer<wire::Receipt>(f.follower, alice).base_offset == 1);
    CHECK(f.answer<wire::Welcome>(f.follower, alice).last_sequence == 1);
    CHECK(f.at(f.follower).replica->queues().forwarded_bytes == 0);
  }

  // Found by review: a copy of a batch in flight has an answer of its own, unless it is withdrawn.
  TEST_CASE("forwarding: a copy in a learner's earlier life -> no receipt to its next one") {
    Forwarding f(writes_alone());
    leave_in_flight(f);
    f.hello(f.follower, alice);                    // request 1 of this life
    f.at(f.follower).publish(alice, 1, {"a"}, 2);  // request 2: a copy, of a newer instance
    f.settle();
    f.crash(f.follower);
    f.start(f.follower);
    REQUIRE(f.wait([&] { return f.at(f.follower).replica->status().leader == f.leader; }));

    f.hello(f.follower, alice, 0, make_uuid(8));
    f.hello(f.follower, bob, 0, make_uuid(9));  // request 2 of the next
    f.settle();
    f.at(f.leader).disk_works = f.at(f.other).disk_works = true;

    CHECK(f.answer<wire::Welcome>(f.follower, bob).instance == 1);
    CHECK(f.answers<wire::Receipt>(f.follower, bob) == 0);
  }

  TEST_CASE("forwarding: a FORWARD or FORWARD-ANSWER that is none -> its session ends") {
    for (const bool request : {true, false}) {
      CAPTURE(request);
      Forwarding f;
      bool damaged = false;
      f.tamper = [&](ServerId, ServerId, zab::Message& message, Slice&) {
        if (auto* forward = std::get_if<zab::Forward>(&message); forward && request && !damaged) {
          forward->frame.back() ^= std::byte{1};
          damaged = true;
        }
        auto* answer = std::get_if<zab::ForwardAnswer>(&message);
        if (answer && !request && !damaged) {
          answer->frame.back() ^= std::byte{1};
          damaged = true;
        }
        return true;
      };
      f.hello(f.follower, alice);
      const auto refused = f.answer<wire::Refused>(f.follower, alice);
      CHECK(refused.code == Code::unavailable);
      CHECK(damaged);
      REQUIRE(f.wait([&] { return f.at(f.follower).replica->status().leader == f.leader; }));
      CHECK(f.open(f.follower, alice).publisher_open);
    }
  }

  TEST_CASE("forwards: another batch under the sequence is delivered -> no receipt of it") {
    std::vector<std::uint64_t> sent;
    std::vector<wire::ServerMessage> answers;
    replica::Forwards forwards(
        1 << 20,
        [&](std::uint64_t number, const Uuid&, const wire::ClientMessage&, const Slice&) {
          sent.push_back(number);
          return true;
        },
        [&](const replica::Asker&, wire::ServerMessage message) {
          answers.push_back(std::move(message));
        });
    const wire::Publish batch{.instance = 2, .first_sequence = 5, .count = 3};
    REQUIRE(forwards.forward({.connection = alice}, publisher, batch, {}));
    RecordHeader record;
    record.kind = RecordKind::batch;
    record.publisher = publisher;
    record.first_sequence = 5;
    record.instance = 2;
    record.count = 2;
    forwards.on_delivered(record);  // other boundaries
    record.count = 3;
    record.instance = 3;
    forwards.on_delivered(record);  // of whoever fenced this one
    record.instance = 2;
    record.publisher = make_uuid(8);
    forwards.on_delivered(record);
    CHECK(answers.empty());

    record.publisher = publisher;
    record.instance = 1;  // of an earlier life of the publisher, or known to the leader alone
    forwards.on_delivered(record);
    CHECK(answers.empty());

    record.instance = 2;
    forwards.on_delivered(record);
    CHECK(answers.size() == 1);
    CHECK(forwards.empty());
    CHECK(forwards.bytes() == 0);
    forwards.on_answer(sent[0], wire::Receipt{});
    CHECK(answers.size() == 1);
  }
}
