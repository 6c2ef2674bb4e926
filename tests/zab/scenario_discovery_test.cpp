// Scenarios 12 to 17 and 19 to 22: discovery. (18, observers, comes with observers.)
#include "zab/harness/cluster.hpp"
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:3", .delivered = "1.3"};

Epoch accepted(Cluster& cluster, unsigned id) {
  return cluster[id].disk().identity().accepted;
}

void say(Cluster& cluster, unsigned from, unsigned to, const Message& message) {
  cluster[to].receive(ServerId{from}, {message, {}});
}

template <class M>
Network::Hold hold_all(unsigned from) {
  return [from](ServerId sender, ServerId, const Message& message) {
    return sender == ServerId{from} && std::holds_alternative<M>(message);
  };
}

// Server `id` is told by both others that it is elected.
void make_lead(Cluster& cluster, unsigned id) {
  const Zxid last = cluster[id].disk().durable_end();
  const auto current = static_cast<unsigned>(cluster[id].disk().identity().current);
  for (unsigned other = 1; other <= 3; ++other) {
    if (other != id) say(cluster, other, id, vote(id, current, last, 1));
  }
  REQUIRE(cluster[id].core().role() == Role::leading);
}

// `follower` believes that `leader` leads, and opens a session with it.
void make_follow(Cluster& cluster, unsigned follower, unsigned leader) {
  say(cluster, leader, follower, vote(leader, 1, zxid(1, 3), 1, Role::leading, Phase::broadcast));
  REQUIRE(cluster[follower].core().leader() == ServerId{leader});
}

void complete_disks(Cluster& cluster) {
  for (ServerId id : cluster.ids()) {
    Server& server = cluster[static_cast<unsigned>(id)];
    while (server.up() && !server.hold_log && server.disk().log_busy()) server.complete_log();
    while (server.up() && !server.hold_store && server.disk().storing()) server.complete_store();
  }
}

