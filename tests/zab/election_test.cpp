// Election: phase 0, vote by vote. Server 2 of 3 unless the test says otherwise.
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

const Past past{.history = "1:3"};

struct Looking2 : Probe {
  explicit Looking2(const Past& mine = past, unsigned voter_count = 3)
      : Probe(2, voter_count, mine) {}
  Vote told(unsigned to) const { return *last<Vote>(to); }
};

TEST_SUITE("zab/election") {
  TEST_CASE("election: start -> votes for itself with currentEpoch and last durable zxid") {
    Looking2 probe({.history = "1:3 2:1", .accepted = 5, .current = 2, .delivered = "1.1"});

    const Vote expected = vote(2, 2, zxid(2, 1), 1);
    CHECK(probe.told(1) == expected);
    CHECK(probe.told(3) == expected);
  }

  TEST_CASE("election: a better vote -> adopted and told to all") {
    Looking2 probe;
    SUBCASE("greater currentEpoch beats a longer history") {
      probe.receive(1, vote(1, 2, zxid(1, 1), 1));
      CHECK(probe.told(3) == vote(1, 2, zxid(1, 1), 1));
    }
    SUBCASE("a longer history beats a greater id") {
      probe.receive(1, vote(1, 1, zxid(1, 4), 1));
      CHECK(probe.told(3) == vote(1, 1, zxid(1, 4), 1));
    }
    SUBCASE("a greater id decides between equals") {
      probe.receive(3, vote(3, 1, zxid(1, 3), 1));
      CHECK(probe.told(1) == vote(3, 1, zxid(1, 3), 1));
    }
  }

  TEST_CASE("election: a worse vote -> its own stands") {
    Looking2 probe;
    const std::size_t votes = probe.count<Vote>(1);
    probe.receive(3, vote(3, 0, zxid(9, 9), 1));
    probe.receive(3, vote(3, 1, zxid(1, 2), 1));
    probe.receive(1, vote(1, 1, zxid(1, 3), 1));

    CHECK(probe.told(1).leader == server(2));
    CHECK(probe.count<Vote>(1) == votes);
  }

  TEST_CASE("election: a vote for this server with more than it has -> counted, not repeated") {
    Looking2 probe;
    probe.receive(3, vote(2, 7, zxid(7, 7), 1));

    CHECK(probe.told(1) == vote(2, 1, zxid(1, 3), 1));
    probe.run(300);
    CHECK(probe.core().role() == Role::leading);
  }

  TEST_CASE("J2: zxids are compared unsigned, epoch first") {
    Looking2 probe({.history = "1:3", .accepted = 0x8000'0001});

    probe.receive(3, vote(3, 1, zxid(0x8000'0001, 1), 1));

    CHECK(probe.told(1).leader == server(3));
  }

  TEST_CASE("election: an older round -> answered with its own vote, not counted") {
    Looking2 probe;
    probe.receive(1, vote(1, 0, {}, 4));  // brings us to round 4
    REQUIRE(probe.told(1).round == 4);

    probe.receive(3, vote(3, 9, zxid(9, 9), 3));

    CHECK(probe.told(3) == vote(2, 1, zxid(1, 3), 4));
    CHECK(probe.told(1).leader == server(2));
  }

  TEST_CASE("election: a newer round -> older votes forgotten, compared with its first vote") {
    Looking2 probe;
    probe.receive(3, vote(3, 1, zxid(1, 9), 1));
    REQUIRE(probe.told(1).leader == server(3));

    probe.receive(1, vote(1, 1, zxid(1, 1), 2));

    CHECK(probe.told(1) == vote(2, 1, zxid(1, 3), 2));
  }

  TEST_CASE("election: a quorum agrees -> waits for a better vote before it decides") {
    Looking2 probe;
    probe.receive(1, vote(2, 1, zxid(1, 3), 1));
    CHECK(probe.core().role() == Role::looking);

    SUBCASE("none comes") {
      probe.run(190);
      CHECK(probe.core().role() == Role::looking);
      probe.run(20);
      CHECK(probe.core().role() == Role::leading);
    }
    SUBCASE("one comes") {
      probe.receive(3, vote(3, 1, zxid(1, 7), 1));
      probe.run(300);
      CHECK(probe.core().role() == Role::looking);
      CHECK(probe.told(1).leader == server(3));
    }
    SUBCASE("all agree") {
      probe.receive(3, vote(2, 1, zxid(1, 3), 1));
      CHECK(probe.core().role() == Role::leading);
    }
  }

  TEST_CASE("election: no quorum -> never decides") {
    Looking2 probe(past, 5);
    probe.receive(1, vote(2, 1, zxid(1, 3), 1));

    probe.run(3000);

    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE("election: silence -> the vote is repeated") {
    Looking2 probe;
    const std::size_t votes = probe.count<Vote>(1);

    probe.run(1000);

    CHECK(probe.count<Vote>(1) >= votes + 8);
    CHECK(probe.count<Vote>(1) <= votes + 12);
  }

  TEST_CASE("election: elected another -> follows only when that one says LEADING itself") {
    Looking2 probe;
    probe.receive(3, vote(3, 1, zxid(1, 9), 1));
    probe.receive(1, vote(3, 1, zxid(1, 9), 1));
    CHECK(probe.core().role() == Role::looking);

    probe.receive(1, vote(3, 1, zxid(1, 9), 1, Role::following, Phase::broadcast));
    CHECK(probe.core().role() == Role::looking);

    probe.receive(3, vote(3, 1, zxid(1, 9), 1, Role::leading, Phase::discovery));
    CHECK(probe.core().role() == Role::following);
    CHECK(probe.core().leader() == server(3));
  }

  TEST_CASE("election: elected another that never says LEADING -> a new round without it") {
    Looking2 probe;
    probe.receive(3, vote(3, 1, zxid(1, 9), 1));
    probe.receive(1, vote(3, 1, zxid(1, 9), 1));

    probe.run(1500);
    CHECK(probe.told(1).round > 1);
    CHECK(probe.told(1).leader == server(2));
  }

  TEST_CASE(
      "ZOOKEEPER-1732, 1818: an established leader with a quorum behind it -> joined, whatever the "
      "round") {
    Looking2 probe;

    probe.receive(3, vote(3, 1, {}, 77, Role::leading, Phase::broadcast));

    CHECK(probe.core().role() == Role::following);
    CHECK(probe.core().leader() == server(3));
  }

  TEST_CASE("ZOOKEEPER-569, 1514, 3537: followers of somebody who does not speak -> not followed") {
    Looking2 probe(past, 5);
    for (unsigned id : {1, 3, 4}) {
      probe.receive(id, vote(5, 2, zxid(2, 9), 3, Role::following, Phase::broadcast));
    }

    probe.run(500);

    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE("election: a leader's word grows old -> not followed after the peer time-out") {
    Looking2 probe;
    // Not yet in broadcast and without our support: not to be followed now.
    probe.receive(3, vote(3, 0, zxid(0, 0), 1, Role::leading, Phase::discovery));
    REQUIRE(probe.core().role() == Role::looking);
    probe.run(1500);

    probe.receive(1, vote(3, 0, zxid(0, 0), 1, Role::following, Phase::discovery));

    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE(
      "testLeaderOutOfView, ZOOKEEPER-764, 769, scenario 8 E-observer: votes of or for no voter, "
      "of another cluster or voter set -> ignored") {
    Looking2 probe;
    const Vote before = probe.told(1);
    Vote message = vote(3, 9, zxid(9, 9), 9);
    unsigned from = 3;
    SUBCASE("sender unknown") {
      from = 7;
    }
    SUBCASE("candidate unknown") {
      message.leader = server(7);
    }
    SUBCASE("no candidate") {
      message.leader = ServerId::none;
    }
    SUBCASE("from itself") {
      from = 2;
    }
    SUBCASE("another cluster") {
      message.handshake.cluster = uuid(1);
    }
    SUBCASE("another history") {
      message.handshake.history = uuid(1);
    }
    SUBCASE("another voter set") {
      message.handshake.voter_set_hash = 1;
    }
    SUBCASE("another version") {
      message.handshake.version_min = message.handshake.version_max = 2;
    }

    probe.receive(from, message);

    CHECK(probe.told(1) == before);
    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.dropped() + probe.server().count_events(Event::Kind::refused_peer) == 1);
  }

  TEST_CASE("election: a session message while LOOKING -> dropped, its session closed") {
    Looking2 probe;

    probe.receive(3, cepoch(1));
    probe.receive(1, Commit{zxid(1, 1)});

    CHECK(probe.dropped() == 2);
    CHECK_FALSE(probe.session_open(3));
    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE("election: the log writer has not reported all -> neither votes nor counts votes") {
    Looking2 probe;
    probe.follow_synchronized(3, 2);
    probe.server().hold_log = true;
    probe.receive_records(3, {make_record(zxid(2, 1), "v", probe.disk().last_digest())});
    const std::size_t votes = probe.count<Vote>(1);

    probe.session_lost(3);
    probe.run(300);
    probe.receive(1, vote(2, 1, zxid(1, 3), 2));
    CHECK(probe.count<Vote>(1) == votes);
    CHECK_FALSE(probe.core().taking_part());

    probe.complete();  // the write
    probe.complete();  // the drain
    CHECK(probe.told(1).last == zxid(2, 1));
  }

  TEST_CASE("election: the identity record is being written -> votes only when it is durable") {
    Looking2 probe;
    probe.follow(3);
    probe.server().hold_store = true;
    probe.receive(3, new_epoch(4));
    const std::size_t votes = probe.count<Vote>(1);

    probe.session_lost(3);
    probe.run(300);
    CHECK(probe.count<Vote>(1) == votes);

    probe.complete();
    CHECK(probe.count<Vote>(1) > votes);
    CHECK(probe.disk().identity().accepted == epoch(4));
  }

  TEST_CASE("election: before the first tick -> nothing is said or believed") {
    Network network;
    Checker checker(voters(3), Checker::Peers::fictional, {});
    Core core(server(2), voters(3), {}, disk_of(past, server(2)).identity(), parse_history("1:3"),
              {}, {});

    core.receive(server(3), vote(3, 9, zxid(9, 9), 9));

    CHECK(core.take_ready().empty());
  }

  TEST_CASE("core: a log ahead of acceptedEpoch -> refuses to start") {
    Identity identity = disk_of(past, server(2)).identity();
    identity.accepted = identity.current = epoch(1);
    Core core(server(2), voters(3), {}, identity, parse_history("1:3 2:1"), {}, {});

    const Ready ready = core.take_ready();

    REQUIRE(ready.fatal);
    CHECK(ready.fatal->find("2.1") != std::string::npos);
    core.tick(1000);
    CHECK(core.take_ready().empty());
  }

  TEST_CASE(
      "scenario 76 L-boot-window: a log ahead of currentEpoch -> starts, and claims only "
      "currentEpoch") {
    Looking2 probe({.history = "1:3 4:2", .accepted = 4, .current = 1});

    CHECK(probe.told(1) == vote(2, 1, zxid(4, 2), 1));
  }
}

}  // namespace
}  // namespace zabmq::zab::test
