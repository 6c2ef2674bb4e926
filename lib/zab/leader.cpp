// Leader: phases 1 to 3 as the leader.
#include <algorithm>
#include <limits>

#include "zab/core.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {

void Core::step_leading(Leading& self, ServerId from, const Message& message) {
  if (const auto* vote = std::get_if<Vote>(&message)) return answer_vote(from, *vote);
  if (const auto* cepoch = std::get_if<CEpoch>(&message)) return on_cepoch(self, from, *cepoch);

  const auto at = self.learners.find(from);
  if (at == self.learners.end()) {
    close_session(from);
    return drop(from, message, "no session");
  }
  Learner& learner = at->second;
  learner.heard_at = now_ms_;
  if (learner.counts) self.heard_at[from] = now_ms_;

  if (const auto* m = std::get_if<AckEpoch>(&message)) return on_ack_epoch(self, from, learner, *m);
  if (const auto* m = std::get_if<AckLeader>(&message))
    return on_ack_leader(self, from, learner, *m);
  if (const auto* m = std::get_if<Pong>(&message)) {
    if (m->number <= self.ping_number) learner.ponged = std::max(learner.ponged, m->number);
    return;
  }
  if (const auto* m = std::get_if<Admitted>(&message)) return on_admitted(self, from, learner, *m);
  if (const auto* m = std::get_if<Progress>(&message); m && !learner.acked_leader) {
    return on_ack(self, from, learner, m->durable);
  }
  if (const auto* m = std::get_if<Ack>(&message); m && learner.acked_leader) {
    return on_ack(self, from, learner, m->durable);
  }
  end_session(self, from, std::string(name_of(message)) + " out of place");
}

// --- discovery ---

// Step l.1.1, and every late joiner. The session is new: what counted in an older one is gone.
void Core::on_cepoch(Leading& self, ServerId from, const CEpoch& message) {
  // Not closed: the new session has taken the old one's place below us, and would be ended instead.
  if (self.learners.contains(from)) forget_learner(self, from, "replaced by a new session");
  if (!accepts(from, message.handshake)) return close_session(from);
  accepted_seen_ = std::max(accepted_seen_, message.accepted);
  Learner learner;
  learner.counts = config_.is_voter(from) && message.standing == Standing::voter;
  if (ZABMQ_MUTANT(wiped_server_counts)) learner.counts = config_.is_voter(from);
  learner.incarnation = message.incarnation;
  learner.accepted = message.accepted;
  learner.heard_at = learner.progress_at = now_ms_;

  if (self.epoch && message.accepted > *self.epoch) {
    remember(self, from, learner);
    // It may never lower its promise, so it can join only a later epoch: without this it would loop
    // for ever (zab.md 1.9). Rate-limited, so that one server cannot keep the others from working.
    const bool may_renounce = now_ms_ >= renounce_allowed_at_ && !ZABMQ_MUTANT(never_renounces);
    if (config_.is_voter(from) && may_renounce) {
      renounce_allowed_at_ = now_ms_ + options_.renounce_interval_ms;
      note(Event::Kind::renounced, from,
           "its acceptedEpoch " + to_string(message.accepted) + " is above epoch " +
               to_string(*self.epoch));
      return become_looking("server " + to_string(from) + " promised a later epoch");
    }
    close_session(from);
    return drop(from, message, "it promised a later epoch");
  }
  const Furthest& known = self.furthest[from];
  if (known.incarnation == learner.incarnation) learner.before = known;
  if (learner.counts) {
    self.cepochs[from] = message.accepted;
    self.heard_at[from] = now_ms_;
  }
  self.learners[from] = learner;
}

void Core::on_ack_epoch(Leading& self, ServerId from, Learner& learner, const AckEpoch& message) {
  if (!learner.sent_new_epoch || learner.ack_epoch || message.epoch != *self.epoch ||
      !message.history.valid()) {
    return end_session(self, from, "ACK-E out of place");
  }
  learner.ack_epoch = message;
  learner.progress_at = now_ms_;
  // Once the quorum is closed, a longer history is an uncommitted tail: it is cut, and must not
  // bring the leader down (ZOOKEEPER-1154).
  if (self.phase != Phase::discovery || !learner.counts || !message.promised) return;

  const Zxid theirs = message.history.last();
  if (std::pair(message.current, theirs) > std::pair(identity_.current, history_.last())) {
    return become_looking("server " + to_string(from) + " has the newer history: currentEpoch " +
                          to_string(message.current) + ", last " + to_string(theirs));
  }
  self.acked_epoch.insert(from);
}

