// Known bugs of the history itself: holes, cuts and disk errors, each by its number in ZooKeeper's
// tracker or the name of its test there, over real logs on disks that lose power.
#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "durable_cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

using Texts = std::vector<std::string>;
using Operation = sim::MemoryDisk::Operation;

const Past one{.history = {{1, 1}}, .delivered = zxid(1, 1)};

template <class M>
bool is(const zab::Message& message) {
  return std::holds_alternative<M>(message);
}

Texts names(unsigned epoch, unsigned last) {
  Texts all;
  for (unsigned counter = 1; counter <= last; ++counter)
    all.push_back(name_of(zxid(epoch, counter)));
  return all;
}

Texts with(Texts texts, const Texts& more) {
  texts.insert(texts.end(), more.begin(), more.end());
  return texts;
}

void restart(DurableCluster& cluster, ServerId id) {
  cluster.crash(id);
  cluster.start_some({id});
}

}  // namespace

TEST_SUITE("replica/known bugs/history") {
  TEST_CASE(
      "ZOOKEEPER-4925, scenario 42: a leader that was itself synchronized by DIFF -> passes on no "
      "hole") {
    const Past full{.history = {{1, 9}}, .delivered = zxid(1, 1)};
    DurableCluster cluster({one, full, full, full, one});
    cluster.start_some({s2, s3, s4});
    REQUIRE(cluster.leads(s4));
    cluster.start_some({s5});  // synchronized by DIFF
    cluster.converge();
    cluster.publish("x");
    cluster.converge();
    cluster.crash(s4);
    cluster.crash(s3);
    cluster.start_some({s1});
    REQUIRE(cluster.leads(s5));
    cluster.publish("y");
    cluster.converge();
    const Texts wanted = with(names(1, 9), {"x", "y"});
    for (const ServerId id : {s1, s2, s5}) CHECK(cluster.delivered_at(id) == wanted);
    restart(cluster, s1);
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == wanted);
  }

  TEST_CASE(
      "ZOOKEEPER-4882, scenario 43: one write of a follower fails -> it stops, its log has no "
      "hole") {
    for (const Operation failing : {Operation::write, Operation::sync}) {
      DurableCluster cluster({one, one, one});
      cluster.start_some({s1, s2, s3});
      REQUIRE(cluster.wait_for_leader() == s3);
      cluster.open_publisher(s3);
      cluster.at(s2).disk.fail(failing, EIO);
      cluster.propose(s3, "x");
      cluster.settle();
      cluster.propose(s3, "y");  // the disk would work again
      cluster.settle();
      CHECK_FALSE(cluster.at(s2).fatal.empty());
      CHECK(cluster.at(s2).log->durable() < zxid(2, 2));
      cluster.at(s2).stop_process();
      cluster.start_some({s2});
      cluster.converge();
      CHECK(cluster.delivered_at(s2) == Texts{"1.1", "x", "y"});
    }
  }

  TEST_CASE("ZOOKEEPER-2247: the leader's log fails -> it stops, the others elect and go on") {
    DurableCluster cluster({one, one, one});
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.open_publisher(s3);
    cluster.at(s3).disk.fail(Operation::write, EIO);
    cluster.propose(s3, "x");
    cluster.settle();
    CHECK_FALSE(cluster.at(s3).fatal.empty());
    CHECK_FALSE(cluster.at(s3).replica->step());
    cluster.at(s3).stop_process();
    cluster.publish("y");
    cluster.start_some({s3});
    cluster.converge();
    // x was acknowledged by two followers, or is in doubt: wherever it is, it is at all of them.
    CHECK(cluster.delivered_at(s3) == cluster.delivered_at(s1));
    CHECK(cluster.delivered_at(s3).back() == "y");
  }

  TEST_CASE(
      "ZOOKEEPER-5094, jzab lastSeenZxid, scenario 44: a TRUNC interrupted at any step of the disk "
      "-> memory is the "
      "disk") {
    const Past tail{.history = {{1, 5}}, .delivered = zxid(1, 1)};
    const Past leader{.history = {{1, 3}, {2, 1}}, .delivered = zxid(1, 3)};
    bool over = false;
    std::size_t steps = 0;
    for (; !over; ++steps) {
      CAPTURE(steps);
      DurableCluster cluster({tail, leader, leader});
      std::size_t done = 0;
      bool cutting = false, lost = false;
      cluster.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice&) {
        cutting |= to == s1 && is<zab::Trunc>(message);
        return true;
      };
      // The session ends, the process and its memory live on.
      cluster.at(s1).before_disk_step = [&] {
        if (!cutting || lost || ++done <= steps) return;
        lost = true;
        cluster.isolate(s1, true);
      };
      cluster.start_some({s2, s3});
      REQUIRE(cluster.leads(s3));
      cluster.start_some({s1});
      cluster.wait([&] { return lost; }, 60);
      over = !lost;
      cluster.at(s1).before_disk_step = nullptr;
      if (lost) {
        REQUIRE(
            cluster.wait([&] { return cluster.at(s1).replica->core().role() == Role::looking; }));
        REQUIRE(cluster.wait([&] { return cluster.at(s1).replica->core().taking_part(); }));
        CHECK(cluster.at(s1).on_disk().history == cluster.at(s1).replica->core().history());
      }
      cluster.isolate(s1, false);
      cluster.publish("x");
      cluster.converge();
      restart(cluster, s1);
      cluster.converge();
      CHECK(cluster.delivered_at(s1) == with(names(1, 3), {"2.1", "x"}));
    }
    CHECK(steps > 4);
  }

  TEST_CASE(
      "ZOOKEEPER-2355, scenario 47: the session ends behind DIFF -> it speaks of what it has") {
    DurableCluster cluster({one,
                            {.history = {{1, 9}}, .delivered = zxid(1, 1)},
                            {.history = {{1, 9}}, .delivered = zxid(1, 1)}});
    cluster.start_some({s2, s3});
    REQUIRE(cluster.leads(s3));
    bool got_diff = false;
    Zxid said = zxid(9, 9);
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      if (to == s1 && is<zab::Propose>(message) && !got_diff) {
        got_diff = true;
        cluster.isolate(s1, true);
        return false;
      }
      const auto* ack = std::get_if<zab::AckEpoch>(&message);
      if (from == s1 && got_diff && ack) said = ack->history.last();
      return true;
    };
    cluster.start_some({s1});
    REQUIRE(cluster.wait([&] { return got_diff; }));
    REQUIRE(cluster.wait([&] { return cluster.at(s1).replica->core().role() == Role::looking; }));
    CHECK(cluster.at(s1).replica->core().last_logged() == zxid(1, 1));
    cluster.isolate(s1, false);
    cluster.converge();
    CHECK(said == zxid(1, 1));
    CHECK(cluster.delivered_at(s1) == names(1, 9));
  }

  TEST_CASE(
      "ZOOKEEPER-3104, scenario 48: the history is read slowly -> NEWLEADER waits behind all of "
      "it") {
    const Past full{.history = {{1, 40}}, .delivered = zxid(1, 1)};
    DurableCluster cluster({one, full, full});
    for (const ServerId id : cluster.all()) cluster.at(id).log_options.tail_cache_bytes = 256;
    cluster.start_some({s2, s3});
    REQUIRE(cluster.leads(s3));
    cluster.open_publisher(s3);
    cluster.at(s3).reader_works = false;
    Zxid last_sent;
    bool new_leader = false;
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      if (from != s3 || to != s1) return true;
      if (const auto* propose = std::get_if<zab::Propose>(&message)) {
        last_sent = {propose->runs.back().epoch, propose->runs.back().last};
      }
      if (is<zab::NewLeader>(message)) {
        new_leader = true;
        CHECK(last_sent >= zxid(1, 40));
      }
      return true;
    };
    cluster.start_some({s1});
    for (int ticks = 0; ticks < 50; ++ticks) {
      if (ticks % 10 == 0) cluster.propose(s3, std::to_string(ticks));  // it leads on meanwhile
      cluster.tick();
    }
    CHECK_FALSE(new_leader);
    CHECK(cluster.at(s1).replica->core().phase() == Phase::synchronization);
    cluster.at(s3).reader_works = true;
    cluster.converge();
    CHECK(new_leader);
    CHECK(cluster.delivered_at(s1) == with(names(1, 40), {"0", "10", "20", "30", "40"}));
  }

  TEST_CASE(
      "testHighestZxidJoinLate, ZOOKEEPER-1154, 1156, scenario 49: the greatest uncommitted zxid "
      "joins late -> cut, exactly "
      "there") {
    DurableCluster cluster({one, one, one});
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.publish("a");
    cluster.open_publisher(s3);
    cluster.isolate(s1, true);
    cluster.isolate(s2, true);
    cluster.propose(s3, "alone");
    cluster.settle();
    const Zxid alone = cluster.at(s3).replica->core().last_durable();
    REQUIRE(alone == cluster.at(s3).replica->core().last_logged());
    cluster.crash(s3);
    cluster.isolate(s1, false);
    cluster.isolate(s2, false);
    cluster.publish("b");
    cluster.start_some({s3});
    cluster.converge();
    CHECK(cluster.delivered_at(s3) == Texts{"1.1", "a", "b"});
    restart(cluster, s3);
    cluster.converge();
    CHECK(cluster.delivered_at(s3) == Texts{"1.1", "a", "b"});
  }

  TEST_CASE("ZOOKEEPER-1489: TRUNC, then new transactions, then a restart -> all of them") {
    const Past tail{.history = {{1, 5}}, .delivered = zxid(1, 1)};
    const Past leader{.history = {{1, 2}, {2, 1}}, .delivered = zxid(1, 2)};
    DurableCluster cluster({tail, leader, leader});
    cluster.start_some({s2, s3});
    REQUIRE(cluster.leads(s3));
    cluster.start_some({s1});
    cluster.publish("x");
    cluster.publish("y");
    cluster.converge();
    restart(cluster, s1);
    CHECK(cluster.at(s1).replica->core().history() == cluster.committed());
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "1.2", "2.1", "x", "y"});
  }

  TEST_CASE(
      "ZOOKEEPER-2846, 2418, scenario 26 S-gap: history half on disk, half in memory -> one range, "
      "no gap") {
    const Past full{.history = {{1, 60}}, .delivered = zxid(1, 1)};
    for (const std::size_t cached : {256, 1024, 4096, 8192}) {
      CAPTURE(cached);
      DurableCluster cluster({one, full, full});
      for (const ServerId id : cluster.all()) {
        cluster.at(id).log_options.tail_cache_bytes = cached;
        cluster.at(id).log_options.segment_size = storage::segment_header_size + 2048;
        cluster.at(id).options.read_bytes_max = 512;
      }
      cluster.start_some({s2, s3});
      REQUIRE(cluster.leads(s3));
      cluster.open_publisher(s3);
      Texts wanted = names(1, 60);
      for (int i = 0; i < 30; ++i) {
        wanted.push_back("p" + std::to_string(i));
        cluster.propose(s3, wanted.back());
        cluster.settle();
      }
      REQUIRE(cluster.at(s3).disk.names().size() > 3);  // several segments
      std::vector<zab::Run> runs;
      cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
        const auto* propose = std::get_if<zab::Propose>(&message);
        if (from == s3 && to == s1 && propose) {
          runs.insert(runs.end(), propose->runs.begin(), propose->runs.end());
        }
        return true;
      };
      cluster.start_some({s1});
      cluster.converge();
      Zxid last = zxid(1, 1);
      for (const zab::Run& run : runs) {
        CHECK(follows({run.epoch, run.first}, last));
        last = {run.epoch, run.last};
      }
      CHECK(cluster.delivered_at(s1) == wanted);
    }
  }

  TEST_CASE("ZOOKEEPER-3526: without a quorum, with readers and writers -> no zxid is taken") {
    DurableCluster cluster({one, one, one});
    cluster.start_some({s1});
    wire::Hello hello;
    hello.publisher = make_uuid(9);
    cluster.at(s1).say(ConnectionId{1}, hello);
    cluster.at(s1).publish(ConnectionId{1}, 1, {"x"});
    cluster.at(s1).subscribe(ConnectionId{2}, from_first(1));
    for (int ticks = 0; ticks < 300; ++ticks) cluster.tick();
    CHECK(cluster.at(s1).take_delivered(ConnectionId{2}) == Texts{"1.1"});
    CHECK(cluster.at(s1).replica->core().last_logged() == zxid(1, 1));
    CHECK(cluster.at(s1).on_disk().accepted == Epoch{1});
    cluster.start_some({s2, s3});
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == Texts{"1.1"});
  }

  TEST_CASE("ZOOKEEPER-3701: TRUNC on a full disk -> not followed until it is done") {
    const Past tail{.history = {{1, 5}}, .delivered = zxid(1, 1)};
    const Past leader{.history = {{1, 2}, {2, 1}}, .delivered = zxid(1, 2)};
    DurableCluster cluster({tail, leader, leader});
    cluster.start_some({s2, s3});
    REQUIRE(cluster.leads(s3));
    bool acked = false, cutting = false;
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      acked |= from == s1 && is<zab::AckLeader>(message);
      cutting |= to == s1 && is<zab::Trunc>(message);
      if (cutting) cluster.at(s1).disk.set_capacity(0);
      return true;
    };
    cluster.start_some({s1});
    REQUIRE(cluster.wait([&] { return cutting; }));
    cluster.publish("x");
    for (int ticks = 0; ticks < 200; ++ticks) cluster.tick();
    CHECK_FALSE(acked);
    CHECK(cluster.at(s1).on_disk().history.last() == zxid(1, 5));
    CHECK(cluster.at(s1).fatal.empty());
    cluster.tamper = nullptr;
    cluster.at(s1).disk.set_capacity(std::uint64_t{1} << 40);
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "1.2", "2.1", "x"});
  }

  TEST_CASE("testEarlyLeaderAbandonment: logged by the lonely leader -> removed everywhere") {
    DurableCluster cluster({one, one, one});
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.open_publisher(s3);
    cluster.crash(s1);
    cluster.crash(s2);
    cluster.propose(s3, "abandoned");
    cluster.settle();
    REQUIRE(cluster.at(s3).replica->core().last_durable() ==
            cluster.at(s3).replica->core().last_logged());
    cluster.crash(s3);
    cluster.start_some({s1, s2});
    cluster.publish("y");
    cluster.start_some({s3});
    cluster.converge();
    for (const ServerId id : cluster.all()) CHECK(cluster.delivered_at(id) == Texts{"1.1", "y"});
  }

  TEST_CASE("testFailedTxnAsPartOfQuorumLoss: the same, in a process that lives on -> removed") {
    DurableCluster cluster({one, one, one});
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.open_publisher(s3);
    cluster.crash(s1);
    cluster.crash(s2);
    cluster.isolate(s3, true);
    cluster.propose(s3, "abandoned");
    cluster.settle();
    REQUIRE(cluster.wait([&] { return cluster.at(s3).replica->core().role() == Role::looking; }));
    cluster.start_some({s1, s2});
    cluster.publish("y");
    cluster.isolate(s3, false);
    cluster.converge();
    for (const ServerId id : cluster.all()) CHECK(cluster.delivered_at(id) == Texts{"1.1", "y"});
  }
}
