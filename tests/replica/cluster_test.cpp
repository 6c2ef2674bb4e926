// Cluster: three replicas with the real core, publishing, subscribing, and losing each other.
#include "cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};
const Uuid publisher = make_uuid(7);

struct Three : Cluster {
  explicit Three(replica::Options options = {}) : Cluster(3, options) {}

  wire::Welcome open(ServerId server, ConnectionId from, Instance instance = 0) {
    wire::Hello hello;
    hello.publisher = publisher;
    hello.instance = instance;
    at(server).say(from, hello);
    wire::Welcome welcome;
    wait([&] {
      const auto answers = at(server).clients.take<wire::Welcome>(from);
      if (answers.empty()) return false;
      welcome = answers.back();
      return true;
    });
    return welcome;
  }
  std::vector<wire::Receipt> receipts(ServerId server, ConnectionId from) {
    settle();
    return at(server).clients.take<wire::Receipt>(from);
  }
  bool all_delivered(Offset offset) {
    return wait([&] {
      for (unsigned i = 1; i <= 3; ++i) {
        Server& server = at(ServerId{i});
        if (server.up() && server.replica->state().delivered_offset() < offset) return false;
      }
      return true;
    });
  }
};

std::vector<std::string> numbers(Sequence first, Sequence last) {
  std::vector<std::string> texts;
  for (Sequence s = first; s <= last; ++s) texts.push_back(std::to_string(s));
  return texts;
}

}  // namespace

