// Scenarios 57 to 65 and 112: broadcast.
#include <random>

#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:1", .delivered = "1.1"};

std::vector<std::string> numbered(unsigned count) {
  std::vector<std::string> values;
  for (unsigned i = 1; i <= count; ++i) values.push_back("v" + std::to_string(i));
  return values;
}

// Delivered values without the one that all begin with.
std::vector<std::string> delivered(Cluster& cluster, unsigned id) {
  std::vector<std::string> values = cluster.values(id);
  values.erase(values.begin());
  return values;
}

TEST_SUITE("zab/scenario/broadcast") {
  TEST_CASE("scenario 57 B-pipeline: 1000 outstanding, answers in any order -> commits in order") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    for (const std::string& value : numbered(1000)) cluster.propose(3, value);
    CHECK(cluster[3].core().last_committed() == zxid(1, 1));

    std::mt19937_64 random(57);
    for (auto waiting = cluster.arrivals(); !waiting.empty(); waiting = cluster.arrivals()) {
      cluster.take(waiting[random() % waiting.size()]);
      Server& disk = cluster[static_cast<unsigned>(1 + random() % 3)];
      if (disk.disk().log_busy()) disk.complete_log();
    }
    cluster.settle();

    REQUIRE(cluster.run_until_converged());
    for (unsigned id = 1; id <= 3; ++id) CHECK(delivered(cluster, id) == numbered(1000));
  }

  TEST_CASE(
      "scenario 58 B-leader-slow-disk: commits go on through the followers, its crash loses "
      "nothing") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster[3].hold_log = true;
    for (const std::string& value : numbered(20)) {
      cluster.propose(3, value);
      cluster.run(250);  // 5 s in all
    }
    CHECK(cluster.leader() == 3);
    CHECK(cluster[3].core().last_committed() == zxid(2, 20));
    CHECK(cluster[3].core().last_delivered() == zxid(1, 1));
    CHECK(delivered(cluster, 1) == numbered(20));

    cluster.crash(3, {.records_kept = 0});
    cluster[3].hold_log = false;
    REQUIRE(cluster.elect(2));
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    CHECK(delivered(cluster, 3) == numbered(20));
  }

  TEST_CASE(
      "scenario 59 B-follower-slow: one slow disk -> no effect, dropped at the limit, rejoins") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster[1].hold_log = true;
    cluster.propose(3, "a");
    cluster.settle();
    CHECK(cluster[3].core().last_delivered() == zxid(2, 1));

    cluster.run(Options{}.sync_timeout_ms - 200);
    CHECK(cluster[3].count_events(Event::Kind::learner_lost) == 0);
    cluster.propose(3, "b");
    cluster.run(400);
    CHECK(cluster[3].count_events(Event::Kind::learner_lost) >= 1);
    CHECK(cluster[3].core().last_delivered() == zxid(2, 2));
    CHECK(cluster.leader() == 3);

    cluster[1].hold_log = false;
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.leader() == 3);
    CHECK(delivered(cluster, 1) == std::vector<std::string>{"a", "b"});
  }

  TEST_CASE(
      "J15, scenario 60 B-gap: a missing, repeated or foreign PROPOSE -> the session ends, no "
      "hole") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.propose(3, "a");
    cluster.settle();
    const Digest end = cluster[1].disk().last_digest();
    Frame frame{propose(epoch(2), 2, 2), {make_record(zxid(2, 2), "b", end)}};
    SUBCASE("the one before is missing") {
      frame = {propose(epoch(2), 3, 3), {make_record(zxid(2, 3), "c", end)}};
    }
    SUBCASE("repeated") {
      frame = {propose(epoch(2), 1, 1), {cluster[1].disk().records().back()}};
    }
    SUBCASE("behind another history") {
      frame = {propose(epoch(2), 2, 2), {make_record(zxid(2, 2), "b", Digest{1})}};
    }

    cluster[1].receive(server(3), frame);
    CHECK(cluster[1].core().role() == Role::looking);
    CHECK(cluster.history(1) == "1:1 2:1");

    cluster.propose(3, "b");
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.leader() == 3);
    CHECK(delivered(cluster, 1) == std::vector<std::string>{"a", "b"});
  }

  TEST_CASE("scenario 60 B-gap: a PROPOSE of the session before -> dropped, nothing logged twice") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.hold([](ServerId, ServerId to, const Message& message) {
      return to == server(1) && std::holds_alternative<Propose>(message);
    });
    cluster.propose(3, "a");  // on its way to 1 when the session ends
    cluster.settle();
    cluster.lose_session(1, 3);
    cluster.hold_nothing();

    REQUIRE(cluster.run_until_converged());
    CHECK(delivered(cluster, 1) == std::vector<std::string>{"a"});
  }

  TEST_CASE(
      "scenario 61 B-commit-unknown: COMMIT of what is not held -> the session ends, rejoins") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));

    cluster[1].receive(server(3), {Commit{zxid(2, 1)}, {}});
    CHECK(cluster[1].core().role() == Role::looking);
    CHECK(cluster[1].core().last_committed() == zxid(1, 1));

    CHECK(cluster.run_until_converged());
    CHECK(cluster.leader() == 3);
  }

  TEST_CASE("scenario 62 B-isolated-leader: cut off -> no commit, no answer, steps down in time") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.isolate(3);
    const std::uint64_t cut_at = cluster.now_ms();
    cluster.propose(3, "uncertain");
    const auto ticket = cluster[3].ask_quorum();
    REQUIRE(ticket);

    REQUIRE(cluster.run_until([&] { return !cluster[3].leads_in_broadcast(); }));
    CHECK(cluster.now_ms() - cut_at <= Options{}.peer_timeout_ms + 2 * tick_ms);
    CHECK(cluster[3].core().last_committed() == zxid(1, 1));
    CHECK(cluster[3].rounds_answered() < *ticket);

    REQUIRE(cluster.elect(2));
    cluster.propose(2, "certain");
    cluster.heal();
    REQUIRE(cluster.run_until_converged());
    CHECK(delivered(cluster, 3) == std::vector<std::string>{"certain"});
  }

  TEST_CASE("scenario 62 B-isolated-leader: two leaders for a moment -> only the new one answers") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    // Its process stops; the others go on. When it wakes it must not answer from what it knows.
    cluster.paused.insert(server(3));
    REQUIRE(cluster.run_until(
        [&] { return cluster.leader() == 2 || cluster[2].leads_in_broadcast(); }));
    cluster.propose(2, "new");
    cluster.settle();
    REQUIRE(cluster[3].leads_in_broadcast());
    const auto old_question = cluster[3].ask_quorum();
    const auto new_question = cluster[2].ask_quorum();
    cluster.paused.clear();

    REQUIRE(cluster.run_until_converged());
    CHECK(cluster[2].rounds_answered() >= *new_question);
    CHECK(cluster[3].rounds_answered() < *old_question);
    CHECK(delivered(cluster, 3) == std::vector<std::string>{"new"});
  }

  TEST_CASE(
      "scenario 63 B-early-abandon: committed at the leader, COMMIT lost, dead -> it survives") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.hold([](ServerId from, ServerId, const Message& message) {
      return from == server(3) && std::holds_alternative<Commit>(message);
    });
    cluster.propose(3, "acknowledged");
    cluster.settle();
    REQUIRE(cluster[3].core().last_delivered() == zxid(2, 1));
    cluster.crash(3);
    cluster.hold_nothing();

    REQUIRE(cluster.elect(2));
    CHECK(delivered(cluster, 1) == std::vector<std::string>{"acknowledged"});
    cluster.restart(3);
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE(
      "scenario 64 B-uncommitted-tail: logged by the leader alone -> removed when it comes back") {
    for (bool restarted : {false, true}) {
      CAPTURE(restarted);
      Cluster cluster(Cluster::same(3, past));
      REQUIRE(cluster.elect(3));
      cluster.isolate(3);
      cluster.propose(3, "never ok");
      cluster.settle();
      REQUIRE(cluster.elect(2));
      cluster.propose(2, "ok");
      cluster.settle();
      if (restarted) {
        cluster.crash(3);
        cluster.restart(3);
      }

      cluster.heal();
      REQUIRE(cluster.run_until_converged());
      CHECK(cluster.history(3) == "1:1 3:1");
      CHECK(delivered(cluster, 3) == std::vector<std::string>{"ok"});
    }
  }

  TEST_CASE(
      "scenario 65 B-uncommitted-kept: a follower has the tail and leads -> committed exactly "
      "once") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    cluster.hold([](ServerId from, ServerId to, const Message& message) {
      const bool proposal_to_1 = to == server(1) && std::holds_alternative<Propose>(message);
      return proposal_to_1 || (from == server(2) && std::holds_alternative<Ack>(message));
    });
    cluster.propose(3, "kept");
    cluster.settle();
    REQUIRE(cluster[2].disk().contains(zxid(2, 1)));
    REQUIRE(cluster[3].core().last_committed() == zxid(1, 1));
    cluster.crash(3);
    cluster.hold_nothing();

    REQUIRE(cluster.elect(2));
    cluster.propose(2, "next");
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());

    for (unsigned id = 1; id <= 3; ++id) {
      CHECK(delivered(cluster, id) == std::vector<std::string>{"kept", "next"});
      CHECK(cluster.history(id) == "1:1 2:1 3:1");
    }
  }

  TEST_CASE(
      "scenario 112 Leading-callback: leading in broadcast -> all of I_e' is delivered there") {
    for (bool leader_disk_slow : {false, true}) {
      CAPTURE(leader_disk_slow);
      Cluster cluster({past, past, {.history = "1:9", .delivered = "1.1"}});
      cluster[3].hold_store = leader_disk_slow;
      bool seen = false;
      cluster[3].trace = [&](const std::string& line) {
        if (line.find("..broadcast") == std::string::npos) return;
        seen = true;
        CHECK(cluster[3].core().last_delivered() == zxid(1, 9));
        CHECK(cluster[3].disk().identity().current == epoch(2));
      };
      cluster.run(1000);
      CHECK(seen != leader_disk_slow);

      cluster[3].hold_store = false;
      REQUIRE(cluster.elect(3));
      CHECK(seen);
      cluster[3].trace = {};
      CHECK(cluster.run_until_converged());
    }
  }
}

}  // namespace
}  // namespace zabmq::zab::test
