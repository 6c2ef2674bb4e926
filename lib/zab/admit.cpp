// Admit: how a wiped server becomes a voter again, and how an old copy of a directory is found out.
//
// A wiped server has forgotten what it promised and acknowledged, so being synchronized is not
// enough to count. admit(server, incarnation), committed in the leader's own epoch by a quorum that
// does not include it, is enough: whoever could still use its old promise of a later epoch needs a
// quorum, too, and the two quorums share another server, which has the admit and shows it.
#include <algorithm>

#include "zab/core.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {

// --- the leader's side ---

// After ACK-LD, once a session: a session that ends takes nothing back, the next one asks again.
void Core::ask_to_admit(Leading& self) {
  if (delivered_ < self.initial_end) return;
  for (auto& [id, learner] : self.learners) {
    if (learner.counts || !learner.acked_leader || learner.admit_asked || !config_.is_voter(id)) {
      continue;
    }
    learner.admit_asked = true;
    ready_.admit.push_back({id, learner.incarnation});
    if (ZABMQ_MUTANT(admit_by_itself)) learner.counts = true;
  }
}

// The mark is durable there: only from now on it counts, with all that it acknowledged in this
// session.
void Core::on_admitted(Leading& self, ServerId from, Learner& learner, const Admitted& message) {
  const bool early = ZABMQ_MUTANT(admitted_at_ack_ld) || ZABMQ_MUTANT(admit_by_itself);
  if ((learner.counts && !early) || !learner.sent_up_to_date || !config_.is_voter(from) ||
      message.incarnation != learner.incarnation) {
    return end_session(self, from, "ADMITTED out of place");
  }
  learner.counts = true;
  self.heard_at[from] = now_ms_;
  note(Event::Kind::admitted, from, "it was wiped, and counts in quorums again");
}

// A session has ended. What it said was durable when it said it, so the furthest is kept.
void Core::remember(Leading& self, ServerId id, const Learner& learner) {
  Furthest& known = self.furthest[id];
  if (known.incarnation != learner.incarnation)
    known = Furthest{.incarnation = learner.incarnation};
  known.voter |= learner.counts;
  known.accepted = std::max(known.accepted, learner.accepted);
  if (learner.ack_epoch) {
    known.accepted = std::max(known.accepted, learner.ack_epoch->epoch);
    known.current = std::max(known.current, learner.ack_epoch->current);
  }
  if (learner.acked_leader) {  // what PROGRESS told was as durable, but counts for nothing
    known.current = std::max(known.current, *self.epoch);
    known.durable = std::max(known.durable, learner.durable);
  }
}

// Only an established leader with a quorum of others says so: then these can admit the server again
// at once, and finding an old copy never stops a cluster that works.
Furthest Core::claim(const Leading& self, ServerId id, const Learner& learner) const {
  if (self.phase != Phase::broadcast || is_none(learner.before.incarnation)) return {};
  const bool quorum_of_others = config_.is_quorum([&](ServerId other) {
    if (other == id) return false;
    if (other == self_) return self.current_durable;
    const auto at = self.learners.find(other);
    return at != self.learners.end() && at->second.counts && at->second.acked_leader;
  });
  return quorum_of_others ? learner.before : Furthest{};
}

// --- the wiped server's side ---

// Delivered while following the epoch in which it was proposed, and so committed there by counting.
// An admit of an older epoch, or one that recovery or another leader brings, says nothing about
// what this server has promised since.
void Core::delivered_admit(Zxid zxid, const Admit& admit) {
  if (stopped_ || admit.server != self_) return;
  if (admit.incarnation != identity_.incarnation && !ZABMQ_MUTANT(admit_of_older_life)) return;
  auto* self = std::get_if<Following>(&role_);
  if (!self || !self->up_to_date) return;
  if (zxid.epoch != self->epoch && !ZABMQ_MUTANT(admit_of_older_epoch)) return;
  if (identity_.standing != Standing::wiped) return;
  ZABMQ_CHECK(zxid <= delivered_);
  Identity wanted = identity_;
  wanted.standing = Standing::voter;
  store(wanted);
  self->marking = true;
}

// Asked when nothing is being stored or written: memory is the disk. All of it was said by this
// directory itself, and none of it may go back: nobody but the leader of an epoch that was promised
// cuts a history, and the leader that claims this has everything it was acknowledged.
bool Core::is_old_copy(const Furthest& furthest) const {
  if (is_none(furthest.incarnation) || furthest.incarnation != identity_.incarnation) return false;
  if (ZABMQ_MUTANT(old_copy_unnoticed)) return false;
  return (furthest.voter && identity_.standing != Standing::voter) ||
         furthest.accepted > identity_.accepted || furthest.current > identity_.current ||
         furthest.durable > history_.last();
}

// Its newer promises are as forgotten as those of an empty directory. The fresh incarnation makes
// worthless every admit of the old one.
void Core::become_wiped(Following& self, const Furthest& furthest) {
  ZABMQ_CHECK(!is_none(fresh_ids_.incarnation));
  note(Event::Kind::alarm, self.leader,
       "this directory is an old copy, or its disk has lost what it had synced: acceptedEpoch " +
           to_string(identity_.accepted) + ", currentEpoch " + to_string(identity_.current) +
           ", end " + to_string(history_.last()) + ", and the leader has seen " +
           to_string(furthest.accepted) + ", " + to_string(furthest.current) + ", " +
           to_string(furthest.durable) + "; from now on it counts nowhere until it is admitted");
  Identity wanted = identity_;
  wanted.standing = Standing::wiped;
  wanted.incarnation = fresh_ids_.incarnation;
  store(wanted);
  become_looking("this directory is an old copy");
}

}  // namespace zabmq::zab
