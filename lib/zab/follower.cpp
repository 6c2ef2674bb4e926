// Follower: phases 1 to 3 as a learner.
#include <algorithm>
#include <utility>

#include "zab/core.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {

void Core::step_following(Following& self, ServerId from, const Message& message) {
  if (const auto* vote = std::get_if<Vote>(&message)) {
    if (from == self.leader && vote->role == Role::looking && vote->round > round_) {
      return become_looking("the leader is LOOKING again");
    }
    return answer_vote(from, *vote);
  }
  if (from != self.leader) {
    // CEPOCH of somebody who thinks we lead, or the rest of an older session.
    close_session(from);
    return drop(from, message, "not from the leader");
  }
  self.heard_at = now_ms_;
  if (const auto* ping = std::get_if<Ping>(&message)) return on_ping(self, *ping);
  if (rewinding_to_) return end_session(self, "a message came before the history was cut");
  if (const auto* m = std::get_if<NewEpoch>(&message)) return on_new_epoch(self, *m);
  if (const auto* m = std::get_if<Diff>(&message)) {
    if (m->common != history_.last())
      return end_session(self, "DIFF does not begin at the last record");
    return on_sync_start(self, m->common, m->digest);
  }
  if (const auto* m = std::get_if<Trunc>(&message))
    return on_sync_start(self, m->common, m->digest);
  if (const auto* m = std::get_if<Snap>(&message)) return on_snap(self, *m);
  if (const auto* m = std::get_if<Propose>(&message)) return on_propose(self, *m);
  if (const auto* m = std::get_if<NewLeader>(&message)) return on_new_leader(self, *m);
  if (const auto* m = std::get_if<UpToDate>(&message)) return on_up_to_date(self, *m);
  if (const auto* m = std::get_if<Commit>(&message)) {
    if (!self.up_to_date) return end_session(self, "COMMIT before UPTODATE");
    return on_commit(self, m->commit);
  }
  end_session(self, std::string("a leader never sends ") + name_of(message));
}

// Step f.1.2: promise the leader's epoch. The promise counts only if it survives a crash, so ACK-E
// waits for the identity record (advance_following). The epoch is newer, older, or promised before.
void Core::on_new_epoch(Following& self, const NewEpoch& message) {
  if (self.phase != Phase::discovery || self.epoch != Epoch::none) {
    return end_session(self, "NEWEPOCH outside discovery");
  }
  if (!accepts(self.leader, message.handshake)) return become_looking("another cluster");
  if (message.epoch < identity_.accepted) {
    // Another leader has our promise for a later epoch. Following this one could give two leaders a
    // quorum. The promise is never lowered.
    return become_looking("NEWEPOCH " + to_string(message.epoch) + " is older than acceptedEpoch " +
                          to_string(identity_.accepted));
  }
  if (is_old_copy(message.furthest)) return become_wiped(self, message.furthest);
  self.epoch = message.epoch;
  // Equal: promised before, to this leader in a session since lost or to another candidate for the
  // same epoch. We may follow, but it must not count towards a second quorum (ZooKeeper answers
  // -1).
  self.promised = message.epoch > identity_.accepted || ZABMQ_MUTANT(repeated_promise_counts);
  if (self.promised) {
    accepted_seen_ = std::max(accepted_seen_, message.epoch);
    Identity wanted = identity_;
    wanted.accepted = message.epoch;
    store(wanted);
  }
}

// DIFF or TRUNC: the history goes on behind `common`, once the digests there were compared.
void Core::on_sync_start(Following& self, Zxid common, Digest digest) {
  if (self.phase != Phase::synchronization || self.synchronizing) {
    return end_session(self, "synchronization began twice or too early");
  }
  if (common < committed_ || common < history_.floor.zxid) {
    // Never truncate committed data: one of the two histories is not of this cluster's life.
    return stop("leader " + to_string(self.leader) +
                " wants this server to cut its history behind " + to_string(common) + ", but " +
                to_string(std::max(committed_, history_.floor.zxid)) +
                " is committed here; find the server whose disk was replaced by an older copy");
  }
  if (!history_.contains(common)) {
    note(Event::Kind::alarm, self.leader, to_string(common) + " is not in this history");
    distrust(self.leader);
    return become_looking("the common point is not in this history");
  }
  rewinding_to_ = common;
  ready_.rewind = Rewind{common, digest};
}

// The no-regress rule of zab.md 1.7: the old history stands until the new one, its tail included,
// is durable; then one identity record makes the switch. Committed and delivered points of the old
// one lie below the leader's floor, or the two would have a common point that is still kept.
void Core::on_snap(Following& self, const Snap& message) {
  if (self.phase != Phase::synchronization || self.synchronizing) {
    return end_session(self, "synchronization began twice or too early");
  }
  if (!History{message.floor, {}}.valid()) return end_session(self, "SNAP of an impossible floor");
  const Zxid known = std::max(delivered_, history_.floor.zxid);
  const bool older = message.state < known || message.floor.zxid < history_.floor.zxid;
  if (message.state < message.floor.zxid || older) {
    note(Event::Kind::alarm, self.leader,
         "its SNAP of " + to_string(message.state) + " is older than what this server delivered, " +
             to_string(known));
    distrust(self.leader);
    return become_looking("a SNAP that is older than this history");
  }
  self.replaced = Following::Replaced{std::exchange(history_, History{message.floor, {}}),
                                      committed_, message.state};
  durable_ = message.floor.zxid;
  rewinding_to_ = message.floor.zxid;
  ready_.install = Install{message.floor, identity_.generation + 1};
}

