// Session tests: the rules, one by one, as frames and verdicts.
#include "net/session.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "net_support.hpp"

namespace zabmq::net {
namespace {

const zab::Message cepoch = zab::CEpoch{};
const zab::Message ping = zab::Ping{};
const zab::Message pong = zab::Pong{};
const zab::Message vote = zab::Vote{};
const zab::Message standing = zab::StandingMessage{};

// Server 1 and what its peers' processes would send to it.
struct Fixture {
  Fixture() {
    me.set_cluster(cluster_a);
    learner.set_cluster(cluster_a);
  }

  Frame from_learner(const zab::Message& message) { return from(learner, message); }
  Frame from(Sessions& sender, const zab::Message& message) {
    const std::optional<Link> link = sender.stamp(one, message);
    REQUIRE(link);
    return {*link, message};
  }
  Frame to_learner(const zab::Message& message) {
    const std::optional<Link> link = me.stamp(two, message);
    REQUIRE(link);
    return {*link, message};
  }

  // A session that the learner opened and in which each side has said one thing.
  void establish() {
    learner.open(one);
    REQUIRE(me.receive(from_learner(cepoch)).deliver);
    REQUIRE(learner.receive(to_learner(zab::NewEpoch{})).deliver);
  }

  Sessions restarted(std::uint64_t seed) const {
    Sessions next(two, {one, three}, seeded(seed));
    next.set_cluster(cluster_a);
    return next;
  }

  Sessions me{one, {two, three}, seeded(1)};
  Sessions learner{two, {one, three}, seeded(2)};
};

Frame as_frame(const ControlFrame& f) {
  return {f.link, f.control};
}

bool is_probe(const Verdict& v) {
  return v.reply && v.reply->control == Control::probe;
}
bool is_dropped(const Verdict& v) {
  return !v.lost && !v.again && !v.deliver && (!v.reply || is_probe(v));
}
bool is_delivered(const Verdict& v) {
  return v.deliver && !v.lost && !v.again && !v.reply;
}
bool is_broken(const Verdict& v) {
  return v.lost && v.reply && !v.deliver && !v.again;
}

}  // namespace

TEST_SUITE("net/session") {
  // --- opening ---

  TEST_CASE("session: CEPOCH as frame 1 -> open, both directions numbered from 1") {
    Fixture f;
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
    Fixture f;
    f.learner.open(one);
    const std::uint64_t first = f.from_learner(cepoch).link.session;
    f.learner.open(one);
    const std::uint64_t second = f.from_learner(cepoch).link.session;
    CHECK(second > first);
  }

  TEST_CASE("session: two processes -> other incarnations, other session ids") {
    Fixture f;
    Sessions next = f.restarted(3);
    f.learner.open(one);
    next.open(one);
    const Link before = f.from_learner(cepoch).link;
    const Link after = f.from(next, cepoch).link;
    CHECK(before.incarnation != after.incarnation);
    CHECK(before.session != after.session);
  }

  TEST_CASE("session: none is open -> a session message cannot be sent, a datagram can") {
    Fixture f;
    CHECK_FALSE(f.learner.stamp(one, cepoch));
    CHECK_FALSE(f.learner.stamp(one, pong));
    CHECK(f.learner.stamp(one, vote));
    CHECK_FALSE(f.learner.stamp(ServerId{9}, vote));  // no such peer
    f.learner.open(ServerId{9});
    CHECK_FALSE(f.learner.stamp(ServerId{9}, cepoch));
  }

  TEST_CASE("session: messages of the other direction -> cannot be sent") {
    Fixture f;
    f.establish();
    CHECK_FALSE(f.me.stamp(two, pong));
    CHECK_FALSE(f.learner.stamp(one, ping));
    CHECK(f.me.stamp(two, ping));
  }

  TEST_CASE("session: first frame lost, second arrives -> unknown session, answered RESET") {
    Fixture f;
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
    Fixture f;
    f.learner.open(one);
    f.from_learner(cepoch);
    const Verdict verdict = f.me.receive(f.from_learner(cepoch));
    CHECK_FALSE(verdict.deliver);
    CHECK_FALSE(f.me.has_session(two));
  }

  // --- one session, no holes ---

  TEST_CASE("session: gap -> the session ends, told once, and the peer is told") {
    Fixture f;
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
      Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.establish();
    const Frame first = f.to_learner(ping);
    const Frame second = f.to_learner(ping);
    CHECK(is_broken(f.learner.receive(second)));
    CHECK_FALSE(f.learner.receive(first).deliver);
  }

  TEST_CASE("session: a message that only the other side may say -> the session ends") {
    Fixture f;
    f.establish();
    Frame frame = f.from_learner(pong);
    frame.content = ping;
    CHECK(is_broken(f.me.receive(frame)));
    CHECK(f.me.counters().ended_by_direction == 1);
  }

  TEST_CASE("session: another incarnation inside the session -> the session ends") {
    Fixture f;
    f.establish();
    Frame frame = f.from_learner(pong);
    frame.link.incarnation ^= 1;
    CHECK(is_broken(f.me.receive(frame)));
    CHECK(f.me.counters().ended_by_other_life == 1);
  }

  TEST_CASE("session: leader's incarnation changes within the learner's session -> it ends") {
    Fixture f;
    f.establish();
    Frame frame = f.to_learner(ping);
    frame.link.incarnation ^= 1;
    CHECK(is_broken(f.learner.receive(frame)));
  }

  TEST_CASE("session: unreadable frame of the session's process -> the session ends, once") {
    Fixture f;
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
    Fixture f;
    f.establish();
    CHECK(f.me.lose(two));
    CHECK_FALSE(f.me.lose(two));
    CHECK_FALSE(f.me.lose(three));
    CHECK_FALSE(f.me.lose(ServerId{9}));
  }

  // --- close and replace ---

  TEST_CASE("session: closed here -> not reported here, reported there") {
    Fixture f;
    f.establish();
    const std::optional<ControlFrame> reset = f.me.close(two);
    REQUIRE(reset);
    CHECK_FALSE(f.me.close(two));
    CHECK(f.learner.receive(as_frame(*reset)).lost);
    CHECK(f.me.counters().ended_by_us == 1);
  }

  TEST_CASE("session: closed before its first frame -> nobody is told") {
    Fixture f;
    f.learner.open(one);
    CHECK_FALSE(f.learner.close(one));
    CHECK_FALSE(f.learner.has_session(one));
  }

  TEST_CASE("session: frames under way when it was closed -> dropped, none delivered") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.learner.open(one);
    const Frame delayed = f.from_learner(cepoch);
    f.establish();

    CHECK(is_dropped(f.me.receive(delayed)));

    CHECK(f.me.counters().stale_session == 1);
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }

