// Session tests: datagrams, who may talk to us, and which of a peer's processes is heard.
#include <doctest/doctest.h>

#include <vector>

#include "session_fixture.hpp"

namespace zabmq::net {

TEST_SUITE("net/session") {
  // --- datagrams ---

  TEST_CASE("session: datagrams overtake each other -> the older one is dropped, gaps are fine") {
    SessionFixture f;
    const Frame first = f.from_learner(vote);
    const Frame second = f.from_learner(standing);
    f.from_learner(vote);
    const Frame fourth = f.from_learner(vote);

    CHECK(is_delivered(f.me.receive(second)));
    CHECK(is_dropped(f.me.receive(first)));
    CHECK(is_delivered(f.me.receive(fourth)));
    CHECK(is_dropped(f.me.receive(fourth)));
    CHECK(f.me.counters().stale_datagram == 2);
    CHECK(first.link.session == 0);
  }

  TEST_CASE("session: datagrams between session frames -> the session goes on") {
    SessionFixture f;
    f.establish();
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }

  // --- who may talk to us ---

  TEST_CASE("session: sender unknown, or our own id -> dropped and counted") {
    SessionFixture f;
    Frame frame = f.from_learner(vote);
    frame.link.sender = ServerId{9};
    CHECK(is_dropped(f.me.receive(frame)));
    frame.link.sender = one;
    CHECK(is_dropped(f.me.receive(frame)));
    CHECK(f.me.counters().unknown_sender == 2);
  }

  TEST_CASE("session: frame for another server -> dropped and counted") {
    SessionFixture f;
    Frame frame = f.from_learner(vote);
    frame.link.receiver = three;
    CHECK(is_dropped(f.me.receive(frame)));
    CHECK(f.me.counters().other_receiver == 1);
  }

  TEST_CASE("session: another cluster -> everything is dropped and counted") {
    SessionFixture f;
    f.learner.set_cluster(cluster_b);
    f.learner.open(one);
    CHECK(is_dropped(f.me.receive(f.from_learner(vote))));
    CHECK(is_dropped(f.me.receive(f.from_learner(standing))));
    CHECK(is_dropped(f.me.receive(f.from_learner(cepoch))));
    CHECK(f.me.counters().other_cluster == 3);
  }

  TEST_CASE("session: RESET of another cluster -> the session stands") {
    SessionFixture f;
    f.establish();
    Link link = f.from_learner(pong).link;
    link.sequence = 0;
    link.cluster = cluster_b;
    CHECK(is_dropped(f.me.receive({link, Control::reset})));
    CHECK(f.me.has_session(two));
  }

  TEST_CASE("session: one side or both empty -> datagrams pass, sessions do not") {
    for (const auto& [mine, theirs] :
         {std::pair{cluster_a, Uuid{}}, std::pair{Uuid{}, cluster_a}, std::pair{Uuid{}, Uuid{}}}) {
      SessionFixture f;
      f.me.set_cluster(mine);
      f.learner.set_cluster(theirs);
      f.learner.open(one);
      CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
      CHECK(is_delivered(f.me.receive(f.from_learner(standing))));
      CHECK(is_dropped(f.me.receive(f.from_learner(cepoch))));
      CHECK(f.me.counters().other_cluster == 1);
    }
  }

  // --- one process after another ---

  TEST_CASE("session: peer restarts -> its datagrams are heard, the old process's no more") {
    SessionFixture f;
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    const Frame leftover = f.from_learner(vote);
    Sessions next = f.restarted(3);

    CHECK(is_delivered(f.me.receive(f.from(next, vote))));  // numbers begin again
    CHECK(is_dropped(f.me.receive(leftover)));
    CHECK(f.me.counters().stale_life == 1);
    CHECK(is_delivered(f.me.receive(f.from(next, vote))));
  }

  TEST_CASE("session: learner restarts -> its CEPOCH replaces the session, leftovers are stale") {
    SessionFixture f;
    f.establish();
    const Frame leftover = f.from_learner(pong);
    f.learner.open(one);
    const Frame leftover_opening = f.from_learner(cepoch);
    Sessions next = f.restarted(3);
    next.open(one);
    const Frame opening = f.from(next, cepoch);

    CHECK(f.me.receive(opening).again);
    CHECK(is_delivered(f.me.receive(opening)));

    CHECK(is_dropped(f.me.receive(leftover)));
    CHECK(is_dropped(f.me.receive(leftover_opening)));
    CHECK(f.me.counters().stale_life == 2);
    CHECK(is_delivered(f.me.receive(f.from(next, pong))));
  }

  TEST_CASE("session: leader restarts -> its RESET ends the learner's session") {
    SessionFixture f;
    f.establish();
    Sessions next(one, {two, three}, seeded(9));
    next.set_cluster(cluster_a);

    const Verdict verdict = next.receive(f.from_learner(pong));
    REQUIRE(verdict.reply);
    CHECK_FALSE(verdict.deliver);

    CHECK(f.learner.receive(as_frame(*verdict.reply)).lost);
  }

  TEST_CASE("session: frames of the leader's last life for a restarted learner -> none delivered") {
    SessionFixture f;
    f.establish();
    const Frame in_flight = f.to_learner(ping);
    Sessions next = f.restarted(3);
    next.open(one);

    const Verdict verdict = next.receive(in_flight);

    CHECK_FALSE(verdict.deliver);
    CHECK_FALSE(verdict.lost);  // the new session is another one
    CHECK(next.has_session(one));
  }

  TEST_CASE("session: datagrams of an unknown process while a session stands -> not heard") {
    SessionFixture f;
    f.establish();
    Sessions twin = f.restarted(3);

    CHECK(is_dropped(f.me.receive(f.from(twin, vote))));

    CHECK(f.me.counters().other_life == 1);
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
    REQUIRE(f.me.lose(two));  // but once the session has ended, they are
    CHECK(is_delivered(f.me.receive(f.from(twin, vote))));
  }

  TEST_CASE("session: two processes with one id take turns -> counted, the session stands") {
    SessionFixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    for (unsigned turn = 0; turn < 2 * turns_suspicious; ++turn) {
      CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
      CHECK(is_dropped(f.me.receive(f.from(twin, vote))));
    }
    CHECK(f.me.counters().duplicate_ids == 2);
  }

  TEST_CASE("session: two processes with one id, no session -> one is refused, and it is counted") {
    SessionFixture f;
    Sessions twin = f.restarted(3);
    unsigned delivered = 0;
    for (unsigned turn = 0; turn < turns_suspicious + 1; ++turn) {
      if (f.me.receive(f.from_learner(vote)).deliver) ++delivered;
      CHECK(f.me.receive(f.from(twin, vote)).deliver);
    }
    CHECK(delivered == 1);
    CHECK(f.me.counters().duplicate_ids == 1);
  }

  TEST_CASE("session: a restart with many leftovers in one stretch -> no duplicate id") {
    SessionFixture f;
    f.me.receive(f.from_learner(vote));
    std::vector<Frame> leftovers;
    for (int i = 0; i < 100; ++i) leftovers.push_back(f.from_learner(vote));
    Sessions next = f.restarted(3);
    f.me.receive(f.from(next, vote));
    for (const Frame& frame : leftovers) CHECK(is_dropped(f.me.receive(frame)));
    f.me.receive(f.from(next, vote));
    CHECK(f.me.counters().stale_life == 100);
    CHECK(f.me.counters().duplicate_ids == 0);
  }

  TEST_CASE("session: many restarts -> the memory of old processes is bounded and recent") {
    SessionFixture f;
    std::vector<Sessions> lives;
    for (std::uint64_t i = 0; i < 50; ++i) {
      lives.push_back(f.restarted(100 + i));
      CHECK(is_delivered(f.me.receive(f.from(lives.back(), vote))));
    }
    for (std::size_t i = lives.size() - 1 - retired_lives_max; i + 1 < lives.size(); ++i) {
      CHECK(is_dropped(f.me.receive(f.from(lives[i], vote))));
    }
    CHECK(f.me.counters().stale_life == retired_lives_max);
  }

  // --- who is alive ---

  TEST_CASE("session: frames of a process that is not heard -> one PROBE for every sixteen") {
    SessionFixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    int probes = 0;
    for (unsigned i = 0; i < 3 * frames_per_probe; ++i) {
      if (is_probe(f.me.receive(f.from(twin, vote)))) ++probes;
    }
    CHECK(probes == 3);
  }

  TEST_CASE("session: PROBE -> answered with its number, by an empty server too") {
    SessionFixture f;
    f.me.set_cluster({});
    Link link = f.from_learner(vote).link;
    link.session = 77;
    link.sequence = 0;
    const Verdict verdict = f.me.receive({link, Control::probe});
    REQUIRE(verdict.reply);
    CHECK(verdict.reply->control == Control::probe_answer);
    CHECK(verdict.reply->link.session == 77);
    CHECK(verdict.reply->link.incarnation == f.me.incarnation());
    CHECK_FALSE(verdict.deliver);
  }

  TEST_CASE("session: a newer process answers the PROBE -> the old session is lost, it is heard") {
    SessionFixture f;
    f.establish();
    Sessions next = f.restarted(3);
    const Verdict dropped = f.me.receive(f.from(next, vote));
    REQUIRE(is_probe(dropped));

    const Verdict answer = next.receive(as_frame(*dropped.reply));
    REQUIRE(answer.reply);
    const Verdict verdict = f.me.receive(as_frame(*answer.reply));

    CHECK(verdict.lost);
    CHECK_FALSE(f.me.has_session(two));
    CHECK(is_delivered(f.me.receive(f.from(next, vote))));
    CHECK(is_dropped(f.me.receive(as_frame(*answer.reply))));  // each PROBE counts once
  }

  TEST_CASE("session: the session's own process answers the PROBE -> the session stands") {
    SessionFixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    const Verdict dropped = f.me.receive(f.from(twin, vote));
    REQUIRE(is_probe(dropped));

    const Verdict answer = f.learner.receive(as_frame(*dropped.reply));
    REQUIRE(answer.reply);

    CHECK(is_dropped(f.me.receive(as_frame(*answer.reply))));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }

  TEST_CASE("session: a twin was heard first, the real server answers -> the real one is heard") {
    SessionFixture f;
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    const Frame delayed = f.from_learner(vote);
    const Frame newest = f.from_learner(vote);
    CHECK(is_delivered(f.me.receive(newest)));
    Sessions twin = f.restarted(3);
    CHECK(is_delivered(f.me.receive(f.from(twin, vote))));
    const Verdict dropped = f.me.receive(f.from_learner(vote));
    REQUIRE(is_probe(dropped));

    const Verdict answer = f.learner.receive(as_frame(*dropped.reply));
    f.me.receive(as_frame(*answer.reply));

    CHECK(is_dropped(f.me.receive(delayed)));  // what was known of it still holds
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    CHECK(is_dropped(f.me.receive(f.from(twin, vote))));
    f.learner.open(one);
    CHECK(is_delivered(f.me.receive(f.from_learner(cepoch))));
  }

  TEST_CASE("session: an answer delivered twice -> does not bring its process back") {
    SessionFixture f;
    f.me.receive(f.from_learner(vote));
    Sessions second = f.restarted(3);
    f.me.receive(f.from(second, vote));
    const Verdict dropped = f.me.receive(f.from_learner(vote));
    REQUIRE(is_probe(dropped));
    const Frame answer = as_frame(*f.learner.receive(as_frame(*dropped.reply)).reply);
    f.me.receive(answer);
    Sessions third = f.restarted(4);
    CHECK(is_delivered(f.me.receive(f.from(third, vote))));

    CHECK(is_dropped(f.me.receive(answer)));

    CHECK(is_delivered(f.me.receive(f.from(third, vote))));
  }

  TEST_CASE("session: a process comes back twice -> its newest number still holds") {
    SessionFixture f;
    Sessions twin = f.restarted(3);
    const auto bring_back = [&](Sessions& process) {
      for (unsigned i = 0; i <= frames_per_probe; ++i) {
        const Verdict dropped = f.me.receive(f.from(process, vote));
        if (!is_probe(dropped)) continue;
        f.me.receive(as_frame(*process.receive(as_frame(*dropped.reply)).reply));
        return;
      }
      FAIL("no PROBE");
    };
    f.me.receive(f.from_learner(vote));
    f.me.receive(f.from(twin, vote));
    bring_back(f.learner);
    const Frame repeated = f.from_learner(vote);
    CHECK(is_delivered(f.me.receive(repeated)));
    bring_back(twin);
    bring_back(f.learner);

    CHECK(is_dropped(f.me.receive(repeated)));
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
  }

  TEST_CASE("session: first frame of a dead process comes late -> the living one is heard again") {
    SessionFixture f;
    const Frame late = f.from_learner(vote);
    Sessions next = f.restarted(3);
    CHECK(is_delivered(f.me.receive(f.from(next, vote))));
    CHECK(f.me.receive(late).deliver);  // nothing says that it is not newer

    const Verdict dropped = f.me.receive(f.from(next, vote));
    REQUIRE(is_probe(dropped));
    const Verdict answer = next.receive(as_frame(*dropped.reply));
    f.me.receive(as_frame(*answer.reply));

    CHECK(is_delivered(f.me.receive(f.from(next, vote))));
  }

  TEST_CASE("session: answer to a PROBE that we did not send -> ignored") {
    SessionFixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    Link link = f.from(twin, vote).link;
    link.sequence = 0;
    link.session = 12345;
    CHECK(is_dropped(f.me.receive({link, Control::probe_answer})));
    CHECK(f.me.has_session(two));
    const Verdict dropped = f.me.receive(f.from(twin, vote));
    REQUIRE(is_probe(dropped));
    link.session = dropped.reply->link.session - 1;
    CHECK(is_dropped(f.me.receive({link, Control::probe_answer})));
    CHECK(f.me.has_session(two));
  }

  TEST_CASE("session: peers do not touch each other's sessions") {
    SessionFixture f;
    Sessions other(three, {one, two}, seeded(4));
    other.set_cluster(cluster_a);
    f.establish();
    other.open(one);
    REQUIRE(is_delivered(f.me.receive(f.from(other, cepoch))));

    f.from(other, pong);
    CHECK(is_broken(f.me.receive(f.from(other, pong))));

    CHECK_FALSE(f.me.has_session(three));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }
}

}  // namespace zabmq::net
