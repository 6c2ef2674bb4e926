// Core: inputs, transitions between roles, and what every role shares.
#include "zab/core.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {
namespace {

std::string describe(const Handshake& h) {
  return "versions " + std::to_string(h.version_min) + ".." + std::to_string(h.version_max) +
         ", cluster " + to_string(h.cluster) + ", history " + to_string(h.history) + ", config " +
         std::to_string(h.config_version) + ", voter set " + std::to_string(h.voter_set_hash);
}

}  // namespace

Core::Core(ServerId self, Config config, Options options, Identity identity, History history,
           Zxid delivered, FreshIds ids)
    : self_(self),
      config_(std::move(config)),
      options_(options),
      fresh_ids_(ids),
      identity_(identity),
      standing_(identity.standing),
      history_(std::move(history)),
      durable_(history_.last()),
      committed_(delivered),
      delivered_(delivered),
      accepted_seen_(identity.accepted),
      role_(Looking{}) {
  ZABMQ_CHECK(history_.valid());
  ZABMQ_CHECK(history_.contains(delivered));
  std::get<Looking>(role_).drained = true;
  // The log may be ahead of currentEpoch (a crash between "history durable" and "currentEpoch
  // durable"), but never ahead of acceptedEpoch: zab.md 1.2.
  if (identity.current > identity.accepted || history_.last().epoch > identity.accepted) {
    stop("the history ends at " + to_string(history_.last()) + " but the identity record has " +
         "acceptedEpoch " + to_string(identity.accepted) + " and currentEpoch " +
         to_string(identity.current) + ": they are not of one server's life");
  }
}

// --- inputs ---

void Core::receive(ServerId from, const Message& message) {
  if (stopped_ || !ticked_) return;
  if (const auto* standing = std::get_if<StandingMessage>(&message)) {
    on_standing(from, *standing);
  } else if (auto* looking = std::get_if<Looking>(&role_)) {
    step_looking(*looking, from, message);
  } else if (auto* leading = std::get_if<Leading>(&role_)) {
    step_leading(*leading, from, message);
  } else {
    step_following(std::get<Following>(role_), from, message);
  }
  advance();
}

void Core::tick(std::uint64_t now_ms, bool disk_stuck) {
  if (stopped_) return;
  const bool paused = ticked_ && now_ms > now_ms_ + options_.peer_timeout_ms;
  const std::uint64_t pause_ms = now_ms - now_ms_;
  now_ms_ = now_ms;
  ticked_ = true;
  disk_stuck_ = disk_stuck;
  if (paused && role() != Role::looking && !ZABMQ_MUTANT(zombie_leader)) {
    // The others may have elected somebody else meanwhile; nothing we believe is worth answering.
    become_looking("this server was paused for " + std::to_string(pause_ms) + " ms");
  }
  if (auto* looking = std::get_if<Looking>(&role_)) {
    tick_looking(*looking);
  } else if (auto* leading = std::get_if<Leading>(&role_)) {
    tick_leading(*leading);
  } else {
    tick_following(std::get<Following>(role_));
  }
  advance();
}

std::optional<Zxid> Core::propose() {
  if (!leading_in_broadcast()) return std::nullopt;
  const Epoch epoch = *std::get<Leading>(role_).epoch;
  const Zxid last = history_.last();
  const Zxid zxid{epoch, last.epoch == epoch ? last.counter + 1 : 1};
  history_.append({epoch, zxid.counter, zxid.counter});
  return zxid;
}

std::optional<std::uint64_t> Core::ask_quorum() {
  if (!leading_in_broadcast()) return std::nullopt;
  auto& self = std::get<Leading>(role_);
  const std::uint64_t ticket = ++self.round_asked;
  advance();
  return ticket;
}

void Core::progressed(ServerId learner) {
  auto* leading = std::get_if<Leading>(&role_);
  if (!leading || !leading->learners.contains(learner)) return;
  leading->learners.at(learner).heard_at = now_ms_;
  leading->learners.at(learner).progress_at = now_ms_;
}

void Core::session_lost(ServerId peer) {
  if (stopped_) return;
  if (auto* leading = std::get_if<Leading>(&role_)) {
    if (leading->learners.contains(peer)) forget_learner(*leading, peer, "session lost");
  } else if (auto* following = std::get_if<Following>(&role_)) {
    if (following->leader == peer) become_looking("the session with the leader was lost");
  }
  advance();
}