  TEST_CASE("session: both sides open towards each other -> neither session survives unnoticed") {
    Fixture f;
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
    Fixture f;
    f.establish();
    Link link = f.from_learner(pong).link;
    link.session ^= 1;
    link.sequence = 0;
    CHECK(is_dropped(f.me.receive({link, Control::reset})));
    CHECK(f.me.has_session(two));
  }

  TEST_CASE("session: many frames of an unknown session -> one RESET for every sixteen") {
    Fixture f;
    f.learner.open(one);
    f.from_learner(cepoch);
    int resets = 0;
    for (unsigned i = 0; i < 3 * frames_per_reset; ++i) {
      if (f.me.receive(f.from_learner(pong)).reply) ++resets;
    }
    CHECK(resets == 3);
    CHECK(f.me.counters().unknown_session == 3 * frames_per_reset);
  }

  // --- datagrams ---

  TEST_CASE("session: datagrams overtake each other -> the older one is dropped, gaps are fine") {
    Fixture f;
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
    Fixture f;
    f.establish();
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
  }

  // --- who may talk to us ---

  TEST_CASE("session: sender unknown, or our own id -> dropped and counted") {
    Fixture f;
    Frame frame = f.from_learner(vote);
    frame.link.sender = ServerId{9};
    CHECK(is_dropped(f.me.receive(frame)));
    frame.link.sender = one;
    CHECK(is_dropped(f.me.receive(frame)));
    CHECK(f.me.counters().unknown_sender == 2);
  }

  TEST_CASE("session: frame for another server -> dropped and counted") {
    Fixture f;
    Frame frame = f.from_learner(vote);
    frame.link.receiver = three;
    CHECK(is_dropped(f.me.receive(frame)));
    CHECK(f.me.counters().other_receiver == 1);
  }

  TEST_CASE("session: another cluster -> everything is dropped and counted") {
    Fixture f;
    f.learner.set_cluster(cluster_b);
    f.learner.open(one);
    CHECK(is_dropped(f.me.receive(f.from_learner(vote))));
    CHECK(is_dropped(f.me.receive(f.from_learner(standing))));
    CHECK(is_dropped(f.me.receive(f.from_learner(cepoch))));
    CHECK(f.me.counters().other_cluster == 3);
  }

  TEST_CASE("session: RESET of another cluster -> the session stands") {
    Fixture f;
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
      Fixture f;
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
    Fixture f;
    CHECK(is_delivered(f.me.receive(f.from_learner(vote))));
    const Frame leftover = f.from_learner(vote);
    Sessions next = f.restarted(3);

    CHECK(is_delivered(f.me.receive(f.from(next, vote))));  // numbers begin again
    CHECK(is_dropped(f.me.receive(leftover)));
    CHECK(f.me.counters().stale_life == 1);
    CHECK(is_delivered(f.me.receive(f.from(next, vote))));
  }

  TEST_CASE("session: learner restarts -> its CEPOCH replaces the session, leftovers are stale") {
    Fixture f;
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
    Fixture f;
    f.establish();
    Sessions next(one, {two, three}, seeded(9));
    next.set_cluster(cluster_a);

    const Verdict verdict = next.receive(f.from_learner(pong));
    REQUIRE(verdict.reply);
    CHECK_FALSE(verdict.deliver);

    CHECK(f.learner.receive(as_frame(*verdict.reply)).lost);
  }

  TEST_CASE("session: frames of the leader's last life for a restarted learner -> none delivered") {
    Fixture f;
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
    Fixture f;
    f.establish();
    Sessions twin = f.restarted(3);

    CHECK(is_dropped(f.me.receive(f.from(twin, vote))));

    CHECK(f.me.counters().other_life == 1);
    CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
    REQUIRE(f.me.lose(two));  // but once the session has ended, they are
    CHECK(is_delivered(f.me.receive(f.from(twin, vote))));
  }

  TEST_CASE("session: two processes with one id take turns -> counted, the session stands") {
    Fixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    for (unsigned turn = 0; turn < 2 * turns_suspicious; ++turn) {
      CHECK(is_delivered(f.me.receive(f.from_learner(pong))));
      CHECK(is_dropped(f.me.receive(f.from(twin, vote))));
    }
    CHECK(f.me.counters().duplicate_ids == 2);
  }

  TEST_CASE("session: two processes with one id, no session -> one is refused, and it is counted") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.establish();
    Sessions twin = f.restarted(3);
    int probes = 0;
    for (unsigned i = 0; i < 3 * frames_per_probe; ++i) {
      if (is_probe(f.me.receive(f.from(twin, vote)))) ++probes;
    }
    CHECK(probes == 3);
  }

  TEST_CASE("session: PROBE -> answered with its number, by an empty server too") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
