// Scenarios 23 to 25, 27 to 29, 49 to 51: synchronization of healthy disks. (lib/replica's tests
// cover where the records of a range come from; here a range is a range.)
#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

// Every PROPOSE frame that went from -> to, in order, while the network moved.
struct Wiretap {
  Wiretap(Cluster& cluster, unsigned from, unsigned to) {
    const std::string prefix = std::to_string(from) + " -> " + std::to_string(to) + " ";
    cluster[from].trace = [this, prefix](const std::string& line) {
      if (!line.starts_with(prefix)) return;
      const std::string said = line.substr(prefix.size());
      const bool noise = said.starts_with("PING") || said.starts_with("VOTE");
      if (!noise) lines.push_back(said);
    };
  }
  bool contains(const std::string& what) const {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  }
  std::vector<std::string> lines;
};

// Servers 2 and 3 are established with `theirs`; server 1 has `mine` and joins.
struct Joiner {
  Joiner(const Past& mine, const Past& theirs) : cluster({mine, theirs, theirs}) {
    cluster.isolate(1);
    REQUIRE(cluster.elect(3));
  }
  std::vector<std::string> join() {
    Wiretap tap(cluster, 3, 1);
    cluster.heal();
    REQUIRE(cluster.run_until_converged());
    CHECK(cluster.history(1) == cluster.history(3));
    CHECK(cluster.values(1) == cluster.values(3));
    cluster[3].trace = {};
    return tap.lines;
  }
  Cluster cluster;
};

using Lines = std::vector<std::string>;