void Core::advance_discovery(Leading& self) {
  if (!self.epoch && !storing_ &&
      config_.is_quorum([&](ServerId id) { return self.cepochs.contains(id); })) {
    if (accepted_seen_ == Epoch{std::numeric_limits<std::uint32_t>::max()}) {
      return stop("the epochs are exhausted");
    }
    // One more than the greatest heard from anyone, also when it is equal to ours (ZOOKEEPER-1343).
    self.epoch = next(accepted_seen_);
    const bool above_ours = accepted_seen_ == next(identity_.accepted);
    if (ZABMQ_MUTANT(epoch_of_a_promise) && above_ours) self.epoch = accepted_seen_;
    accepted_seen_ = *self.epoch;
    Identity wanted = identity_;
    wanted.accepted = *self.epoch;
    store(wanted);
  }
  if (self.epoch && !self.epoch_durable && !storing_) {
    self.epoch_durable = true;
    self.acked_epoch.insert(self_);
  }
  if (!self.epoch_durable || self.phase != Phase::discovery) return;
  const bool acked = config_.is_quorum([&](ServerId id) { return self.acked_epoch.contains(id); });
  if (!acked && !ZABMQ_MUTANT(wait_set_wrong)) return;

  // Step l.1.2. I_e' is our own history: nobody who was counted has a newer one.
  self.initial_end = history_.last();
  ZABMQ_CHECK(durable_ == self.initial_end);
  enter(self.phase, Phase::synchronization, "epoch " + to_string(*self.epoch));
  Identity wanted = identity_;
  wanted.current = *self.epoch;
  store(wanted);
}

// --- synchronization ---

void Core::advance_synchronization(Leading& self) {
  const bool stored = !storing_ || ZABMQ_MUTANT(leader_epoch_not_durable);
  if (!self.current_durable && stored) self.current_durable = true;  // our own ACK-LD

  // By id: losing a learner must not disturb the walk.
  for (ServerId id : config_.voters()) {
    const auto at = self.learners.find(id);
    if (at == self.learners.end()) continue;
    const Learner& learner = at->second;
    if (learner.ack_epoch && !learner.synchronizing) {
      start_sync(self, id, at->second);
    }
  }
  if (self.phase != Phase::synchronization) return;
  const bool acked = config_.is_quorum([&](ServerId id) {
    if (id == self_) return self.current_durable;
    const auto at = self.learners.find(id);
    return at != self.learners.end() && at->second.counts && at->second.acked_leader;
  });
  if (acked) establish(self);
}

// A quorum has I_e' durable under our epoch: all of it is committed.
void Core::establish(Leading& self) {
  enter(self.phase, Phase::broadcast, "a quorum acknowledged NEWLEADER");
  committed_ = std::max(committed_, self.initial_end);
}

void Core::start_sync(Leading& self, ServerId id, Learner& learner) {
  const History& theirs = learner.ack_epoch->history;
  CommonPoint common = common_point(history_, theirs);
  if (common.kind == CommonPoint::Kind::conflicting) {
    note(Event::Kind::alarm, id,
         "its history and ours share " + to_string(common.zxid) +
             " but differ before it: one of the two disks is damaged");
    return lose_learner(self, id, "conflicting histories");
  }
  learner.progress_at = now_ms_;
  const bool below_floor =
      common.kind == CommonPoint::Kind::none || common.zxid < history_.floor.zxid;
  if (below_floor) common.zxid = history_.floor.zxid;
  const bool cut = common.zxid != theirs.last();
  if (ZABMQ_MUTANT(trunc_one_too_many) && cut && !below_floor && common.zxid.counter > 1)
    --common.zxid.counter;
  learner.synchronizing = true;
  learner.cursor = learner.durable = common.zxid;
  // Not I_e' but all we have now: a joiner that acknowledges NEWLEADER with less than is already
  // committed would let committed transactions be cut (found by model checking).
  learner.target = history_.last();
  if (below_floor) {
    send(id, Snap{history_.floor});
  } else if (cut) {
    send(id, Trunc{common.zxid});
  } else {
    send(id, Diff{common.zxid});
  }
}