TEST_SUITE("zab/scenario/discovery") {
  TEST_CASE(
      "ZOOKEEPER-1343, scenario 12 D-epoch: acceptedEpochs 0, 5, 5 -> epoch 6, the leader's own "
      "counts too") {
    for (unsigned highest = 1; highest <= 3; ++highest) {
      CAPTURE(highest);
      std::vector<Past> pasts = Cluster::same(3, {.accepted = 5});
      pasts[(highest + 1) % 3].accepted = 0;
      Cluster cluster(pasts);
      REQUIRE(cluster.elect(3));
      CHECK(accepted(cluster, 3) == epoch(6));

      std::vector<Past> own = Cluster::same(3, {.accepted = 2});
      own[highest - 1].accepted = 8;
      Cluster other(own);
      REQUIRE(other.elect(3));
      CHECK(accepted(other, 3) == epoch(9));
    }
  }

  TEST_CASE(
      "J11, scenario 13 D-promise-crash: around the promise -> never two counted ACK-Es for an "
      "epoch") {
    enum class Crash { before_write, written, not_written, before_ack_arrives, after_ack_arrived };
    for (Crash when : {Crash::before_write, Crash::written, Crash::not_written,
                       Crash::before_ack_arrives, Crash::after_ack_arrived}) {
      CAPTURE(static_cast<int>(when));
      Cluster cluster(Cluster::same(3, past));
      cluster.isolate(1);
      cluster.hold(hold_all<NewEpoch>(3));
      REQUIRE(cluster.run_until([&] { return accepted(cluster, 3) == epoch(2); }));
      cluster.hold_nothing();
      cluster[2].hold_store = true;
      if (when != Crash::before_write) REQUIRE(cluster.deliver(3, 2, "NEWEPOCH"));
      if (when >= Crash::before_ack_arrives) cluster[2].complete_store();
      if (when == Crash::after_ack_arrived) REQUIRE(cluster.deliver(2, 3, "ACK-E"));

      CrashChoice choice;
      choice.identity_kept = when == Crash::written;
      cluster.crash(2, choice);
      const bool promised = when == Crash::written || when >= Crash::before_ack_arrives;
      CHECK(accepted(cluster, 2) == epoch(promised ? 2 : 1));

      cluster[2].hold_store = false;
      cluster.restart(2);
      cluster.heal();
      CHECK(cluster.run_until_converged());  // the checker counts the ACK-Es
    }
  }

  TEST_CASE(
      "scenario 14 D-leader-crash: dead after its own promise -> the same epoch for another, "
      "once") {
    Cluster cluster(Cluster::same(3, past));
    cluster.isolate(1);
    cluster.hold(hold_all<NewEpoch>(3));
    REQUIRE(cluster.run_until([&] { return accepted(cluster, 3) == epoch(2); }));
    cluster.crash(3);
    cluster.heal();

    SUBCASE(
        "it comes back when the other is established -> it joins with ACK-E that does not count") {
      cluster.hold_nothing();
      REQUIRE(cluster.elect(2));
      CHECK(accepted(cluster, 2) == epoch(2));
      cluster.restart(3);
      REQUIRE(cluster.run_until_converged());
      CHECK(cluster.leader() == 2);
      CHECK(accepted(cluster, 3) == epoch(2));
    }
    SUBCASE("it comes back inside the other's discovery -> its answer closes no quorum") {
      cluster.hold(hold_all<AckEpoch>(1));
      REQUIRE(cluster.run_until([&] { return accepted(cluster, 2) == epoch(2); }));
      cluster.restart(3);
      make_follow(cluster, 3, 2);
      cluster.settle();
      REQUIRE(cluster[2].core().role() == Role::leading);
      CHECK(cluster[2].core().phase() == Phase::discovery);
      cluster.hold_nothing();
      cluster.settle();
      CHECK(cluster.leader() == 2);
    }
    CHECK(cluster.checker().epochs_established() == 1);
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE("scenario 15 D-lower: NEWEPOCH below the promise -> the follower leaves") {
    Probe probe(1, 3, {.history = "1:3", .accepted = 7});
    probe.follow(3);

    probe.receive(3, new_epoch(6));

    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.count<AckEpoch>(3) == 0);
    CHECK(probe.disk().identity().accepted == epoch(7));
  }

  TEST_CASE(
      "ZOOKEEPER-1192, scenario 16 D-abandon: CEPOCHs and no ACK-E -> steps down at the limit") {
    Cluster cluster(Cluster::same(3, past));
    cluster.hold([](ServerId, ServerId, const Message& message) {
      return std::holds_alternative<AckEpoch>(message);
    });
    REQUIRE(cluster.run_until([&] { return cluster[3].core().role() == Role::leading; }));
    const std::uint64_t elected = cluster.now_ms();

    REQUIRE(cluster.run_until([&] { return cluster[3].core().role() != Role::leading; }));
    CHECK(cluster.now_ms() - elected <= Options{}.discovery_timeout_ms + 2 * tick_ms);
    CHECK(cluster.checker().epochs_established() == 0);

    cluster.hold_nothing();
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE(
      "scenario 17 D-ahead: a newer history inside the quorum -> the leader aborts, that one "
      "leads") {
    for (bool newer_epoch : {false, true}) {
      CAPTURE(newer_epoch);
      const Past newer = newer_epoch ? Past{.history = "1:3 2:1", .delivered = "1.3"}
                                     : Past{.history = "1:5", .delivered = "1.3"};
      Cluster cluster({past, newer, past});
      cluster.isolate(3);
      make_lead(cluster, 1);
      make_follow(cluster, 2, 1);
      while (cluster.deliver(2, 1, "CEPOCH") || cluster.deliver(1, 2, "NEWEPOCH")) {
        complete_disks(cluster);
      }
      REQUIRE(cluster.deliver(2, 1, "ACK-E"));
      CHECK(cluster[1].core().role() == Role::looking);

      REQUIRE(cluster.elect(2));
      cluster.heal();
      REQUIRE(cluster.run_until_converged());
      CHECK(cluster.leader() == 2);
      CHECK(cluster.history(3) == newer.history);
    }
  }

  TEST_CASE("scenario 17 D-ahead: the same answer after the quorum closed -> TRUNC") {
    Cluster cluster({past, {.history = "1:5", .delivered = "1.3"}, past});
    cluster.isolate(2);
    REQUIRE(cluster.elect(3));
    cluster.heal();

    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.leader() == 3);
    CHECK(cluster.history(2) == "1:3");
  }

  TEST_CASE(
      "ZOOKEEPER-261, scenario 19 D-empty: a wiped voter counts nowhere, two of three -> no "
      "leader, and loud") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    for (unsigned id : {1U, 2U}) {
      cluster.crash(id);
      cluster.wipe(id);
    }
    cluster.run(1500);
    cluster.restart(1);
    cluster.restart(2);
    cluster.run(5000);

    CHECK(cluster.leader() == 0);
    for (unsigned id : {1U, 2U}) {
      CHECK(cluster[id].disk().identity().standing == Standing::wiped);
      CHECK(cluster[id].count_events(Event::Kind::wiped) == 1);
      CHECK(cluster[id].disk().identity().accepted == epoch(0));
    }
  }

  TEST_CASE(
      "ZOOKEEPER-261, scenario 19 D-empty: wiped with the only other holder of a commit away -> "
      "nothing is lost") {
    // Committed by 1 and 3; server 1 loses its disk, server 3 is away: 1 and 2 are no quorum.
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.cut(2, 3);
    const Zxid committed = cluster.propose(3, "precious");
    cluster.settle();
    REQUIRE(cluster[3].core().last_delivered() == committed);
    cluster.crash(1);
    cluster.crash(3);
    cluster.wipe(1);
    cluster.restart(1);

    cluster.run(5000);
    CHECK(cluster.leader() == 0);

    cluster.heal();
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    for (unsigned id : {1U, 2U}) {
      CHECK(cluster.values(id) == cluster.values(3));
      CHECK(cluster.values(id).at(3) == "precious");
    }
  }

  TEST_CASE(
      "J10, scenario 20 D-all-vs-quorum: one of three hangs in each step -> the others go on in "
      "time") {
    enum class Hang { cepoch, ack_epoch, ack_leader, log, identity };
    for (Hang hang : {Hang::cepoch, Hang::ack_epoch, Hang::ack_leader, Hang::log, Hang::identity}) {
      CAPTURE(static_cast<int>(hang));
      Cluster cluster({{.history = "1:2", .delivered = "1.2"}, past, past});
      if (hang == Hang::cepoch) cluster.hold(hold_all<CEpoch>(1));
      if (hang == Hang::ack_epoch) cluster.hold(hold_all<AckEpoch>(1));
      if (hang == Hang::ack_leader) cluster.hold(hold_all<AckLeader>(1));
      cluster[1].hold_log = hang == Hang::log;
      cluster[1].hold_store = hang == Hang::identity;

      const std::uint64_t began = cluster.now_ms();
      REQUIRE(cluster.run_until([&] { return cluster.leader() == 3; }));
      CHECK(cluster.now_ms() - began <= Options{}.peer_timeout_ms);
      cluster.propose(3);
      cluster.settle();
      CHECK(cluster[3].core().last_delivered() == zxid(2, 1));

      cluster.hold_nothing();
      cluster[1].hold_log = cluster[1].hold_store = false;
      CHECK(cluster.run_until_converged());
    }
  }

  TEST_CASE(
      "scenario 21 D-dual: two candidates share the middle server -> one established leader") {
    // Both choose epoch 2 while server 2 has promised nothing; it can promise only one of them.
    Cluster cluster(Cluster::same(3, past));
    cluster.cut(1, 3);
    make_lead(cluster, 1);
    make_lead(cluster, 3);
    make_follow(cluster, 2, 1);
    REQUIRE(cluster.deliver(2, 1, "CEPOCH"));
    complete_disks(cluster);
    cluster.lose_session(1, 2);
    complete_disks(cluster);
    make_follow(cluster, 2, 3);
    REQUIRE(cluster.deliver(2, 3, "CEPOCH"));
    complete_disks(cluster);
    REQUIRE(accepted(cluster, 1) == epoch(2));
    REQUIRE(accepted(cluster, 3) == epoch(2));
    REQUIRE(cluster.deliver(3, 2, "NEWEPOCH"));
    complete_disks(cluster);

    SUBCASE("its promise arrives -> server 3 is established in epoch 2, server 1 never") {
      REQUIRE(cluster.deliver(2, 3, "ACK-E"));
      complete_disks(cluster);
      CHECK(cluster[3].core().phase() == Phase::synchronization);
    }
    SUBCASE("its promise is lost with the session -> it counts for neither") {}

    cluster.lose_session(2, 3);
    complete_disks(cluster);
    make_follow(cluster, 2, 1);
    while (cluster.deliver(2, 1, "CEPOCH") || cluster.deliver(1, 2, "NEWEPOCH") ||
           cluster.deliver(2, 1, "ACK-E")) {
      complete_disks(cluster);
    }
    CHECK(cluster[1].core().phase() == Phase::discovery);  // told that it does not count

    CHECK(cluster.run_until([&] { return cluster.leader() != 0; }));
    cluster.heal();
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE(
      "scenario 22 D-joiner-higher-p: a promise above the epoch -> never lowered, joins in time") {
    Cluster cluster({{.history = "1:3", .accepted = 9, .delivered = "1.3"}, past, past});
    cluster.isolate(1);
    REQUIRE(cluster.elect(3));
    CHECK(accepted(cluster, 3) == epoch(2));

    cluster.heal();
    REQUIRE(cluster.run_until_converged());

    CHECK(accepted(cluster, 1) == epoch(10));
    CHECK(accepted(cluster, 3) == epoch(10));
    CHECK(cluster[3].count_events(Event::Kind::renounced) == 1);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
