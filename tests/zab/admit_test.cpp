// Admit: how a wiped server becomes a voter again, and how an old copy of a directory is found out,
// message by message. The other side is the test.
#include "zab/harness/probe.hpp"

namespace zabmq::zab::test {
namespace {

using Lines = std::vector<std::string>;

const Past past{.history = "1:3", .delivered = "1.2"};
const Uuid theirs = uuid(0x900);  // the incarnation in cepoch()
const Uuid own = uuid(0x101);     // of server 1

// Server 1 leads epoch 2 in broadcast with follower 2; 3 is wiped.
struct Established : Probe {
  Established() : Probe(1, 3, past) { lead_broadcast(); }
  void join_wiped() {
    receive(3, cepoch(0, Standing::wiped));
    receive(3, ack_epoch(2, 0, ""));
    receive(3, AckLeader{epoch(2)});
  }
  std::vector<Admit> proposed() {
    std::vector<Admit> admits;
    for (const Record& record : disk().records()) {
      if (record.admit) admits.push_back(*record.admit);
    }
    return admits;
  }
  bool counts(unsigned id) const {
    return std::get<Leading>(core().role_state()).learners.at(ServerId{id}).counts;
  }
};

// Server 1, wiped, follows 3 in epoch 2, up to date.
struct Following1 : Probe {
  explicit Following1(const Past& mine = {.history = "1:3", .standing = Standing::wiped})
      : Probe(1, 3, mine) {
    follow_in(2);
  }
  void follow_in(unsigned e) {
    receive(3, standing(Standing::voter, 3));
    receive(3, new_epoch(e));
    receive(3, Diff{core().last_logged()});
    receive(3, NewLeader{Epoch{e}});
    receive(3, UpToDate{Epoch{e}, core().last_logged()});
    REQUIRE(core().phase() == Phase::broadcast);
  }
  void receive_admit(Zxid at, const Admit& admit, bool committed = true) {
    receive_records(3, {make_record(at, admit, disk().last_digest())}, committed ? at : Zxid{});
  }
  Standing standing_on_disk() { return disk().identity().standing; }
};

TEST_SUITE("zab/admit") {
  // --- the leader's side ---

  TEST_CASE("admit: ACK-LD of a wiped server -> its admit is proposed, once a session") {
    Established probe;
    probe.receive(3, cepoch(0, Standing::wiped));
    probe.receive(3, ack_epoch(2, 0, ""));
    CHECK(probe.proposed().empty());

    probe.receive(3, AckLeader{epoch(2)});
    probe.run(300);
    const Admit wanted{server(3), theirs};
    CHECK(probe.proposed() == std::vector{wanted});
    CHECK(probe.core().last_logged() == zxid(2, 1));

    probe.join_wiped();
    CHECK(probe.proposed() == std::vector{wanted, wanted});
  }

  TEST_CASE("admit: a voter's ACK-LD -> nothing is proposed") {
    Established probe;
    probe.receive(3, cepoch(1));
    probe.receive(3, ack_epoch(2, 1, "1:3"));
    probe.receive(3, AckLeader{epoch(2)});

    CHECK(probe.proposed().empty());
  }

  TEST_CASE("admit: acknowledged by leader and wiped server -> committed only with another voter") {
    Established probe;
    probe.join_wiped();

    probe.receive(3, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(1, 3));
    probe.receive(2, Ack{zxid(2, 1)});
    CHECK(probe.core().last_committed() == zxid(2, 1));
  }

  TEST_CASE("admit: ADMITTED -> counts from then on, with what it has acknowledged") {
    Established probe;
    probe.join_wiped();
    probe.receive(2, Ack{zxid(2, 1)});
    probe.propose();
    probe.receive(3, Ack{zxid(2, 2)});
    CHECK(probe.core().last_committed() == zxid(2, 1));
    CHECK_FALSE(probe.counts(3));

    probe.receive(3, Admitted{theirs});

    CHECK(probe.counts(3));
    CHECK(probe.core().last_committed() == zxid(2, 2));
    CHECK(probe.server().count_events(Event::Kind::admitted) == 1);
  }

  TEST_CASE("admit: only a wiped server is heard -> steps down, after ADMITTED it leads on") {
    for (bool admitted : {false, true}) {
      CAPTURE(admitted);
      Established probe;
      probe.join_wiped();
      if (admitted) probe.receive(3, Admitted{theirs});
      for (int i = 0; i < 200 && probe.core().role() == Role::leading; ++i) {
        probe.tick();
        if (probe.core().role() == Role::leading) probe.receive(3, Pong{1});
      }
      CHECK((probe.core().role() == Role::leading) == admitted);
    }
  }

  TEST_CASE("admit: ADMITTED out of place -> ends the session, counts nothing") {
    Established probe;
    SUBCASE("before ACK-LD") {
      probe.receive(3, cepoch(0, Standing::wiped));
      probe.receive(3, ack_epoch(2, 0, ""));
      probe.receive(3, Admitted{theirs});
    }
    SUBCASE("of another incarnation") {
      probe.join_wiped();
      probe.receive(3, Admitted{uuid(7)});
    }
    SUBCASE("twice") {
      probe.join_wiped();
      probe.receive(3, Admitted{theirs});
      probe.receive(3, Admitted{theirs});
    }
    CHECK_FALSE(probe.session_open(3));
  }

  TEST_CASE("admit: marked, and back before it could say so -> its CEPOCH says voter, it counts") {
    Established probe;
    probe.join_wiped();
    probe.receive(2, Ack{zxid(2, 1)});

    probe.receive(3, cepoch(2, Standing::voter));

    CHECK(probe.counts(3));
  }

  TEST_CASE("admit: counted, then emptied once more -> counts nowhere, asked for anew") {
    Established probe;
    probe.join_wiped();
    probe.receive(3, Admitted{theirs});
    CEpoch again = cepoch(0, Standing::wiped);
    again.incarnation = uuid(0x901);

    probe.receive(3, again);
    probe.receive(3, ack_epoch(2, 0, ""));
    probe.receive(3, AckLeader{epoch(2)});

    CHECK_FALSE(probe.counts(3));
    CHECK(probe.proposed().back() == Admit{server(3), uuid(0x901)});
  }

  // --- the wiped server's side ---

  TEST_CASE("admit: its own, delivered in its epoch -> marks itself, durably, then ADMITTED") {
    Following1 probe;
    probe.server().hold_store = true;
    probe.sent(3);
    probe.receive_admit(zxid(2, 1), {server(1), own});
    CHECK(probe.disk().being_stored()->standing == Standing::voter);
    CHECK(probe.sent(3) == Lines{"ACK 2.1"});

    probe.complete();

    CHECK(probe.standing_on_disk() == Standing::voter);
    CHECK(probe.last<Admitted>(3)->incarnation == own);
    CHECK(probe.count<Admitted>(3) == 1);
    CHECK(probe.disk().identity().incarnation == own);
  }

  TEST_CASE("admit: not committed -> nothing, committed later -> the mark") {
    Following1 probe;
    probe.receive_admit(zxid(2, 1), {server(1), own}, false);
    CHECK(probe.standing_on_disk() == Standing::wiped);

    probe.receive(3, Commit{zxid(2, 1)});
    CHECK(probe.standing_on_disk() == Standing::voter);
  }

  TEST_CASE("admit: committed, and not durable here -> nothing until it is") {
    Following1 probe;
    probe.server().hold_log = true;
    probe.receive_admit(zxid(2, 1), {server(1), own});
    CHECK(probe.standing_on_disk() == Standing::wiped);

    probe.complete();
    probe.server().complete_store();
    CHECK(probe.standing_on_disk() == Standing::voter);
  }

  TEST_CASE("admit: the mark is not durable -> no vote, no STANDING that says voter") {
    Following1 probe;
    probe.server().hold_store = true;
    probe.receive_admit(zxid(2, 1), {server(1), own});
    const std::size_t standings = probe.count<StandingMessage>(2);

    probe.receive(2, vote(2, 1, zxid(1, 3), 1));
    probe.receive(2, standing(Standing::voter, 0, false));
    CHECK(probe.count<Vote>(2) == 0);
    CHECK(probe.count<StandingMessage>(2) == standings);
    CHECK(probe.core().standing() == Standing::wiped);  // as status tells it

    probe.complete();
    probe.receive(2, vote(2, 1, zxid(1, 3), 1));
    CHECK(probe.last<Vote>(2)->leader == server(3));
  }

  TEST_CASE("admit: of another server, or another incarnation -> nothing") {
    Following1 probe;
    probe.receive_admit(zxid(2, 1), {server(2), own});
    probe.receive_admit(zxid(2, 2), {server(1), uuid(7)});

    CHECK(probe.core().last_delivered() == zxid(2, 2));
    CHECK(probe.standing_on_disk() == Standing::wiped);
  }

  TEST_CASE("admit: of an older epoch, committed by this one -> nothing") {
    Probe probe(1, 3, {.history = "1:3", .standing = Standing::wiped});
    probe.receive(3, standing(Standing::voter, 3));
    probe.receive(3, new_epoch(3));
    probe.receive(3, Diff{zxid(1, 3)});
    const Record old = make_record(zxid(2, 1), Admit{server(1), own}, probe.disk().last_digest());
    probe.receive_records(3, {old});
    probe.receive(3, NewLeader{epoch(3)});
    probe.receive(3, UpToDate{epoch(3), zxid(2, 1)});

    CHECK(probe.core().last_delivered() == zxid(2, 1));
    CHECK(probe.disk().identity().standing == Standing::wiped);
  }

  TEST_CASE("admit: comes with the synchronization of its own epoch -> the mark after UPTODATE") {
    Probe probe(1, 3, {.history = "1:3", .standing = Standing::wiped});
    probe.receive(3, standing(Standing::voter, 3));
    probe.receive(3, new_epoch(2));
    probe.receive(3, Diff{zxid(1, 3)});
    const Record earlier =
        make_record(zxid(2, 1), Admit{server(1), own}, probe.disk().last_digest());
    probe.receive_records(3, {earlier}, zxid(2, 1));
    probe.receive(3, NewLeader{epoch(2)});
    CHECK(probe.disk().identity().standing == Standing::wiped);

    probe.receive(3, UpToDate{epoch(2), zxid(2, 1)});

    CHECK(probe.disk().identity().standing == Standing::voter);
    CHECK(probe.count<Admitted>(3) == 1);
  }

  TEST_CASE("admit: handed in when the server follows no more -> nothing") {
    Following1 probe;
    probe.server().hold_admits = true;
    probe.receive_admit(zxid(2, 1), {server(1), own});
    REQUIRE(probe.server().admits_waiting());

    SUBCASE("LOOKING") {
      probe.session_lost(3);
    }
    SUBCASE("in discovery") {
      probe.session_lost(3);
      probe.receive(3, standing(Standing::voter, 3));
      REQUIRE(probe.core().role() == Role::following);
    }
    SUBCASE("in synchronization, in the same epoch") {
      probe.session_lost(3);
      probe.receive(3, standing(Standing::voter, 3));
      probe.receive(3, new_epoch(2));
      REQUIRE(probe.core().phase() == Phase::synchronization);
    }
    SUBCASE("in a later epoch") {
      probe.session_lost(3);
      probe.follow_in(3);
    }
    probe.server().hand_in_admits();
    CHECK(probe.standing_on_disk() == Standing::wiped);
    CHECK_FALSE(probe.disk().storing());
  }

  TEST_CASE("admit: a crash between delivery and mark -> the log marks nobody, the next one does") {
    Following1 probe;
    probe.server().hold_store = true;
    probe.receive_admit(zxid(2, 1), {server(1), own});
    REQUIRE(probe.disk().storing());
    probe.server().crash({.identity_kept = false});
    probe.server().hold_store = false;
    probe.server().start(probe.server().now_ms());

    CHECK(probe.standing_on_disk() == Standing::wiped);
    probe.follow_in(2);
    CHECK(probe.core().last_delivered() == zxid(2, 1));
    // Delivered again, since no mark had told of it; the epoch is the same, and so is the promise.
    CHECK(probe.standing_on_disk() == Standing::voter);
  }

  TEST_CASE("admit: the mark becomes durable after the session is lost -> a voter that votes") {
    Following1 probe;
    probe.server().hold_store = true;
    probe.receive_admit(zxid(2, 1), {server(1), own});
    probe.session_lost(3);
    CHECK(probe.count<Vote>(2) == 0);

    probe.complete();
    probe.tick();

    CHECK(probe.count<Vote>(2) > 0);
    CHECK(probe.last<Vote>(2)->current_epoch == epoch(2));
    CHECK(probe.count<Admitted>(3) == 0);
  }

  TEST_CASE("admit: two of its own in one group -> one mark, one ADMITTED") {
    Following1 probe;
    const Record first = make_record(zxid(2, 1), Admit{server(1), own}, probe.disk().last_digest());
    const Record second = make_record(zxid(2, 2), Admit{server(1), own}, first.digest);
    probe.receive_records(3, {first, second}, zxid(2, 2));

    CHECK(probe.standing_on_disk() == Standing::voter);
    CHECK(probe.count<Admitted>(3) == 1);
  }

  // --- old copies: the leader's side ---

  TEST_CASE("old copy: a learner that comes back -> NEWEPOCH has the furthest that it said") {
    Established probe;
    probe.receive(3, cepoch(1));
    CHECK(probe.last<NewEpoch>(3)->furthest == Furthest{});
    probe.receive(3, ack_epoch(2, 1, "1:3"));
    probe.receive(3, AckLeader{epoch(2)});
    probe.propose();
    probe.receive(3, Ack{zxid(2, 1)});
    probe.receive(3, cepoch(2));

    const Furthest furthest = probe.last<NewEpoch>(3)->furthest;
    CHECK(furthest == Furthest{.incarnation = theirs,
                               .voter = true,
                               .accepted = epoch(2),
                               .current = epoch(2),
                               .durable = zxid(2, 1)});
    // And again, though it said nothing new.
    probe.receive(3, cepoch(1));
    CHECK(probe.last<NewEpoch>(3)->furthest == furthest);
  }

  TEST_CASE("old copy: PROGRESS -> counts for nothing here, either") {
    Established probe;
    probe.propose();
    probe.receive(3, cepoch(1));
    probe.receive(3, ack_epoch(2, 1, "1:2"));
    probe.receive(3, Progress{zxid(2, 1)});
    probe.receive(3, cepoch(2));

    CHECK(probe.last<NewEpoch>(3)->furthest.durable == Zxid{});
    CHECK(probe.last<NewEpoch>(3)->furthest.current == epoch(1));
  }

  TEST_CASE("old copy: another incarnation -> nothing is claimed") {
    Established probe;
    probe.receive(3, cepoch(1));
    CEpoch other = cepoch(0, Standing::wiped);
    other.incarnation = uuid(0x901);
    probe.receive(3, other);

    CHECK(probe.last<NewEpoch>(3)->furthest == Furthest{});
  }

  TEST_CASE("old copy: no quorum of others, or not established -> nothing is claimed") {
    SUBCASE("the learner itself is needed for the quorum") {
      Established probe;
      probe.receive(2, cepoch(2));
      CHECK(probe.last<NewEpoch>(2)->furthest == Furthest{});
    }
    SUBCASE("discovery") {
      Probe probe(1, 3, past);
      probe.lead_discovery(1);
      probe.receive(2, cepoch(1));
      CHECK(probe.last<NewEpoch>(2)->furthest == Furthest{});
    }
    SUBCASE("the other follower is wiped") {
      Established probe;
      probe.join_wiped();
      probe.receive(2, cepoch(2));
      CHECK(probe.last<NewEpoch>(2)->furthest == Furthest{});
    }
  }

  TEST_CASE("old copy: a later promise that made nobody renounce -> claimed, too") {
    Established probe;
    probe.receive(3, cepoch(9));
    REQUIRE(probe.core().role() == Role::looking);
    probe.lead_broadcast();
    probe.receive(3, cepoch(20));
    REQUIRE(probe.core().leading_in_broadcast());

    probe.receive(3, cepoch(10));

    CHECK(probe.last<NewEpoch>(3)->furthest.accepted == epoch(20));
  }

  // --- old copies: the server's side ---

  TEST_CASE("old copy: the leader has seen it further -> wiped, durably, as somebody new") {
    const Past mine{.history = "1:3", .accepted = 2, .current = 1};
    Furthest furthest{.incarnation = own,
                      .voter = true,
                      .accepted = epoch(2),
                      .current = epoch(1),
                      .durable = zxid(1, 3)};
    SUBCASE("acceptedEpoch") {
      furthest.accepted = epoch(3);
    }
    SUBCASE("currentEpoch") {
      furthest.current = epoch(2);
    }
    SUBCASE("history") {
      furthest.durable = zxid(1, 4);
    }
    Probe probe(1, 3, mine, [](Checker& checker) { checker.alarm_allowed = true; });
    probe.follow(3);
    NewEpoch message = new_epoch(4);
    message.furthest = furthest;
    probe.receive(3, message);

    CHECK(probe.disk().identity().standing == Standing::wiped);
    CHECK(probe.disk().identity().incarnation != own);
    CHECK_FALSE(is_none(probe.disk().identity().incarnation));
    CHECK(probe.disk().identity().accepted == epoch(2));
    CHECK(probe.count<AckEpoch>(3) == 0);
    CHECK(probe.server().count_events(Event::Kind::alarm) == 1);
    CHECK_FALSE(probe.session_open(3));
    // And goes the way of a wiped server.
    const std::size_t votes = probe.count<Vote>(2);
    probe.run(300);
    CHECK(probe.count<Vote>(2) == votes);
    CHECK(probe.last<StandingMessage>(2)->standing == Standing::wiped);
    probe.receive(3, standing(Standing::voter, 3));
    CHECK(probe.last<CEpoch>(3)->standing == Standing::wiped);
    CHECK(probe.last<CEpoch>(3)->incarnation == probe.disk().identity().incarnation);
  }

  TEST_CASE("old copy: wiped here, a voter as the leader knows -> somebody new, still wiped") {
    Probe probe(1, 3, {.history = "1:3", .accepted = 2, .standing = Standing::wiped},
                [](Checker& checker) { checker.alarm_allowed = true; });
    probe.receive(3, standing(Standing::voter, 3));
    NewEpoch message = new_epoch(2);
    message.furthest = {.incarnation = own, .voter = true};
    probe.receive(3, message);

    CHECK(probe.disk().identity().standing == Standing::wiped);
    CHECK(probe.disk().identity().incarnation != own);
  }

  TEST_CASE("old copy: it has all that was seen, or was another directory then -> goes on") {
    Furthest furthest{.incarnation = own,
                      .voter = true,
                      .accepted = epoch(2),
                      .current = epoch(1),
                      .durable = zxid(1, 3)};
    SUBCASE("as far") {}
    SUBCASE("further") {
      furthest.accepted = epoch(1);
      furthest.durable = zxid(1, 2);
    }
    SUBCASE("another directory") {
      furthest.incarnation = uuid(7);
      furthest.durable = zxid(9, 9);
    }
    Probe probe(1, 3, {.history = "1:3", .accepted = 2, .current = 1});
    probe.follow(3);
    NewEpoch message = new_epoch(3);
    message.furthest = furthest;
    probe.receive(3, message);

    CHECK(probe.last<AckEpoch>(3)->promised);
    CHECK(probe.disk().identity().standing == Standing::voter);
    CHECK(probe.disk().identity().incarnation == own);
  }

  TEST_CASE("old copy: a crash before the wiped standing is durable -> found out again") {
    Probe probe(1, 3, past, [](Checker& checker) { checker.alarm_allowed = true; });
    NewEpoch message = new_epoch(2);
    message.furthest = {.incarnation = own, .voter = true, .accepted = epoch(2)};
    probe.server().hold_store = true;
    probe.follow(3);
    probe.receive(3, message);
    REQUIRE(probe.disk().being_stored()->standing == Standing::wiped);
    probe.server().crash({.identity_kept = false});
    probe.server().start(probe.server().now_ms());
    CHECK(probe.disk().identity().standing == Standing::voter);

    probe.server().hold_store = false;
    probe.follow(3);
    probe.receive(3, message);
    CHECK(probe.disk().identity().standing == Standing::wiped);
  }
}

}  // namespace
}  // namespace zabmq::zab::test