void Core::on_ack_leader(Leading& self, ServerId from, Learner& learner, const AckLeader& message) {
  if (!learner.sent_new_leader || learner.acked_leader || message.epoch != *self.epoch) {
    return end_session(self, from, "ACK-LD out of place");
  }
  learner.acked_leader = true;
  if (ZABMQ_MUTANT(admitted_at_ack_ld)) learner.counts = config_.is_voter(from);
  learner.durable = learner.target;  // PROGRESS counts for nothing; ACKs of later records follow
  if (ZABMQ_MUTANT(ack_ld_covers_all_sent)) learner.durable = learner.cursor;
  learner.progress_at = now_ms_;
}

// ACK and, before ACK-LD, PROGRESS: cumulative.
void Core::on_ack(Leading& self, ServerId from, Learner& learner, Zxid durable) {
  // A slow learner may report what retention has let go of since.
  const bool sent =
      durable <= learner.cursor && (durable < history_.floor.zxid || history_.contains(durable));
  if (!learner.synchronizing || !sent) {
    return end_session(self, from,
                       "it acknowledged " + to_string(durable) + ", which it was never sent");
  }
  if (durable <= learner.durable) return;
  learner.durable = durable;
  learner.progress_at = now_ms_;
}

// --- broadcast ---

// Only transactions of the own epoch are committed by counting; older ones with I_e'.
void Core::commit_by_counting(Leading& self) {
  const Zxid reached = config_.reached_by_quorum<Zxid>([&](ServerId id) {
    const Zxid own = ZABMQ_MUTANT(leader_counts_unsynced) ? history_.last() : durable_;
    if (id == self_) return self.current_durable ? own : Zxid{};
    const auto at = self.learners.find(id);
    if (at == self.learners.end() || !at->second.counts) return Zxid{};
    const bool acks = at->second.acked_leader || ZABMQ_MUTANT(progress_counts_as_ack) ||
                      ZABMQ_MUTANT(commit_old_epoch_by_counting);
    return acks ? at->second.durable : Zxid{};
  });
  const bool of_own_epoch = reached.epoch == *self.epoch;
  if (of_own_epoch || ZABMQ_MUTANT(commit_old_epoch_by_counting))
    committed_ = std::max(committed_, reached);
}

void Core::advance_leading(Leading& self) {
  if (self.phase == Phase::discovery) advance_discovery(self);
  if (stopped_) return;
  if (self.epoch_durable || (ZABMQ_MUTANT(new_epoch_before_promise) && self.epoch)) {
    for (auto& [id, learner] : self.learners) {
      if (learner.sent_new_epoch) continue;
      learner.sent_new_epoch = true;
      send(id, NewEpoch{handshake(), *self.epoch, claim(self, id, learner)});
    }
  }
  if (self.phase == Phase::discovery) return;
  advance_synchronization(self);
  if (self.phase != Phase::broadcast && !ZABMQ_MUTANT(commit_old_epoch_by_counting)) return;
  commit_by_counting(self);
  deliver();
  ask_to_admit(self);
  advance_round(self);
}

// Once per Ready: everything proposed since the last one is a single range for each learner.
void Core::feed_learners(Leading& self) {
  for (auto& [id, learner] : self.learners) {
    if (!learner.synchronizing) continue;
    const Zxid before = learner.cursor;
    stream(id, learner);
    if (self.phase == Phase::broadcast && learner.acked_leader) {
      tell_commit(id, learner, learner.cursor != before);
    }
  }
}

// PROPOSE goes to every learner that was sent NEWLEADER, acknowledged or not; NEWLEADER is part of
// the stream, so no record can slip between the two.
void Core::stream(ServerId id, Learner& learner) {
  const auto range = [&](Zxid up_to) {
    if (learner.cursor == up_to) return;
    ready_.outputs.push_back(Stream{id, learner.cursor, up_to});
    learner.cursor = up_to;
  };
  if (!learner.sent_new_leader) {
    if (!ZABMQ_MUTANT(new_leader_before_diff)) range(learner.target);
    learner.sent_new_leader = true;
    send(id, NewLeader{*std::get<Leading>(role_).epoch});
  }
  if (ZABMQ_MUTANT(propose_to_acked_only) && !learner.acked_leader)
    learner.cursor = history_.last();
  range(history_.last());
}

