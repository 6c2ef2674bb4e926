// Known bugs of synchronization: how ZooKeeper lost data, each by its number in its tracker, over
// real logs on disks that lose power: the steps of there, the outcome of here.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "durable_cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

using Texts = std::vector<std::string>;

const Past short_past{.history = {{1, 1}}, .delivered = zxid(1, 1)};
const Past longer_past{.history = {{1, 2}}, .delivered = zxid(1, 1)};

const Past long_past{.history = {{1, 12}}, .delivered = zxid(1, 1)};

void in_small_writes(DurableCluster& cluster) {
  for (const ServerId id : cluster.all()) cluster.at(id).log_options.group_bytes_max = 256;
}

template <class M>
bool is(const zab::Message& message) {
  return std::holds_alternative<M>(message);
}

// Runs until the core of `id` satisfies the condition; ticks pass.
template <class Condition>
bool reaches(DurableCluster& cluster, ServerId id, Condition condition) {
  return cluster.wait([&] { return condition(cluster.at(id).replica->core()); });
}

bool synchronizing(const zab::Core& core) {
  const auto* following = std::get_if<zab::Following>(&core.role_state());
  return following && following->new_leader_at;
}

Zxid last_of(DurableCluster& cluster, ServerId id) {
  return cluster.at(id).replica->core().last_logged();
}

// Starts 2, and returns the zxid with which 1 then votes for itself.
Zxid own_vote_of_1(DurableCluster& cluster) {
  std::optional<Zxid> said;
  cluster.tamper = [&said](ServerId from, ServerId, zab::Message& message, Slice&) {
    const auto* vote = std::get_if<zab::Vote>(&message);
    if (from == s1 && vote && vote->leader == s1 && !said) said = vote->last;
    return true;
  };
  cluster.start_some({s2});
  REQUIRE(cluster.wait([&] { return said.has_value(); }));
  cluster.tamper = nullptr;
  return *said;
}

// 3 leads 2 up to where all of the synchronization has reached 2, whose disk stands still from the
// moment it was told to begin.
void hold_disk_in_synchronization(DurableCluster& cluster) {
  cluster.tamper = [&cluster](ServerId, ServerId to, zab::Message& message, Slice&) {
    if (to == s2 && is<zab::Propose>(message)) cluster.at(s2).disk_works = false;
    return true;
  };
  cluster.start_some({s3, s2});
  REQUIRE(reaches(cluster, s2, synchronizing));
  REQUIRE_FALSE(cluster.at(s2).disk_works);
  cluster.tamper = nullptr;
}

}  // namespace

