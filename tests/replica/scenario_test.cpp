// Scenarios: over real logs on disks that fail, fill up and lose power; the numbers are those of
// docs/known-bugs.md.
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
const Past full{.history = {{1, 30}}, .delivered = zxid(1, 1)};

template <class M>
bool is(const zab::Message& message) {
  return std::holds_alternative<M>(message);
}

// Three servers, of which 3 leads, with segments that end after a few records.
struct Three : DurableCluster {
  Three() : DurableCluster({one, one, one}) {
    for (const ServerId id : all()) {
      at(id).log_options.segment_size = storage::segment_header_size + 1024;
    }
    start_some({s1, s2, s3});
    REQUIRE(wait_for_leader() == s3);
    open_publisher(s3);
    converge();
  }
  void settle_proposals(int count) {
    for (int i = 0; i < count; ++i) {
      propose(s3, std::string(200, 'p'));
      settle();
    }
  }
};

}  // namespace

TEST_SUITE("replica/scenario") {
  TEST_CASE("scenario 11 E-flap: a follower's link flaps -> progress, epochs do not explode") {
    Three cluster;
    const Epoch before = cluster.at(s3).replica->status().epoch;
    std::size_t published = 0;
    for (int flaps = 0; flaps < 10; ++flaps) {
      cluster.isolate(s1, flaps % 2 == 0);
      for (int ticks = 0; ticks < 45; ++ticks) cluster.tick();  // one and a half time-outs
      cluster.propose(s3, std::to_string(++published));
      cluster.settle();
      CHECK(cluster.at(s3).replica->core().last_committed() ==
            cluster.at(s3).replica->core().last_logged());
    }
    cluster.isolate(s1, false);
    cluster.converge();
    CHECK(cluster.at(s3).replica->status().epoch == before);
    CHECK(cluster.delivered_at(s1).size() == 1 + published);
  }

  TEST_CASE("scenario 11 E-flap: the leader's link flaps -> progress between, bounded epochs") {
    Three cluster;
    const auto before = static_cast<unsigned>(cluster.at(s3).replica->status().epoch);
    constexpr unsigned flaps_max = 6;
    for (unsigned flaps = 0; flaps < flaps_max; ++flaps) {
      cluster.isolate(s3, true);
      cluster.publish("away " + std::to_string(flaps));
      cluster.isolate(s3, false);
      for (int ticks = 0; ticks < 45; ++ticks) cluster.tick();
      cluster.publish("back " + std::to_string(flaps));
    }
    cluster.converge();
    const ServerId leader = cluster.wait_for_leader();
    const auto after = static_cast<unsigned>(cluster.at(leader).replica->status().epoch);
    CHECK(after <= before + 2 * flaps_max);
    CHECK(cluster.delivered_at(s1).size() == 1 + 2 * flaps_max);
  }

  TEST_CASE("scenario 52 S-interleave: two join, one by TRUNC, while segments roll -> both equal") {
    const Past tail{.history = {{1, 9}}, .delivered = zxid(1, 1)};
    const Past leader{.history = {{1, 4}, {2, 20}}, .delivered = zxid(1, 4)};
    DurableCluster cluster({tail, one, leader, leader, leader});
    for (const ServerId id : cluster.all()) {
      cluster.at(id).log_options.segment_size = storage::segment_header_size + 1024;
      cluster.at(id).log_options.tail_cache_bytes = 512;
      cluster.at(id).options.read_bytes_max = 512;
    }
    cluster.start_some({s3, s4, s5});
    REQUIRE(cluster.leads(s5));
    cluster.open_publisher(s5);
    const std::size_t files = cluster.at(s5).disk.names().size();
    cluster.start_some({s1, s2});
    bool trunc = false, diff = false;
    int proposals = 0;
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      trunc |= to == s1 && is<zab::Trunc>(message);
      diff |= to == s2 && is<zab::Diff>(message);
      // One more proposal for every report of the two.
      const bool report = is<zab::Progress>(message) || is<zab::AckLeader>(message);
      if ((from == s1 || from == s2) && report && proposals < 12) {
        cluster.propose(s5, "p" + std::to_string(proposals++));
      }
      return true;
    };
    REQUIRE(cluster.wait([&] { return proposals == 12; }));
    cluster.converge();
    CHECK(trunc);
    CHECK(diff);
    CHECK(cluster.at(s5).disk.names().size() > files);
    const Texts delivered = cluster.delivered_at(s5);
    CHECK(delivered.size() == 4 + 20 + 12);
    CHECK(cluster.delivered_at(s1) == delivered);
    CHECK(cluster.delivered_at(s2) == delivered);
  }

  TEST_CASE("scenario 55 S-prefix-digest: the same zxids, other records -> alarm, nothing is cut") {
    // By DIFF at its last record, and by TRUNC to one before it.
    const Past shorter{.history = {{1, 20}, {2, 1}}, .delivered = zxid(1, 1)};
    for (const Past& leader : {full, shorter}) {
      Past other = full;
      other.diverging = "?";
      DurableCluster cluster({other, leader, leader});
      cluster.start_some({s2, s3});
      REQUIRE(cluster.leads(s3));
      cluster.witness = nullptr;  // 1 claims what the others have otherwise
      const auto before = cluster.at(s1).on_disk().records;
      cluster.start_some({s1});
      REQUIRE(cluster.wait([&] { return cluster.at(s1).replica->counters().alarms > 0; }));
      for (int ticks = 0; ticks < 200; ++ticks) cluster.tick();
      const auto after = cluster.at(s1).on_disk().records;
      REQUIRE(after.size() == before.size());
      CHECK(after.back().checksum == before.back().checksum);
      CHECK(cluster.at(s1).replica->core().last_delivered() == zxid(1, 1));
      CHECK(cluster.at(s3).replica->core().leading_in_broadcast());
    }
  }

  TEST_CASE(
      "scenario 67 B-seg-roll, J1, J5: an ACK for a new segment -> the old one is on the platter") {
    Three cluster;  // which looks at every ACK
    const std::size_t looks = cluster.looks();
    cluster.settle_proposals(30);
    CHECK(cluster.looks() > looks + 30);
    REQUIRE(cluster.at(s1).disk.names().size() > 5);
    for (const ServerId id : cluster.all()) {
      CHECK(cluster.at(id).on_platter().history.last() >= cluster.committed().last());
    }
  }

  TEST_CASE("scenario 68 B-eio: any operation of any server's disk fails -> that server stops") {
    for (const Operation failing :
         {Operation::write, Operation::sync, Operation::create, Operation::sync_directory}) {
      for (const ServerId victim : {s1, s3}) {  // follower and leader
        CAPTURE(static_cast<int>(failing));
        CAPTURE(to_string(victim));
        Three cluster;
        cluster.at(victim).disk.fail(failing, EIO);
        for (int i = 0; i < 12 && cluster.at(victim).fatal.empty(); ++i) {
          cluster.propose(s3, std::string(200, 'p'));
          cluster.settle();
        }
        REQUIRE_FALSE(cluster.at(victim).fatal.empty());
        CHECK(cluster.at(victim).fatal.find("Input/output error") != std::string::npos);
        cluster.at(victim).stop_process();
        cluster.publish("without it");
        for (const ServerId id : cluster.all()) {
          if (id != victim) CHECK(cluster.at(id).fatal.empty());
        }
        cluster.start_some({victim});
        cluster.converge();
        CHECK(cluster.delivered_at(victim).back() == "without it");
      }
    }
  }

  TEST_CASE(
      "scenario 68 B-enospc, scenario 81 L-disk-full-recover: a full disk -> ends by itself") {
    for (const ServerId victim : {s1, s3}) {
      CAPTURE(to_string(victim));
      Three cluster;
      cluster.at(victim).disk.set_capacity(0);
      cluster.settle_proposals(12);
      CHECK(cluster.at(victim).fatal.empty());
      CHECK(cluster.at(victim).log->no_space());
      CHECK(cluster.at(s2).fatal.empty());
      cluster.at(victim).disk.set_capacity(std::uint64_t{1} << 40);
      for (int ticks = 0; ticks < 150; ++ticks) cluster.tick();
      CHECK_FALSE(cluster.at(victim).log->no_space());
      cluster.publish("later");
      cluster.converge();
      CHECK(cluster.delivered_at(victim).back() == "later");
    }
  }

  TEST_CASE("scenario 81 L-disk-full-recover: stopped when full, started with space -> rejoins") {
    Three cluster;
    cluster.at(s1).disk.set_capacity(0);
    cluster.settle_proposals(12);
    cluster.at(s1).stop_process();
    cluster.start_some({s1});  // still full
    for (int ticks = 0; ticks < 100; ++ticks) cluster.tick();
    if (cluster.at(s1).up()) cluster.at(s1).stop_process();
    cluster.at(s1).disk.set_capacity(std::uint64_t{1} << 40);
    cluster.start_some({s1});
    cluster.publish("later");
    cluster.converge();
    CHECK(cluster.delivered_at(s1).back() == "later");
  }

  TEST_CASE("scenario 69 B-stepdown-drain: the sync returns after the role is gone -> no ACK") {
    Three cluster;
    cluster.at(s1).disk_works = false;
    cluster.propose(s3, "x");
    cluster.settle();
    bool answered = false, over = false;
    cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      answered |= from == s1 && is<zab::Ack>(message) && !over;
      over |= from == s1 && is<zab::CEpoch>(message);  // of the next session
      return true;
    };
    cluster.isolate(s1, true);
    REQUIRE(cluster.wait([&] { return cluster.at(s1).replica->core().role() == Role::looking; }));
    cluster.isolate(s1, false);
    cluster.at(s1).disk_works = true;
    cluster.converge();
    CHECK(over);
    CHECK_FALSE(answered);
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "x"});
  }

  TEST_CASE("scenario 69 B-stepdown-drain: of a leader -> its old write commits nothing") {
    Three cluster;
    cluster.at(s3).disk_works = false;
    cluster.isolate(s1, true);
    cluster.propose(s3, "x");  // 2 acknowledges it; the leader's own sync is under way
    cluster.settle();
    REQUIRE(cluster.committed().last() < cluster.at(s3).replica->core().last_logged());
    cluster.isolate(s2, true);
    cluster.isolate(s3, true);
    REQUIRE(cluster.wait([&] { return cluster.at(s3).replica->core().role() == Role::looking; }));
    const Zxid committed = cluster.at(s3).replica->core().last_committed();
    cluster.at(s3).disk_works = true;
    cluster.settle();
    CHECK(cluster.at(s3).replica->core().last_committed() == committed);
    for (const ServerId id : cluster.all()) cluster.isolate(id, false);
    cluster.publish("y");
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == Texts{"1.1", "x", "y"});  // 2 and 3 have it on disk
  }

  TEST_CASE(
      "scenario 71 B-size: empty, of every size up to the limit, above it -> all or nothing") {
    replica::Options options = quick_options();
    options.batch = {700, 1500};
    DurableCluster cluster({one, one, one}, options);
    for (const ServerId id : cluster.all()) {
      cluster.at(id).log_options.segment_size = storage::segment_header_size + 2048;
      cluster.at(id).log_options.group_bytes_max = 600;  // less than one record
    }
    cluster.start_some({s1, s2, s3});
    REQUIRE(cluster.wait_for_leader() == s3);
    cluster.open_publisher(s3);
    Texts wanted{"1.1"};
    for (std::size_t size = 0; size <= 700; size += 35) {
      wanted.push_back(std::string(size, 's'));
      cluster.propose(s3, wanted.back());
    }
    cluster.converge();
    cluster.propose(s3, std::string(701, 's'));
    cluster.settle();
    CHECK(cluster.at(s3).replica->counters().publishes_refused == 1);
    cluster.converge();
    for (const ServerId id : cluster.all()) CHECK(cluster.delivered_at(id) == wanted);
    cluster.crash(s1);
    cluster.start_some({s1});
    cluster.converge();
    CHECK(cluster.delivered_at(s1) == wanted);
  }

  TEST_CASE(
      "ZK boot check, scenario 76 L-boot-window: history durable, currentEpoch not -> boots, "
      "claims "
      "less") {
    bool met = false;
    for (std::size_t steps = 1; steps < 40 && !met; ++steps) {
      DurableCluster cluster({one, full, full});
      std::size_t done = 0;
      bool counting = false;
      cluster.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice&) {
        counting |= to == s1 && is<zab::Propose>(message);
        return true;
      };
      cluster.at(s1).before_disk_step = [&] {
        if (counting && ++done > steps) cluster.crash(s1);
      };
      cluster.start_some({s2, s3});
      cluster.publish("x");  // the history now ends in epoch 2
      cluster.start_some({s1});
      if (!cluster.wait([&] { return !cluster.at(s1).up(); }, 100)) break;
      cluster.at(s1).before_disk_step = nullptr;
      const auto found = cluster.at(s1).on_platter();
      met = found.history.last().epoch > found.current;
      if (!met) continue;
      cluster.start_some({s1});
      CHECK(cluster.at(s1).replica->core().identity().current == Epoch{1});
      cluster.publish("y");
      cluster.converge();
    }
    CHECK(met);
  }

  TEST_CASE("scenario 87 Z-io-alive, Z10: loop stuck, transport alive -> detected, others go on") {
    for (const ServerId victim : {s1, s3}) {
      CAPTURE(to_string(victim));
      Three cluster;
      cluster.stuck = {victim};
      for (int ticks = 0; ticks < 40; ++ticks) cluster.tick();  // more than one time-out
      CHECK(cluster.at(victim).up());
      cluster.isolate(victim, true);  // who waits for a leader does not ask the stuck one
      if (victim == s3) CHECK(cluster.wait_for_leader() == s2);
      cluster.publish("meanwhile");
      cluster.isolate(victim, false);
      cluster.stuck.clear();
      cluster.at(victim).tick(1000);  // it sees how late it is
      cluster.converge();
      CHECK(cluster.delivered_at(victim).back() == "meanwhile");
    }
  }
}