void Core::tell_commit(ServerId id, Learner& learner, bool streamed) {
  const Zxid commit = std::min(committed_, learner.cursor);
  if (!learner.sent_up_to_date) {
    // The current commit point, not the one of its ACK-LD (TLA+ issue 3).
    learner.sent_up_to_date = true;
    send(id, UpToDate{*std::get<Leading>(role_).epoch, commit});
  } else if (commit > learner.told_commit && !streamed) {
    send(id, Commit{commit});  // else the frames of the range carry it
  }
  learner.told_commit = std::max(learner.told_commit, commit);
}

// All waiting questions share one round, and one is under way at a time. Its PING is a heartbeat:
// a leader whose disk is stuck sends none.
void Core::advance_round(Leading& self) {
  if (self.round_running == 0 && self.round_asked > self.round_done && !disk_stuck_) {
    self.round_running = self.round_asked;
    ping_learners(self);
    self.round_ping = self.ping_number;
  }
  if (self.round_running == 0 || delivered_ < self.initial_end) return;
  const bool echoed = config_.is_quorum([&](ServerId id) {
    if (id == self_) return true;
    const auto at = self.learners.find(id);
    return at != self.learners.end() && at->second.counts && at->second.acked_leader &&
           at->second.ponged >= self.round_ping;
  });
  if (!echoed && !ZABMQ_MUTANT(end_without_quorum_round)) return;
  self.round_done = self.round_running;
  self.round_running = 0;
  ready_.rounds_answered = self.round_done;
  if (self.round_asked > self.round_done) advance_round(self);
}

// --- time ---

void Core::ping_learners(Leading& self) {
  ++self.ping_number;
  self.ping_at = now_ms_ + options_.heartbeat_ms;
  for (auto& [id, learner] : self.learners) {
    send(id, Ping{self.ping_number, std::min(committed_, learner.cursor)});
  }
}

void Core::tick_leading(Leading& self) {
  const bool may_ping = !disk_stuck_ || ZABMQ_MUTANT(stuck_disk_leads_on);
  if (may_ping && now_ms_ >= self.ping_at) ping_learners(self);
  self.heard_at[self_] = now_ms_;

  for (ServerId id : config_.voters()) {
    const auto at = self.learners.find(id);
    if (at == self.learners.end()) continue;
    Learner& learner = at->second;
    const bool nothing_to_do = learner.acked_leader && learner.durable >= learner.cursor;
    if (nothing_to_do) learner.progress_at = now_ms_;
    if (now_ms_ > learner.heard_at + options_.peer_timeout_ms) {
      lose_learner(self, id, "silent for " + std::to_string(now_ms_ - learner.heard_at) + " ms");
    } else if (now_ms_ > learner.progress_at + options_.sync_timeout_ms) {
      lose_learner(self, id, "no progress for " + std::to_string(options_.sync_timeout_ms) + " ms");
    }
  }
  if (self.phase == Phase::discovery) {
    if (now_ms_ > self.phase_deadline) become_looking("no quorum followed in time");
    return;
  }
  const std::uint64_t quorum_heard_at = config_.reached_by_quorum<std::uint64_t>([&](ServerId id) {
    const auto at = self.heard_at.find(id);
    return at == self.heard_at.end() ? std::uint64_t{0} : at->second;
  });
  if (now_ms_ > quorum_heard_at + options_.peer_timeout_ms && !ZABMQ_MUTANT(zombie_leader)) {
    become_looking("no quorum heard for " + std::to_string(now_ms_ - quorum_heard_at) + " ms");
  }
}

// Nothing is lost or reordered in a session: a correct learner never sends this.
void Core::end_session(Leading& self, ServerId from, const std::string& why) {
  note(Event::Kind::protocol_error, from, why);
  lose_learner(self, from, why);
}

void Core::lose_learner(Leading& self, ServerId id, const std::string& why) {
  close_session(id);
  forget_learner(self, id, why);
}

void Core::forget_learner(Leading& self, ServerId id, const std::string& why) {
  remember(self, id, self.learners.at(id));
  self.learners.erase(id);
  self.cepochs.erase(id);
  note(Event::Kind::learner_lost, id, why);
}

}  // namespace zabmq::zab
