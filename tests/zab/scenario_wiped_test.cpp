// Scenarios 19 and N13: disks that are lost, or replaced by older copies, and how their servers
// come back. Whole clusters; the checker looks at every step.
#include <functional>

#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:3", .delivered = "1.3"};

Standing standing_of(Cluster& cluster, unsigned id) {
  return cluster[id].disk().identity().standing;
}

void lose_disk(Cluster& cluster, unsigned id) {
  if (cluster[id].up()) cluster.crash(id);
  cluster.wipe(id);
}

const Leading* leading(Cluster& cluster) {
  if (cluster.leader() == 0) return nullptr;
  return &std::get<Leading>(cluster[cluster.leader()].core().role_state());
}

bool is_counted(Cluster& cluster, unsigned id) {
  const Leading* leader = leading(cluster);
  if (!leader) return false;
  const auto at = leader->learners.find(ServerId{id});
  return at != leader->learners.end() && at->second.counts && at->second.acked_leader;
}

bool comes_back(Cluster& cluster, unsigned id) {
  return cluster.run_until([&] { return is_counted(cluster, id) && cluster.converged(); });
}

// Until `condition` holds, one small step after the other: deliveries, then disks, then time.
bool step_until(Cluster& cluster, const std::function<bool()>& condition) {
  for (int steps = 0; steps < 20'000; ++steps) {
    if (condition()) return true;
    const auto waiting = cluster.arrivals();
    if (!waiting.empty()) {
      cluster.take(waiting.front());
      continue;
    }
    bool disk = false;
    for (ServerId id : cluster.ids()) {
      Server& server = cluster[static_cast<unsigned>(id)];
      if (disk || !server.up()) continue;
      disk = true;
      if (server.disk().log_busy() && !server.hold_log) {
        server.complete_log();
      } else if (server.disk().storing() && !server.hold_store) {
        server.complete_store();
      } else {
        disk = false;
      }
    }
    if (!disk) cluster.tick();
  }
  return condition();
}

// How far the way back of server 1 has come.
enum class Step { asked_for, has_it, delivered, marked, told };
constexpr Step steps[] = {Step::asked_for, Step::has_it, Step::delivered, Step::marked, Step::told};

bool has_reached(Cluster& cluster, Step step) {
  const Server& one = cluster[1];
  const auto own_admit = [](const Server& server, const Uuid& incarnation) {
    for (const Record& record : server.disk().records()) {
      if (record.admit && record.admit->incarnation == incarnation) return true;
    }
    return false;
  };
  const Uuid incarnation = one.disk().identity().incarnation;
  switch (step) {
    case Step::asked_for:
      return cluster.leader() != 0 && own_admit(cluster[cluster.leader()], incarnation);
    case Step::has_it:
      return own_admit(one, incarnation);
    case Step::delivered:
      return one.disk().storing() && one.disk().being_stored()->standing == Standing::voter;
    case Step::marked:
      return one.disk().identity().standing == Standing::voter;
    case Step::told:
      return is_counted(cluster, 1);
  }
  return false;
}

