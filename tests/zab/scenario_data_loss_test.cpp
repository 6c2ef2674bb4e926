// Scenarios 34 to 42: how ZooKeeper lost data, or nearly. The numbers are those of its tracker.
// Servers s0, s1, s2 of the reports are 3, 1 and 2 here.
#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:1", .delivered = "1.1"};

template <class M>
Network::Hold hold_to(unsigned to) {
  return [to](ServerId, ServerId receiver, const Message& message) {
    return receiver == ServerId{to} && std::holds_alternative<M>(message);
  };
}

bool leads(Cluster& cluster, unsigned id) {
  return cluster.leader() == id;
}

// Server 3 leads 2 alone, up to where `name` has been delivered to 2 and is not yet performed on
// its disks, which are held.
void synchronize_up_to(Cluster& cluster, const std::string& name) {
  cluster.isolate(1);
  cluster.hold(hold_to<Diff>(2));
  REQUIRE(cluster.run_until([&] { return cluster[2].core().phase() == Phase::synchronization; }));
  cluster.hold_nothing();
  cluster[2].hold_log = cluster[2].hold_store = true;
  for (const char* step : {"DIFF", "PROPOSE", "NEWLEADER"}) {
    while (cluster.deliver(3, 2, "PING")) {
    }
    REQUIRE(cluster.deliver(3, 2, step));
    if (step == std::string("DIFF")) cluster[2].complete_log();
    if (step == name) return;
  }
}