TEST_SUITE("replica/cluster") {
  TEST_CASE("cluster: publish at the leader, subscribe at all -> the same messages in order") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    CHECK(three.open(leader, alice).publisher_open);
    for (unsigned i = 1; i <= 3; ++i) three.at(ServerId{i}).subscribe(bob, from_first(1));

    for (Sequence s = 1; s <= 20; ++s) {
      three.at(leader).publish(alice, s, {std::to_string(s)});
      if (s % 3 == 0) three.settle();
    }
    CHECK(three.receipts(leader, alice).size() == 20);
    REQUIRE(three.all_delivered(20));

    three.settle();
    for (unsigned i = 1; i <= 3; ++i) {
      CHECK(three.at(ServerId{i}).take_delivered(bob) == numbers(1, 20));
    }
  }

  TEST_CASE("cluster: a receipt needs a quorum's disks, not the leader's own") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    three.at(leader).disk_works = false;

    three.at(leader).publish(alice, 1, {"1"});

    CHECK(three.receipts(leader, alice).size() == 1);
    CHECK(three.at(leader).replica->state().delivered_offset() == 0);
    CHECK(three.at(leader).replica->status().last_offset == 1);
    three.at(leader).disk_works = true;
    CHECK(three.all_delivered(1));
  }

  // Publishers were told busy once 64 MiB waited for its disk, and sent a window of batches again.
  TEST_CASE("cluster: the leader's disk is slower than the others' -> it waits, nobody is busy") {
    replica::Options options;
    options.unwritten_bytes_max = 2000;
    options.in_flight_bytes_max = 8000;
    Three three(options);
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    three.at(leader).disk_works = false;
    constexpr std::size_t batches = 10;
    std::size_t receipts = 0;
    for (Sequence s = 1; s <= batches; ++s) {
      three.at(leader).publish(alice, s, {std::string(700, 'x')});
      receipts += three.receipts(leader, alice).size();
    }
    CHECK(receipts > 0);  // by the quorum of the others
    CHECK(receipts < batches);
    CHECK(three.at(leader).log.unwritten_bytes() <= options.unwritten_bytes_max + 1000);
    three.at(leader).disk_works = true;
    CHECK(receipts + three.receipts(leader, alice).size() == batches);
    CHECK(three.at(leader).clients.take<wire::Refused>(alice).empty());
  }

  TEST_CASE("cluster: one disk alone is no quorum -> no receipt") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    for (ServerId id : three.followers_of(leader)) three.at(id).disk_works = false;

    three.at(leader).publish(alice, 1, {"1"});

    CHECK(three.receipts(leader, alice).empty());
    CHECK(three.at(leader).replica->status().last_offset == 0);
    three.at(three.followers_of(leader).front()).disk_works = true;
    CHECK(three.receipts(leader, alice).size() == 1);
  }

  TEST_CASE("cluster: leader killed, everything sent again -> appended exactly once") {
    Three three;
    const ServerId first = three.wait_for_leader();
    const Instance instance = three.open(first, alice).instance;
    for (Sequence s = 1; s <= 5; ++s) three.at(first).publish(alice, s, {std::to_string(s)});
    const auto before = three.receipts(first, alice);
    REQUIRE(before.size() == 5);
    for (Sequence s = 6; s <= 8; ++s) three.at(first).publish(alice, s, {std::to_string(s)});
    three.at(first).replica->step();  // proposed, on the way to the followers

    three.crash(first);
    const ServerId second = three.wait_for_leader();
    REQUIRE(second != first);
    const wire::Welcome again = three.open(second, bob, instance);
    CHECK(again.publisher_open);
    CHECK(again.last_sequence >= 5);
    for (Sequence s = 1; s <= 8; ++s) three.at(second).publish(bob, s, {std::to_string(s)});
    const auto after = three.receipts(second, bob);

    REQUIRE(after.size() == 8);
    CHECK(std::equal(before.begin(), before.end(), after.begin()));
    three.start(first);
    REQUIRE(three.all_delivered(8));
    for (unsigned i = 1; i <= 3; ++i) {
      Server& server = three.at(ServerId{i});
      CHECK(server.replica->state().delivered_offset() == 8);
      server.subscribe(ConnectionId{50}, from_first(1));
      three.settle();
      CHECK(server.take_delivered(ConnectionId{50}) == numbers(1, 8));
    }
  }

  TEST_CASE(
      "cluster: leader loses its quorum -> waiting: no, proposed: maybe, then who is missing") {
    replica::Options options;
    Three three(options);
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    three.isolate(leader, true);

    three.at(leader).publish(alice, 1, {"proposed"});
    three.at(leader).publish(alice, 1, {"proposed"});  // another copy
    three.at(leader).disk_works = false;               // so that the next one has to wait
    three.at(leader).replica->step();
    three.at(leader).publish(alice, 2, {"waiting"});
    REQUIRE(three.wait([&] { return three.at(leader).replica->status().role == Role::looking; }));

    const auto refused = three.at(leader).clients.take<wire::Refused>(alice);
    REQUIRE(refused.size() == 3);
    for (const std::size_t copy : {0, 1}) {
      CHECK(refused[copy].id == 1);
      CHECK(refused[copy].code == Code::unknown_outcome);
      CHECK(refused[copy].outcome == Outcome::maybe);
    }
    CHECK(refused[2].id == 2);
    CHECK(refused[2].code == Code::unavailable);
    CHECK(refused[2].outcome == Outcome::no);

    for (int i = 0; i < 200; ++i) three.tick();
    three.at(leader).publish(alice, 2, {"again"});
    const auto later = three.at(leader).clients.take<wire::Refused>(alice);
    REQUIRE(later.size() == 1);
    CHECK(later[0].not_leading);
    CHECK(later[0].leader_endpoint.empty());
    for (ServerId id : three.followers_of(leader)) {
      CHECK(later[0].text.find("tcp://server-" + to_string(id)) != std::string::npos);
    }
  }

  TEST_CASE(
      "cluster: an uncommitted proposal of a lost leader -> cut, its offset goes to another") {
    Three three;
    const ServerId old_leader = three.wait_for_leader();
    three.open(old_leader, alice);
    three.at(old_leader).publish(alice, 1, {"one"});
    three.settle();
    three.isolate(old_leader, true);
    three.at(old_leader).publish(alice, 2, {"lost"});
    three.settle();
    const std::size_t records = three.at(old_leader).log.records();

    const ServerId leader = three.wait_for_leader();
    three.open(leader, bob, 1);
    three.at(leader).publish(bob, 2, {"kept"});
    REQUIRE(three.receipts(leader, bob).size() == 1);
    three.isolate(old_leader, false);

    REQUIRE(three.all_delivered(2));
    CHECK(three.at(old_leader).log.records() == records);  // one cut, one new
    three.at(old_leader).subscribe(ConnectionId{9}, from_first(1));
    three.settle();
    CHECK(three.at(old_leader).take_delivered(ConnectionId{9}) ==
          std::vector<std::string>{"one", "kept"});
  }

  TEST_CASE(
      "scenario 54 S-snap-corrupt: records damaged on the way -> the session ends, counted, all is "
      "repaired") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId victim = three.followers_of(leader).front();
    three.open(leader, alice);
    bool damaged = false;
    three.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice& records) {
      if (damaged || to != victim || !std::holds_alternative<zab::Propose>(message)) return true;
      damaged = true;
      std::vector<std::byte> bytes(records.bytes().begin(), records.bytes().end());
      bytes[record_header_size] ^= std::byte{1};
      records = slice_of(std::move(bytes));
      return true;
    };

    three.at(leader).publish(alice, 1, {"precious"});
    CHECK(three.receipts(leader, alice).size() == 1);
    REQUIRE(three.all_delivered(1));

    CHECK(damaged);
    CHECK(three.at(victim).replica->counters().peer_records_malformed == 1);
    three.at(victim).subscribe(bob, from_first(1));
    three.settle();
    CHECK(three.at(victim).take_delivered(bob) == std::vector<std::string>{"precious"});
  }

  TEST_CASE("cluster: whole records of another history -> the session ends, counted, repaired") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId victim = three.followers_of(leader).front();
    three.open(leader, alice);
    bool replaced = false;
    three.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice& records) {
      if (replaced || to != victim || !std::holds_alternative<zab::Propose>(message)) return true;
      replaced = true;
      storage::LastRecord other{{}, 0, Digest{666}, 0};
      records = make_record(other, header_of(records).zxid, make_body({"forged"}), 1);
      return true;
    };

    three.at(leader).publish(alice, 1, {"true"});
    REQUIRE(three.all_delivered(1));

    CHECK(replaced);
    CHECK(three.at(victim).replica->counters().peer_records_malformed == 1);
    three.at(victim).subscribe(bob, from_first(1));
    three.settle();
    CHECK(three.at(victim).take_delivered(bob) == std::vector<std::string>{"true"});
  }

  TEST_CASE("cluster: a lost PROPOSE frame -> noticed, the session ends, all is repaired") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId victim = three.followers_of(leader).front();
    three.open(leader, alice);
    const auto elections = three.at(victim).replica->counters().elections;
    bool swallowed = false;
    three.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice&) {
      if (swallowed || to != victim || !std::holds_alternative<zab::Propose>(message)) return true;
      swallowed = true;
      return false;
    };

    three.at(leader).publish(alice, 1, {"1"});
    three.settle();
    three.at(leader).publish(alice, 2, {"2"});
    REQUIRE(three.all_delivered(2));

    CHECK(swallowed);
    CHECK(three.at(victim).replica->counters().elections == elections + 1);
  }

  TEST_CASE(
      "cluster: a joiner that is far behind, from a cold log -> everything, window by window") {
    replica::Options options;
    options.learner_window_bytes = 2000;
    options.read_bytes_max = 700;
    Three three(options);
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    const ServerId late = three.followers_of(leader).front();
    three.crash(late);
    for (Sequence s = 1; s <= 40; ++s) {
      three.at(leader).publish(alice, s, {std::to_string(s)});
      three.settle();
    }
    three.at(leader).log.cold = true;

    three.start(late);
    REQUIRE(three.all_delivered(40));

    three.at(late).subscribe(bob, from_first(1));
    three.settle();
    CHECK(three.at(late).take_delivered(bob) == numbers(1, 40));
  }

  TEST_CASE(
      "cluster: new at a lagging follower -> behind everything acknowledged to anyone before") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId lagging = three.followers_of(leader).front();
    three.open(leader, alice);
    REQUIRE(three.wait([&] { return three.at(lagging).replica->status().leader == leader; }));
    three.at(lagging).disk_works = false;
    three.at(leader).publish(alice, 1, {"acknowledged"});
    REQUIRE(three.receipts(leader, alice).size() == 1);

    wire::Subscribe fresh = from_first(1);
    fresh.start = wire::StartKind::fresh;
    three.at(lagging).subscribe(bob, fresh);
    three.settle();

    const auto answer = three.at(lagging).clients.take<wire::Subscribed>(bob);
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].next == 2);
    three.at(lagging).disk_works = true;
    three.at(leader).publish(alice, 2, {"fresh"});
    REQUIRE(three.all_delivered(2));
    three.settle();
    CHECK(three.at(lagging).take_delivered(bob) == std::vector<std::string>{"fresh"});
  }

  TEST_CASE("cluster: a start beyond a lagging follower's end -> asked, then it waits") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId lagging = three.followers_of(leader).front();
    three.open(leader, alice);
    REQUIRE(three.wait([&] { return three.at(lagging).replica->status().leader == leader; }));
    three.at(lagging).disk_works = false;
    for (Sequence s = 1; s <= 3; ++s) three.at(leader).publish(alice, s, {std::to_string(s)});
    const auto receipts = three.receipts(leader, alice);
    REQUIRE(receipts.size() == 3);

    three.at(lagging).subscribe(bob, from_offset(1, 3));
    three.at(lagging).subscribe(bob, from_offset(2, 9));
    wire::Subscribe zxid = from_first(3);
    zxid.start = wire::StartKind::zxid;
    zxid.zxid = receipts[1].zxid;
    three.at(lagging).subscribe(bob, zxid);
    three.settle();

    const auto answers = three.at(lagging).clients.take<wire::Subscribed>(bob);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].next == 3);
    const auto refused = three.at(lagging).clients.take<wire::Refused>(bob);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].id == 2);
    CHECK(refused[0].last_offset == 3);
    three.at(lagging).disk_works = true;
    REQUIRE(three.all_delivered(3));
    three.settle();
    const auto later = three.at(lagging).clients.take<wire::Subscribed>(bob);
    REQUIRE(later.size() == 1);
    CHECK(later[0].subscription == 3);
    CHECK(later[0].next == 2);
    CHECK(three.at(lagging).take_delivered(bob).size() ==
          3);  // 3 of the first, 2 and 3 of the other
  }

  TEST_CASE("cluster: without a quorum, new -> unavailable, from first -> what was delivered") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    three.open(leader, alice);
    three.at(leader).publish(alice, 1, {"1"});
    REQUIRE(three.all_delivered(1));
    const ServerId alone = three.followers_of(leader).front();
    three.isolate(alone, true);
    REQUIRE(three.wait([&] { return three.at(alone).replica->status().role == Role::looking; }));

    wire::Subscribe fresh = from_first(1);
    fresh.start = wire::StartKind::fresh;
    three.at(alone).subscribe(bob, fresh);
    wire::Subscribe until_end = from_first(2);
    until_end.until_end = true;
    three.at(alone).subscribe(bob, until_end);
    three.at(alone).subscribe(bob, from_first(3));
    std::vector<wire::Refused> refused;
    REQUIRE(three.wait([&] {
      for (auto& r : three.at(alone).clients.take<wire::Refused>(bob)) refused.push_back(r);
      return refused.size() == 2;
    }));

    for (const wire::Refused& r : refused) {
      CHECK(r.about == wire::About::subscribe);
      CHECK(r.code == Code::unavailable);
      CHECK(r.text.find("tcp://server-" + to_string(leader)) != std::string::npos);
    }
    CHECK(three.at(alone).take_delivered(bob) == std::vector<std::string>{"1"});
  }

  TEST_CASE("cluster: an isolated leader answers no question about the end") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    three.isolate(leader, true);
    wire::Subscribe fresh = from_first(1);
    fresh.start = wire::StartKind::fresh;

    three.at(leader).subscribe(bob, fresh);
    three.settle();

    CHECK(three.at(leader).clients.take<wire::Subscribed>(bob).empty());
    std::vector<wire::Refused> refused;
    REQUIRE(three.wait([&] {
      refused = three.at(leader).clients.take<wire::Refused>(bob);
      return !refused.empty();
    }));
    CHECK(refused[0].code == Code::unavailable);
    CHECK(three.at(leader).clients.take<wire::Subscribed>(bob).empty());
  }

  TEST_CASE(
      "cluster: questions about the end asked together -> one round, also through a follower") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId follower = three.followers_of(leader).front();
    REQUIRE(three.wait([&] { return three.at(follower).replica->status().leader == leader; }));
    int questions = 0;
    three.tamper = [&](ServerId, ServerId, zab::Message& message, Slice&) {
      questions += std::holds_alternative<zab::EndQuestion>(message);
      return true;
    };
    for (std::uint64_t name = 1; name <= 10; ++name) {
      wire::Subscribe fresh = from_first(name);
      fresh.start = wire::StartKind::fresh;
      three.at(follower).subscribe(bob, fresh);
    }
    three.settle();

    CHECK(questions == 1);
    CHECK(three.at(follower).clients.take<wire::Subscribed>(bob).size() == 10);
  }

  TEST_CASE("cluster: a question on its way when the leader dies -> asked again at the next one") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    const ServerId follower = three.followers_of(leader).front();
    REQUIRE(three.wait([&] { return three.at(follower).replica->status().leader == leader; }));
    wire::Subscribe fresh = from_first(1);
    fresh.start = wire::StartKind::fresh;
    three.at(follower).options.question_timeout_ms = 60000;
    three.crash(follower);
    three.start(follower);  // with a patient client
    REQUIRE(three.wait([&] { return three.at(follower).replica->status().leader == leader; }));

    three.at(follower).subscribe(bob, fresh);
    three.at(follower).replica->step();  // the question is on its way
    three.crash(leader);
    REQUIRE(three.wait_for_leader() != leader);
    three.settle();

    std::vector<wire::Subscribed> answers;
    CHECK(three.wait([&] {
      answers = three.at(follower).clients.take<wire::Subscribed>(bob);
      return !answers.empty();
    }));
  }

  TEST_CASE("cluster: an opening under way when leadership is lost -> told who is missing") {
    Three three;
    const ServerId leader = three.wait_for_leader();
    three.isolate(leader, true);
    wire::Hello hello;
    hello.publisher = publisher;

    three.at(leader).say(alice, hello);
    std::vector<wire::Refused> refused;
    REQUIRE(three.wait([&] {
      refused = three.at(leader).clients.take<wire::Refused>(alice);
      return !refused.empty();
    }));

    CHECK(refused[0].about == wire::About::connection);
    CHECK(refused[0].code == Code::unavailable);
    CHECK(refused[0].text.find("servers are needed") != std::string::npos);
  }

  TEST_CASE("cluster: the leader's disk is stuck -> it falls silent, another one leads") {
    Three three;
    const ServerId stuck = three.wait_for_leader();
    three.open(stuck, alice);
    three.at(stuck).disk_works = false;
    three.at(stuck).publish(alice, 1, {"committed by the others"});
    CHECK(three.receipts(stuck, alice).size() == 1);
    for (int i = 0; i < 300; ++i) three.tick();
    CHECK(three.at(stuck).replica->status().role == Role::leading);  // it can wait

    three.at(stuck).log.write_age_ms = three.at(stuck).options.disk_stuck_ms + 1;

    CHECK(three.wait([&] {
      for (ServerId id : three.followers_of(stuck)) {
        if (three.at(id).replica->status().accepts_publishes) return true;
      }
      return false;
    }));
  }

  // A server whose uncommitted tail has to be cut, and whose disk does not do it.
  struct Rewinding : Three {
    Rewinding() {
      victim = wait_for_leader();
      open(victim, alice);
      isolate(victim, true);
      at(victim).publish(alice, 1, {"lost"});
      settle();
      leader = wait_for_leader();
      open(leader, bob, 0);
      at(leader).publish(bob, 1, {"kept"}, 2);
      settle();
      // It has gone back to LOOKING with a disk that works; the cut will not be done.
      REQUIRE(wait([&] { return at(victim).replica->status().role == Role::looking; }));
      settle();
      isolate(victim, false);
      tamper = [this](ServerId, ServerId to, zab::Message& message, Slice&) {
        if (to == victim && std::holds_alternative<zab::Trunc>(message)) {
          at(victim).disk_works = false;
          truncating = true;
        }
        return true;
      };
      REQUIRE(wait([&] { return truncating; }));
    }
    ServerId victim = ServerId::none;
    ServerId leader = ServerId::none;
    bool truncating = false;
  };

  TEST_CASE("cluster: the history is being cut -> the stream is held back, signs of life are not") {
    Rewinding cluster;
    const auto elections = cluster.at(cluster.victim).replica->counters().elections;
    for (int i = 0; i < 300; ++i) cluster.tick();  // three times the peer time-out
    CHECK(cluster.at(cluster.victim).replica->status().phase == Phase::synchronization);
    CHECK(cluster.at(cluster.victim).replica->counters().elections == elections);

    cluster.at(cluster.victim).disk_works = true;
    REQUIRE(cluster.all_delivered(1));

    cluster.at(cluster.victim).subscribe(ConnectionId{9}, from_first(1));
    cluster.settle();
    CHECK(cluster.at(cluster.victim).take_delivered(ConnectionId{9}) ==
          std::vector<std::string>{"kept"});
    CHECK(cluster.at(cluster.victim).replica->counters().elections == elections);
  }

  // Found by simulation (seed 1171 of its first version): small frames were held for more than they
  // are, so a leader that filled its window was left again and again, and the cut never counted.
  TEST_CASE("cluster: a window of small frames is streamed during the cut -> all of it is held") {
    Rewinding cluster;
    replica::Replica& replica = *cluster.at(cluster.victim).replica;
    const auto lost = replica.counters().sessions_lost;
    const std::size_t window = cluster.at(cluster.victim).options.learner_window_bytes;
    const Slice small = slice_of(std::vector<std::byte>(256));

    for (std::size_t sent = 0; sent < window; sent += small.size()) {
      replica.on_peer_message(cluster.leader, zab::Propose{}, small);
    }

    CHECK(replica.counters().sessions_lost == lost);
  }

  TEST_CASE("cluster: more is streamed during the cut than a window holds -> the session ends") {
    Rewinding cluster;
    replica::Replica& replica = *cluster.at(cluster.victim).replica;
    const auto lost = replica.counters().sessions_lost;
    const Slice megabyte = slice_of(std::vector<std::byte>(1 << 20));

    for (int i = 0; i < 30 && replica.counters().sessions_lost == lost; ++i) {
      replica.on_peer_message(cluster.leader, zab::Propose{}, megabyte);
    }

    CHECK(replica.counters().sessions_lost == lost + 1);
    CHECK(replica.status().role == Role::looking);
    cluster.at(cluster.victim).disk_works = true;
    CHECK(cluster.all_delivered(1));
  }
}