TEST_SUITE("replica/known bugs/synchronization") {
  TEST_CASE(
      "ZOOKEEPER-2845 A, scenario 34: logged by one follower, delivered nowhere -> all have it, or "
      "none") {
    DurableCluster cluster({short_past, short_past, short_past});
    cluster.start_some({s1, s2, s3});
    const ServerId leader = cluster.wait_for_leader();
    REQUIRE(leader == s3);
    cluster.open_publisher(s3);
    // 1 logs it; 3 and 2 have nothing of it on their disks when they die.
    cluster.isolate(s2, true);
    cluster.at(s3).disk_works = false;
    cluster.propose(s3, "x");
    cluster.tick();
    const Zxid x = last_of(cluster, s1);
    REQUIRE(cluster.at(s1).replica->core().last_durable() == x);
    cluster.crash(s3);
    cluster.crash(s2);
    cluster.isolate(s2, false);
    cluster.at(s3).disk_works = true;

    // 3 comes back and dies before anything was synchronized.
    bool began = false;
    cluster.tamper = [&](ServerId, ServerId, zab::Message& message, Slice&) {
      began = is<zab::Diff>(message) || is<zab::Trunc>(message);
      if (began) cluster.isolate(s3, true);
      return !began;
    };
    cluster.start_some({s3});
    REQUIRE(cluster.wait([&] { return began; }));
    cluster.tamper = nullptr;
    cluster.crash(s3);
    cluster.isolate(s3, false);

    // 1 must speak of what it has logged: else 2 wins, and never hears of it.
    const Zxid said = own_vote_of_1(cluster);
    CHECK(said == x);
    cluster.publish("y");
    cluster.start_some({s3});
    cluster.converge();
    const Texts delivered = cluster.delivered_at(s1);
    CHECK(delivered == Texts{"1.1", "x", "y"});
    CHECK(cluster.delivered_at(s2) == delivered);
    CHECK(cluster.delivered_at(s3) == delivered);
  }

  TEST_CASE(
      "ZOOKEEPER-2845 B, scenario 35: committed on two, delivered at one -> survives with the "
      "other") {
    DurableCluster cluster({short_past, short_past, short_past});
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.open_publisher(s3);
    cluster.isolate(s2, true);
    cluster.tamper = [](ServerId, ServerId, zab::Message& message, Slice&) {
      return !is<zab::Commit>(message) && !is<zab::Ping>(message);  // nobody hears of the commit
    };
    cluster.propose(s3, "x");
    cluster.settle();
    const Zxid x = last_of(cluster, s3);
    REQUIRE(cluster.at(s3).replica->core().last_delivered() == x);
    REQUIRE(cluster.at(s1).replica->core().last_delivered() < x);
    cluster.crash(s3);
    cluster.crash(s2);
    cluster.isolate(s2, false);
    cluster.tamper = nullptr;

    const Zxid said = own_vote_of_1(cluster);
    CHECK(said == x);
    cluster.publish("y");
    cluster.converge();
    CHECK(cluster.delivered_at(s2) == Texts{"1.1", "x", "y"});
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "x", "y"});
  }

  TEST_CASE("ZOOKEEPER-2832: an uncommitted tail above the new leader's last -> cut, not kept") {
    // 3 has a tail of epoch 1; 1 and 2 went on in epoch 2 with less.
    DurableCluster cluster({{.history = {{1, 1}, {2, 1}}, .delivered = zxid(2, 1)},
                            {.history = {{1, 1}, {2, 1}}, .delivered = zxid(2, 1)},
                            {.history = {{1, 7}}, .delivered = zxid(1, 1)}});
    cluster.start_some({s1, s2, s3});
    cluster.publish("y");
    cluster.converge();
    CHECK(cluster.delivered_at(s3) == Texts{"1.1", "2.1", "y"});
  }

  TEST_CASE(
      "ZOOKEEPER-3911, scenario 36: power loss at the follower before its sync -> no ACK-LD was "
      "sent") {
    DurableCluster cluster({short_past, short_past, longer_past});
    bool acked = false;
    hold_disk_in_synchronization(cluster);
    cluster.tamper = [&acked](ServerId from, ServerId, zab::Message& message, Slice&) {
      acked |= from == s2 && is<zab::AckLeader>(message);
      return true;
    };
    for (int ticks = 0; ticks < 20; ++ticks) cluster.tick();
    CHECK_FALSE(acked);
    CHECK_FALSE(cluster.at(s3).replica->core().leading_in_broadcast());

    cluster.crash(s2);
    cluster.crash(s3);
    cluster.at(s2).disk_works = true;
    cluster.start_some({s2, s1});
    cluster.publish("y");  // 1.2 was never committed: these two may go on without it
    cluster.start_some({s3});
    cluster.converge();
  }

  TEST_CASE(
      "ZOOKEEPER-3911, scenario 36: power loss as soon as ACK-LD has left -> all of it is kept") {
    DurableCluster cluster({short_past, short_past, long_past});
    in_small_writes(cluster);
    bool acked = false;
    cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      const bool now = from == s2 && is<zab::AckLeader>(message);
      if (now) cluster.crash(s2);
      acked |= now;
      return true;
    };
    cluster.start_some({s3, s2});
    REQUIRE(cluster.wait([&] { return acked; }));
    REQUIRE(cluster.at(s3).replica->core().leading_in_broadcast());
    CHECK(cluster.at(s3).replica->core().last_committed() == zxid(1, 12));
    cluster.crash(s3);
    cluster.tamper = nullptr;
    cluster.start_some({s2, s1});
    cluster.publish("y");
    cluster.converge();
    CHECK(cluster.delivered_at(s2).size() == 13);
    CHECK(cluster.delivered_at(s1) == cluster.delivered_at(s2));
  }

  TEST_CASE(
      "ZOOKEEPER-3023, 4646, 4785, scenario 38: the log writer is slow -> ACK-LD waits, session "
      "lives") {
    DurableCluster cluster({short_past, short_past, long_past});
    in_small_writes(cluster);
    hold_disk_in_synchronization(cluster);
    const auto sessions_lost = cluster.at(s2).replica->counters().sessions_lost;
    bool acked = false;
    cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      if (from == s2 && is<zab::AckLeader>(message)) {
        acked = true;
        CHECK(cluster.at(s2).on_platter().history.last() == zxid(1, 12));
      }
      CHECK((acked || from != s2 || !is<zab::Ack>(message)));
      return true;
    };
    int ticks = 0;
    for (; !acked && ticks < 1000; ++ticks) {
      cluster.tick();
      if (ticks % 5 == 0) cluster.at(s2).disk.step();  // slower than the peer time-out in all
    }
    REQUIRE(acked);
    CHECK(ticks > 60);
    CHECK(cluster.at(s2).replica->counters().sessions_lost == sessions_lost);
    cluster.at(s2).disk_works = true;
    REQUIRE(cluster.leads(s3));
    cluster.start_some({s1});
    cluster.converge();
  }

  TEST_CASE(
      "ZOOKEEPER-4643, J8, scenario 37: power loss at each step to the new currentEpoch -> history "
      "first") {
    // The history comes in more writes than the identity record has steps: the two interleave.
    bool was_between = false, over = false;
    for (std::size_t steps = 1; !over; ++steps) {
      CAPTURE(steps);
      DurableCluster cluster({long_past, short_past, long_past});
      in_small_writes(cluster);
      hold_disk_in_synchronization(cluster);
      std::size_t done = 0;
      cluster.at(s2).before_disk_step = [&] {
        if (++done > steps) cluster.crash(s2);
      };
      cluster.at(s2).disk_works = true;
      cluster.settle();
      over = cluster.at(s2).up();
      if (over) cluster.crash(s2);
      // What it claims, and what it has.
      const auto found = cluster.at(s2).on_platter();
      if (found.current == Epoch{2}) CHECK(found.history.last() >= zxid(1, 12));
      was_between |= found.current == Epoch{1} && found.history.last() == zxid(1, 12);

      cluster.crash(s3);
      cluster.at(s2).before_disk_step = nullptr;
      cluster.start_some({s2, s1});  // 1 has all of it, which 3 and 1 may have committed
      cluster.publish("y");
      cluster.converge();
      const Texts delivered = cluster.delivered_at(s2);
      CHECK(delivered.size() == 13);
      CHECK(delivered.back() == "y");
    }
    CHECK(was_between);
  }

  TEST_CASE(
      "ZOOKEEPER-4685, scenario 39: proposals overtake the joiner's currentEpoch -> no ACK before "
      "ACK-LD") {
    DurableCluster cluster({short_past, short_past, short_past});
    cluster.start_some({s3, s2});
    REQUIRE(cluster.leads(s3));
    cluster.open_publisher(s3);
    std::vector<std::string> said;
    // One more proposal for every step of the joiner's disk, so that they become durable while its
    // currentEpoch is still being written.
    std::size_t proposals = 0;
    cluster.at(s1).before_disk_step = [&] {
      if (proposals < 20) cluster.propose(s3, std::to_string(++proposals));
    };
    cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      if (from == s1 && (is<zab::Ack>(message) || is<zab::AckLeader>(message))) {
        said.emplace_back(zab::name_of(message));
      }
      return true;
    };
    cluster.start_some({s1});
    REQUIRE(cluster.wait([&] { return proposals == 20 && said.size() > 1; }));
    cluster.converge();
    CHECK(said.front() == "ACK-LD");
    CHECK(std::count(said.begin(), said.end(), "ACK-LD") == 1);
  }

  TEST_CASE(
      "ZOOKEEPER-4394, scenario 40: committed between NEWLEADER and UPTODATE -> delivered once, in "
      "order") {
    DurableCluster cluster({short_past, short_past, short_past});
    cluster.start_some({s3, s2});
    REQUIRE(cluster.leads(s3));
    cluster.open_publisher(s3);
    cluster.propose(s3, "a");
    cluster.settle();
    cluster.at(s2).disk_works = false;
    cluster.propose(s3, "b");  // outstanding
    cluster.settle();
    REQUIRE(cluster.at(s3).replica->core().last_committed() < last_of(cluster, s3));
    // While the joiner stands between NEWLEADER and UPTODATE, b commits through 2.
    bool between = false;
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      if (from == s3 && to == s1 && is<zab::NewLeader>(message)) {
        cluster.at(s1).disk_works = false;
        cluster.at(s2).disk_works = true;
        between = true;
      }
      return true;
    };
    cluster.start_some({s1});
    REQUIRE(cluster.wait([&] {
      return between && cluster.at(s3).replica->core().last_committed() == last_of(cluster, s3);
    }));
    cluster.propose(s3, "c");
    cluster.settle();
    CHECK(cluster.at(s1).replica->core().phase() == Phase::synchronization);
    cluster.at(s1).disk_works = true;
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "a", "b", "c"});
  }

  TEST_CASE(
      "ZOOKEEPER-4712, 4541, 4502, scenario 41: a write of the old epoch under way -> ends, and is "
      "cut") {
    // 2 loses its leader with a write begun at each of its steps; the others go on without it.
    for (const int steps : {0, 1}) {  // begun, or written and not synced
      CAPTURE(steps);
      DurableCluster cluster({short_past, short_past, short_past});
      cluster.start_some({s1, s2, s3});
      REQUIRE(cluster.wait_for_leader() == s3);
      cluster.open_publisher(s3);
      cluster.converge();
      cluster.at(s1).disk_works = cluster.at(s3).disk_works = false;
      cluster.propose(s3, "old");
      cluster.settle();
      while (cluster.at(s2).disk.waiting() > 0) cluster.at(s2).disk.step();
      cluster.at(s2).disk_works = false;
      cluster.propose(s3, "older");
      cluster.settle();
      for (int step = 0; step < steps; ++step) cluster.at(s2).disk.step();
      const std::size_t votes_before = cluster.at(s2).events.size();
      cluster.isolate(s2, true);
      cluster.crash(s3);
      cluster.crash(s1);
      cluster.at(s1).disk_works = cluster.at(s3).disk_works = true;
      cluster.start_some({s1, s3});
      cluster.publish("new");
      // It has lost its leader; as long as its write is under way it says nothing.
      bool voted = false;
      cluster.isolate(s2, false);
      cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
        voted |= from == s2 && is<zab::Vote>(message) &&
                 std::get<zab::Vote>(message).role == Role::looking;
        return true;
      };
      for (int ticks = 0; ticks < 50; ++ticks) cluster.tick();
      CHECK_FALSE(voted);
      CHECK(cluster.at(s2).events.size() > votes_before);

      cluster.at(s2).disk_works = true;
      cluster.converge();
      CHECK(cluster.delivered_at(s2) == Texts{"1.1", "new"});
      cluster.crash(s2);
      cluster.start_some({s2});
      cluster.converge();
      CHECK(cluster.delivered_at(s2) == Texts{"1.1", "new"});
    }
  }
}
