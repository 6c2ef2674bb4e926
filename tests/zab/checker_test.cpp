// Checker: it must see what it is there for. Each test commits one sin by hand.
#include "zab/harness/checker.hpp"

#include "zab/harness/build.hpp"
#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {
namespace {

// Three servers that are not started: their disks and the checker, nothing else moves.
struct Disks {
  explicit Disks(const std::vector<Past>& pasts) : checker(voters(3), Checker::Peers::real, {}) {
    for (unsigned id = 1; id <= 3; ++id) {
      servers.push_back(std::make_unique<Server>(
          setup_of(ServerId{id}, 3, {}), disk_of(pasts[id - 1], ServerId{id}), network, checker));
      checker.watch(*servers.back());
    }
  }
  Server& server_at(unsigned id) { return *servers[id - 1]; }
  // True when the newest violation speaks of this.
  bool complains_of(const std::string& what) const {
    return !checker.violations().empty() &&
           checker.violations().back().find(what) != std::string::npos;
  }

  Network network;
  Checker checker;
  std::vector<std::unique_ptr<Server>> servers;
};

std::vector<Past> equal_pasts() {
  return Cluster::same(3, {.history = "1:3", .delivered = "1.3"});
}

Record next_record(const Server& server, Zxid z, const std::string& value = "v") {
  return make_record(z, value, server.disk().last_digest());
}

TEST_SUITE("zab/checker") {
  TEST_CASE("checker: a healthy cluster -> looked at after every step, nothing to say") {
    Cluster cluster(equal_pasts());
    REQUIRE(cluster.elect(3));
    cluster.propose(3);
    REQUIRE(cluster.run_until_converged());

    CHECK(cluster.checker().violations().empty());
    CHECK(cluster.checker().checks_made() > 50);
    CHECK(cluster.checker().committed().size() == 4);
    CHECK(cluster.checker().delivered().size() == 4);
  }

  TEST_CASE("checker: two transactions with one zxid -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    disks.checker.appended(one, {next_record(one, zxid(1, 3), "another")});
    CHECK(disks.complains_of("never proposed with this history"));
  }

  TEST_CASE("checker: a zxid proposed twice -> seen") {
    Disks disks(equal_pasts());
    disks.checker.proposed(disks.server_at(1), next_record(disks.server_at(1), zxid(1, 3)));
    CHECK(disks.checker.violations().front().find("was proposed before") != std::string::npos);
  }

  TEST_CASE("checker: a proposal in an epoch that it does not lead -> seen") {
    Disks disks(equal_pasts());
    disks.checker.proposed(disks.server_at(1), next_record(disks.server_at(1), zxid(2, 1)));
    CHECK(disks.complains_of("does not lead"));
  }

  TEST_CASE("checker: an acknowledged record that a crash takes -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    disks.checker.sending(one, server(3), Ack{zxid(1, 3)});
    one.disk() = disk_of({.history = "1:2", .accepted = 1}, server(1));
    disks.checker.crashed(one);
    CHECK(disks.complains_of("lost it in a crash"));
  }

  TEST_CASE("checker: a lowered promise -> seen") {
    Disks disks(Cluster::same(3, {.history = "1:3", .accepted = 4}));
    Server& one = disks.server_at(1);
    one.disk() = disk_of({.history = "1:3", .accepted = 2}, server(1));
    disks.checker.stored(one);
    CHECK(disks.complains_of("acceptedEpoch went down"));
  }

  TEST_CASE("checker: a committed record that leaves a disk -> seen") {
    Disks disks(equal_pasts());
    disks.checker.check();
    REQUIRE(disks.checker.violations().empty());
    disks.server_at(2).disk() = disk_of({.history = "1:2", .accepted = 1}, server(2));
    disks.checker.check();
    CHECK(disks.complains_of("lost committed transactions"));
  }

  TEST_CASE("checker: a log ahead of acceptedEpoch -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    one.disk().append({next_record(one, zxid(7, 1))});
    disks.checker.check();
    CHECK(disks.complains_of("ahead of its acceptedEpoch"));
  }

  TEST_CASE("checker: an ACK of what is not durable, or before ACK-LD -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    one.disk().append({next_record(one, zxid(1, 4))});
    disks.checker.sending(one, server(3), Progress{zxid(1, 4)});
    CHECK(disks.complains_of("its disk ends at 1.3"));
    disks.checker.sending(one, server(3), Ack{zxid(1, 3)});
    CHECK(disks.complains_of("ACK before ACK-LD"));
  }

  TEST_CASE("checker: ACK-LD without currentEpoch or NEWLEADER -> seen") {
    Disks disks(equal_pasts());
    disks.checker.sending(disks.server_at(1), server(3), AckLeader{epoch(2)});
    CHECK(disks.checker.violations().front().find("before currentEpoch") != std::string::npos);
    CHECK(disks.complains_of("without NEWLEADER"));
  }

  TEST_CASE("checker: an ACK-E before its promise, or a second that counts -> seen") {
    Disks disks(Cluster::same(3, {.history = "1:3", .accepted = 2, .current = 1}));
    Server& one = disks.server_at(1);
    disks.checker.sending(one, server(3), ack_epoch(3, 1, "1:3"));
    CHECK(disks.complains_of("before the promise is durable"));
    disks.checker.sending(one, server(3), ack_epoch(2, 1, "1:3"));
    disks.checker.sending(one, server(3), ack_epoch(2, 1, "1:3"));
    CHECK(disks.complains_of("a second ACK-E that counts"));
  }

  TEST_CASE("checker: NEWEPOCH before the leader's own promise -> seen") {
    Disks disks(equal_pasts());
    disks.checker.sending(disks.server_at(1), server(2), new_epoch(2));
    CHECK(disks.complains_of("NEWEPOCH before"));
  }

  TEST_CASE("checker: a vote that is not what the disk says -> seen") {
    Disks disks(equal_pasts());
    disks.checker.sending(disks.server_at(1), server(2), vote(1, 1, zxid(1, 4), 1));
    CHECK(disks.complains_of("its disk ends at 1.3"));
    disks.checker.sending(disks.server_at(1), server(2), vote(1, 2, zxid(1, 3), 1));
    CHECK(disks.complains_of("currentEpoch that is not durable"));
  }

  TEST_CASE("checker: currentEpoch asked for before the history is durable -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    one.start(1000);
    one.receive(server(3), {vote(3, 1, zxid(1, 3), 1, Role::leading, Phase::broadcast), {}});
    REQUIRE(one.core().role() == Role::following);
    Ready ready;
    ready.store = one.disk().identity();
    ready.store->accepted = ready.store->current = epoch(2);

    disks.checker.performing(one, ready, {});
    CHECK(disks.complains_of("before NEWLEADER"));
    one.disk().append({next_record(one, zxid(1, 4))});
    disks.checker.receiving(one, server(3), NewLeader{epoch(2)});
    disks.checker.performing(one, ready, {});
    CHECK(disks.complains_of("before its history is durable"));
  }

  TEST_CASE("checker: a delivery out of nothing, not durable or not committed -> seen") {
    Disks disks(equal_pasts());
    Server& one = disks.server_at(1);
    one.start(1000);
    disks.checker.delivering(one, zxid(9, 9), std::nullopt);
    CHECK(disks.complains_of("does not have"));
    disks.checker.delivering(one, zxid(1, 3), 3);
    CHECK(disks.complains_of("again"));
    one.disk().append({next_record(one, zxid(1, 4))});
    disks.checker.delivering(one, zxid(1, 4), 4);
    const auto& all = disks.checker.violations();
    const auto said = [&all](const std::string& what) {
      return std::any_of(all.begin(), all.end(), [&](const std::string& violation) {
        return violation.find(what) != std::string::npos;
      });
    };
    CHECK(said("which is not durable here"));
    CHECK(said("which is not committed"));
    CHECK(said("which nobody proposed"));
  }

  TEST_CASE("checker: a stream that is no range of the log -> seen") {
    Disks disks(equal_pasts());
    disks.checker.streaming(disks.server_at(1), {server(2), zxid(1, 1), zxid(1, 5)});
    CHECK(disks.complains_of("no range"));
    disks.checker.streaming(disks.server_at(1), {server(2), zxid(1, 2), zxid(1, 2)});
    CHECK(disks.checker.violations().size() == 2);
  }

  TEST_CASE("checker: alarms and stops -> seen unless a test damages a disk on purpose") {
    Disks disks(equal_pasts());
    Ready ready;
    ready.events.push_back({Event::Kind::alarm, server(2), "text"});
    ready.fatal = "text";
    disks.checker.performing(disks.server_at(1), ready, {});
    CHECK(disks.checker.violations().size() == 2);

    disks.checker.alarm_allowed = disks.checker.fatal_allowed = true;
    disks.checker.performing(disks.server_at(1), ready, {});
    CHECK(disks.checker.violations().size() == 2);
  }

  TEST_CASE("checker: append, rewind and drain in one Ready -> seen") {
    Disks disks(equal_pasts());
    Ready ready;
    ready.append = ready.drain = true;
    disks.checker.performing(disks.server_at(1), ready,
                             {next_record(disks.server_at(1), zxid(1, 4))});
    CHECK(disks.complains_of("more than one of"));
  }
}

}  // namespace
}  // namespace zabmq::zab::test
