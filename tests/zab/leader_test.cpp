// Leader: phases 1 to 3 as the leader, message by message. Server 1 of 3 leads; the test is 2
// and 3.
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

using Lines = std::vector<std::string>;

const Past past{.history = "1:3", .delivered = "1.2"};

// Elected, nobody has opened a session.
struct Elected : Probe {
  explicit Elected(const Past& mine = past, unsigned voter_count = 3)
      : Probe(1, voter_count, mine) {
    lead_election();
  }
};

// Leads epoch 2 in broadcast with follower 2.
struct Established : Probe {
  Established() : Probe(1, 3, past) { lead_broadcast(); }
  void join(unsigned id, std::string_view history = "1:3") {
    receive(id, cepoch(1));
    receive(id, ack_epoch(2, 1, history));
  }
};

const Leading& leading(const Probe& probe) {
  return std::get<Leading>(probe.core().role_state());
}

TEST_SUITE("zab/leader") {
  // --- discovery ---

  TEST_CASE("leader: elected -> says LEADING to all, sends into no session before its CEPOCH") {
    Elected probe;

    CHECK(probe.last<Vote>(2)->role == Role::leading);
    CHECK(probe.last<Vote>(3)->role == Role::leading);
    CHECK(probe.sent(2).empty());
    CHECK_FALSE(probe.disk().storing());
  }

  TEST_CASE("leader: a quorum of CEPOCHs -> NEWEPOCH once its own promise is durable") {
    Elected probe;
    probe.server().hold_store = true;

    probe.receive(2, cepoch(1));
    CHECK(probe.disk().being_stored()->accepted == epoch(2));
    CHECK(probe.sent(2).empty());

    probe.complete();
    CHECK(probe.sent(2) == Lines{"NEWEPOCH 2"});
  }

  TEST_CASE("leader: the new epoch -> one more than the greatest acceptedEpoch heard from anyone") {
    unsigned expected = 0;
    Past mine = past;
    std::vector<unsigned> theirs;
    SUBCASE("(0, 5, 5) -> 6") {
      mine = {}, theirs = {5, 5}, expected = 6;
    }
    SUBCASE("its own is the greatest") {
      mine.accepted = 9, theirs = {3, 4}, expected = 10;
    }
    SUBCASE("equal to its own") {
      mine.accepted = 7, theirs = {7, 7}, expected = 8;
    }

    Probe probe(1, 5, mine);
    probe.lead_election();
    probe.receive(2, cepoch(theirs[0]));
    probe.receive(3, cepoch(theirs[1]));

    CHECK(probe.last<NewEpoch>(2)->epoch == epoch(expected));
    CHECK(probe.last<NewEpoch>(3)->epoch == epoch(expected));
  }

  TEST_CASE(
      "ZOOKEEPER-2959, scenario 18 D-observer: a wiped server's acceptedEpoch -> heard, but it is "
      "no quorum") {
    Elected probe;

    probe.receive(2, cepoch(8, Standing::wiped));
    CHECK_FALSE(leading(probe).epoch);
    probe.receive(3, cepoch(1));

    CHECK(probe.last<NewEpoch>(3)->epoch == epoch(9));
  }

  TEST_CASE(
      "leader: CEPOCH of another cluster, history or voter set -> session closed, not counted") {
    Elected probe;
    CEpoch message = cepoch(1);
    SUBCASE("cluster") {
      message.handshake.cluster = uuid(1);
    }
    SUBCASE("history") {
      message.handshake.history = uuid(1);
    }
    SUBCASE("voter set") {
      message.handshake.voter_set_hash = 1;
    }
    SUBCASE("config version") {
      message.handshake.config_version = 1;
    }
    SUBCASE("protocol versions apart") {
      message.handshake.version_min = message.handshake.version_max = 2;
    }

    probe.receive(2, message);

    CHECK_FALSE(probe.session_open(2));
    CHECK(leading(probe).learners.empty());
    CHECK(probe.server().count_events(Event::Kind::refused_peer) == 1);
  }

  TEST_CASE("leader: the epochs are exhausted -> stops instead of wrapping") {
    const unsigned last = 0xffff'ffff;
    Probe probe(1, 3, {.history = "1:1", .accepted = last},
                [](Checker& checker) { checker.fatal_allowed = true; });
    probe.lead_election();

    probe.receive(2, cepoch(1));

    REQUIRE(probe.server().fatal());
    CHECK(probe.server().fatal()->find("exhausted") != std::string::npos);
    CHECK(probe.disk().identity().accepted == epoch(last));
  }

  TEST_CASE("leader: CEPOCHs but no quorum of ACK-Es -> steps down at the discovery time-out") {
    Elected probe;
    probe.receive(2, cepoch(1));

    for (int i = 0; i < 4; ++i) {
      probe.run(490);
      REQUIRE(probe.core().role() == Role::leading);
      probe.receive(2, Pong{0});  // alive, but it promises nothing
    }
    probe.run(60);

    CHECK(probe.core().role() == Role::looking);
    CHECK_FALSE(probe.session_open(2));
  }

  TEST_CASE("ZOOKEEPER-3109: nobody comes -> steps down at the discovery time-out") {
    Elected probe;

    probe.run(2000);
    CHECK(probe.core().role() == Role::leading);
    probe.run(20);
    CHECK(probe.core().role() == Role::looking);
  }

  TEST_CASE("leader: ACK-E that does not count -> stays in discovery") {
    Elected probe;
    probe.receive(2, cepoch(1));

    probe.receive(2, ack_epoch(2, 1, "1:3", false));

    CHECK(probe.core().phase() == Phase::discovery);
    CHECK(leading(probe).acked_epoch == std::set<ServerId>{server(1)});
  }

  TEST_CASE("leader: ACK-E of a wiped server -> stays in discovery") {
    Probe probe(1, 5, past);
    probe.lead_election();
    probe.receive(2, cepoch(0, Standing::wiped));
    probe.receive(3, cepoch(1));
    probe.receive(4, cepoch(1));
    probe.receive(2, ack_epoch(2, 0, ""));
    probe.receive(3, ack_epoch(2, 1, "1:3"));
    CHECK(probe.core().phase() == Phase::discovery);

    probe.receive(4, ack_epoch(2, 1, "1:3"));

    CHECK(probe.core().phase() == Phase::synchronization);
  }

  TEST_CASE(
      "leader: a counted ACK-E -> stays counted when its session is lost, its repeat does not") {
    Probe probe(1, 5, past);
    probe.lead_election();
    probe.receive(2, cepoch(1));
    probe.receive(3, cepoch(1));
    probe.receive(2, ack_epoch(2, 1, "1:3"));
    probe.session_lost(2);

    probe.receive(2, cepoch(2));
    probe.receive(2, ack_epoch(2, 1, "1:3", false));
    CHECK(leading(probe).acked_epoch == std::set<ServerId>{server(1), server(2)});
    CHECK(probe.core().phase() == Phase::discovery);

    probe.receive(3, ack_epoch(2, 1, "1:3"));
    CHECK(probe.core().phase() == Phase::synchronization);
  }

  TEST_CASE("leader: CEPOCHs of lost sessions -> no quorum together") {
    Elected probe(past, 5);

    probe.receive(2, cepoch(1));
    probe.session_lost(2);
    probe.receive(3, cepoch(1));

    CHECK_FALSE(leading(probe).epoch);
  }

  TEST_CASE("leader: a newer history inside the quorum -> aborts") {
    Elected probe;
    probe.receive(2, cepoch(1));
    SUBCASE("greater currentEpoch") {
      probe.receive(2, ack_epoch(2, 2, "1:1"));
    }
    SUBCASE("longer") {
      probe.receive(2, ack_epoch(2, 1, "1:4"));
    }

    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.core().phase() == Phase::election);
  }

  TEST_CASE("leader: an older history inside the quorum -> I_e' is its own") {
    Elected probe;
    probe.receive(2, cepoch(1));

    probe.receive(2, ack_epoch(2, 1, "1:1"));

    CHECK(probe.core().phase() == Phase::synchronization);
    CHECK(probe.core().initial_end() == zxid(1, 3));
    CHECK(probe.last<Diff>(2)->common == zxid(1, 1));
  }

  TEST_CASE("leader: a newer history after the quorum closed -> TRUNC, no abort") {
    Established probe;

    probe.join(3, "1:7");

    CHECK(probe.core().leading_in_broadcast());
    CHECK(probe.last<Trunc>(3)->common == zxid(1, 3));
  }

  TEST_CASE("leader: a newer history in an ACK-E that does not count -> no abort") {
    Elected probe;
    probe.receive(2, cepoch(1));

    probe.receive(2, ack_epoch(2, 1, "1:7", false));

    CHECK(probe.core().role() == Role::leading);
    CHECK(probe.core().phase() == Phase::discovery);
  }

  TEST_CASE("leader: ACK-E twice, of another epoch or malformed -> learner lost") {
    Elected probe;
    probe.receive(2, cepoch(1));
    SUBCASE("twice") {
      probe.receive(2, ack_epoch(2, 1, "1:3", false));
      probe.receive(2, ack_epoch(2, 1, "1:3"));
    }
    SUBCASE("another epoch") {
      probe.receive(2, ack_epoch(3, 1, "1:3"));
    }
    SUBCASE("a table that cannot be") {
      probe.receive(2, ack_epoch(2, 1, "2:1 1:1"));
    }

    CHECK_FALSE(probe.session_open(2));
    CHECK_FALSE(leading(probe).learners.contains(server(2)));
  }

  TEST_CASE("leader: ACK-E before NEWEPOCH -> learner lost") {
    Elected probe;
    probe.server().hold_store = true;
    probe.receive(2, cepoch(1));

    probe.receive(2, ack_epoch(2, 1, "1:3"));

    CHECK_FALSE(probe.session_open(2));
    CHECK(probe.core().phase() == Phase::discovery);
  }

  TEST_CASE("leader: a new CEPOCH -> replaces the session, which is not closed with the old one") {
    Elected probe;
    probe.receive(2, cepoch(1));
    probe.receive(2, cepoch(2));

    CHECK(probe.session_open(2));
    CHECK(probe.count<NewEpoch>(2) == 2);
  }

  TEST_CASE("leader: CEPOCH ahead of its epoch from a voter -> renounces, and not again at once") {
    Established probe;

    probe.receive(3, cepoch(7));
    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.server().count_events(Event::Kind::renounced) == 1);

    // The next epoch lies above what it had promised.
    probe.lead_discovery(2);
    CHECK(probe.last<NewEpoch>(2)->epoch == epoch(8));
    probe.receive(2, ack_epoch(8, 2, "1:3"));
    probe.receive(2, AckLeader{epoch(8)});
    probe.receive(3, cepoch(9));
    CHECK(probe.core().leading_in_broadcast());
    CHECK_FALSE(probe.session_open(3));
  }

  // --- synchronization ---

  TEST_CASE("leader: synchronization -> currentEpoch durable before it counts itself") {
    Elected probe;
    probe.receive(2, cepoch(1));
    probe.server().hold_store = true;
    probe.receive(2, ack_epoch(2, 1, "1:3"));
    CHECK(probe.disk().being_stored()->current == epoch(2));

    probe.receive(2, AckLeader{epoch(2)});
    CHECK(probe.core().phase() == Phase::synchronization);

    probe.complete();
    CHECK(probe.core().phase() == Phase::broadcast);
    CHECK(probe.core().last_delivered() == zxid(1, 3));
  }

  TEST_CASE("leader: equal histories -> an empty DIFF, then NEWLEADER") {
    Elected probe;
    probe.receive(2, cepoch(1));
    probe.sent(2);

    probe.receive(2, ack_epoch(2, 1, "1:3"));

    CHECK(probe.sent(2) == Lines{"DIFF 1.3", "NEWLEADER 2"});
  }

  TEST_CASE("leader: a shorter history -> DIFF, the range behind it, then NEWLEADER") {
    Elected probe;
    probe.receive(2, cepoch(1));
    probe.sent(2);

    probe.receive(2, ack_epoch(2, 1, "1:1"));

    CHECK(probe.sent(2) == Lines{"DIFF 1.1", "PROPOSE 1.2..1.3 commit=1.2", "NEWLEADER 2"});
  }

  TEST_CASE("leader: an empty history -> everything is streamed, no SNAP") {
    Elected probe;
    probe.receive(2, cepoch(1));
    probe.sent(2);

    probe.receive(2, ack_epoch(2, 0, ""));

    CHECK(probe.sent(2) == Lines{"DIFF 0.0", "PROPOSE 1.1..1.3 commit=1.2", "NEWLEADER 2"});
  }

  TEST_CASE("leader: a tail it never had -> TRUNC to exactly the divergence, then the range") {
    Probe probe(1, 3, {.history = "1:3 3:2", .delivered = "1.3"});
    probe.lead_discovery(3);
    probe.sent(2);

    probe.receive(2, ack_epoch(4, 2, "1:3 2:5"));

    CHECK(probe.sent(2) == Lines{"TRUNC 1.3", "PROPOSE 3.1..3.2 commit=1.3", "NEWLEADER 4"});
  }

  TEST_CASE("leader: a learner below its floor -> SNAP, then everything behind the floor") {
    Probe probe(1, 3, {.history = "floor=1.4 1:6", .delivered = "1.5"});
    probe.lead_broadcast();
    SUBCASE("it has nothing") {
      probe.receive(3, cepoch(0));
      probe.receive(3, ack_epoch(2, 0, ""));
    }
    SUBCASE("it ends below") {
      probe.receive(3, cepoch(1));
      probe.receive(3, ack_epoch(2, 1, "1:3"));
    }

    probe.propose();
    CHECK(probe.last<Snap>(3)->floor.zxid == zxid(1, 4));
    CHECK(probe.count<Propose>(3) == 2);
    CHECK(probe.count<NewLeader>(3) == 1);
    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE("leader: a learner that ends at its floor -> DIFF from there") {
    Probe probe(1, 3, {.history = "floor=1.4 1:6", .delivered = "1.5"});
    probe.lead_broadcast();

    probe.receive(3, cepoch(1));
    probe.receive(3, ack_epoch(2, 1, "1:4"));

    CHECK(probe.last<Diff>(3)->common == zxid(1, 4));
    CHECK(probe.last<Propose>(3)->runs == std::vector<Run>{{epoch(1), 5, 6}});
  }

  TEST_CASE("leader: a history that differs below a shared epoch -> alarm, session closed") {
    Probe probe(1, 3, {.history = "1:3 3:2", .delivered = "1.3"},
                [](Checker& checker) { checker.alarm_allowed = true; });
    probe.lead_discovery(3);

    probe.receive(2, ack_epoch(4, 3, "1:2 3:2"));

    CHECK(probe.server().count_events(Event::Kind::alarm) == 1);
    CHECK_FALSE(probe.session_open(2));
    CHECK(probe.count<Diff>(2) == 0);
    CHECK(probe.count<Trunc>(2) == 0);
  }

  TEST_CASE("leader: records the learner is sent during its synchronization -> behind NEWLEADER") {
    Established probe;
    probe.join(3);
    probe.sent(3);

    probe.propose();

    CHECK(probe.sent(3) == Lines{"PROPOSE 2.1 commit=1.3"});
  }

  TEST_CASE("leader: a joiner while records are in flight -> NEWLEADER behind all of them") {
    Established probe;
    probe.propose();
    probe.propose();

    probe.join(3);

    CHECK(probe.sent(3) ==
          Lines{"NEWEPOCH 2", "DIFF 1.3", "PROPOSE 2.1..2.2 commit=1.3", "NEWLEADER 2"});
  }

  TEST_CASE("leader: ACK-LD -> UPTODATE with the commit point of now") {
    Established probe;
    probe.join(3);
    probe.propose();
    probe.receive(2, Ack{zxid(2, 1)});
    probe.sent(3);

    probe.receive(3, AckLeader{epoch(2)});

    CHECK(probe.sent(3) == Lines{"UPTODATE 2 commit=2.1"});
  }

  TEST_CASE("leader: ACK-LD out of place -> learner lost") {
    Established probe;
    SUBCASE("before NEWLEADER") {
      probe.receive(3, cepoch(1));
      probe.receive(3, AckLeader{epoch(2)});
    }
    SUBCASE("another epoch") {
      probe.join(3);
      probe.receive(3, AckLeader{epoch(1)});
    }
    SUBCASE("twice") {
      probe.join(3);
      probe.receive(3, AckLeader{epoch(2)});
      probe.receive(3, AckLeader{epoch(2)});
    }
    CHECK_FALSE(probe.session_open(3));
    CHECK(probe.server().count_events(Event::Kind::protocol_error) == 1);
    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE("leader: ACK-LD of lost sessions -> no quorum together") {
    Probe probe(1, 5, past);
    probe.lead_election();
    for (unsigned id : {2, 3}) probe.receive(id, cepoch(1));
    for (unsigned id : {2, 3}) probe.receive(id, ack_epoch(2, 1, "1:3"));
    probe.receive(2, AckLeader{epoch(2)});
    probe.session_lost(2);

    probe.receive(3, AckLeader{epoch(2)});

    CHECK(probe.core().phase() == Phase::synchronization);
  }

  TEST_CASE("leader: a late ACK-E in synchronization -> its ACK-LD counts") {
    Probe probe(1, 3, past);
    probe.lead_discovery(1);
    probe.receive(3, cepoch(1));
    probe.receive(2, ack_epoch(2, 1, "1:3"));
    REQUIRE(probe.core().phase() == Phase::synchronization);

    probe.receive(3, ack_epoch(2, 1, "1:3", false));
    probe.receive(3, AckLeader{epoch(2)});

    CHECK(probe.core().phase() == Phase::broadcast);
  }

  TEST_CASE("leader: ACK-LD of a wiped server -> does not count") {
    Probe probe(1, 3, past);
    probe.lead_discovery(1);
    probe.receive(2, ack_epoch(2, 1, "1:3"));
    probe.receive(3, cepoch(0, Standing::wiped));
    probe.receive(3, ack_epoch(2, 0, ""));

    probe.receive(3, AckLeader{epoch(2)});

    CHECK(probe.core().phase() == Phase::synchronization);
  }

  TEST_CASE(
      "jzab 61f9d57d: a learner that lives but makes no progress -> lost at the sync time-out") {
    Established probe;
    probe.join(3, "1:1");

    for (int i = 0; i < 10; ++i) {
      probe.run(995);
      CHECK(probe.session_open(3));
      probe.receive(2, Pong{0});
      probe.receive(3, Pong{0});
    }
    probe.run(100);

    CHECK_FALSE(probe.session_open(3));
    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE(
      "ZOOKEEPER-1465, 1697, 2678, scenario 53 S-slow-big: a learner that is far behind but moves "
      "-> kept beyond the sync time-out") {
    Probe probe(1, 3, {.history = "1:50", .delivered = "1.50"});
    probe.lead_broadcast();
    probe.receive(3, cepoch(1));
    probe.receive(3, ack_epoch(2, 1, ""));

    for (std::uint64_t i = 1; i <= 30; ++i) {
      probe.run(900);
      probe.receive(2, Pong{0});
      probe.receive(3, Progress{zxid(1, i)});
    }

    CHECK(probe.session_open(3));
  }

  // --- broadcast ---

  TEST_CASE("leader: propose before broadcast -> refused") {
    Elected probe;
    CHECK(probe.server().propose({"v"}).empty());
    CHECK_FALSE(probe.server().ask_quorum());
  }

  TEST_CASE("leader: propose -> counters from 1 without holes, one range for each learner") {
    Established probe;
    probe.sent(2);

    CHECK(probe.server().propose({"a", "b", "c"}) ==
          std::vector<Zxid>{zxid(2, 1), zxid(2, 2), zxid(2, 3)});
    probe.tick(1);

    CHECK(probe.sent(2) == Lines{"PROPOSE 2.1..2.3 commit=1.3"});
  }

  TEST_CASE(
      "leader: own write and one ACK -> committed, COMMIT at once when nothing else follows") {
    Established probe;
    probe.propose();
    probe.sent(2);

    probe.receive(2, Ack{zxid(2, 1)});

    CHECK(probe.core().last_delivered() == zxid(2, 1));
    CHECK(probe.sent(2) == Lines{"COMMIT 2.1"});
  }

  TEST_CASE("leader: own write not returned -> its own ACK does not count") {
    Established probe;
    probe.server().hold_log = true;
    probe.propose();

    probe.receive(2, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(1, 3));

    probe.complete();
    CHECK(probe.core().last_committed() == zxid(2, 1));
  }

  TEST_CASE("leader: committed through its followers -> delivered only when durable here") {
    Established probe;
    probe.join(3);
    probe.receive(3, AckLeader{epoch(2)});
    probe.server().hold_log = true;
    probe.propose();

    probe.receive(2, Ack{zxid(2, 1)});
    probe.receive(3, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(2, 1));
    CHECK(probe.core().last_delivered() == zxid(1, 3));

    probe.complete();
    CHECK(probe.core().last_delivered() == zxid(2, 1));
  }

  TEST_CASE("leader: COMMIT -> carried by the next PROPOSE when one follows") {
    Established probe;
    probe.server().hold_log = true;
    probe.propose();
    probe.receive(2, Ack{zxid(2, 1)});
    probe.sent(2);
    probe.server().complete_log();  // 2.1 is committed now
    probe.propose();

    const Lines lines = probe.sent(2);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == "COMMIT 2.1");
    CHECK(lines[1] == "PROPOSE 2.2 commit=2.1");
  }

  TEST_CASE("leader: ACKs before ACK-LD, PROGRESS after it -> learner lost") {
    Established probe;
    SUBCASE("ACK before ACK-LD") {
      probe.join(3);
      probe.receive(3, Ack{zxid(1, 3)});
    }
    SUBCASE("PROGRESS after ACK-LD") {
      probe.join(3);
      probe.receive(3, AckLeader{epoch(2)});
      probe.receive(3, Progress{zxid(1, 3)});
    }
    CHECK_FALSE(probe.session_open(3));
  }

  TEST_CASE("leader: PROGRESS before ACK-LD -> counts in no quorum") {
    Established probe;
    probe.join(3);
    probe.propose();

    probe.receive(3, Progress{zxid(2, 1)});

    CHECK(probe.core().last_committed() == zxid(1, 3));
  }

  // Seed 388 of the simulator: a slow learner, past which retention may go.
  TEST_CASE("leader: PROGRESS up to what retention has let go of since -> a sign of progress") {
    Established probe;
    probe.join(3, "1:1");
    probe.server().free_up_to(zxid(1, 3));

    probe.receive(3, Progress{zxid(1, 2)});

    CHECK(probe.session_open(3));
    CHECK(leading(probe).learners.at(ServerId{3}).durable == zxid(1, 2));
  }

  TEST_CASE("leader: ACK of what was never sent -> learner lost, nothing committed") {
    Established probe;
    probe.propose();

    probe.receive(2, Ack{zxid(2, 2)});

    CHECK_FALSE(probe.session_open(2));
    CHECK(probe.core().last_committed() == zxid(1, 3));
  }

  TEST_CASE(
      "leader: ACK of NEWLEADER's place in an epoch -> learner lost: nobody has that record") {
    Established probe;
    probe.server().hold_log = true;
    probe.propose();

    probe.receive(2, Ack{zxid(2, 0)});

    CHECK_FALSE(probe.session_open(2));
    CHECK(probe.core().last_committed() == zxid(1, 3));
  }

  TEST_CASE("leader: ACK-E with a floor that is no transaction -> learner lost, nothing streamed") {
    Established probe;
    probe.receive(3, cepoch(1));
    AckEpoch message = ack_epoch(2, 1, "");
    message.history.floor.zxid = zxid(1, 0);

    probe.receive(3, message);

    CHECK_FALSE(probe.session_open(3));
    CHECK_FALSE(probe.last<Diff>(3));
    CHECK_FALSE(probe.last<Trunc>(3));
  }

  TEST_CASE("leader: an older ACK again -> ignored") {
    Established probe;
    probe.propose();
    probe.propose();
    probe.receive(2, Ack{zxid(2, 2)});

    probe.receive(2, Ack{zxid(2, 1)});

    CHECK(probe.session_open(2));
    CHECK(probe.core().last_committed() == zxid(2, 2));
  }

  TEST_CASE("leader: ACKs of a wiped server -> committed by the others only") {
    Established probe;
    probe.receive(3, cepoch(0, Standing::wiped));
    probe.receive(3, ack_epoch(2, 0, ""));
    probe.receive(3, AckLeader{epoch(2)});
    probe.propose();

    probe.receive(3, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(1, 3));
    probe.receive(2, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(2, 1));
  }

  TEST_CASE("leader: a session message without CEPOCH -> dropped, the session is closed") {
    Established probe;
    const std::size_t dropped = probe.dropped();

    probe.receive(3, Ack{zxid(1, 3)});

    CHECK(probe.dropped() == dropped + 1);
    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE("leader: a message of a leader -> learner lost") {
    Established probe;
    SUBCASE("COMMIT") {
      probe.receive(2, Commit{zxid(1, 3)});
    }
    SUBCASE("NEWEPOCH") {
      probe.receive(2, new_epoch(2));
    }
    SUBCASE("UPTODATE") {
      probe.receive(2, UpToDate{epoch(2), {}});
    }
    CHECK_FALSE(probe.session_open(2));
  }

  TEST_CASE("leader: heartbeats -> numbered, with a commit point the learner has records for") {
    Established probe;
    probe.run(100);
    const Ping first = *probe.last<Ping>(2);
    probe.run(100);

    CHECK(probe.last<Ping>(2)->number == first.number + 1);
    CHECK(probe.last<Ping>(2)->commit == zxid(1, 3));
  }

  TEST_CASE("leader: an own write that does not return -> heartbeats stop") {
    Established probe;
    probe.run(100);
    const std::size_t sent = probe.count<Ping>(2);
    probe.server().disk_stuck = true;

    probe.run(300);

    CHECK(probe.count<Ping>(2) == sent);
  }

  TEST_CASE(
      "J17, scenario 86 Z-half-open: a silent follower -> lost, the quorum with it -> steps down "
      "in time") {
    Established probe;

    probe.run(1000);
    CHECK(probe.core().leading_in_broadcast());
    probe.run(20);

    CHECK(probe.core().role() == Role::looking);
    CHECK_FALSE(probe.session_open(2));
  }

  TEST_CASE("leader: a flapping session of a live quorum -> keeps leading") {
    Established probe;

    for (int i = 0; i < 5; ++i) {
      probe.run(700);
      probe.session_lost(2);
      probe.receive(2, cepoch(2));
      probe.receive(2, ack_epoch(2, 2, "1:3", false));
      probe.receive(2, AckLeader{epoch(2)});
    }

    CHECK(probe.core().leading_in_broadcast());
  }

  TEST_CASE("leader: asked by a LOOKING voter -> says LEADING") {
    Established probe;

    probe.receive(3, vote(3, 1, zxid(1, 9), 5));

    const Vote told = *probe.last<Vote>(3);
    CHECK(told.leader == server(1));
    CHECK(told.role == Role::leading);
    CHECK(told.phase == Phase::broadcast);
  }

  TEST_CASE("leader: a pause above the peer time-out -> LOOKING before anything is answered") {
    Established probe;
    probe.propose();

    probe.tick(1001);

    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.core().last_committed() == zxid(1, 3));
  }

  // --- quorum rounds ---

  TEST_CASE(
      "ZOOKEEPER-1675, J13: a question -> answered when a quorum has echoed a later heartbeat") {
    Established probe;
    probe.run(100);
    probe.receive(2, Pong{probe.last<Ping>(2)->number});  // sent before the question

    const auto ticket = probe.server().ask_quorum();
    probe.tick(1);
    REQUIRE(ticket);
    CHECK(probe.server().rounds_answered() < *ticket);

    probe.receive(2, Pong{probe.last<Ping>(2)->number});
    CHECK(probe.server().rounds_answered() == *ticket);
  }

  TEST_CASE("leader: questions during a round -> share the next one") {
    Established probe;
    const auto first = probe.server().ask_quorum();
    probe.tick(1);
    const std::uint64_t ping = probe.last<Ping>(2)->number;
    const auto second = probe.server().ask_quorum();
    const auto third = probe.server().ask_quorum();

    probe.receive(2, Pong{ping});
    CHECK(probe.server().rounds_answered() == *first);
    probe.receive(2, Pong{probe.last<Ping>(2)->number});

    CHECK(second < third);
    CHECK(probe.server().rounds_answered() == *third);
  }

  TEST_CASE("leader: PONG of a number never sent -> answers nothing") {
    Established probe;
    const auto ticket = probe.server().ask_quorum();

    probe.receive(2, Pong{1'000'000});

    CHECK(probe.server().rounds_answered() < *ticket);
  }

  TEST_CASE("leader: a question and a wiped server's echo -> no answer") {
    Established probe;
    probe.receive(3, cepoch(0, Standing::wiped));
    probe.receive(3, ack_epoch(2, 0, ""));
    probe.receive(3, AckLeader{epoch(2)});
    const auto ticket = probe.server().ask_quorum();
    probe.tick(1);

    probe.receive(3, Pong{probe.last<Ping>(3)->number});

    CHECK(probe.server().rounds_answered() < *ticket);
  }

  TEST_CASE("leader: a question while an own write does not return -> no heartbeat, no answer") {
    Established probe;
    probe.server().disk_stuck = true;
    probe.tick(1);
    const std::size_t sent = probe.count<Ping>(2);

    const auto ticket = probe.server().ask_quorum();
    probe.tick(1);
    CHECK(probe.count<Ping>(2) == sent);
    CHECK(probe.server().rounds_answered() < *ticket);

    probe.server().disk_stuck = false;
    probe.tick(1);
    probe.receive(2, Pong{probe.last<Ping>(2)->number});
    CHECK(probe.server().rounds_answered() == *ticket);
  }

  TEST_CASE("leader: leadership lost during a round -> the question is never answered") {
    Established probe;
    const auto ticket = probe.server().ask_quorum();

    probe.run(1100);

    CHECK(probe.core().role() == Role::looking);
    CHECK(probe.server().rounds_answered() < *ticket);
  }

  TEST_CASE("leader: alone in a cluster of one -> leads, commits and answers at once") {
    Probe probe(1, 1, past);
    probe.run(300);
    REQUIRE(probe.core().leading_in_broadcast());

    const Zxid z = probe.propose();
    const auto ticket = probe.server().ask_quorum();

    CHECK(probe.core().last_delivered() == z);
    CHECK(probe.server().rounds_answered() == *ticket);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