TEST_SUITE("zab/scenario/synchronization") {
  TEST_CASE("scenario 23 S-empty-diff: equal histories -> DIFF, NEWLEADER, UPTODATE, no record") {
    const Past past{.history = "1:3", .delivered = "1.3"};
    Joiner joiner(past, past);
    CHECK(joiner.join() == Lines{"NEWEPOCH 2", "DIFF 1.3", "NEWLEADER 2", "UPTODATE 2 commit=1.3"});
  }

  TEST_CASE(
      "scenario 24 S-diff-cache: a shorter history -> one range, as fast as the records come") {
    Joiner joiner({.history = "1:3", .delivered = "1.3"},
                  {.history = "1:9 2:2", .delivered = "2.2"});
    CHECK(joiner.join() == Lines{"NEWEPOCH 3", "DIFF 1.3", "PROPOSE 1.4..1.9 2.1..2.2 commit=2.2",
                                 "NEWLEADER 3", "UPTODATE 3 commit=2.2"});
  }

  TEST_CASE(
      "scenario 25 S-diff-disk: the same range in pieces, with proposals behind it -> no hole") {
    for (std::size_t piece : {1U, 2U, 5U, 100U}) {
      CAPTURE(piece);
      Joiner joiner({}, {.history = "1:9 2:4", .delivered = "2.4"});
      Cluster& cluster = joiner.cluster;
      cluster[3].hold_streams = true;
      cluster.heal();
      std::size_t proposed = 0;
      // What is proposed meanwhile waits behind the range that is being read.
      REQUIRE(cluster.run_until([&] {
        for (ServerId peer : cluster[3].peers_with_streams()) cluster[3].pump(peer, piece);
        if (proposed < 10) cluster.propose(3, "during " + std::to_string(++proposed));
        return cluster.converged() && proposed == 10;
      }));
      CHECK(cluster.history(1) == "1:9 2:4 3:10");
      CHECK(cluster.values(1) == cluster.values(2));
    }
  }

  TEST_CASE("scenario 27 S-trunc: a tail in the same epoch -> cut exactly, nothing streamed") {
    Joiner joiner({.history = "1:3 2:9", .delivered = "1.3"},
                  {.history = "1:3 2:4", .delivered = "2.4"});
    CHECK(joiner.join() ==
          Lines{"NEWEPOCH 3", "TRUNC 2.4", "NEWLEADER 3", "UPTODATE 3 commit=2.4"});
  }

  TEST_CASE(
      "scenario 28 S-trunc-diff: a tail that the leader's epochs replaced -> cut and streamed") {
    Joiner joiner({.history = "1:3 2:9", .delivered = "1.3"},
                  {.history = "1:3 2:4 3:2", .delivered = "3.2"});
    CHECK(joiner.join() == Lines{"NEWEPOCH 4", "TRUNC 2.4", "PROPOSE 3.1..3.2 commit=3.2",
                                 "NEWLEADER 4", "UPTODATE 4 commit=3.2"});
  }

  TEST_CASE(
      "scenario 29 S-cross-epoch: a tail of epoch 1, the leader lived through 2 to 4 -> exact") {
    Joiner joiner({.history = "1:8", .delivered = "1.2"},
                  {.history = "1:5 2:1 3:2 4:3", .delivered = "4.3"});
    CHECK(joiner.join() == Lines{"NEWEPOCH 5", "TRUNC 1.5",
                                 "PROPOSE 2.1 3.1..3.2 4.1..4.3 commit=4.3", "NEWLEADER 5",
                                 "UPTODATE 5 commit=4.3"});
  }

  TEST_CASE(
      "scenario 29 S-cross-epoch: tails of epochs that nobody else knows -> back to what is "
      "shared") {
    Joiner joiner({.history = "1:4 2:1 3:7", .delivered = "1.4", .diverging = ""},
                  {.history = "1:4 5:2", .delivered = "5.2"});
    CHECK(joiner.join().at(1) == "TRUNC 1.4");
    CHECK(joiner.cluster.history(1) == "1:4 5:2");
  }

  TEST_CASE(
      "scenario 27, 28, 29: every pair of tails behind a common trunk -> equal to the leader") {
    const std::vector<std::string> tails = {"", "2:2", "2:5", "3:1", "2:2 4:3", "3:1 5:1"};
    for (const std::string& mine : tails) {
      for (const std::string& theirs : tails) {
        CAPTURE(mine);
        CAPTURE(theirs);
        Joiner joiner(
            {.history = "1:3 " + mine, .accepted = 5, .delivered = "1.3"},
            {.history = "1:3 " + theirs, .accepted = 6, .current = 6, .delivered = "1.3"});
        joiner.join();
        CHECK(joiner.cluster.history(1) == text(parse_history("1:3 " + theirs)));
      }
    }
  }

  TEST_CASE(
      "ZOOKEEPER-1154, scenario 49: the greatest uncommitted zxid was away -> its tail goes") {
    Cluster cluster(Cluster::same(3, {.history = "1:2", .delivered = "1.2"}));
    REQUIRE(cluster.elect(3));
    cluster.isolate(3);
    cluster.propose(3, "alone");
    cluster.settle();
    cluster.crash(3);
    REQUIRE(cluster.elect(2));
    cluster.propose(2, "together");
    cluster.settle();

    cluster.heal();
    cluster.restart(3);
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.leader() == 2);
    CHECK(cluster.history(3) == "1:2 3:1");
    CHECK(cluster.values(3).back() == "together");
  }

  // The cut may fall anywhere in a flow of proposals, and their commits before NEWLEADER, between
  // it and UPTODATE, or behind.
  TEST_CASE(
      "scenario 50 S-outstanding: proposals at every point of a synchronization -> once, in "
      "order") {
    const std::vector<std::string> steps = {"CEPOCH",  "NEWEPOCH",  "ACK-E",  "DIFF",
                                            "PROPOSE", "NEWLEADER", "ACK-LD", "UPTODATE"};
    for (std::size_t point = 0; point <= steps.size(); ++point) {
      for (bool committed_at_once : {false, true}) {
        CAPTURE(point);
        CAPTURE(committed_at_once);
        Joiner joiner({.history = "1:2", .delivered = "1.2"},
                      {.history = "1:4", .delivered = "1.4"});
        Cluster& cluster = joiner.cluster;
        if (!committed_at_once) {
          cluster.hold([](ServerId from, ServerId, const Message& message) {
            return from == server(2) && std::holds_alternative<Ack>(message);
          });
        }
        cluster.heal();
        // Server 1 takes one step of the conversation at a time.
        std::string next;
        cluster.hold([&](ServerId from, ServerId to, const Message& message) {
          if (from == server(2)) return !committed_at_once && std::holds_alternative<Ack>(message);
          if (from != server(1) && to != server(1)) return false;
          return !is_datagram(message) && name_of(message) != next;
        });
        REQUIRE(cluster.run_until([&] { return cluster[1].core().role() == Role::following; }));
        for (std::size_t i = 0; i < steps.size(); ++i) {
          if (i == point) cluster.propose(3, "at the point");
          next = steps[i];
          cluster.settle();
        }
        if (point == steps.size()) cluster.propose(3, "at the point");
        cluster.hold_nothing();
        cluster.propose(3, "behind it");
        REQUIRE(cluster.run_until_converged());

        CHECK(cluster.history(1) == "1:4 2:2");
        CHECK(cluster.values(1) == cluster.values(3));
        CHECK(cluster[1].count_events(Event::Kind::role_changed) == 1);  // in one go
      }
    }
  }

  TEST_CASE(
      "scenario 51 S-commit-ld-zxid: ACK-LD comes late -> UPTODATE covers what was committed "
      "since") {
    Joiner joiner({.history = "1:2", .delivered = "1.2"}, {.history = "1:2", .delivered = "1.2"});
    Cluster& cluster = joiner.cluster;
    Wiretap tap(cluster, 3, 1);
    cluster.hold([](ServerId from, ServerId, const Message& message) {
      return from == server(1) && std::holds_alternative<AckLeader>(message);
    });
    cluster.heal();
    REQUIRE(cluster.run_until([&] { return tap.contains("NEWLEADER"); }));
    for (int i = 0; i < 5; ++i) cluster.propose(3);
    cluster.settle();
    REQUIRE(cluster[3].core().last_delivered() == zxid(2, 5));
    CHECK(cluster[1].core().last_delivered() == zxid(1, 2));

    cluster.hold_nothing();
    cluster.settle();

    CHECK(tap.contains("UPTODATE 2 commit=2.5"));
    CHECK(cluster[1].core().last_delivered() == zxid(2, 5));
  }
}

}  // namespace
}  // namespace zabmq::zab::test
