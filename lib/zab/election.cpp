// Election: phase 0, fast leader election. Safety never depends on it; speed of recovery does.
#include <algorithm>
#include <tuple>

#include "zab/core.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {
namespace {

// Votes are ordered by (currentEpoch, last durable zxid, server id): the elected server then has
// everything that may be committed (ZOOKEEPER-2845: never the last delivered zxid).
auto rank(const Vote& vote) {
  return std::tuple(vote.current_epoch, vote.last, vote.leader);
}
auto history_rank(const Vote& vote) {
  return std::tuple(vote.current_epoch, vote.last);
}

}  // namespace

Vote Core::own_vote() const {
  return {.handshake = handshake(),
          .leader = self_,
          .current_epoch = identity_.current,
          .last = ZABMQ_MUTANT(vote_by_delivered) ? delivered_ : durable_,
          .round = round_,
          .role = Role::looking,
          .phase = Phase::election};
}

// What a server that is not LOOKING says to one that is.
Vote Core::current_vote() const {
  Vote vote = own_vote();
  vote.leader = leader();
  vote.role = role();
  vote.phase = phase();
  return vote;
}

void Core::begin_election(Looking& self) {
  self.round = ++round_;
  self.vote = own_vote();
  self.votes.clear();
  self.decide_at.reset();
  self.elected_at.reset();
  broadcast_vote(self);
  count_votes(self);
}

void Core::broadcast_vote(Looking& self) {
  self.resend_at = now_ms_ + options_.heartbeat_ms;
  to_other_voters(self.vote);
}

void Core::step_looking(Looking& self, ServerId from, const Message& message) {
  if (!is_datagram(message)) {
    // A session of a role that is gone: end it, so that the other side need not wait for a
    // time-out.
    close_session(from);
    return drop(from, message, "LOOKING has no sessions");
  }
  if (!self.drained || storing_ || identity_.standing != Standing::voter || self.round == 0) {
    return drop(from, message, "not taking part in elections");
  }
  on_vote(self, from, std::get<Vote>(message));
}

void Core::on_vote(Looking& self, ServerId from, const Vote& vote) {
  if (!config_.is_voter(from) || !config_.is_voter(vote.leader) || from == self_) {
    return drop(from, vote, "sender or candidate is no voter");
  }
  if (!accepts(from, vote.handshake)) return;

  if (vote.role != Role::looking) {
    self.established[from] = {vote, now_ms_};
    if (vote.round == self.round) self.votes[from] = vote;
    follow_established(self);
    return;
  }
  self.established.erase(from);

  // Nobody knows this server's own rank better than itself: a vote for it may be of a past in which
  // it had more, and would be said again as its own word.
  const auto better = [&] {
    return vote.leader != self_ && trusted(vote.leader) && rank(vote) > rank(self.vote);
  };
  if (vote.round < self.round) return send(from, self.vote);
  if (vote.round > self.round) {
    round_ = self.round = vote.round;
    self.votes.clear();
    self.decide_at.reset();
    self.elected_at.reset();
    self.vote = own_vote();
    if (better()) take_vote(self, vote);
    broadcast_vote(self);
  } else if (better()) {
    take_vote(self, vote);
    self.decide_at.reset();
    self.elected_at.reset();
    broadcast_vote(self);
  }
  self.votes[from] = vote;
  count_votes(self);
}

void Core::take_vote(Looking& self, const Vote& vote) {
  self.vote.leader = vote.leader;
  self.vote.current_epoch = vote.current_epoch;
  self.vote.last = vote.last;
}

void Core::count_votes(Looking& self) {
  const auto agrees = [&](ServerId id) {
    if (id == self_) return true;
    const auto at = self.votes.find(id);
    return at != self.votes.end() && at->second.leader == self.vote.leader;
  };
  if (!config_.is_quorum(agrees)) {
    self.decide_at.reset();
    return;
  }
  const auto& voters = config_.voters();
  if (std::all_of(voters.begin(), voters.end(), agrees)) return decide(self);
  if (!self.decide_at) self.decide_at = now_ms_ + options_.finalize_wait_ms;
  if (now_ms_ >= *self.decide_at) decide(self);
}

void Core::decide(Looking& self) {
  if (self.vote.leader == self_) return become_leading();
  if (!self.elected_at) self.elected_at = now_ms_;
  follow_established(self);
}

// Follows only a server that says LEADING itself, and lately: a vote about somebody who has left
// must never be enough (ZOOKEEPER-569, 1514, 3537). It must lead in broadcast, or be able to win a
// quorum together with us.
bool Core::follow_established(Looking& self) {
  const auto fresh = [&](const Looking::Heard& heard) {
    return now_ms_ <= heard.at + options_.peer_timeout_ms;
  };
  const auto supports = [&](ServerId id, ServerId candidate) {
    if (id == self_) return true;
    const auto at = self.established.find(id);
    return at != self.established.end() && fresh(at->second) && at->second.vote.leader == candidate;
  };
  const Vote* best = nullptr;
  for (const auto& entry : self.established) {
    const ServerId id = entry.first;
    const Looking::Heard& heard = entry.second;
    const Vote& vote = heard.vote;
    if (vote.role != Role::leading || vote.leader != id || !fresh(heard) || !trusted(id)) continue;
    const bool elected = self.elected_at && self.vote.leader == id;
    const bool may_win = history_rank(vote) >= history_rank(own_vote()) &&
                         config_.is_quorum([&](ServerId other) { return supports(other, id); });
    if (vote.phase != Phase::broadcast && !elected && !may_win) continue;
    if (!best || rank(vote) > rank(*best)) best = &vote;
  }
  if (!best) return false;
  round_ = std::max(round_, best->round);
  become_following(best->leader, best->phase == Phase::broadcast ? "it leads" : "elected");
  return true;
}

// Asked by a LOOKING server, in any role with a leader.
void Core::answer_vote(ServerId from, const Vote& vote) {
  if (vote.role != Role::looking || !config_.is_voter(from)) return;
  if (standing_ != Standing::voter) return;  // a wiped server has no say
  if (!accepts(from, vote.handshake)) return;
  send(from, current_vote());
}

void Core::tick_looking(Looking& self) {
  if (!self.drained || storing_) return;
  if (identity_.standing != Standing::voter) return tick_founding(self);
  if (self.round == 0) return;  // advance() begins the election

  if (follow_established(self)) return;
  if (self.elected_at && now_ms_ > *self.elected_at + options_.peer_timeout_ms) {
    // Elected, but it never said so: it has left, or hears nobody. Without this, a candidate that
    // everybody hears and that hears nobody would be elected for ever.
    distrust(self.vote.leader);
    return begin_election(self);
  }
  if (self.decide_at && now_ms_ >= *self.decide_at && !self.elected_at) return count_votes(self);
  if (now_ms_ >= self.resend_at) broadcast_vote(self);
}

}  // namespace zabmq::zab
