// SessionFixture: server 1, the processes of its peers, and what they say to each other.
#pragma once

#include <doctest/doctest.h>

#include "net/session.hpp"
#include "net_support.hpp"

namespace zabmq::net {

inline const zab::Message cepoch = zab::CEpoch{};
inline const zab::Message ping = zab::Ping{};
inline const zab::Message pong = zab::Pong{};
inline const zab::Message vote = zab::Vote{};
inline const zab::Message standing = zab::StandingMessage{};

// Server 1 and what its peers' processes would send to it.
struct SessionFixture {
  SessionFixture() {
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

inline Frame as_frame(const ControlFrame& f) {
  return {f.link, f.control};
}

inline bool is_probe(const Verdict& v) {
  return v.reply && v.reply->control == Control::probe;
}
inline bool is_dropped(const Verdict& v) {
  return !v.lost && !v.again && !v.deliver && (!v.reply || is_probe(v));
}
inline bool is_delivered(const Verdict& v) {
  return v.deliver && !v.lost && !v.again && !v.reply;
}
inline bool is_broken(const Verdict& v) {
  return v.lost && v.reply && !v.deliver && !v.again;
}

}  // namespace zabmq::net
