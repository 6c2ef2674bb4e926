// Known bugs: of discovery and election, each by its number in ZooKeeper's tracker, as far as no
// scenario or handler test has its name. The checker watches every step.
#include <random>

#include "zab/harness/cluster.hpp"
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:3", .delivered = "1.3"};

TEST_SUITE("zab/known bugs") {
  TEST_CASE("ZOOKEEPER-335, 1081: dead after NEWEPOCH to one -> that epoch is not tried again") {
    Cluster cluster(Cluster::same(3, past));
    // NEWEPOCH reaches 2 only, and its leader dies.
    cluster.hold([](ServerId, ServerId to, const Message& message) {
      return std::holds_alternative<AckEpoch>(message) ||
             (to == server(1) && std::holds_alternative<NewEpoch>(message));
    });
    REQUIRE(cluster.run_until([&] {
      return cluster[2].disk().identity().accepted == epoch(2) && !cluster[2].disk().storing();
    }));
    cluster.crash(3);
    cluster.hold_nothing();

    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    CHECK(cluster[cluster.leader()].core().identity().accepted == epoch(3));
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.history(3) == "1:3");
  }

  TEST_CASE("ZOOKEEPER-1282, 790: elected, never established -> currentEpoch and history stand") {
    Cluster cluster(Cluster::same(3, past));
    cluster.hold([](ServerId, ServerId, const Message& message) {
      return std::holds_alternative<NewLeader>(message) ||
             std::holds_alternative<AckEpoch>(message);
    });
    cluster.run(6000);  // several candidates, none of them established

    CHECK(cluster.checker().epochs_established() == 0);
    for (unsigned id : {1U, 2U, 3U}) {
      CHECK(cluster[id].disk().identity().current == epoch(1));
      CHECK(cluster[id].disk().identity().accepted > epoch(1));
      CHECK(cluster.history(id) == "1:3");
    }
    cluster.hold_nothing();
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster[1].core().last_logged() == zxid(1, 3));
  }

  TEST_CASE("ZOOKEEPER-1277, scenario 66 B-rollover: the counter passes 2^32 -> the same epoch") {
    constexpr std::uint64_t limit = 0xffff'fff0;
    History history = parse_history("floor=7.4294967280 7:4294967280");
    REQUIRE(history.last() == zxid(7, limit));
    for (std::uint64_t counter = limit + 1; counter < limit + 40; ++counter) {
      REQUIRE(follows(zxid(7, counter), history.last()));
      REQUIRE(history.continues({epoch(7), counter, counter}));
      history.append({epoch(7), counter, counter});
      CHECK(history.last().epoch == epoch(7));
      CHECK(history.last() > zxid(7, limit));
      CHECK(history.last() < zxid(8, 1));
    }
    CHECK(to_string(history.last()) == "7.4294967319");
  }

  TEST_CASE("J2: distances of 2^31, 2^32 and 2^63 -> compared right, never by a difference") {
    for (const unsigned bits : {31U, 32U, 33U, 62U, 63U}) {
      const std::uint64_t far = std::uint64_t{1} << bits;
      CHECK(zxid(1, 1) < zxid(1, far));
      CHECK(zxid(1, 1) < zxid(1, far + 1));
      CHECK(zxid(1, far) != zxid(1, 0));
      CHECK(zxid(1, far) < zxid(2, 1));
    }
    CHECK(zxid(0x7fff'ffff, 1) < zxid(0x8000'0000, 1));
    CHECK(zxid(1, 1) < zxid(0xffff'ffff, 1));
  }

  TEST_CASE("ZOOKEEPER-498, 512: votes get lost all the time -> an election still ends") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      Cluster cluster(Cluster::same(5, past));
      std::mt19937 random(seed);
      std::size_t lost = 0;
      const auto elected = [&] { return cluster.leader() != 0; };
      for (int ticks = 0; ticks < 1000 && !elected(); ++ticks) {
        cluster.tick();
        // One or two of three votes are lost on each way.
        for (unsigned pair = 0; pair < 25; ++pair) {
          const unsigned from = pair / 5 + 1, to = pair % 5 + 1;
          while (random() % 3 != 0 && cluster.drop(from, to, "VOTE")) ++lost;
        }
        cluster.settle();
      }
      CHECK(lost > 5);
      REQUIRE(elected());
      CHECK(cluster.run_until_converged());
    }
  }

  TEST_CASE("jzab 26dba612: votes that keep coming -> no wait begins anew, it ends in time") {
    // 2 decides although somebody repeats himself all the time.
    Probe waiting(2, 3, past);
    waiting.receive(1, vote(2, 1, zxid(1, 3), 1));
    for (int i = 0; i < 25 && waiting.core().role() == Role::looking; ++i) {
      waiting.receive(1, vote(2, 1, zxid(1, 3), 1));
      waiting.tick();
    }
    CHECK(waiting.core().role() == Role::leading);

    // It waits for 3, which never says LEADING, while 1 goes on talking: a new round.
    Probe elected(2, 3, past);
    elected.receive(3, vote(3, 1, zxid(1, 3), 1));
    elected.receive(1, vote(3, 1, zxid(1, 3), 1));
    for (int i = 0; i < 150; ++i) {
      elected.receive(1, vote(3, 1, zxid(1, 3), 1));
      elected.tick();
    }
    CHECK(elected.last<Vote>(1)->round > 1);
  }

  TEST_CASE("scenario 30 S-new-epoch-zxid: epochs without transactions -> nothing is ever cut") {
    Cluster cluster({past,
                     {.history = "1:3", .accepted = 4, .current = 4, .delivered = "1.3"},
                     {.history = "1:3", .accepted = 2, .current = 2, .delivered = "1.3"}});
    REQUIRE(cluster.elect(2));  // the greatest currentEpoch
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster[2].core().identity().current == epoch(5));
    for (unsigned id : {1U, 2U, 3U}) CHECK(cluster.history(id) == "1:3");
    CHECK(cluster.propose(2) == zxid(5, 1));
    CHECK(cluster.run_until_converged());
  }
}

}  // namespace
}  // namespace zabmq::zab::test
