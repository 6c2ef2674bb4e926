// SNAP: servers that fell below the leader's floor, over real logs.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include "cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};
constexpr ServerId one{1}, two{2}, three{3};
const Uuid publisher = make_uuid(7);

replica::Options retaining_little(std::size_t window) {
  replica::Options options;
  options.learner_window_bytes = window;
  options.retention = {.bytes = 32 << 10, .bytes_max = 48 << 10, .age_us = 0};
  options.retention_interval_ms = 10;
  options.snapshots.bytes = 16 << 10;
  options.read_bytes_max = 512;  // a state comes in several parts
  return options;
}

struct Retaining : DiskCluster {
  explicit Retaining(std::size_t window = 16 << 20) : Retaining(retaining_little(window)) {}
  explicit Retaining(const replica::Options& options) : DiskCluster(3, options) {
    leader = wait_for_leader();
    REQUIRE(wait([&] { return all_at(Offset{0}); }));
    at(leader).open_publisher(alice, publisher);
    settle();
  }
  bool all_at(Offset offset) {
    for (ServerId id : all()) {
      if (at(id).up() && at(id).replica->status().last_offset < offset) return false;
    }
    return true;
  }
  ServerId follower() { return followers_of(leader).front(); }
  const replica::ServerState& state_of(ServerId id) { return at(id).replica->state(); }
  // One kilobyte each; ticks, so that retention gets its turn.
  void publish(std::size_t messages) {
    for (std::size_t i = 0; i < messages; ++i) {
      at(leader).publish(alice, ++last, {std::to_string(last) + std::string(1000, '.')});
      settle();
      tick();
    }
  }
  // Without `away` until it lies below the floor of the others.
  void leave_behind(ServerId away) {
    const Offset end = state_of(away).delivered_offset();
    publish(200);
    REQUIRE(at(leader).log->floor().offset > end);
  }
  void same_state(ServerId id) {
    REQUIRE(wait([&] { return state_of(id).delivered() == state_of(leader).delivered(); }));
    CHECK(state_of(id).encode() == state_of(leader).encode());
  }

  ServerId leader = ServerId::none;
  Sequence last = 0;
};

}  // namespace

