// Nemesis: one fault after another.
#include "sim/nemesis.hpp"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <string>
#include <utility>

namespace zabmq::sim {
namespace {

constexpr std::uint64_t refusals_max = 3;  // in a row; a read that failed may work the next time
constexpr std::uint64_t roomy = std::uint64_t{1} << 40;

std::size_t index_of(const Server& server) {
  return static_cast<std::size_t>(server.id()) - 1;
}

}  // namespace

void Nemesis::say(const std::string& text) {
  if (at_.trace.words()) at_.trace.say("*** " + text);
}

void Nemesis::hit(Fault fault, const Server& server) {
  at_.hits.add(fault, server.state());
  if (at_.trace.words()) {
    say(std::string(name_of(fault)) + " at server " + to_string(server.id()) + " (" +
        std::string(name_of(server.state())) + ")");
  }
}

void Nemesis::begin() {
  if (at_.parameters.fault_every > 0) plan_next();
}

void Nemesis::plan_next() {
  at_.timeline.after(random_.about(at_.parameters.fault_every) + 1, [this] {
    if (over_) return;
    strike();
    plan_next();
  });
}

void Nemesis::strike() {
  if (old_copy_) return;
  const auto& weights = at_.parameters.weights;
  const std::uint64_t sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
  if (sum == 0) return;
  std::uint64_t drawn = random_.below(sum);
  for (std::size_t f = 0; f < fault_kinds; ++f) {
    if (drawn < weights[f]) return strike(static_cast<Fault>(f));
    drawn -= weights[f];
  }
}

void Nemesis::strike(Fault fault) {
  switch (fault) {
    case Fault::partition:
    case Fault::one_way:
    case Fault::bridge:
      return partition(fault);
    case Fault::clog:
    case Fault::disconnect:
    case Fault::client_disconnect:
    case Fault::client_restart:
      return strike_network(fault);
    case Fault::kill_all:
      for (auto& server : at_.servers) {
        hit(fault, *server);
        if (random_.coin()) {
          server->kill();
        } else {
          server->lose_power(random_.coin());
        }
      }
      return;
    default:
      return strike_server(fault, choose_server());
  }
}

Server* Nemesis::leader() {
  for (auto& server : at_.servers) {
    if (server->replica() && server->replica()->core().role() == Role::leading) {
      return server.get();
    }
  }
  return nullptr;
}

// The leader more often than the others, and servers that do something rare.
Server& Nemesis::choose_server() {
  if (random_.chance(300'000)) {
    if (Server* found = leader()) return *found;
  }
  if (random_.chance(300'000)) {
    for (auto& server : at_.servers) {
      const ServerState state = server->state();
      if (state >= ServerState::discovery_leader && state <= ServerState::sync_snap) return *server;
    }
  }
  return *at_.servers[random_.below(at_.servers.size())];
}

Micros Nemesis::while_() {
  static constexpr Micros choices[] = {20 * millisecond, 300 * millisecond, 2 * second, 8 * second};
  const Micros lasts = random_.about(choices[random_.below(4)]);
  quiet_at_ = std::max(quiet_at_, at_.timeline.now() + lasts);
  return lasts;
}

// --- processes and clocks ---

void Nemesis::strike_server(Fault fault, Server& server) {
  const Micros now = at_.timeline.now();
  switch (fault) {
    case Fault::kill:
      if (!server.up()) return;
      hit(fault, server);
      return server.kill();
    case Fault::power_loss:
      if (!server.up()) return;
      if (random_.coin()) {
        hit(Fault::lost_entry, server);
        return server.lose_power(true);
      }
      hit(fault, server);
      return server.lose_power(false);
    case Fault::pause:
      if (!server.up() || server.paused()) return;
      hit(fault, server);
      return server.pause(now + while_());
    case Fault::clock_rate:
      hit(fault, server);
      return server.set_clock_rate(static_cast<std::uint32_t>(
          random_.coin() ? random_.between(200, 900) : random_.between(1100, 3000)));
    case Fault::clock_jump: {
      hit(fault, server);
      const auto to = static_cast<std::int64_t>(random_.below(at_.parameters.wall_jump_max));
      return server.set_wall_clock(random_.coin() ? to : -to);
    }
    default:
      return strike_disk(fault, server);
  }
}

// --- disks ---

void Nemesis::strike_disk(Fault fault, Server& server) {
  using Operation = MemoryDisk::Operation;
  const Micros now = at_.timeline.now();
  switch (fault) {
    case Fault::slow_disk:
      hit(fault, server);
      return server.disk_latency(random_.between(5, 300) * millisecond, now + while_());
    case Fault::stuck_disk:
      hit(fault, server);
      return server.disk_latency(random_.between(1, 30) * second, now + 100 * millisecond);
    case Fault::write_error:
    case Fault::sync_error:
    case Fault::read_error: {
      if (!server.up()) return;
      hit(fault, server);
      const Operation operation = fault == Fault::write_error  ? Operation::write
                                  : fault == Fault::sync_error ? Operation::sync
                                                               : Operation::read;
      return server.disk().fail(operation, EIO, random_.below(6));
    }
    case Fault::no_space:
      hit(fault, server);
      return fill_disk(server);
    case Fault::bit_flip:
    case Fault::misdirected_write:
      return damage_record(fault, server);
    case Fault::wipe:
      if (!may_damage(server)) return;
      hit(fault, server);
      server.kill();
      return wipe(server);
    case Fault::old_disk:
      return strike_old_disk(server);
    default:
      return;
  }
}

// The first time a copy is made; the next time, when nothing else is wrong, it is put back.
void Nemesis::strike_old_disk(Server& server) {
  if (!server.replica()) return;
  const auto copy = copies_.find(server.id());
  if (copy == copies_.end()) {
    const zab::Core& core = server.replica()->core();
    if (core.identity().standing != zab::Standing::voter) return;
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
  hit(Fault::old_disk, server);
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

void Nemesis::watch_old_copy() {
  const OldCopy& old = *old_copy_;
  if (at_.invariants.standing(old.server->id()) == zab::Standing::wiped) return old_copy_.reset();
  const replica::Replica* leading = old.leader->replica();
  if (leading && leading->core().leading_in_broadcast() &&
      leading->core().identity().current == old.epoch) {
    return;
  }
  Server& server = *old.server;
  old_copy_.reset();
  server.kill();
  wipe(server);
}

void Nemesis::fill_disk(Server& server) {
  const std::uint64_t used = roomy - std::min(roomy, server.disk().free_bytes());
  server.disk().set_capacity(used + random_.below(3 * at_.parameters.log.segment_size));
  at_.timeline.after(while_(), [this, &server] {
    if (!over_) server.disk().set_capacity(roomy);
  });
}

// A minority, and only where the loss shows or does not matter: promise 2 of the design.
bool Nemesis::may_damage(const Server& server) const {
  if (at_.invariants.is_damaged(server.id()) || at_.invariants.committed_count() == 0) return false;
  return at_.invariants.damaged_count() < (at_.servers.size() - 1) / 2;
}

// A bit, or the bytes of another record, in a record that a later mark proves to have been synced:
// a server that trusts its disk there is broken.
void Nemesis::damage_record(Fault fault, Server& server) {
  const std::size_t count = at_.invariants.on_platter(server.id());
  if (count == 0 || !may_damage(server)) return;
  const auto digest = at_.invariants.digest_at(server.id(), random_.below(count));
  if (!digest || !server.platter().proven(*digest)) return;
  const Platter::Place target = *server.platter().place_of(*digest);
  const std::optional<std::string> name = server.platter().file_name(target.file);
  const auto& live = server.disk().state().live;
  if (!name || !live.contains(*name) || live.at(*name) != target.file) return;
  hit(fault, server);
  at_.invariants.damaged(server.id());
  if (fault == Fault::bit_flip) {
    return server.disk().flip_bit(*name, target.position + random_.below(target.size),
                                  static_cast<unsigned>(random_.below(8)));
  }
  const auto other = at_.invariants.digest_at(server.id(), random_.below(count));
  const Platter::Place* source = other ? server.platter().place_of(*other) : nullptr;
  if (!source || source->position == target.position) source = nullptr;
  const std::vector<std::byte> junk(64, std::byte{0});
  Bytes bytes = junk;
  if (source) {
    const auto file = server.disk().state().files.find(source->file);
    if (file != server.disk().state().files.end() &&
        source->position + source->size <= file->second.cache.size()) {
      bytes = Bytes(file->second.cache)
                  .subspan(static_cast<std::size_t>(source->position), source->size);
    }
  }
  const std::vector<std::byte> copy(
      bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(
                                         std::min<std::size_t>(bytes.size(), target.size)));
  server.disk().overwrite(*name, target.position, copy);
}

void Nemesis::wipe(Server& server) {
  say("server " + to_string(server.id()) + " gets an empty directory");
  server.wipe();
  plan_start(server, while_());
}

// --- networks ---

void Nemesis::cut(ServerId from, ServerId to, PeerNetwork::Cut how, Micros until) {
  at_.peers.cut(from, to, how);
  at_.timeline.at(until, [this, from, to] {
    if (!over_) at_.peers.cut(from, to, PeerNetwork::Cut::none);
  });
}

void Nemesis::partition(Fault fault) {
  const std::size_t count = at_.servers.size();
  if (count < 2) return;
  const Micros until = at_.timeline.now() + while_();
  const auto how = random_.coin() ? PeerNetwork::Cut::losing : PeerNetwork::Cut::holding;
  if (fault == Fault::bridge) {
    const std::size_t a = random_.below(count);
    const std::size_t b = (a + 1 + random_.below(count - 1)) % count;
    hit(fault, *at_.servers[a]);
    cut(at_.servers[a]->id(), at_.servers[b]->id(), how, until);
    return cut(at_.servers[b]->id(), at_.servers[a]->id(), how, until);
  }
  std::vector<bool> inside(count);
  Server* const alone = random_.coin() ? leader() : nullptr;
  // With a slow clock it takes itself for the leader long after it was deposed.
  if (alone && at_.parameters.weights[static_cast<std::size_t>(Fault::clock_rate)] > 0) {
    strike_server(Fault::clock_rate, *alone);
  }
  for (std::size_t i = 0; i < count; ++i) {
    inside[i] = alone ? at_.servers[i].get() == alone : random_.coin();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (inside[i]) hit(fault, *at_.servers[i]);
    for (std::size_t j = 0; j < count; ++j) {
      if (!inside[i] || inside[j]) continue;
      const ServerId in = at_.servers[i]->id();
      const ServerId out = at_.servers[j]->id();
      const bool outwards = fault == Fault::partition || (until & 1) == 0;
      if (outwards) cut(in, out, how, until);
      if (fault == Fault::partition || !outwards) cut(out, in, how, until);
    }
  }
}

void Nemesis::strike_network(Fault fault) {
  const std::size_t count = at_.servers.size();
  Server& a = choose_server();
  Server& b = *at_.servers[random_.below(count)];
  switch (fault) {
    case Fault::clog:
      hit(fault, a);
      return at_.peers.clog(a.id(), b.id(), at_.timeline.now() + while_());
    case Fault::disconnect:
      if (&a == &b) return;
      hit(fault, a);
      return at_.peers.disconnect(a.id(), b.id());
    case Fault::client_disconnect:
      hit(fault, a);
      if (random_.coin()) return at_.clients.break_some(random_.below(10));
      return at_.clients.stall(random_.below(10), at_.timeline.now() + while_());
    case Fault::client_restart:
      hit(fault, a);
      if (random_.coin()) {
        at_.publishers[random_.below(at_.publishers.size())]->restart();
      } else {
        at_.subscribers[random_.below(at_.subscribers.size())]->restart();
      }
      return;
    default:
      return;
  }
}

// --- the operator ---

void Nemesis::plan_start(Server& server, Micros delay) {
  at_.timeline.after(delay, [this, &server] {
    if (!server.up() && !dead_[index_of(server)]) server.start();
  });
}

// Called for each server every now and then. What stops by itself is started again; a directory
// that goes on refusing is damaged, and gives way to an empty one.
void Nemesis::look_after(Server& server) {
  if (server.up() || dead_[index_of(server)]) {
    if (server.replica()) {
      refusals_[index_of(server)] = 0;
      at_.invariants.mend_where_possible(server.id(), server.replica()->core());
    }
    return;
  }
  if (!over_ && random_.chance(900'000)) return;  // it takes a while until somebody comes
  const bool refused = server.end() == Server::End::corrupt;
  if (refused && ++refusals_[index_of(server)] > refusals_max) {
    at_.invariants.refused_to_start(server.id(), server.end_text());
    refusals_[index_of(server)] = 0;
    server.wipe();
  }
  server.start();
}

void Nemesis::heal(const std::vector<bool>& core) {
  over_ = true;
  if (old_copy_) {
    old_copy_->server->kill();
    old_copy_->server->wipe();
    old_copy_.reset();
  }
  say("heals");
  at_.peers.heal();
  for (auto& server : at_.servers) {
    server->disk().set_capacity(roomy);
    server->disk().forget_faults();
    server->set_clock_rate(1000);
    server->resume();
    server->disk_recovers();
    if (core[index_of(*server)]) continue;
    dead_[index_of(*server)] = true;
    server->kill();
  }
}

}  // namespace zabmq::sim
