// Fingerprint: field by field; a field that is added to the core must be added here.
#include "sim/exhaustive/fingerprint.hpp"

#include <variant>

namespace zabmq::zab {

// The one place outside lib/zab that sees all of a Core.
struct CoreState {
  using Hasher = sim::exhaustive::Hasher;
  using Elections = sim::exhaustive::Elections;

  const Core& core;
  Hasher& hasher;
  Elections elections;

  void add_all();
  void add_role(const Looking& self);
  void add_role(const Leading& self);
  void add_role(const Following& self);
  void add_learner(const Learner& learner);

  // A moment of the past: still within the peer time-out, or not.
  bool fresh(std::uint64_t at) const { return core.now_ms_ <= at + core.options_.peer_timeout_ms; }
  // A moment that is waited for.
  bool passed(std::uint64_t at) const { return core.now_ms_ >= at; }
};

}  // namespace zabmq::zab

namespace zabmq::sim::exhaustive {
namespace {

template <class Enum>
std::uint8_t byte_of(Enum value) {
  return static_cast<std::uint8_t>(value);
}

void add_history(Hasher& hasher, const zab::History& history) {
  hasher.add(history.floor.zxid);
  hasher.add(history.floor.offset);
  hasher.add(history.floor.digest);
  hasher.add(history.ends.size());
  for (const zab::EpochEnd& end : history.ends) hasher.add(Zxid{end.epoch, end.last});
}

void add_handshake(Hasher& hasher, const zab::Handshake& handshake) {
  hasher.add(std::uint64_t{handshake.version_min});
  hasher.add(std::uint64_t{handshake.version_max});
  hasher.add(handshake.cluster);
  hasher.add(handshake.history);
  hasher.add(handshake.config_version);
  hasher.add(handshake.voter_set_hash);
}

void add_furthest(Hasher& hasher, const zab::Furthest& furthest) {
  hasher.add(furthest.incarnation);
  hasher.add(furthest.voter);
  hasher.add(furthest.accepted);
  hasher.add(furthest.current);
  hasher.add(furthest.durable);
}

struct Fields {
  Hasher& hasher;

  void operator()(const zab::Vote& m) const {
    add_handshake(hasher, m.handshake);
    hasher.add(m.leader);
    hasher.add(m.current_epoch);
    hasher.add(m.last);
    hasher.add(m.round);
    hasher.add_byte(byte_of(m.role));
    hasher.add_byte(byte_of(m.phase));
  }
  void operator()(const zab::StandingMessage& m) const {
    add_handshake(hasher, m.handshake);
    hasher.add_byte(byte_of(m.standing));
    hasher.add(m.leader);
    hasher.add(m.answer);
  }
  void operator()(const zab::CEpoch& m) const {
    add_handshake(hasher, m.handshake);
    hasher.add_byte(byte_of(m.standing));
    hasher.add(m.incarnation);
    hasher.add(m.accepted);
  }
  void operator()(const zab::AckEpoch& m) const {
    hasher.add(m.epoch);
    hasher.add(m.promised);
    hasher.add(m.current);
    add_history(hasher, m.history);
  }
  void operator()(const zab::Progress& m) const { hasher.add(m.durable); }
  void operator()(const zab::AckLeader& m) const { hasher.add(m.epoch); }
  void operator()(const zab::Ack& m) const { hasher.add(m.durable); }
  void operator()(const zab::Pong& m) const { hasher.add(m.number); }
  void operator()(const zab::Admitted& m) const { hasher.add(m.incarnation); }
  void operator()(const zab::NewEpoch& m) const {
    add_handshake(hasher, m.handshake);
    hasher.add(m.epoch);
    add_furthest(hasher, m.furthest);
  }
  void operator()(const zab::Diff& m) const {
    hasher.add(m.common);
    hasher.add(m.digest);
  }
  void operator()(const zab::Trunc& m) const {
    hasher.add(m.common);
    hasher.add(m.digest);
  }
  void operator()(const zab::Snap& m) const {
    hasher.add(m.floor.zxid);
    hasher.add(m.state);
  }
  void operator()(const zab::StateTaken& m) const { hasher.add(std::uint64_t{m.part}); }
  void operator()(const zab::Propose& m) const {
    hasher.add(m.commit);
    hasher.add(m.runs.size());
    for (const zab::Run& run : m.runs) {
      hasher.add(Zxid{run.epoch, run.first});
      hasher.add(run.last);
    }
  }
  void operator()(const zab::NewLeader& m) const { hasher.add(m.epoch); }
  void operator()(const zab::UpToDate& m) const {
    hasher.add(m.epoch);
    hasher.add(m.commit);
  }
  void operator()(const zab::Commit& m) const { hasher.add(m.commit); }
  void operator()(const zab::Ping& m) const {
    hasher.add(m.number);
    hasher.add(m.commit);
  }
  void operator()(const zab::EndQuestion& m) const { hasher.add(m.number); }
  void operator()(const zab::EndAnswer& m) const {
    hasher.add(m.number);
    hasher.add(m.offset);
    hasher.add(m.zxid);
  }
  // No publisher takes part in the search.
  void operator()(const zab::Forward& m) const { hasher.add(m.number); }
  void operator()(const zab::ForwardAnswer& m) const { hasher.add(m.number); }
};

}  // namespace

void add(Hasher& hasher, const zab::Identity& identity) {
  hasher.add_byte(byte_of(identity.standing));
  hasher.add(identity.cluster);
  hasher.add(identity.history);
  hasher.add(identity.incarnation);
  hasher.add(identity.accepted);
  hasher.add(identity.current);
}

void add(Hasher& hasher, const zab::Message& message) {
  hasher.add_byte(static_cast<std::uint8_t>(message.index()));
  std::visit(Fields{hasher}, message);
}

void add(Hasher& hasher, const zab::Core& core, Elections elections) {
  zab::CoreState{core, hasher, elections}.add_all();
}

}  // namespace zabmq::sim::exhaustive