// --- completions ---

void Core::durable(Zxid up_to) {
  if (stopped_ || !taking_part()) return;  // drained() will tell what is
  ZABMQ_CHECK(up_to <= history_.last());
  durable_ = std::max(durable_, up_to);
  advance();
}

void Core::stored() {
  ZABMQ_CHECK(storing_);
  storing_ = false;
  standing_ = identity_.standing;
  if (stopped_) return;
  advance();
}

void Core::raise_floor(const Floor& floor) {
  if (stopped_) return;
  ZABMQ_CHECK(floor.zxid <= delivered_);
  history_.raise_floor(floor);
}

void Core::rewound(bool matched) {
  ZABMQ_CHECK(rewinding_to_);
  const Zxid to = *std::exchange(rewinding_to_, std::nullopt);
  if (stopped_) return;
  if (matched) {
    history_.truncate_after(to);
    durable_ = std::min(durable_, to);
  }
  if (auto* self = std::get_if<Following>(&role_)) {
    if (matched) {
      self->synchronizing = true;
      self->reported = to;
    } else {
      // Equal zxids with different contents: a damaged disk or a bug. SNAP would be the way out.
      note(Event::Kind::alarm, self->leader,
           "the chain digest at " + to_string(to) + " differs from the leader's");
      distrust(self->leader);
      become_looking("the history differs from the leader's at " + to_string(to));
    }
  }
  advance();
}

void Core::drained(Zxid durable_end) {
  if (stopped_) return;
  auto* self = std::get_if<Looking>(&role_);
  ZABMQ_CHECK(self && !self->drained);
  rewinding_to_.reset();
  history_.truncate_after(durable_end);
  durable_ = durable_end;
  committed_ = std::min(committed_, durable_end);
  ZABMQ_CHECK(delivered_ <= durable_end);
  self->drained = true;
  advance();
}

Ready Core::take_ready() {
  if (auto* self = std::get_if<Leading>(&role_); self && !stopped_) feed_learners(*self);
  return std::exchange(ready_, Ready{});
}

// --- state ---

Role Core::role() const {
  if (std::holds_alternative<Leading>(role_)) return Role::leading;
  if (std::holds_alternative<Following>(role_)) return Role::following;
  return Role::looking;
}

Phase Core::phase() const {
  if (const auto* leading = std::get_if<Leading>(&role_)) return leading->phase;
  if (const auto* following = std::get_if<Following>(&role_)) return following->phase;
  return Phase::election;
}

ServerId Core::leader() const {
  if (std::holds_alternative<Leading>(role_)) return self_;
  if (const auto* following = std::get_if<Following>(&role_)) return following->leader;
  return ServerId::none;
}

bool Core::leading_in_broadcast() const {
  const auto* leading = std::get_if<Leading>(&role_);
  return leading && leading->phase == Phase::broadcast && !stopped_;
}

Zxid Core::initial_end() const {
  const auto* leading = std::get_if<Leading>(&role_);
  return leading ? leading->initial_end : Zxid{};
}

bool Core::taking_part() const {
  const auto* looking = std::get_if<Looking>(&role_);
  return !stopped_ && (!looking || looking->drained);
}

// --- transitions ---

void Core::become_looking(const std::string& why) {
  if (const auto* leading = std::get_if<Leading>(&role_)) {
    for (const auto& [id, learner] : leading->learners) close_session(id);
  } else if (auto* following = std::get_if<Following>(&role_)) {
    close_session(following->leader);
    if (following->replaced) take_back(*following);
  }
  const Role old = role();
  role_ = Looking{};
  ready_.drain = true;
  note(Event::Kind::role_changed, ServerId::none,
       std::string(to_string(old)) + "..looking (" + why + ")");
}

// The installation is given up: the old history stands, all of it durable. Commit points heard
// since are of the other one: the old one may end in a tail that was never committed (found by seed
// 596).
void Core::take_back(Following& self) {
  history_ = std::move(self.replaced->history);
  durable_ = history_.last();
  committed_ = self.replaced->committed;
  rewinding_to_.reset();
}

void Core::become_leading() {
  Leading self;
  self.round = round_;
  self.phase_deadline = now_ms_ + options_.discovery_timeout_ms;
  self.ping_at = now_ms_;
  self.cepochs[self_] = identity_.accepted;
  self.heard_at[self_] = now_ms_;
  role_ = std::move(self);
  note(Event::Kind::role_changed, self_,
       "looking..leader (elected in round " + std::to_string(round_) + ")");
  to_other_voters(current_vote());
}

