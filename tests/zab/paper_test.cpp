// Paper: one test for each property and claim of Junqueira, Reed, Serafini, "Zab: High-performance
// broadcast for primary-backup systems" (DSN 2011), in a history that would break it if it could.
// The checker asks for all of them after every step of every other test as well.
#include "zab/harness/cluster.hpp"
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.accepted = 1, .current = 1};

using Values = std::vector<std::string>;

// Three primaries in a row, each dying with something in flight: on nobody else's disk, on one
// other's, and on a quorum's. All have come back in the end.
struct ThreePrimaries {
  ThreePrimaries() : cluster(Cluster::same(3, past)) {
    REQUIRE(cluster.elect(3));
    propose(3, "a1");
    cluster.settle();
    hold_proposals_to({1, 2});
    propose(3, "a2");  // nobody else has it
    cluster.settle();
    cluster.crash(3);
    cluster.hold_nothing();

    REQUIRE(cluster.elect(2));
    propose(2, "b1");
    cluster.settle();
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    hold_proposals_to({1});
    cluster[2].hold_log = true;
    propose(2, "b2");  // server 3 has it, the leader's own write is lost
    cluster.settle();
    cluster.crash(2);
    cluster[2].hold_log = false;
    cluster.hold_nothing();

    REQUIRE(cluster.elect(3));
    propose(3, "c1");
    cluster.settle();
    cluster.restart(2);
    REQUIRE(cluster.run_until_converged());
  }
  void propose(unsigned id, const std::string& value) {
    proposed[value] = cluster.propose(id, value);
  }
  void hold_proposals_to(std::set<unsigned> ids) {
    cluster.hold([ids](ServerId, ServerId to, const Message& message) {
      return ids.contains(static_cast<unsigned>(to)) && std::holds_alternative<Propose>(message);
    });
  }

  Cluster cluster;
  std::map<std::string, Zxid> proposed;
};