void Core::adopt_installed(Following& self, Identity& wanted) {
  const Zxid state = std::exchange(self.replaced, std::nullopt)->state;
  ZABMQ_CHECK(history_.contains(state) && state <= durable_);
  delivered_ = state;
  committed_ = std::max(committed_, state);
  ++wanted.generation;
  ready_.adopt = true;
}

bool Core::in_order(const Following& self, const Propose& message) const {
  Zxid last = history_.last();
  for (const Run& run : message.runs) {
    if (run.first > run.last || run.epoch > self.epoch) return false;
    if (!follows({run.epoch, run.first}, last)) return false;
    last = {run.epoch, run.last};
  }
  return !message.runs.empty();
}

void Core::on_propose(Following& self, const Propose& message) {
  if (!self.synchronizing) return end_session(self, "PROPOSE before synchronization");
  if (!in_order(self, message)) {
    return end_session(self, "PROPOSE does not continue " + to_string(history_.last()));
  }
  for (const Run& run : message.runs) history_.append(run);
  ready_.append = true;
  on_commit(self, message.commit);
}

void Core::on_new_leader(Following& self, const NewLeader& message) {
  if (!self.synchronizing || self.new_leader_at || message.epoch != self.epoch) {
    return end_session(self, "NEWLEADER out of place");
  }
  if (self.replaced && !history_.contains(self.replaced->state)) {
    return end_session(self, "NEWLEADER before the records that the state of its SNAP contains");
  }
  ZABMQ_CHECK(identity_.accepted == message.epoch);  // a later promise ends this session
  self.new_leader_at = history_.last();
}

void Core::on_up_to_date(Following& self, const UpToDate& message) {
  if (!self.acked_leader || self.up_to_date || message.epoch != self.epoch) {
    return end_session(self, "UPTODATE out of place");
  }
  self.up_to_date = true;
  enter(self.phase, Phase::broadcast, "UPTODATE");
  on_commit(self, ZABMQ_MUTANT(up_to_date_commits_all) ? history_.last() : message.commit);
}

void Core::on_commit(Following& self, Zxid commit) {
  if (commit <= committed_) return;
  if (!history_.contains(commit)) {
    return end_session(self,
                       "COMMIT of " + to_string(commit) + ", which this server does not have");
  }
  committed_ = commit;
}

void Core::on_ping(Following& self, const Ping& message) {
  if (!disk_stuck_) send(self.leader, Pong{message.number});
  if (self.up_to_date) on_commit(self, message.commit);
}

// zab.md 1.10: the promise before ACK-E; the history, then currentEpoch, then ACK-LD, then ACKs.
// This order is the fix of ZOOKEEPER-3911, 4643, 4646 and 4685.
void Core::advance_following(Following& self) {
  const bool promised = !storing_ || ZABMQ_MUTANT(ack_e_before_promise);
  if (self.phase == Phase::discovery && self.epoch != Epoch::none && promised) {
    send(self.leader, AckEpoch{.epoch = self.epoch,
                               .promised = self.promised,
                               .current = identity_.current,
                               .history = history_.newest(epoch_entries_sent_max)});
    enter(self.phase, Phase::synchronization, "epoch " + to_string(self.epoch));
  }
  if (self.new_leader_at && !self.acked_leader && !storing_) {
    const bool logged = durable_ >= *self.new_leader_at || ZABMQ_MUTANT(ack_ld_before_history);
    const bool behind = identity_.current < self.epoch || self.replaced;
    const bool early =
        self.replaced ? ZABMQ_MUTANT(switch_before_tail) : ZABMQ_MUTANT(epoch_before_history);
    if (behind && (logged || early)) {
      Identity wanted = identity_;
      wanted.current = self.epoch;
      if (self.replaced) adopt_installed(self, wanted);
      store(wanted);
    } else if (logged) {
      send(self.leader, AckLeader{self.epoch});
      self.acked_leader = true;
      self.reported = *self.new_leader_at;  // what PROGRESS told of later records is said again
    }
  }
  const Zxid report = ZABMQ_MUTANT(ack_of_received) ? history_.last() : durable_;
  if (self.synchronizing && report > self.reported) {
    self.reported = report;
    if (self.acked_leader) {
      send(self.leader, Ack{report});
    } else {
      send(self.leader, Progress{report});
    }
  }
  if (ZABMQ_MUTANT(follower_delivers_uncommitted) && self.up_to_date) on_commit(self, durable_);
  if (self.marking && (!storing_ || ZABMQ_MUTANT(admitted_before_mark))) {
    self.marking = false;
    note(Event::Kind::admitted, self.leader, "this server is a voter again");
    send(self.leader, Admitted{identity_.incarnation});
  }
  if (self.up_to_date) deliver();
}

void Core::tick_following(Following& self) {
  if (now_ms_ > self.heard_at + options_.peer_timeout_ms) {
    if (self.phase == Phase::discovery) distrust(self.leader);
    return become_looking("the leader was silent for " + std::to_string(now_ms_ - self.heard_at) +
                          " ms");
  }
  if (self.phase == Phase::discovery && now_ms_ > self.phase_deadline) {
    distrust(self.leader);
    become_looking("no NEWEPOCH in time");
  }
}

// Nothing is lost or reordered in a session: a correct leader never sends this.
void Core::end_session(Following& self, const std::string& why) {
  note(Event::Kind::protocol_error, self.leader, why);
  become_looking(why);
}

}  // namespace zabmq::zab