TEST_SUITE("replica/snap") {
  TEST_CASE("retention: under load -> all servers cut at the same offset, and logs stay small") {
    Retaining cluster;
    cluster.publish(300);
    REQUIRE(cluster.wait([&] { return cluster.all_at(300); }));
    const Offset first = cluster.state_of(cluster.leader).first_offset();
    CHECK(first > 200);
    for (ServerId id : cluster.all()) {
      CHECK(cluster.at(id).replica->status().first_offset == first);
      CHECK(cluster.at(id).log->floor().offset < first);
      CHECK(cluster.at(id).log->floor().offset > 150);
      CHECK(cluster.at(id).log->segments().size() < 10);
    }
  }

  TEST_CASE(
      "scenario 31 S-snap, scenario 56 S-live-follower-snap, J9: below the floor -> state and "
      "log") {
    Retaining cluster;
    cluster.publish(10);
    const ServerId away = cluster.follower();
    SUBCASE("it was down") {
      cluster.crash(away);
      cluster.publish(200);
      cluster.start(away);
    }
    SUBCASE("it was cut off, and serves on") {
      cluster.isolate(away, true);
      cluster.leave_behind(away);
      cluster.isolate(away, false);
    }
    REQUIRE(cluster.wait([&] {
      return cluster.at(away).replica->status().phase == Phase::broadcast && cluster.all_at(210);
    }));
    CHECK(cluster.at(away).replica->counters().snapshots_installed == 1);
    CHECK(cluster.at(away).identity.generation == 1);
    cluster.same_state(away);

    // What a publisher was told before is known here too, and readers get all that is retained.
    CHECK(cluster.state_of(away).publishers().find(publisher)->last_sequence == 210);
    cluster.at(away).subscribe(bob, from_first(1));
    cluster.settle();
    const auto delivered = cluster.at(away).take_delivered(bob);
    CHECK(delivered.size() == 210 - cluster.state_of(away).retained().offset);
    cluster.at(away).subscribe(bob, from_offset(2, 1));
    cluster.settle();
    CHECK(cluster.at(away).clients.take<wire::Gap>(bob).size() == 1);
  }

  TEST_CASE(
      "scenario 45, ZOOKEEPER-3642, testDiffSyncAfterSnap: power is lost after SNAP -> it starts "
      "from what it got") {
    Retaining cluster;
    const ServerId away = cluster.follower();
    cluster.crash(away);
    cluster.publish(200);
    cluster.start(away);
    REQUIRE(cluster.wait([&] { return cluster.at(away).identity.generation == 1; }));
    cluster.crash(away);
    cluster.start(away);
    REQUIRE(cluster.at(away).up());
    CHECK(cluster.state_of(away).delivered_offset() > 100);
    cluster.publish(5);
    REQUIRE(cluster.wait([&] { return cluster.all_at(205); }));
    cluster.same_state(away);
    CHECK(cluster.at(away).replica->counters().snapshots_installed == 0);
  }

  TEST_CASE("SNAP: its state is written and read back -> STATE-TAKEN of the last part each time") {
    Retaining cluster;
    cluster.publish(10);
    const ServerId away = cluster.follower();
    cluster.isolate(away, true);
    cluster.leave_behind(away);
    std::uint32_t parts = 0;
    int again = 0;
    cluster.tamper = [&](ServerId from, ServerId to, zab::Message& message, Slice&) {
      if (const auto* snap = std::get_if<zab::Snap>(&message)) parts = snap->parts;
      const auto* taken = std::get_if<zab::StateTaken>(&message);
      if (taken && from == away && to == cluster.leader && taken->part + 1 == parts) ++again;
      return true;
    };
    cluster.isolate(away, false);
    REQUIRE(cluster.wait(
        [&] { return cluster.at(away).replica->counters().snapshots_installed == 1; }));
    CHECK(again == 3);  // taken; then one piece written, and read back
  }

  TEST_CASE("SNAP: the learner loses power at each step of it -> the old history or the new one") {
    for (int step = 1;; ++step) {
      Retaining cluster;
      cluster.publish(10);
      const ServerId away = cluster.follower();
      cluster.crash(away);
      cluster.publish(120);
      int steps = 0;
      bool crashed = false;
      cluster.at(away).before_disk_step = [&] {
        if (!cluster.at(away).log->installing() || ++steps != step) return;
        crashed = true;
        cluster.at(away).crash();
      };
      cluster.start(away);
      cluster.wait([&] { return crashed || cluster.at(away).identity.generation == 1; }, 200);
      cluster.at(away).before_disk_step = {};
      if (!crashed) {
        CHECK(step > 3);
        return;
      }
      cluster.crash(away);
      cluster.start(away);
      INFO("step " << step);
      REQUIRE(cluster.at(away).up());
      const Offset found = cluster.state_of(away).delivered_offset();
      CHECK((found <= 10 || found > 100));
      REQUIRE(cluster.wait([&] { return cluster.all_at(130); }));
      cluster.same_state(away);
    }
  }

  TEST_CASE("ZOOKEEPER-1549: snapshots -> of delivered transactions only") {
    Retaining cluster;
    for (int i = 0; i < 60; ++i) {
      cluster.publish(2);
      for (ServerId id : cluster.all()) {
        const auto& log = *cluster.at(id).log;
        CHECK(log.floor().zxid <= cluster.state_of(id).retained().zxid);
        CHECK(cluster.state_of(id).retained().zxid <= cluster.state_of(id).delivered());
      }
    }
    for (ServerId id : cluster.all()) {
      cluster.crash(id);
      cluster.start(id);
      REQUIRE(cluster.at(id).up());
      CHECK(cluster.state_of(id).delivered_offset() <= 120);
    }
    cluster.leader = cluster.wait_for_leader();
    REQUIRE(cluster.wait([&] { return cluster.all_at(120); }));
    for (ServerId id : cluster.all()) cluster.same_state(id);
  }

  // Found by review: a power failure would bring the old history back, which ends before that.
  TEST_CASE(
      "SNAP: until the switch is durable -> subscribers are given nothing of the new history") {
    for (unsigned seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Retaining cluster;
      const ServerId away = cluster.follower();
      const Offset before = cluster.state_of(away).delivered_offset();
      cluster.isolate(away, true);
      cluster.leave_behind(away);
      cluster.isolate(away, false);
      DiskServer& server = cluster.at(away);
      server.subscribe(bob, from_first(1, 100000, 1 << 28));
      std::mt19937_64 random(seed);
      const auto adopted = [&] { return server.replica->counters().snapshots_installed == 1; };
      for (int i = 0; i < 40000 && server.identity.generation == 0; ++i) {
        if (i % 40 == 0) cluster.tick_only();
        cluster.deliver_any(random);
        for (const ServerId id : cluster.all()) {
          if (random() % 4 != 0) continue;
          const bool waits = id == away && adopted() && random() % 8 != 0;  // a slow disk
          waits ? static_cast<void>(server.replica->step())
                : static_cast<void>(cluster.at(id).finish());
        }
        if (server.identity.generation != 0 || !adopted()) continue;
        server.say(bob, from_offset(2, cluster.state_of(away).delivered_offset()));
        server.replica->step();
        for (const wire::Deliver& delivered : server.clients.take<wire::Deliver>(bob)) {
          CHECK(delivered.up_to <= before);
        }
      }
      REQUIRE(cluster.wait([&] { return server.identity.generation == 1; }));
      CHECK(cluster.wait([&] { return !server.clients.take<wire::Deliver>(bob).empty(); }));
    }
  }

  // Found by review: it held the leader's whole log, whatever the bound.
  TEST_CASE(
      "retention: a follower that makes progress, and never arrives -> the log stays bounded") {
    Retaining cluster(2048);
    const ServerId slow = cluster.follower();
    cluster.tamper = [&](ServerId from, ServerId, zab::Message& message, Slice&) {
      const bool progress = std::holds_alternative<zab::Ack>(message) ||
                            std::holds_alternative<zab::Progress>(message);
      if (from == slow && progress) cluster.at(slow).disk_works = false;
      return true;
    };
    std::uint64_t most = 0;
    for (int i = 0; i < 1000; ++i) {
      cluster.at(slow).disk_works = i % 6 == 0;
      cluster.publish(1);
      cluster.at(cluster.leader).clients.take();
      std::uint64_t bytes = 0;
      for (const auto& segment : cluster.at(cluster.leader).log->segments()) bytes += segment.bytes;
      most = std::max(most, bytes);
    }
    CHECK(most < 4 * (48 << 10));
    CHECK(cluster.at(cluster.leader).replica->counters().protocol_errors == 0);
    cluster.tamper = nullptr;
    cluster.at(slow).disk_works = true;
    CHECK(cluster.wait([&] { return cluster.all_at(1000); }));
    cluster.same_state(slow);
  }

  // Found by review: an accepted floor or cursor waited for the disk that it was to relieve, and
  // nobody was answered any more.
  TEST_CASE("no space: a cursor moves, and retention makes room -> ends by itself") {
    replica::Options options = retaining_little(16 << 20);
    options.retention.bytes_max = std::uint64_t{1} << 40;
    Retaining cluster(options);
    DiskServer& leader = cluster.at(cluster.leader);
    leader.say(bob, wire::Hello{});
    leader.say(bob, wire::MoveCursor{1, "slow", 0, false});
    cluster.settle();
    REQUIRE(leader.clients.take<wire::CursorMoved>(bob).size() == 1);
    cluster.publish(100);
    REQUIRE(is_none(leader.log->floor().zxid));
    for (const ServerId id : cluster.all()) {
      sim::MemoryDisk& disk = cluster.at(id).disk;
      disk.set_capacity(sim::MemoryDisk::roomy - disk.free_bytes() + (24 << 10));
    }
    REQUIRE(cluster.wait([&] { return leader.log->no_space(); }));
    leader.clients.take();
    leader.publish(alice, cluster.last + 1, {"no room"});
    cluster.settle();
    CHECK(leader.clients.take<wire::Refused>(alice).at(0).code == Code::no_space);

    leader.say(bob, wire::MoveCursor{2, "slow", 100, false});
    cluster.settle();
    CHECK(leader.clients.take<wire::CursorMoved>(bob) == std::vector<wire::CursorMoved>{{2, 100}});
    for (const ServerId id : cluster.all()) {
      CAPTURE(to_string(id));
      CHECK(cluster.wait([&] { return !cluster.at(id).log->no_space(); }));
      CHECK(cluster.at(id).fatal.empty());
    }
    cluster.publish(5);
    CHECK(cluster.wait([&] { return cluster.all_at(105); }));
  }

  // The floor was delivered, and the server stopped before its snapshot was there.
  TEST_CASE("no space: a start behind a floor that no snapshot knows -> frees what it lets go") {
    replica::Options options = retaining_little(16 << 20);
    options.snapshots.bytes = std::uint64_t{1} << 40;
    Retaining cluster(options);
    const ServerId id = cluster.follower();
    DiskServer& server = cluster.at(id);
    cluster.publish(100);
    REQUIRE_FALSE(is_none(cluster.state_of(id).retained().zxid));
    REQUIRE(cluster.wait([&] { return server.log->idle(); }));
    server.stop_process();
    for (const auto& name : server.disk.names()) {
      if (name.starts_with("snapshot")) server.disk.set_content(name, {});
    }
    server.start();
    const std::uint64_t before = server.log->snapshot_report().saved;
    CHECK(cluster.wait([&] { return server.log->snapshot_report().saved > before; }));
  }

  TEST_CASE("snapshot.max_bytes: a SNAP over it -> is never gathered, one within it is installed") {
    for (const std::uint64_t bytes_max : {std::uint64_t{600}, std::uint64_t{1} << 20}) {
      CAPTURE(bytes_max);
      replica::Options options = retaining_little(16 << 20);
      options.snapshots.state_bytes_max = bytes_max;
      Retaining cluster(options);
      const ServerId away = cluster.follower();
      cluster.isolate(away, true);
      cluster.leave_behind(away);
      std::size_t begun =
          0;  // further ones are lost: without time passing it would be sent for ever
      cluster.tamper = [&](ServerId, ServerId to, zab::Message& message, Slice&) {
        const auto* snap = std::get_if<zab::Snap>(&message);
        if (snap && to == away) begun += snap->part == 0 ? 1 : 0;
        return begun < 2;
      };
      cluster.isolate(away, false);
      const auto sent = [&] {
        return cluster.at(cluster.leader).replica->counters().snapshots_sent;
      };
      const auto installed = [&] {
        return cluster.at(away).replica->counters().snapshots_installed;
      };
      REQUIRE(cluster.wait([&] { return sent() > 1 || installed() > 0; }));
      CHECK(installed() == (bytes_max > 600 ? 1 : 0));
      CHECK(cluster.at(away).fatal.empty());
    }
  }
}