TEST_SUITE("zab/scenario/wiped") {
  TEST_CASE("scenario N13: a disk is lost, its server rejoins -> counts, elects, leads") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    lose_disk(cluster, 1);
    cluster.propose(3, "meanwhile");
    cluster.restart(1);
    REQUIRE(comes_back(cluster, 1));
    CHECK(cluster.checker().admitted() == 1);

    cluster.crash(2);
    const Zxid with_it = cluster.propose(3, "with its acknowledgement");
    cluster.settle();
    CHECK(cluster[1].core().last_delivered() == with_it);

    cluster.restart(2);
    REQUIRE(cluster.run_until_converged());
    cluster.crash(3);
    cluster.isolate(2);
    cluster.run(3000);
    CHECK(cluster.leader() == 0);
    cluster.heal();
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    for (unsigned id : {1U, 2U, 3U}) CHECK(cluster.values(id) == cluster.values(3));
  }

  TEST_CASE("scenario N13: every disk is lost, one after the other -> nothing is") {
    for (unsigned count : {3U, 5U}) {
      CAPTURE(count);
      Cluster cluster(Cluster::same(count, past));
      REQUIRE(cluster.elect(count));
      for (unsigned id = 1; id <= count; ++id) {
        cluster.propose(cluster.leader(), "before " + std::to_string(id));
        REQUIRE(cluster.run_until_converged());
        lose_disk(cluster, id);
        cluster.restart(id);
        REQUIRE(comes_back(cluster, id));
      }
      CHECK(cluster.checker().admitted() == count);
      CHECK(cluster.values(1).at(3) == "before 1");
    }
  }

  TEST_CASE("scenario 19 D-empty: wiped twice before it was admitted -> the last one counts") {
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    lose_disk(cluster, 1);
    cluster.restart(1);
    cluster[2].hold_log = true;  // so that no admit commits
    REQUIRE(step_until(cluster, [&] { return has_reached(cluster, Step::has_it); }));
    lose_disk(cluster, 1);
    cluster.restart(1);
    cluster.run(1000);
    CHECK(standing_of(cluster, 1) == Standing::wiped);

    cluster[2].hold_log = false;
    REQUIRE(comes_back(cluster, 1));
    CHECK(cluster.checker().admitted() == 1);
  }

  TEST_CASE("scenario 19 D-empty: it crashes at each step of its way back -> comes back") {
    for (Step step : steps) {
      for (bool written : {false, true}) {
        CAPTURE(static_cast<int>(step));
        CAPTURE(written);
        Cluster cluster(Cluster::same(3, past));
        REQUIRE(cluster.elect(3));
        lose_disk(cluster, 1);
        cluster.restart(1);
        REQUIRE(step_until(cluster, [&] { return has_reached(cluster, step); }));
        cluster.crash(1, {.records_kept = written ? cluster[1].disk().records_being_written() : 0,
                          .identity_kept = written});
        cluster.restart(1);
        REQUIRE(comes_back(cluster, 1));
        CHECK(standing_of(cluster, 1) == Standing::voter);
      }
    }
  }

  TEST_CASE("scenario 19 D-empty: its disk is lost again at each step -> comes back") {
    for (Step step : steps) {
      CAPTURE(static_cast<int>(step));
      Cluster cluster(Cluster::same(3, past));
      REQUIRE(cluster.elect(3));
      lose_disk(cluster, 1);
      cluster.restart(1);
      REQUIRE(step_until(cluster, [&] { return has_reached(cluster, step); }));
      lose_disk(cluster, 1);
      cluster.restart(1);
      REQUIRE(comes_back(cluster, 1));
    }
  }

  TEST_CASE("scenario 19 D-empty: the session is lost at each step -> comes back") {
    for (Step step : steps) {
      CAPTURE(static_cast<int>(step));
      Cluster cluster(Cluster::same(3, past));
      REQUIRE(cluster.elect(3));
      lose_disk(cluster, 1);
      cluster.restart(1);
      REQUIRE(step_until(cluster, [&] { return has_reached(cluster, step); }));
      cluster.network().lose(ServerId{1}, ServerId{3});
      REQUIRE(comes_back(cluster, 1));
    }
  }

  TEST_CASE("scenario 19 D-empty: the leader crashes at each step -> the next one admits") {
    for (unsigned count : {3U, 5U}) {
      for (Step step : steps) {
        CAPTURE(count);
        CAPTURE(static_cast<int>(step));
        Cluster cluster(Cluster::same(count, past));
        REQUIRE(cluster.elect(count));
        lose_disk(cluster, 1);
        cluster.restart(1);
        REQUIRE(step_until(cluster, [&] { return has_reached(cluster, step); }));
        cluster.crash(count);
        // Of three servers one is down, and one has a voice only if its mark is durable.
        const bool quorum =
            count == 5 || standing_of(cluster, 1) == Standing::voter || cluster[1].disk().storing();
        CHECK(cluster.run_until([&] { return cluster.leader() != 0; }, 5000) == quorum);
        if (quorum) REQUIRE(comes_back(cluster, 1));
        cluster.restart(count);
        REQUIRE(comes_back(cluster, 1));
        REQUIRE(cluster.run_until_converged());
      }
    }
  }

  TEST_CASE("scenario 19 D-empty: leader and wiped server crash at each step -> comes back") {
    for (Step step : steps) {
      CAPTURE(static_cast<int>(step));
      Cluster cluster(Cluster::same(3, past));
      REQUIRE(cluster.elect(3));
      lose_disk(cluster, 1);
      cluster.restart(1);
      REQUIRE(step_until(cluster, [&] { return has_reached(cluster, step); }));
      cluster.crash(3);
      cluster.crash(1);
      cluster.restart(1);
      cluster.run(3000);
      cluster.restart(3);
      // Whoever leads counts both others.
      REQUIRE(cluster.run_until([&] {
        return cluster.converged() && leading(cluster)->learners.size() == 2 &&
               standing_of(cluster, 1) == Standing::voter;
      }));
    }
  }

  TEST_CASE("scenario 19 D-empty: a promise that went with the disk -> elects nobody") {
    // Server 4 wants to lead epoch 3 and has the promise of server 1, which then loses its disk and
    // is admitted in epoch 2. With one more promise server 4 has three of five.
    Cluster cluster(Cluster::same(5, past));
    REQUIRE(cluster.elect(5));
    const auto no_votes = [](ServerId, ServerId, const Message& message) {
      return std::holds_alternative<Vote>(message);
    };
    const auto only_with_4 = [&](unsigned other) {
      cluster.heal();
      for (unsigned id : {1U, 2U, 3U, 5U}) {
        if (id != other) cluster.cut(4, id);
      }
    };
    const auto goes_over_to_4 = [&](unsigned id) {
      cluster.network().lose(ServerId{5}, ServerId{id});
      cluster.settle();
      const Message leads = vote(4, 2, zxid(1, 3), 50, Role::leading, Phase::broadcast);
      cluster[id].receive(ServerId{4}, {leads, {}});
      REQUIRE(cluster[id].core().leader() == ServerId{4});
    };
    cluster.hold(no_votes);
    cluster.network().lose(ServerId{4}, ServerId{5});
    cluster.settle();
    for (unsigned id : {1U, 2U, 3U, 5U}) {
      cluster[4].receive(ServerId{id}, {vote(4, 2, cluster[4].disk().durable_end(), 50), {}});
    }
    REQUIRE(cluster[4].core().role() == Role::leading);
    const auto candidate = [&] { return std::get<Leading>(cluster[4].core().role_state()); };
    cluster.hold([&](ServerId from, ServerId to, const Message& message) {
      return no_votes(from, to, message) ||
             (to == ServerId{3} && std::holds_alternative<NewEpoch>(message));
    });
    goes_over_to_4(1);
    goes_over_to_4(3);
    cluster.settle();
    REQUIRE(candidate().epoch == epoch(3));
    REQUIRE(candidate().acked_epoch == std::set{ServerId{1}, ServerId{4}});

    // Without server 3 there is no quorum of others: server 1 gets everything and counts nowhere.
    lose_disk(cluster, 1);
    only_with_4(0);
    cluster.isolate(3);
    cluster.hold_nothing();
    cluster.network().lose(ServerId{3}, ServerId{4});
    cluster.restart(1);
    cluster.run(400);
    CHECK(has_reached(cluster, Step::has_it));
    CHECK(standing_of(cluster, 1) == Standing::wiped);

    only_with_4(0);
    REQUIRE(cluster.run_until([&] { return is_counted(cluster, 1); }, 800));
    cluster.propose(5, "precious");
    cluster.settle();

    // Server 3 gives the third promise, and shows what it has.
    REQUIRE(candidate().phase == Phase::discovery);
    only_with_4(3);
    cluster.hold(no_votes);
    goes_over_to_4(3);
    cluster.settle();
    CHECK(cluster[3].disk().identity().accepted == epoch(3));
    CHECK(cluster[4].core().role() == Role::looking);
    CHECK(cluster.checker().epochs_established() == 1);

    cluster.hold_nothing();
    cluster.heal();
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.values(4).back() == "precious");
  }

  TEST_CASE("old copy: put back under an established leader -> found out, admitted again") {
    for (unsigned count : {3U, 5U}) {
      CAPTURE(count);
      Cluster cluster(Cluster::same(count, past));
      REQUIRE(cluster.elect(count));
      const Disk copy = cluster[1].disk();
      const Uuid incarnation = copy.identity().incarnation;
      cluster.propose(count, "since");
      REQUIRE(cluster.run_until_converged());
      cluster.crash(1);
      cluster[1].put_back(copy);
      cluster.restart(1);
      REQUIRE(comes_back(cluster, 1));
      CHECK(cluster[1].disk().identity().incarnation != incarnation);
      CHECK(cluster[1].count_events(Event::Kind::alarm) == 1);
      CHECK(cluster.checker().admitted() == 1);
    }
  }

  TEST_CASE("old copy: a crash that lost what nobody was told of -> is none") {
    // The checker ends the test at an alarm.
    Cluster cluster(Cluster::same(3, past));
    REQUIRE(cluster.elect(3));
    for (std::size_t kept = 0; kept < 3; ++kept) {
      cluster[1].hold_log = true;
      cluster[3].propose({"a", "b", "c"});
      cluster.settle();
      cluster.crash(1, {.records_kept = std::min(kept, cluster[1].disk().records_being_written())});
      cluster[1].hold_log = false;
      cluster.restart(1);
      REQUIRE(comes_back(cluster, 1));
    }
    CHECK(cluster.checker().admitted() == 0);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
