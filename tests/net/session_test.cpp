// Session tests: the rules, one by one, as frames and verdicts.
#include <doctest/doctest.h>

#include <vector>

#include "session_fixture.hpp"

namespace zabmq::net {

TEST_SUITE("net/session") {
  // --- opening ---

  TEST_CASE("session: CEPOCH as frame 1 -> open, both directions numbered from 1") {
    SessionFixture f;
    f.learner.open(one);

    const Frame opening = f.from_learner(cepoch);
    CHECK(is_delivered(f.me.receive(opening)));
    const Frame answer = f.to_learner(zab::NewEpoch{});
    CHECK(is_delivered(f.learner.receive(answer)));

    CHECK(opening.link.sequence == 1);
    CHECK(answer.link.sequence == 1);
    CHECK(answer.link.session == opening.link.session);
    CHECK(f.from_learner(pong).link.sequence == 2);
    CHECK(f.to_learner(ping).link.sequence == 2);
    CHECK(f.me.counters().sessions_opened == 1);
  }

  TEST_CASE("session: each opening -> another session id, greater than the one before") {
    SessionFixture f;
    f.learner.open(one);
    const std::uint64_t first = f.from_learner(cepoch).link.session;
    f.learner.open(one);
    const std::uint64_t second = f.from_learner(cepoch).link.session;
    CHECK(second > first);
  }

  TEST_CASE("session: two processes -> other incarnations, other session ids") {
    SessionFixture f;
    Sessions next = f.restarted(3);
    f.learner.open(one);
    next.open(one);
    const Link before = f.from_learner(cepoch).link;
    const Link after = f.from(next, cepoch).link;
    CHECK(before.incarnation != after.incarnation);
    CHECK(before.session != after.session);
  }

  TEST_CASE("session: none is open -> a session message cannot be sent, a datagram can") {
    SessionFixture f;
    CHECK_FALSE(f.learner.stamp(one, cepoch));
    CHECK_FALSE(f.learner.stamp(one, pong));
    CHECK(f.learner.stamp(one, vote));
    CHECK_FALSE(f.learner.stamp(ServerId{9}, vote));  // no such peer
    f.learner.open(ServerId{9});
    CHECK_FALSE(f.learner.stamp(ServerId{9}, cepoch));
  }

  TEST_CASE("session: messages of the other direction -> cannot be sent") {
    SessionFixture f;
    f.establish();
    CHECK_FALSE(f.me.stamp(two, pong));
    CHECK_FALSE(f.learner.stamp(one, ping));
    CHECK(f.me.stamp(two, ping));
  }

  TEST_CASE("Z5: first frame lost, second arrives -> unknown session, answered RESET") {
    SessionFixture f;
    f.learner.open(one);
    f.from_learner(cepoch);

    const Verdict verdict = f.me.receive(f.from_learner(pong));

    CHECK_FALSE(verdict.deliver);
    CHECK_FALSE(verdict.lost);  // there was nothing to lose here
    REQUIRE(verdict.reply);
    CHECK(f.learner.receive(as_frame(*verdict.reply)).lost);
    CHECK_FALSE(f.learner.has_session(one));
    CHECK(f.me.counters().unknown_session == 1);
    CHECK(f.learner.counters().ended_by_peer == 1);
  }

  TEST_CASE("session: CEPOCH that is not frame 1 -> opens nothing") {
    SessionFixture f;
    f.learner.open(one);
    f.from_learner(cepoch);
    const Verdict verdict = f.me.receive(f.from_learner(cepoch));
    CHECK_FALSE(verdict.deliver);
    CHECK_FALSE(f.me.has_session(two));
  }

  // --- one session, no holes ---

  TEST_CASE("session: gap -> the session ends, told once, and the peer is told") {
    SessionFixture f;
    f.establish();
    f.from_learner(pong);  // lost
    const Frame after_gap = f.from_learner(pong);
    const Frame later = f.from_learner(pong);

    const Verdict verdict = f.me.receive(after_gap);
    CHECK(is_broken(verdict));
    const Verdict next = f.me.receive(later);

    CHECK_FALSE(next.lost);
    CHECK_FALSE(next.deliver);
    CHECK(f.me.counters().ended_by_gap == 1);
    CHECK_FALSE(f.me.stamp(two, ping));
    CHECK(f.learner.receive(as_frame(*verdict.reply)).lost);
    CHECK_FALSE(f.learner.receive(as_frame(*verdict.reply)).lost);
    CHECK_FALSE(f.learner.stamp(one, pong));
  }

  TEST_CASE("session: duplicate of the last frame, or of an old one -> the session ends") {
    for (int repeated : {1, 3}) {
      SessionFixture f;
      f.establish();
      std::vector<Frame> frames;
      for (int i = 0; i < 4; ++i) {
        frames.push_back(f.from_learner(pong));
        REQUIRE(is_delivered(f.me.receive(frames.back())));
      }
      CHECK(is_broken(f.me.receive(frames[static_cast<std::size_t>(repeated)])));
      CHECK(f.me.counters().ended_by_duplicate == 1);
    }
  }

  TEST_CASE("session: repeated CEPOCH of the same session -> the session ends") {
    SessionFixture f;
    f.learner.open(one);
    const Frame opening = f.from_learner(cepoch);
    REQUIRE(f.me.receive(opening).deliver);
    CHECK(is_broken(f.me.receive(opening)));
    CHECK_FALSE(f.me.has_session(two));
    CHECK(is_dropped(f.me.receive(opening)));  // nor does it open it again
    CHECK_FALSE(f.me.has_session(two));
    CHECK(f.me.counters().stale_session == 1);
  }

  TEST_CASE("session: two frames exchanged in transit -> the session ends") {
    SessionFixture f;
    f.establish();
    const Frame first = f.to_learner(ping);
    const Frame second = f.to_learner(ping);
    CHECK(is_broken(f.learner.receive(second)));
    CHECK_FALSE(f.learner.receive(first).deliver);
  }

  TEST_CASE("session: a message that only the other side may say -> the session ends") {
    SessionFixture f;
    f.establish();
    Frame frame = f.from_learner(pong);
    frame.content = ping;
    CHECK(is_broken(f.me.receive(frame)));
    CHECK(f.me.counters().ended_by_direction == 1);
  }

  TEST_CASE("session: another incarnation inside the session -> the session ends") {
    SessionFixture f;
    f.establish();
    Frame frame = f.from_learner(pong);
    frame.link.incarnation ^= 1;
    CHECK(is_broken(f.me.receive(frame)));
    CHECK(f.me.counters().ended_by_other_life == 1);
  }

  TEST_CASE("session: leader's incarnation changes within the learner's session -> it ends") {
    SessionFixture f;
    f.establish();
    Frame frame = f.to_learner(ping);
    frame.link.incarnation ^= 1;
    CHECK(is_broken(f.learner.receive(frame)));
  }

  TEST_CASE("session: unreadable frame of the session's process -> the session ends, once") {
    SessionFixture f;
    f.establish();
    const std::uint64_t life = f.learner.incarnation();
    CHECK_FALSE(f.me.corrupt(two, life ^ 1));  // some other process
    CHECK_FALSE(f.me.corrupt(ServerId{9}, life));
    CHECK(f.me.has_session(two));
    CHECK(f.me.corrupt(two, life));
    CHECK_FALSE(f.me.corrupt(two, life));
    CHECK(f.me.counters().ended_by_corruption == 1);
  }

  TEST_CASE("session: transport lost the connection -> the session ends, once") {
    SessionFixture f;
    f.establish();
    CHECK(f.me.lose(two));
    CHECK_FALSE(f.me.lose(two));
    CHECK_FALSE(f.me.lose(three));
    CHECK_FALSE(f.me.lose(ServerId{9}));
  }

  // --- close and replace ---

  TEST_CASE("session: closed here -> not reported here, reported there") {
    SessionFixture f;
    f.establish();
    const std::optional<ControlFrame> reset = f.me.close(two);
    REQUIRE(reset);
    CHECK_FALSE(f.me.close(two));
    CHECK(f.learner.receive(as_frame(*reset)).lost);
    CHECK(f.me.counters().ended_by_us == 1);
  }

  TEST_CASE("session: closed before its first frame -> nobody is told") {
    SessionFixture f;
    f.learner.open(one);
    CHECK_FALSE(f.learner.close(one));
    CHECK_FALSE(f.learner.has_session(one));
  }

  TEST_CASE("session: frames under way when it was closed -> dropped, none delivered") {
    SessionFixture f;
    f.establish();
    const std::vector<Frame> in_flight{f.from_learner(pong), f.from_learner(pong)};
    f.me.close(two);
    for (const Frame& frame : in_flight) {
      const Verdict verdict = f.me.receive(frame);
      CHECK_FALSE(verdict.deliver);
      CHECK_FALSE(verdict.lost);
    }
    CHECK(f.me.counters().unknown_session == 2);
  }

  TEST_CASE("session: learner opens another -> the leader hears of the loss first, then CEPOCH") {
    SessionFixture f;
    f.establish();
    f.learner.open(one);
    const Frame opening = f.from_learner(cepoch);

    const Verdict first = f.me.receive(opening);
    CHECK(first.lost);
    CHECK(first.again);
    CHECK_FALSE(first.deliver);
    CHECK_FALSE(f.me.has_session(two));  // what is done about the loss cannot hit the new session
    const Verdict second = f.me.receive(opening);

    CHECK(is_delivered(second));
    CHECK(f.me.has_session(two));
    CHECK(f.me.counters().ended_by_replacement == 1);
  }

  TEST_CASE("session: frames of the replaced session -> dropped, the new one stands") {
    SessionFixture f;
    f.establish();
    const Frame old = f.from_learner(pong);
    f.learner.open(one);
    const Frame opening = f.from_learner(cepoch);
    f.me.receive(opening);
    REQUIRE(f.me.receive(opening).deliver);

    const Verdict verdict = f.me.receive(old);

    CHECK_FALSE(verdict.lost);
    CHECK_FALSE(verdict.deliver);
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
    REQUIRE(verdict.reply);  // names the old session, so the learner's new one is not hurt
    CHECK(is_dropped(f.learner.receive(as_frame(*verdict.reply))));
    CHECK(f.learner.has_session(one));
  }

  TEST_CASE("session: delayed CEPOCH of an older session of the process -> does not replace") {
    SessionFixture f;
    f.learner.open(one);
    const Frame delayed = f.from_learner(cepoch);
    f.establish();

    CHECK(is_dropped(f.me.receive(delayed)));

    CHECK(f.me.counters().stale_session == 1);
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }

  TEST_CASE("session: both sides open towards each other -> neither session survives unnoticed") {
    SessionFixture f;
    f.me.open(two);
    f.learner.open(one);
    const Frame mine = f.to_learner(cepoch);
    const Frame theirs = f.from_learner(cepoch);

    CHECK(f.me.receive(theirs).again);
    CHECK(is_delivered(f.me.receive(theirs)));
    CHECK(f.learner.receive(mine).again);
    CHECK(is_delivered(f.learner.receive(mine)));

    // Each now has the session that the other has given up: the first frame ends it.
    const Verdict verdict = f.learner.receive(f.to_learner(ping));
    REQUIRE(verdict.reply);
    CHECK(f.me.receive(as_frame(*verdict.reply)).lost);
  }

  TEST_CASE("session: RESET of an unknown session -> ignored, and never answered") {
    SessionFixture f;
    f.establish();
    Link link = f.from_learner(pong).link;
    link.session ^= 1;
    link.sequence = 0;
    CHECK(is_dropped(f.me.receive({link, Control::reset})));
    CHECK(f.me.has_session(two));
  }

  TEST_CASE("session: many frames of an unknown session -> one RESET for every sixteen") {
    SessionFixture f;
    f.learner.open(one);
    f.from_learner(cepoch);
    int resets = 0;
    for (unsigned i = 0; i < 3 * frames_per_reset; ++i) {
      if (f.me.receive(f.from_learner(pong)).reply) ++resets;
    }
    CHECK(resets == 3);
    CHECK(f.me.counters().unknown_session == 3 * frames_per_reset);
  }
}

}  // namespace zabmq::net
