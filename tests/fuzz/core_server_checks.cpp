// CoreServer: what must hold against arbitrary peers. (What needs honest ones, agreement above all,
// is for the simulator.)
#include <algorithm>

#include "core_server.hpp"
#include "zabmq/check.hpp"

namespace zabmq::fuzz {

// The promise and the history before currentEpoch; nothing ever goes back.
void CoreServer::check_store(const zab::Identity& wanted) const {
  const zab::Identity& now = disk_.identity();
  ZABMQ_CHECK(!disk_.storing());
  ZABMQ_CHECK(wanted.accepted >= now.accepted && wanted.current >= now.current);
  ZABMQ_CHECK(wanted.current <= wanted.accepted);
  check_standing(wanted);
  if (wanted.current == now.current) return;
  ZABMQ_CHECK(now.accepted == wanted.current);
  if (core_->role() == Role::leading) {
    ZABMQ_CHECK(disk_.durable_end() == disk_.last());
  } else {
    ZABMQ_CHECK(core_->role() == Role::following && new_leader_at_);
    ZABMQ_CHECK(disk_.durable_end() >= *new_leader_at_);
  }
}

// A voter is wiped only as somebody new, a wiped server admitted only by its own admit.
void CoreServer::check_standing(const zab::Identity& wanted) const {
  const zab::Identity& now = disk_.identity();
  if (wanted.standing != zab::Standing::wiped) ZABMQ_CHECK(wanted.incarnation == now.incarnation);
  if (now.standing == zab::Standing::voter && wanted.standing != zab::Standing::voter) {
    ZABMQ_CHECK(wanted.standing == zab::Standing::wiped);
    ZABMQ_CHECK(wanted.incarnation != now.incarnation);
  }
  if (now.standing == zab::Standing::empty) ZABMQ_CHECK(wanted.standing != zab::Standing::voter);
  if (now.standing == zab::Standing::wiped && wanted.standing != zab::Standing::wiped) {
    ZABMQ_CHECK(wanted.standing == zab::Standing::voter);
    ZABMQ_CHECK(admitted_in_.contains(now.accepted));
  }
}

void CoreServer::check_sent(ServerId to, const zab::Message& message) {
  const zab::Identity& disk = disk_.identity();
  if (const auto* vote = std::get_if<zab::Vote>(&message)) {
    check_vote(*vote);
  } else if (const auto* standing = std::get_if<zab::StandingMessage>(&message)) {
    ZABMQ_CHECK(standing->standing == disk.standing);
    ZABMQ_CHECK(standing->handshake.cluster == disk.cluster);
  } else if (const auto* cepoch = std::get_if<zab::CEpoch>(&message)) {
    ZABMQ_CHECK(core_->leader() == to);
    ZABMQ_CHECK(cepoch->accepted == disk.accepted && cepoch->standing == disk.standing);
  } else if (const auto* new_epoch = std::get_if<zab::NewEpoch>(&message)) {
    ZABMQ_CHECK(new_epoch->epoch == disk.accepted);
    ZABMQ_CHECK(leaving_ || core_->role() == Role::leading);
  } else if (const auto* ack_epoch = std::get_if<zab::AckEpoch>(&message)) {
    check_promise(*ack_epoch);
  } else if (const auto* ack_leader = std::get_if<zab::AckLeader>(&message)) {
    ZABMQ_CHECK(disk.current == ack_leader->epoch && disk.accepted == ack_leader->epoch);
    ZABMQ_CHECK(new_leader_at_ && disk_.durable_end() >= *new_leader_at_);
    acked_leader_ = true;
  } else if (const auto* ack = std::get_if<zab::Ack>(&message)) {
    ZABMQ_CHECK(acked_leader_ && disk_.is_durable(ack->durable));
  } else if (const auto* progress = std::get_if<zab::Progress>(&message)) {
    ZABMQ_CHECK(!acked_leader_ && disk_.is_durable(progress->durable));
  } else if (const auto* admitted = std::get_if<zab::Admitted>(&message)) {
    ZABMQ_CHECK(disk.standing == zab::Standing::voter);
    ZABMQ_CHECK(disk.incarnation == admitted->incarnation);
  } else if (const auto* commit = std::get_if<zab::Commit>(&message)) {
    check_commit_point(commit->commit);
  } else if (const auto* up_to_date = std::get_if<zab::UpToDate>(&message)) {
    check_commit_point(up_to_date->commit);
  } else if (const auto* ping = std::get_if<zab::Ping>(&message)) {
    check_commit_point(ping->commit);
  }
}

void CoreServer::check_vote(const zab::Vote& vote) const {
  ZABMQ_CHECK(disk_.identity().standing == zab::Standing::voter);
  if (vote.leader != self_ || vote.role != Role::looking) return;
  ZABMQ_CHECK(vote.last == disk_.durable_end() && vote.last == disk_.last());
  ZABMQ_CHECK(vote.current_epoch == disk_.identity().current);
}

// A promise counts once in a server's whole life.
void CoreServer::check_promise(const zab::AckEpoch& message) {
  const zab::Identity& disk = disk_.identity();
  ZABMQ_CHECK(disk.accepted == message.epoch && disk.current == message.current);
  ZABMQ_CHECK(message.history.last() == disk_.durable_end());
  ZABMQ_CHECK(message.history.valid());
  if (message.promised) ZABMQ_CHECK(promised_.insert(message.epoch).second);
}

// (A leader that steps down has said it before, and drops what is not on its own disk.)
void CoreServer::check_commit_point(Zxid commit) const {
  ZABMQ_CHECK(commit <= core_->last_committed());
  if (leaving_) return;
  ZABMQ_CHECK(core_->role() == Role::leading);
  ZABMQ_CHECK(disk_.contains(commit));
}

void CoreServer::check_state() {
  check_identity();
  check_ladder();
  check_bounds();
}

void CoreServer::check_identity() {
  const zab::Identity& now = disk_.identity();
  ZABMQ_CHECK(now.accepted >= durable_.accepted && now.current >= durable_.current);
  ZABMQ_CHECK(now.current <= now.accepted);
  ZABMQ_CHECK(disk_.records().empty() || disk_.durable_end().epoch <= now.accepted);
  // Ids are taken once.
  if (!is_none(durable_.cluster) && durable_.standing != zab::Standing::empty) {
    ZABMQ_CHECK(now.cluster == durable_.cluster && now.history == durable_.history);
  }
  ZABMQ_CHECK((now.standing == zab::Standing::empty) == is_none(now.cluster));
  const auto member = [](zab::Standing s) {
    return s == zab::Standing::voter || s == zab::Standing::wiped;
  };
  ZABMQ_CHECK(member(now.standing) || !member(durable_.standing));
  durable_ = now;
}

void CoreServer::check_ladder() {
  const zab::Core& core = *core_;
  ZABMQ_CHECK(core.history().valid());
  ZABMQ_CHECK(core.last_delivered() == delivered_);
  ZABMQ_CHECK(core.last_delivered() <= core.last_committed());
  if (!core.taking_part()) return;  // what is being drained is not known yet
  ZABMQ_CHECK(core.last_durable() <= disk_.durable_end());
  ZABMQ_CHECK(core.history().contains(core.last_committed()));
  if (!disk_.log_busy()) {
    ZABMQ_CHECK(core.history() == zab::test::history_of(disk_.floor(), disk_.records()));
  }
  if (core.role() == Role::following) {
    ZABMQ_CHECK(core.last_committed() <= std::max(committed_, told_commit_));
  }
  const bool established = core.leading_in_broadcast();
  if (established &&
      !established_) {  // NEWLEADER has a quorum, this server only when it is durable
    ZABMQ_CHECK(config_.is_quorum([&](ServerId id) {
      if (id == self_) return disk_.identity().current == disk_.identity().accepted;
      return claims_synchronized_.contains(id);
    }));
  }
  established_ = established;
  if (established) {
    ZABMQ_CHECK(core.last_committed() >= core.initial_end());
    if (core.last_committed() > committed_) check_counted(core.last_committed());
  }
  committed_ = core.last_committed();
}

// Committed by counting: a quorum of voters claimed to have it, this one only when it has.
void CoreServer::check_counted(Zxid committed) const {
  if (committed.epoch != disk_.identity().accepted) return;
  ZABMQ_CHECK(config_.is_quorum([&](ServerId id) {
    if (id == self_) {
      return disk_.durable_end() >= committed && disk_.identity().current == committed.epoch;
    }
    const auto claimed = acked_.find(id);
    return claimed != acked_.end() && claimed->second >= committed;
  }));
}

// Whatever is said, and by whom: state is at most one entry for each server.
void CoreServer::check_bounds() const {
  const std::size_t servers = config_.voters().size();
  ZABMQ_CHECK(core_->history().ends.size() <= disk_.records().size() + 1 || !core_->taking_part());
  if (const auto* looking = std::get_if<zab::Looking>(&core_->role_state())) {
    ZABMQ_CHECK(looking->votes.size() <= servers && looking->established.size() <= servers);
    ZABMQ_CHECK(looking->standings.size() <= servers);
  } else if (const auto* leading = std::get_if<zab::Leading>(&core_->role_state())) {
    ZABMQ_CHECK(leading->learners.size() <= servers && leading->cepochs.size() <= servers);
    ZABMQ_CHECK(leading->acked_epoch.size() <= servers && leading->heard_at.size() <= servers);
    ZABMQ_CHECK(leading->furthest.size() <= servers);
    for (const auto& [id, learner] : leading->learners) {
      ZABMQ_CHECK(!learner.counts || claims_to_count_.contains(id));
    }
  }
}

}  // namespace zabmq::fuzz