namespace zabmq::zab {

using sim::exhaustive::add;

void CoreState::add_all() {
  hasher.add(core.self_);
  add(hasher, core.identity_);
  hasher.add(core.storing_);
  sim::exhaustive::add_history(hasher, core.history_);
  hasher.add(core.durable_);
  hasher.add(core.committed_);
  hasher.add(core.delivered_);
  hasher.add(core.disk_stuck_);
  hasher.add(core.stopped_);
  hasher.add(core.accepted_seen_);
  hasher.add(core.rewinding_to_);
  hasher.add(core.renounce_allowed_at_ == 0 || passed(core.renounce_allowed_at_));
  for (ServerId id : core.config_.voters()) hasher.add(core.trusted(id));
  hasher.add_byte(static_cast<std::uint8_t>(core.role_.index()));
  std::visit([this](const auto& role) { add_role(role); }, core.role_);
}

void CoreState::add_role(const Looking& self) {
  hasher.add(self.drained);
  hasher.add(self.round > 0);
  hasher.add(self.standings.size());
  for (const auto& [id, seen] : self.standings) {
    hasher.add(id);
    hasher.add(fresh(seen.at));
    add(hasher, Message{seen.message});
  }
  if (elections == Elections::free) return;
  hasher.add(core.round_);
  hasher.add(self.round);
  add(hasher, Message{self.vote});
  hasher.add(self.votes.size());
  for (const auto& [id, vote] : self.votes) {
    hasher.add(id);
    add(hasher, Message{vote});
  }
  hasher.add(self.established.size());
  for (const auto& [id, heard] : self.established) {
    hasher.add(id);
    hasher.add(fresh(heard.at));
    add(hasher, Message{heard.vote});
  }
  hasher.add(self.decide_at.has_value());
  hasher.add(self.elected_at.has_value());
  hasher.add(self.elected_at && fresh(*self.elected_at));
}

void CoreState::add_role(const Leading& self) {
  if (elections == Elections::real) {
    hasher.add(core.round_);
    hasher.add(self.round);
  }
  hasher.add_byte(static_cast<std::uint8_t>(self.phase));
  hasher.add(self.epoch);
  hasher.add(self.epoch_durable);
  hasher.add(self.current_durable);
  hasher.add(self.learners.size());
  for (const auto& [id, learner] : self.learners) {
    hasher.add(id);
    add_learner(learner);
  }
  hasher.add(self.cepochs.size());
  for (const auto& [id, epoch] : self.cepochs) {
    hasher.add(id);
    hasher.add(epoch);
  }
  hasher.add(self.acked_epoch.size());
  for (ServerId id : self.acked_epoch) hasher.add(id);
  hasher.add(self.initial_end);
  hasher.add(self.furthest.size());
  for (const auto& [id, furthest] : self.furthest) {
    hasher.add(id);
    sim::exhaustive::add_furthest(hasher, furthest);
  }
  hasher.add(self.ping_number);
  hasher.add(self.round_asked);
  hasher.add(self.round_running);
  hasher.add(self.round_ping);
  hasher.add(self.round_done);
}

void CoreState::add_learner(const Learner& learner) {
  hasher.add(learner.counts);
  hasher.add(learner.incarnation);
  hasher.add(learner.accepted);
  hasher.add(learner.admit_asked);
  sim::exhaustive::add_furthest(hasher, learner.before);
  hasher.add(learner.sent_new_epoch);
  hasher.add(learner.ack_epoch.has_value());
  if (learner.ack_epoch) add(hasher, Message{*learner.ack_epoch});
  hasher.add(learner.synchronizing);
  hasher.add(learner.cursor);
  hasher.add(learner.target);
  hasher.add(learner.sent_new_leader);
  hasher.add(learner.acked_leader);
  hasher.add(learner.sent_up_to_date);
  hasher.add(learner.durable);
  hasher.add(learner.told_commit);
  hasher.add(learner.ponged);
}

void CoreState::add_role(const Following& self) {
  if (elections == Elections::real) hasher.add(core.round_);
  hasher.add(self.leader);
  hasher.add_byte(static_cast<std::uint8_t>(self.phase));
  hasher.add(self.epoch);
  hasher.add(self.promised);
  hasher.add(self.synchronizing);
  hasher.add(self.new_leader_at);
  hasher.add(self.acked_leader);
  hasher.add(self.up_to_date);
  hasher.add(self.marking);
  hasher.add(self.reported);
  hasher.add(self.replaced.has_value());
  if (self.replaced) {
    sim::exhaustive::add_history(hasher, self.replaced->history);
    hasher.add(self.replaced->committed);
    hasher.add(self.replaced->state);
  }
}

}  // namespace zabmq::zab