TEST_SUITE("zab/paper") {
  // §III: if some process delivers <v, z>, then some primary has broadcast <v, z>.
  TEST_CASE("paper: integrity") {
    ThreePrimaries run;
    for (const Record& record : run.cluster.checker().delivered()) {
      REQUIRE(run.proposed.contains(record.value));
      CHECK(run.proposed.at(record.value) == record.zxid);
    }
    CHECK(run.cluster.checker().delivered().size() == 4);
  }

  // §III: if some process delivers a before b, any process that delivers b delivers a before it.
  TEST_CASE("paper: total order") {
    ThreePrimaries run;
    const Values order = run.cluster.values(1);
    CHECK(order == Values{"a1", "b1", "b2", "c1"});
    CHECK(run.cluster.values(2) == order);
    CHECK(run.cluster.values(3) == order);
  }

  // §III: if p delivers a and q delivers b, then p delivers b or q delivers a: at every moment the
  // delivered lists of any two processes are prefixes of one another.
  TEST_CASE("paper: agreement") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster[1].hold_log = true;
    for (int i = 0; i < 5; ++i) {
      cluster.propose(3, "v" + std::to_string(i));
      if (i % 2 == 0) cluster.settle();
      if (i == 3) cluster[1].complete_log();
      const Values shorter = cluster.values(1);
      Values longer = cluster.values(3);
      REQUIRE(shorter.size() <= longer.size());
      longer.resize(shorter.size());
      CHECK(shorter == longer);
    }
    cluster[1].hold_log = false;
    CHECK(cluster.run_until_converged());
    CHECK(cluster.values(1) == cluster.values(3));
  }

  // §III: if a primary broadcasts a before b, a process that delivers b delivered a before it.
  TEST_CASE("paper: local primary order") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    Values sent;
    for (int i = 0; i < 50; ++i) {
      sent.push_back("v" + std::to_string(i));
      cluster.propose(3, sent.back());
    }
    cluster.crash(3, {.records_kept = 0});  // frames of all sizes are on their way
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());

    Values expected = sent;
    expected.resize(
        cluster.values(1).size());  // a prefix: never a later one without an earlier one
    CHECK(cluster.values(1) == expected);
    CHECK(cluster.values(2) == expected);
  }

  // §III: what a primary of an earlier epoch broadcast is delivered before what a later one did.
  TEST_CASE("paper: global primary order") {
    ThreePrimaries run;
    Epoch last = Epoch::none;
    for (const Record& record : run.cluster.checker().delivered()) {
      CHECK(record.zxid.epoch >= last);
      last = record.zxid.epoch;
    }
    CHECK(last == run.proposed.at("c1").epoch);
    CHECK(run.proposed.at("a1").epoch < run.proposed.at("b1").epoch);
    CHECK(run.proposed.at("b1").epoch < run.proposed.at("c1").epoch);
  }

  // §III: if a primary of epoch e broadcasts, and somebody delivers something of an earlier epoch,
  // the primary delivered that before it first broadcast.
  TEST_CASE("paper: primary integrity") {
    Cluster cluster({past, past, {.history = "1:6", .delivered = "0.0"}});
    cluster[3].hold_store = true;
    bool proposed_early = false;
    REQUIRE(cluster.run_until([&] {
      if (cluster[3].disk().storing()) cluster[3].complete_store();
      const bool all_delivered = cluster[3].core().last_delivered() == zxid(1, 6);
      const bool given = !cluster[3].propose({"first"}).empty();
      proposed_early = proposed_early || (given && !all_delivered);
      return given;
    }));

    CHECK_FALSE(proposed_early);
    cluster[3].hold_store = false;
    CHECK(cluster.run_until_converged());
    CHECK(cluster.values(1).back() == "first");
  }

  // §III, after the definition: a crashed primary's outstanding broadcasts may be lost or kept, but
  // the next primary's changes never depend on something that is lost (PO causal order).
  TEST_CASE("paper: causal order across primaries") {
    ThreePrimaries run;
    const Values delivered = run.cluster.values(1);
    CHECK(std::find(delivered.begin(), delivered.end(), "a2") == delivered.end());
    for (unsigned id = 1; id <= 3; ++id) {
      CHECK_FALSE(run.cluster[id].disk().contains(run.proposed.at("a2")));
    }
  }

  // §II-A: several transactions are outstanding, and are committed in the order they were proposed.
  TEST_CASE("paper: multiple outstanding transactions") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    Values sent;
    for (int i = 0; i < 20; ++i) {
      sent.push_back("v" + std::to_string(i));
      cluster.propose(3, sent.back());
    }
    CHECK(cluster[3].core().last_logged() == zxid(2, 20));
    CHECK(cluster[3].core().last_committed() == zxid(0, 0));

    cluster.settle();
    CHECK(cluster.values(1) == sent);
  }

  // §IV: channels: prefix and single iteration. What is behind a lost frame is never accepted.
  TEST_CASE("paper: a follower accepts a prefix of what its leader sent in this iteration") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.propose(3, "a");
    cluster.settle();
    cluster.propose(3, "b");  // on its way in the old session
    cluster.lose_session(1, 3);
    cluster.propose(3, "c");

    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.values(1) == Values{"a", "b", "c"});
  }

  // §V, phase 1: a follower acknowledges NEWEPOCH(e') only if e' is above every epoch it promised;
  // the promise outlives it.
  TEST_CASE("paper: f.p never goes back") {
    Probe probe(1, 3, past);
    for (unsigned e : {4U, 6U}) {
      probe.follow(3);
      probe.receive(3, new_epoch(e));
      CHECK(probe.last<AckEpoch>(3)->promised);
      probe.session_lost(3);
    }
    for (unsigned e : {1U, 5U}) {
      probe.follow(3);
      probe.receive(3, new_epoch(e));
      CHECK(probe.core().role() == Role::looking);
    }
    CHECK(probe.disk().identity().accepted == epoch(6));
    CHECK(probe.count<AckEpoch>(3) == 2);
  }

  // §V-C, claim 1: at most one leader is established in an epoch.
  TEST_CASE("paper: established leaders are unique per epoch") {
    Cluster cluster(Cluster::same(5, past));
    for (int round = 0; round < 6; ++round) {
      REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
      const unsigned leader = cluster.leader();
      cluster.propose(leader, "v");
      cluster.isolate(leader);  // it goes on leading for a while
      REQUIRE(cluster.run_until([&] {
        const unsigned now = cluster.leader();
        return now != 0 && now != leader;
      }));
      cluster.heal();
    }
    CHECK(cluster.run_until_converged());
    CHECK(cluster.checker().epochs_established() >= 6);
  }

  // §V-C, invariant 1: a follower f accepts a proposal of epoch e only if f.a = e; here: it
  // acknowledges one only then.
  TEST_CASE("paper: an acknowledged proposal is of the acknowledged epoch") {
    Probe probe(1, 3, past);
    probe.follow(3);
    probe.receive(3, new_epoch(2));
    probe.receive(3, Diff{zxid(0, 0)});
    probe.receive_records(3, {make_record(zxid(2, 1), "v", Digest::none)});
    CHECK(probe.count<Ack>(3) == 0);
    CHECK(probe.disk().identity().current == epoch(1));

    probe.receive(3, NewLeader{epoch(2)});
    probe.receive_records(3, {make_record(zxid(2, 2), "v", probe.disk().last_digest())});
    CHECK(probe.disk().identity().current == epoch(2));
    CHECK(probe.last<Ack>(3)->durable == zxid(2, 2));
  }

  // §V-C, invariant 2: followers accept and deliver in zxid order.
  TEST_CASE("paper: followers accept and deliver in order") {
    Probe probe(1, 3, past);
    probe.follow_synchronized(3, 2);
    probe.receive(3, UpToDate{epoch(2), {}});
    probe.receive_records(3, {make_record(zxid(2, 1), "v", Digest::none)});

    probe.receive_records(3, {make_record(zxid(2, 3), "v", probe.disk().last_digest())});

    CHECK(probe.disk().last() == zxid(2, 1));
    CHECK(probe.core().role() == Role::looking);
  }

  // §V-C, invariant 3: once it has acknowledged NEWEPOCH(e'), a follower acknowledges nothing of an
  // earlier epoch.
  TEST_CASE("paper: nothing of an earlier epoch is acknowledged after a promise") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.isolate(3);
    REQUIRE(cluster.run_until([&] { return cluster[2].disk().identity().accepted == epoch(3); }));
    cluster.heal();
    // The old leader, if it still leads, finds no quorum for epoch 2 any more.
    if (cluster[3].leads_in_broadcast()) cluster.propose(3, "too late");

    REQUIRE(cluster.run_until_converged());
    const Values delivered = cluster.values(1);
    CHECK(std::find(delivered.begin(), delivered.end(), "too late") == delivered.end());
  }

  // §V-C, claim 3 (leader completeness): I_e' of an established leader holds everything that was
  // delivered in earlier epochs, whoever of a quorum is left.
  TEST_CASE("paper: the initial history holds everything ever committed") {
    for (unsigned survivor : {1U, 2U}) {
      CAPTURE(survivor);
      Cluster cluster(Cluster::same(3, past));
      REQUIRE(cluster.elect(3));
      const unsigned without = survivor == 1 ? 2 : 1;
      cluster.cut(without, 3);
      cluster.propose(3, "committed by two");
      cluster.settle();
      REQUIRE(cluster[3].core().last_delivered() == zxid(2, 1));
      cluster.crash(3);
      cluster.heal();

      REQUIRE(cluster.elect(survivor));
      CHECK(cluster[survivor].core().initial_end() == zxid(2, 1));
      CHECK(cluster.values(without) == Values{"committed by two"});
    }
  }

  // §V-C, claim 4: a new leader re-proposes its initial history unchanged: same zxids, same values.
  TEST_CASE("paper: the initial history is that of a quorum's member, unaltered") {
    Cluster cluster({past, {.history = "1:4", .delivered = "0.0"}, past});
    REQUIRE(cluster.elect(2));
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.history(1) == "1:4");
    CHECK(cluster[1].disk().records() == cluster[2].disk().records());
  }

  // §V-D: with a quorum up and links timely, an established leader emerges and broadcasts.
  TEST_CASE("paper: liveness once a quorum is connected") {
    Cluster cluster(Cluster::same(5, past));
    for (unsigned id = 1; id <= 5; ++id) cluster.isolate(id);
    cluster.run(5000);
    CHECK(cluster.leader() == 0);

    cluster.heal();
    cluster.isolate(4);
    cluster.isolate(5);
    const std::uint64_t connected = cluster.now_ms();
    REQUIRE(cluster.elect(3));
    CHECK(cluster.now_ms() - connected <= 1000);
    cluster.propose(3, "v");
    cluster.settle();
    CHECK(cluster.values(1) == Values{"v"});
  }
}

}  // namespace
}  // namespace zabmq::zab::test
