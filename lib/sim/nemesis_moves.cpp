// Nemesis: faults that wait for their moment, or take several steps.
#include "sim/nemesis.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace zabmq::sim {
namespace {

constexpr std::uint32_t slow_clock = 200;  // per thousand

}  // namespace

// --- power ---

// In most cases it waits until there is something to lose: a server spends little of its time
// between a write and its sync. Where that does not happen, a power failure would be one more kill.
void Nemesis::take_power(Fault fault, Server& server) {
  const bool all = fault == Fault::kill_all;
  const bool entries = random_.coin();
  if (random_.chance(100'000)) return cut_power(all ? nullptr : &server, entries);
  if (aims_.size() == aims_max) return;
  const Micros until = at_.timeline.now() + random_.about(4 * second);
  Server* const only = all || random_.chance(700'000) ? nullptr : &server;
  const std::size_t victims = all ? random_.between(1, (at_.servers.size() + 1) / 2) : 1;
  aims_.push_back({all, only, entries, 1 + random_.below(2), victims, random_.below(20), until});
}

void Nemesis::watch_aims() {
  const Micros now = at_.timeline.now();
  std::erase_if(aims_, [now](const Aim& aim) { return now >= aim.until; });
  for (auto aim = aims_.begin(); aim != aims_.end(); ++aim) {
    Server* const found = victim_of(*aim);
    if (!found || aim->skip-- > 0) continue;
    const Aim met = *aim;
    aims_.erase(aim);
    return cut_power(met.all ? nullptr : found, met.entries);
  }
}

// Null: there are not as many with something to lose as it wants.
Server* Nemesis::victim_of(const Aim& aim) {
  Server* found = nullptr;
  std::size_t victims = 0;
  for (auto& server : at_.servers) {
    if (!server->up() || (aim.only && aim.only != server.get())) continue;
    const MemoryDisk& disk = server->disk();
    const bool something = aim.entries ? disk.directory_changes() >= aim.changes : disk.dirty();
    if (!something) continue;
    ++victims;
    if (!found || random_.coin()) found = server.get();
  }
  return victims < aim.victims ? nullptr : found;
}

// Of one server, or of all: then some only die.
void Nemesis::cut_power(Server* server, bool entries) {
  if (server) return cut_power(*server, entries, Fault::kill);
  for (auto& each : at_.servers) {
    if (each->up()) each->hit(Fault::kill_all);
    if (random_.chance(250'000)) {
      each->kill();
    } else {
      cut_power(*each, entries, std::nullopt);
    }
  }
}

// Booked as what it was: a power failure that took nothing is a kill.
void Nemesis::cut_power(Server& server, bool entries, std::optional<Fault> nothing_lost) {
  const ServerState state = server.state();
  const MemoryDisk::Loss loss = server.lose_power(entries);
  if (loss.bytes) server.hit(Fault::power_loss, state);
  if (loss.entries) server.hit(Fault::lost_entry, state);
  if (!loss.bytes && !loss.entries && nothing_lost && state != ServerState::down) {
    server.hit(*nothing_lost, state);
  }
}

// --- an uncommitted tail ---

void Nemesis::begin_tail() {
  Server* const leading = leader();
  if (tail_ || !leading || !leading->replica()->core().leading_in_broadcast()) return;
  const Micros until = at_.timeline.now() + second;
  cut_off(*leading, until);
  const Epoch epoch = leading->replica()->core().identity().current;
  tail_ = {leading, epoch, until, Tail::Stage::cut_off, random_.below(40)};
}

bool Nemesis::held_down(const Server& server) const {
  return tail_ && tail_->server == &server && tail_->stage == Tail::Stage::down;
}

void Nemesis::watch_tail() {
  Server& server = *tail_->server;
  const Micros now = at_.timeline.now();
  if (now >= tail_->until) return tail_.reset();  // the operator starts it, if nobody else does
  switch (tail_->stage) {
    case Tail::Stage::cut_off: {
      if (!server.replica()) return tail_.reset();
      const zab::Core& core = server.replica()->core();
      if (core.last_durable() <= core.last_committed()) return;
      server.hit(Fault::uncommitted_tail);
      server.kill();
      tail_->stage = Tail::Stage::down;
      tail_->until = now + 10 * second;
      for (auto& other : at_.servers) {
        if (other.get() == &server) continue;
        at_.peers.cut(server.id(), other->id(), PeerNetwork::Cut::none);
        at_.peers.cut(other->id(), server.id(), PeerNetwork::Cut::none);
      }
      return;
    }
    case Tail::Stage::down: {
      const Server* other = leader();
      if (!other || !other->replica()->core().leading_in_broadcast()) return;
      if (other->replica()->core().identity().current <= tail_->epoch) return;
      tail_->stage = Tail::Stage::back;
      tail_->until = now + 5 * second;
      if (!server.up()) server.start();
      return;
    }
    case Tail::Stage::back:
      if (server.state() != ServerState::sync_trunc || tail_->skip-- > 0) return;
      tail_.reset();
      return strike_truncation(server);
  }
}

// While it is being cut, or a little later.
void Nemesis::strike_truncation(Server& server) {
  static constexpr Fault choices[] = {Fault::kill,        Fault::pause,        Fault::sync_error,
                                      Fault::write_error, Fault::create_error, Fault::slow_disk};
  const std::uint64_t chosen = random_.below(std::size(choices) + 2);
  if (chosen < std::size(choices)) return strike_server(choices[chosen], server);
  cut_power(&server, chosen == std::size(choices));
}

// --- a leader that does not know that it was deposed ---

// With a slow clock it takes itself for the leader long after that.
void Nemesis::begin_deposed() {
  Server* const leading = leader();
  if (deposed_ || tail_ || !leading || !leading->replica()->core().leading_in_broadcast()) return;
  if (at_.servers.size() < 3) return;
  const Micros until = at_.timeline.now() + random_.between(4, 12) * second;
  quiet_at_ = std::max(quiet_at_, until);
  cut_off(*leading, until);
  leading->set_clock_rate(slow_clock);
  at_.clients.shut_out(leading->id(), until);
  deposed_ = {leading, leading->replica()->core().identity().current, until};
}

void Nemesis::watch_deposed() {
  Server& server = *deposed_->server;
  const Micros now = at_.timeline.now();
  const replica::Replica* replica = server.replica();
  const bool leads = replica && replica->core().leading_in_broadcast() &&
                     replica->core().identity().current == deposed_->epoch;
  if (!leads || now >= deposed_->until) return end_deposed();
  if (deposed_->turns_at == 0) {
    if (at_.invariants.last_committed().epoch <= deposed_->epoch) return;
    deposed_->turns_at = now + random_.about(second);
    for (auto& publisher : at_.publishers) {
      if (!random_.coin()) continue;
      at_.hits.add(Fault::client_restart, ServerState::client);
      publisher->restart();
    }
  }
  if (deposed_->turned || now < deposed_->turns_at) return;
  deposed_->turned = true;
  server.hit(Fault::deposed_leader);
  at_.clients.let_in(server.id());
  for (auto& other : at_.servers) {
    if (other.get() != &server) at_.clients.shut_out(other->id(), deposed_->until);
  }
}

void Nemesis::end_deposed() {
  deposed_->server->set_clock_rate(1000);
  for (auto& server : at_.servers) at_.clients.let_in(server->id());
  deposed_.reset();
}

// --- an old copy of a disk ---

// The first time a copy is made; the next time, when nothing else is wrong, it is put back.
void Nemesis::strike_old_disk(Server& server) {
  if (!server.replica() || tail_) return;
  const auto copy = copies_.find(server.id());
  if (copy == copies_.end()) {
    const zab::Core& core = server.replica()->core();
    // A damaged one would be damage that nobody knows of when it is back (seed 1795666820606).
    const bool damaged = at_.invariants.is_damaged(server.id());
    if (damaged || core.identity().standing != zab::Standing::voter) return;
    Copy made{{}, core.identity().incarnation, core.last_logged(), core.identity().accepted};
    say("a copy of server " + to_string(server.id()) + "'s directory is made");
    server.kill();
    made.disk = server.disk().state();
    copies_[server.id()] = std::move(made);
    return plan_start(server, 100 * millisecond);
  }
  Server* leading = leader();
  if (!leading || leading == &server || at_.timeline.now() < quiet_at_ + second) return;
  if (!may_damage(server) || !leader_knows_better(*leading, server)) return;
  server.hit(Fault::old_disk);
  server.kill();
  server.replace_disk(copy->second.disk);
  copies_.erase(server.id());
  old_copy_ = {&server, leading, leading->replica()->core().identity().current};
  plan_start(server, 100 * millisecond);
}

// Established, with everybody else behind it, and it has heard more of this server than the copy
// holds.
bool Nemesis::leader_knows_better(const Server& leading, const Server& server) const {
  const zab::Core& core = leading.replica()->core();
  if (!core.leading_in_broadcast()) return false;
  for (const auto& other : at_.servers) {
    if (!other->replica() || other->replica()->core().phase() != Phase::broadcast) return false;
    if (at_.invariants.standing(other->id()) != zab::Standing::voter) return false;
  }
  const auto& learners = std::get<zab::Leading>(core.role_state()).learners;
  const auto learner = learners.find(server.id());
  const Copy& copy = copies_.at(server.id());
  return learner != learners.end() && learner->second.acked_leader &&
         learner->second.incarnation == copy.incarnation && learner->second.durable > copy.last;
}

// An old copy is excused as long as it can be found out and nothing can be decided with its help: a
// quorum without it, and without this server, follows the leader that knows better. Both sides must
// see it so: a follower that the leader has lost helps nobody to find it out (seed 1795646611577).
bool Nemesis::excused_without(const Server* lost) const {
  const replica::Replica* leading = old_copy_->leader->replica();
  if (!leading || !leading->core().leading_in_broadcast()) return false;
  if (leading->core().identity().current != old_copy_->epoch) return false;
  const auto& learners = std::get<zab::Leading>(leading->core().role_state()).learners;
  std::size_t following = 0;
  for (const auto& server : at_.servers) {
    if (server.get() == old_copy_->server || server.get() == lost || !server->replica()) continue;
    const zab::Core& core = server->replica()->core();
    const auto learner = learners.find(server->id());
    const bool heard =
        server.get() == old_copy_->leader ||
        (learner != learners.end() && learner->second.counts && learner->second.acked_leader);
    const bool same = core.identity().current == old_copy_->epoch;
    if (heard && same && core.role() != Role::looking && core.phase() == Phase::broadcast)
      ++following;
  }
  return following > at_.servers.size() / 2;
}

bool Nemesis::may_strike(Fault fault, const Server& server) const {
  if (!old_copy_ || fault == Fault::clock_jump || &server == old_copy_->server) return true;
  return &server != old_copy_->leader && excused_without(&server);
}

void Nemesis::watch_old_copy() {
  Server& server = *old_copy_->server;
  if (at_.invariants.standing(server.id()) == zab::Standing::wiped) {
    ++old_copies_found_;
    return old_copy_.reset();
  }
  if (excused_without(nullptr)) return;
  old_copy_.reset();
  server.kill();
  wipe(server);
}

}  // namespace zabmq::sim