TEST_SUITE("zab/scenario/data-loss") {
  TEST_CASE(
      "ZOOKEEPER-2845 A, scenario 34: logged by a follower, never delivered -> its vote and "
      "history say so") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.hold(hold_to<Propose>(1));
    cluster.propose(3, "x");
    cluster[3].hold_log = true;
    REQUIRE(cluster.run_until([&] { return cluster[2].disk().durable_end() == zxid(2, 1); }));
    cluster.crash(3, {.records_kept = 0});
    cluster.crash(1);
    cluster[3].hold_log = false;

    cluster.restart(3);  // leads with 2, or follows it, and dies before the synchronization
    cluster.hold([](ServerId, ServerId, const Message& message) {
      return std::holds_alternative<Diff>(message) || std::holds_alternative<Trunc>(message);
    });
    cluster.run(600);
    cluster.crash(3);
    cluster.hold_nothing();
    cluster.restart(1);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));

    CHECK(cluster.leader() == 2);  // "last delivered" would have made them equal
    CHECK(cluster.history(1) == cluster.history(2));
    cluster.restart(3);
    CHECK(cluster.run_until_converged());
    CHECK(cluster.values(3).back() == "x");
  }

  TEST_CASE(
      "ZOOKEEPER-2845 B, scenario 35: committed on 3 and 2, delivered nowhere else -> survives 3 "
      "and 1") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.hold([](ServerId from, ServerId to, const Message& message) {
      const bool proposal_to_1 = to == server(1) && std::holds_alternative<Propose>(message);
      return proposal_to_1 || (from == server(3) && std::holds_alternative<Commit>(message));
    });
    const Zxid committed = cluster.propose(3, "x");
    cluster.settle();
    REQUIRE(cluster[3].core().last_committed() == committed);
    REQUIRE(cluster[2].core().last_delivered() == zxid(1, 1));
    cluster.crash(3);
    cluster.crash(1);
    cluster.hold_nothing();

    cluster.restart(1);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));

    CHECK(cluster.leader() == 2);
    CHECK(cluster[1].disk().contains(committed));
    cluster.restart(3);
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE(
      "ZOOKEEPER-3911, scenario 36: power loss at the follower before its sync -> no ACK-LD was "
      "sent") {
    Cluster cluster({past, past, {.history = "1:2", .delivered = "1.1"}});
    synchronize_up_to(cluster, "NEWLEADER");
    cluster.settle();
    CHECK(cluster.leader() == 0);  // all it needs is in server 2's memory: that is not enough

    cluster.crash(2);
    cluster.crash(3);
    cluster[2].hold_log = cluster[2].hold_store = false;
    cluster.heal();
    cluster.restart(2);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    cluster.restart(3);

    CHECK(cluster.run_until_converged());
    CHECK(cluster.history(1) == cluster.history(3));
  }

  TEST_CASE(
      "ZOOKEEPER-3911, scenario 36: the sync returned before the power loss -> committed, and "
      "kept") {
    Cluster cluster({past, past, {.history = "1:2", .delivered = "1.1"}});
    synchronize_up_to(cluster, "NEWLEADER");
    cluster[2].hold_log = cluster[2].hold_store = false;
    cluster.settle();
    REQUIRE(leads(cluster, 3));
    REQUIRE(cluster[3].core().last_delivered() == zxid(1, 2));
    cluster.crash(2);
    cluster.crash(3);
    cluster.heal();
    cluster.restart(2);

    REQUIRE(cluster.elect(2));
    CHECK(cluster.values(1).back() == "1.2");
  }

  TEST_CASE(
      "ZOOKEEPER-4643, J8, scenario 37: power loss between history and currentEpoch -> never an "
      "epoch without "
      "it") {
    struct Case {
      const char* up_to;
      bool log_completed;
      CrashChoice choice;
    };
    for (const Case& c :
         {Case{"PROPOSE", false, {.records_kept = 0}}, Case{"PROPOSE", false, {.records_kept = 1}},
          Case{"NEWLEADER", false, {.records_kept = 0, .identity_kept = true}},
          Case{"NEWLEADER", false, {.records_kept = 1, .identity_kept = true}},
          Case{"NEWLEADER", true, {.identity_kept = false}},
          Case{"NEWLEADER", true, {.identity_kept = true}}}) {
      CAPTURE(c.up_to);
      CAPTURE(c.log_completed);
      CAPTURE(c.choice.records_kept);
      CAPTURE(c.choice.identity_kept);
      // 1.2 is committed by 1 and 3.
      Cluster cluster({{.history = "1:2", .delivered = "1.2"}, past, {.history = "1:2"}});
      synchronize_up_to(cluster, c.up_to);
      if (c.log_completed) cluster[2].complete_log();
      cluster.crash(2, c.choice);
      const bool has_it = cluster[2].disk().contains(zxid(1, 2));
      CHECK((has_it || cluster[2].disk().identity().current == epoch(1)));

      cluster.crash(3);
      cluster[2].hold_log = cluster[2].hold_store = false;
      cluster.heal();
      cluster.restart(2);
      REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
      CHECK(cluster.values(cluster.leader()).back() == "1.2");
      cluster.restart(3);
      CHECK(cluster.run_until_converged());
    }
  }

  TEST_CASE(
      "ZOOKEEPER-4646, scenario 38: the log writer is slow -> ACK-LD waits for it, the session "
      "lives on") {
    Cluster cluster({past, past, {.history = "1:2", .delivered = "1.1"}});
    synchronize_up_to(cluster, "NEWLEADER");
    for (int i = 0; i < 300; ++i) {
      cluster.tick();
      cluster.settle();
    }
    CHECK(cluster[2].core().phase() == Phase::synchronization);
    CHECK(cluster[3].core().role() == Role::leading);
    CHECK(cluster.leader() == 0);

    cluster[2].complete_log();
    cluster.settle();
    CHECK(cluster.leader() == 0);
    cluster[2].complete_store();
    cluster.settle();
    CHECK(leads(cluster, 3));
  }

  TEST_CASE(
      "ZOOKEEPER-4685, scenario 39: the joiner's log is fast, its identity record slow -> no ACK "
      "before "
      "ACK-LD") {
    Cluster cluster(Cluster::same(3, past));
    cluster.isolate(1);
    REQUIRE(cluster.elect(3));
    cluster.heal();
    cluster.hold(hold_to<NewLeader>(1));
    REQUIRE(cluster.run_until([&] { return cluster[1].core().phase() == Phase::synchronization; }));
    cluster.propose(3, "outstanding");
    cluster[1].hold_store = true;
    cluster.hold_nothing();
    cluster.settle();
    CHECK(cluster[1].disk().durable_end() == zxid(2, 1));
    CHECK(cluster[1].core().phase() == Phase::synchronization);
    const std::size_t lost = cluster[3].count_events(Event::Kind::learner_lost);

    cluster[1].hold_store = false;
    cluster.settle();

    CHECK(cluster[1].is_up_to_date());
    CHECK(cluster[1].core().last_delivered() == zxid(2, 1));
    CHECK(cluster[3].count_events(Event::Kind::learner_lost) == lost);
  }

  TEST_CASE(
      "ZOOKEEPER-4394, scenario 40: COMMIT of an outstanding proposal between NEWLEADER and "
      "UPTODATE -> "
      "honoured") {
    Cluster cluster(Cluster::same(3, past));
    cluster.isolate(1);
    REQUIRE(cluster.elect(3));
    cluster.propose(3, "a");
    cluster.settle();  // committed
    cluster.hold([](ServerId from, ServerId, const Message& message) {
      return from == server(2) && std::holds_alternative<Ack>(message);
    });
    cluster.propose(3, "b");  // outstanding at the cut
    cluster.heal();
    cluster[1].hold_store = true;
    REQUIRE(cluster.run_until([&] { return cluster[1].disk().storing(); }));
    cluster[1].complete_store();  // the promise
    cluster.settle();
    REQUIRE(cluster[1].disk().storing());  // NEWLEADER is there, ACK-LD is not
    cluster.hold_nothing();
    cluster.settle();  // b is committed
    cluster.propose(3, "c");
    cluster.settle();
    CHECK(cluster[1].core().last_committed() == zxid(2, 2));  // carried by c's frame
    CHECK(cluster[1].core().last_delivered() == zxid(1, 1));

    cluster[1].hold_store = false;
    cluster.settle();

    CHECK(cluster.values(1) == std::vector<std::string>{"1.1", "a", "b", "c"});
  }

  TEST_CASE(
      "ZOOKEEPER-4712, scenario 41: a slow write of the old epoch -> it ends before anything else "
      "begins") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster[2].hold_log = true;
    cluster.hold(hold_to<Propose>(1));
    cluster.propose(3, "in flight");
    cluster.propose(3, "waiting");
    cluster.settle();
    REQUIRE(cluster[2].disk().records_being_written() == 1);
    cluster.crash(3);
    cluster.hold_nothing();
    cluster.run(1500);
    CHECK(cluster[2].core().role() == Role::looking);
    CHECK_FALSE(cluster[2].core().taking_part());
    CHECK(cluster.leader() == 0);  // server 1 has no quorum yet

    cluster[2].complete_log();  // the old write lands now
    cluster[2].hold_log = false;
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));

    CHECK(cluster.history(1) == "1:1 2:1");
    CHECK(cluster.history(2) == "1:1 2:1");
    cluster.restart(3);
    CHECK(cluster.run_until_converged());
    CHECK(cluster.history(3) == "1:1 2:1");
  }

  TEST_CASE(
      "ZOOKEEPER-4712, scenario 41: the new leader cuts what the old write left -> gone, and stays "
      "gone") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.isolate(3);
    cluster[3].hold_log = true;
    cluster.propose(3, "old");
    REQUIRE(cluster.elect(2));
    cluster.propose(2, "new");
    cluster.run(1500);
    CHECK_FALSE(cluster[3].core().taking_part());
    cluster.heal();
    cluster.run(500);
    CHECK(cluster[3].core().role() == Role::looking);

    cluster[3].hold_log = false;
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.history(3) == "1:1 3:1");
    CHECK(cluster.values(3).back() == "new");
  }

  TEST_CASE(
      "ZOOKEEPER-4925, scenario 42: a leader that was itself synchronized by DIFF -> passes on no "
      "hole") {
    Cluster cluster(Cluster::same(5, past));
    cluster.isolate(1);  // will be the stale one
    cluster.isolate(4);  // will be synchronized, then lead
    REQUIRE(cluster.elect(5));
    for (int i = 0; i < 4; ++i) cluster.propose(5);
    cluster.settle();
    cluster.heal();
    cluster.isolate(1);
    REQUIRE(cluster.run_until([&] { return cluster[4].is_up_to_date(); }));
    for (int i = 0; i < 3; ++i) cluster.propose(5);
    cluster.settle();
    cluster.crash(5);
    REQUIRE(cluster.elect(4));
    cluster.propose(4);
    cluster.settle();

    cluster.heal();
    REQUIRE(cluster.run_until([&] { return cluster[1].is_up_to_date(); }));
    cluster.restart(5);
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.history(1) == "1:1 2:7 3:1");
    CHECK(cluster.values(1) == cluster.values(2));
    CHECK(cluster.values(1).size() == 9);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