void Core::become_following(ServerId leader, const std::string& why) {
  ZABMQ_CHECK(leader != self_);
  Following self;
  self.leader = leader;
  self.heard_at = now_ms_;
  self.phase_deadline = now_ms_ + options_.discovery_timeout_ms;
  role_ = std::move(self);
  note(Event::Kind::role_changed, leader,
       "looking..follower of " + to_string(leader) + " (" + why + ")");
  ready_.outputs.push_back(OpenSession{leader});
  send(leader, CEpoch{.handshake = handshake(),
                      .standing = identity_.standing,
                      .incarnation = identity_.incarnation,
                      .accepted = identity_.accepted});
}

void Core::enter(Phase& phase, Phase next_phase, const std::string& why) {
  note(
      Event::Kind::phase_changed, ServerId::none,
      std::string(to_string(phase)) + ".." + std::string(to_string(next_phase)) + " (" + why + ")");
  phase = next_phase;
}

// Level-triggered: looks at the state, not at what just happened, so that completions may come in
// any order and between any two steps.
void Core::advance() {
  if (stopped_ || !ticked_) return;
  if (auto* looking = std::get_if<Looking>(&role_)) {
    if (!looking->drained || storing_) return;
    if (identity_.standing != Standing::voter) {
      advance_founding(*looking);
    } else if (looking->round == 0) {
      begin_election(*looking);
    }
  } else if (auto* leading = std::get_if<Leading>(&role_)) {
    advance_leading(*leading);
  } else {
    advance_following(std::get<Following>(role_));
  }
}

void Core::store(const Identity& wanted) {
  ZABMQ_CHECK(!storing_);
  ZABMQ_CHECK(wanted.current <= wanted.accepted);
  ZABMQ_CHECK(wanted.generation >= identity_.generation);
  ZABMQ_CHECK(wanted.accepted >= identity_.accepted && wanted.current >= identity_.current);
  identity_ = wanted;
  storing_ = true;
  ready_.store = wanted;
}

void Core::send(ServerId to, Message message) {
  ready_.outputs.push_back(Send{to, std::move(message)});
}

void Core::to_other_voters(const Message& message) {
  for (ServerId id : config_.voters()) {
    if (id != self_) send(id, message);
  }
}

void Core::close_session(ServerId peer) {
  ready_.outputs.push_back(CloseSession{peer});
}

void Core::drop(ServerId from, const Message& message, const std::string& why) {
  note(Event::Kind::dropped, from, std::string(name_of(message)) + ": " + why);
}

void Core::note(Event::Kind kind, ServerId peer, std::string text) {
  ready_.events.push_back({kind, peer, std::move(text)});
}

void Core::stop(const std::string& why) {
  stopped_ = true;
  ready_.fatal = why;
}

// Delivered = committed, and durable on this server; only once the role has confirmed the history.
void Core::deliver() {
  const Zxid up_to =
      ZABMQ_MUTANT(delivered_before_durable) ? committed_ : std::min(committed_, durable_);
  if (up_to <= delivered_) return;
  delivered_ = up_to;
  ready_.deliver_up_to = up_to;
}

void Core::distrust(ServerId peer) {
  distrusted_until_[peer] = now_ms_ + options_.discovery_timeout_ms;
}

bool Core::trusted(ServerId peer) const {
  const auto at = distrusted_until_.find(peer);
  return at == distrusted_until_.end() || now_ms_ >= at->second;
}

Handshake Core::handshake() const {
  Handshake mine;
  mine.cluster = identity_.cluster;
  mine.history = identity_.history;
  mine.voter_set_hash = config_.voter_set_hash();
  return mine;
}

bool Core::accepts(ServerId from, const Handshake& theirs) {
  const Handshake mine = handshake();
  const bool version =
      theirs.version_min <= mine.version_max && mine.version_min <= theirs.version_max;
  if (version && theirs.cluster == mine.cluster && theirs.history == mine.history &&
      theirs.config_version == mine.config_version &&
      theirs.voter_set_hash == mine.voter_set_hash) {
    return true;
  }
  note(Event::Kind::refused_peer, from,
       "server " + to_string(from) + " has " + describe(theirs) + "; this server has " +
           describe(mine));
  return false;
}

}  // namespace zabmq::zab
