// Scenarios 1 to 7: election. Each ends in a cluster that converges, with equal histories.
#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:3", .delivered = "1.3"};

Epoch epoch_of(Cluster& cluster, unsigned id) {
  return cluster[id].core().identity().accepted;
}

// For scenarios in which a server is made to believe something.
void say(Cluster& cluster, unsigned from, unsigned to, const Message& message) {
  cluster[to].receive(ServerId{from}, {message, {}});
}

TEST_SUITE("zab/scenario/election") {
  TEST_CASE(
      "scenario 1 E-basic: cold start of 1, 3 and 5 servers -> the greatest id of equals leads") {
    for (unsigned count : {1U, 3U, 5U}) {
      CAPTURE(count);
      Cluster cluster(Cluster::same(count, past));
      CHECK(cluster.elect(count));
      CHECK(cluster.run_until_converged());
      CHECK(epoch_of(cluster, count) == epoch(2));
    }
  }

  TEST_CASE("scenario 1 E-basic: cold start -> the longest history leads, whoever has it") {
    for (unsigned best = 1; best <= 5; ++best) {
      CAPTURE(best);
      std::vector<Past> pasts = Cluster::same(5, past);
      pasts[best - 1].history = "1:4";
      Cluster cluster(pasts);
      CHECK(cluster.elect(best));
      CHECK(cluster.run_until_converged());
      CHECK(cluster.history(best == 1 ? 2 : 1) == "1:4");
    }
  }

  TEST_CASE("scenario 1 E-basic: cold start of empty directories -> founded once, then as above") {
    for (unsigned count : {1U, 3U, 5U}) {
      CAPTURE(count);
      Cluster cluster(Cluster::same(count, empty_directory()));
      CHECK(cluster.elect(count));
      cluster.propose(count);
      CHECK(cluster.run_until_converged());
    }
  }

  TEST_CASE("ZOOKEEPER-1419, scenario 2 E-order: currentEpoch beats zxid beats id") {
    // 1.2 .. 1.9 were never committed: a quorum has gone on to epoch 2 without them.
    for (unsigned best = 1; best <= 3; ++best) {
      CAPTURE(best);
      std::vector<Past> pasts = Cluster::same(3, {.history = "1:9", .delivered = "1.1"});
      pasts[best - 1] = {.history = "1:1", .accepted = 2, .current = 2, .delivered = "1.1"};
      Cluster cluster(pasts);
      CHECK(cluster.elect(best));
      CHECK(cluster.run_until_converged());
      CHECK(cluster.history(1) == "1:1");
      CHECK(cluster.history(3) == "1:1");
    }
  }

  TEST_CASE("scenario 3 E-late: a server with a longer history and a greater id joins -> follows") {
    Cluster cluster({past, past, {.history = "1:7", .delivered = "1.3"}});
    cluster.isolate(3);
    REQUIRE(cluster.elect(2));
    const Epoch before = epoch_of(cluster, 2);

    cluster.heal();
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.leader() == 2);
    CHECK(epoch_of(cluster, 2) == before);
    CHECK(cluster.history(3) == "1:3");
  }

  TEST_CASE(
      "scenario 4 E-stale-round: votes of an older round arrive after the election -> ignored") {
    Cluster cluster(Cluster::same(3, past));
    // What 1 says to 2 in the first round is delayed.
    cluster.hold([](ServerId from, ServerId to, const Message& message) {
      const Vote* vote = std::get_if<Vote>(&message);
      return from == server(1) && to == server(2) && vote && vote->round <= 1;
    });
    REQUIRE(cluster.elect(3));
    cluster.crash(3);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    const unsigned leader = cluster.leader();
    const Epoch before = epoch_of(cluster, leader);

    cluster.hold_nothing();
    cluster.run(2000);

    CHECK(cluster.leader() == leader);
    CHECK(epoch_of(cluster, leader) == before);
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE("scenario 5 E-ghost-leader: elected, dead before anybody followed -> another, soon") {
    Cluster cluster(Cluster::same(3, past));
    // Server 3 decides; nobody hears that it leads.
    cluster.hold([](ServerId from, ServerId, const Message& message) {
      const Vote* vote = std::get_if<Vote>(&message);
      return from == server(3) && vote && vote->role == Role::leading;
    });
    REQUIRE(cluster.run_until([&] { return cluster[3].core().role() == Role::leading; }));
    cluster.crash(3);

    const std::uint64_t died = cluster.now_ms();
    REQUIRE(cluster.elect(2));

    CHECK(cluster.now_ms() - died <= 2000);
    CHECK(cluster[1].core().leader() == server(2));
  }

  TEST_CASE("scenario 5 E-ghost-leader: a delayed LEADING of the dead -> a bounded detour") {
    Cluster cluster(Cluster::same(3, past));
    cluster.hold([](ServerId from, ServerId, const Message& message) {
      const Vote* vote = std::get_if<Vote>(&message);
      return from == server(3) && vote && vote->role == Role::leading;
    });
    REQUIRE(cluster.run_until([&] { return cluster[3].core().role() == Role::leading; }));
    cluster.crash(3);
    cluster.hold_nothing();  // the dead speaks once more

    CHECK(cluster.elect(2));
    CHECK(cluster.run_until_converged());
  }

  TEST_CASE("scenario 6 E-asym: links that work in one direction only -> a stable leader emerges") {
    using Cut = std::pair<unsigned, unsigned>;
    const std::vector<std::vector<Cut>> cases = {
        {{1, 3}},          // the best candidate does not hear one
        {{1, 3}, {2, 3}},  // it hears nobody
        {{3, 1}},          // one does not hear it
        {{3, 1}, {3, 2}},  // nobody hears it
        {{1, 3}, {3, 2}},  // a ring
        {{2, 3}, {3, 1}},
    };
    for (const std::vector<Cut>& cuts : cases) {
      CAPTURE(cuts.front().first);
      CAPTURE(cuts.size());
      Cluster cluster(Cluster::same(3, past));
      for (const Cut& cut : cuts) cluster.network().cut(ServerId{cut.first}, ServerId{cut.second});

      REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
      cluster.run(2000);
      const unsigned leader = cluster.leader();
      REQUIRE(leader != 0);
      const Epoch settled = epoch_of(cluster, leader);
      cluster.propose(leader);
      cluster.run(3000);

      CHECK(cluster.leader() == leader);
      CHECK(epoch_of(cluster, leader) == settled);
      CHECK(cluster.checker().delivered().size() == 4);
      cluster.heal();
      CHECK(cluster.run_until_converged());
    }
  }

  TEST_CASE(
      "testElectionFraud, scenario 7 E-fraud: a server that is made to believe it leads -> gives "
      "up, harms nobody") {
    Cluster cluster(Cluster::same(3, past));
    cluster.isolate(1);
    REQUIRE(cluster.elect(3));
    say(cluster, 2, 1, vote(1, 1, zxid(1, 3), 1));
    say(cluster, 3, 1, vote(1, 1, zxid(1, 3), 1));
    REQUIRE(cluster[1].core().role() == Role::leading);
    const std::uint64_t believed = cluster.now_ms();
    const Epoch before = epoch_of(cluster, 3);

    cluster.heal();
    REQUIRE(cluster.run_until([&] { return cluster[1].core().role() != Role::leading; }));
    CHECK(cluster.now_ms() - believed <= Options{}.discovery_timeout_ms + 2 * tick_ms);
    cluster.propose(3);
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.leader() == 3);
    CHECK(epoch_of(cluster, 3) == before);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
