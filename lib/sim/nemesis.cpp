// Nemesis: one fault after another. Faults of disks are in nemesis_disks.cpp, those that take
// several steps in nemesis_moves.cpp.
#include "sim/nemesis.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace zabmq::sim {
namespace {

// What may strike while an old copy of a disk is back, and is to be found out.
bool gentle(Fault fault) {
  switch (fault) {
    case Fault::kill:
    case Fault::pause:
    case Fault::clog:
    case Fault::client_disconnect:
    case Fault::client_not_reading:
    case Fault::client_restart:
    case Fault::client_partition:
    case Fault::clock_jump:
    case Fault::slow_disk:
      return true;
    default:
      return false;
  }
}

constexpr std::uint64_t stops_max = 3;  // of a damaged directory; then it gives way to an empty one

std::size_t index_of(const Server& server) {
  return static_cast<std::size_t>(server.id()) - 1;
}

}  // namespace

void Nemesis::say(const std::string& text) {
  if (at_.trace.words()) at_.trace.say("*** " + text);
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
  if (old_copy_ && !gentle(fault)) return;
  switch (fault) {
    case Fault::partition:
    case Fault::one_way:
    case Fault::bridge:
      return partition(fault);
    case Fault::clog:
    case Fault::disconnect:
    case Fault::deaf_link:
      return strike_link(fault);
    case Fault::client_disconnect:
    case Fault::client_not_reading:
    case Fault::client_restart:
    case Fault::client_partition:
      return strike_client(fault);
    case Fault::uncommitted_tail:
      return begin_tail();
    case Fault::deposed_leader:
      return begin_deposed();
    case Fault::kill_all:
      return take_power(fault, *at_.servers.front());
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
  if (!may_strike(fault, server)) return;
  const Micros now = at_.timeline.now();
  switch (fault) {
    case Fault::kill:
      if (!server.up()) return;
      server.hit(fault);
      return server.kill();
    case Fault::power_loss:
      if (server.up()) take_power(fault, server);
      return;
    case Fault::pause:
      if (!server.up() || server.paused()) return;
      server.hit(fault);
      return server.pause(now + while_());
    case Fault::clock_rate:
      server.hit(fault);
      return server.set_clock_rate(static_cast<std::uint32_t>(
          random_.coin() ? random_.between(200, 900) : random_.between(1100, 3000)));
    case Fault::clock_jump: {
      server.hit(fault);
      const auto to = static_cast<std::int64_t>(random_.below(at_.parameters.wall_jump_max));
      return server.set_wall_clock(random_.coin() ? to : -to);
    }
    default:
      return strike_disk(fault, server);
  }
}

// --- networks ---

void Nemesis::cut(ServerId from, ServerId to, PeerNetwork::Cut how, Micros until) {
  at_.peers.cut(from, to, how);
  at_.timeline.at(until, [this, from, to] {
    if (!over_) at_.peers.cut(from, to, PeerNetwork::Cut::none);
  });
}

// From all others, both ways.
void Nemesis::cut_off(const Server& server, Micros until) {
  for (auto& other : at_.servers) {
    if (other.get() == &server) continue;
    cut(server.id(), other->id(), PeerNetwork::Cut::losing, until);
    cut(other->id(), server.id(), PeerNetwork::Cut::losing, until);
  }
}

void Nemesis::partition(Fault fault) {
  const std::size_t count = at_.servers.size();
  if (count < 2) return;
  const Micros until = at_.timeline.now() + while_();
  const auto how = random_.coin() ? PeerNetwork::Cut::losing : PeerNetwork::Cut::holding;
  const std::size_t a = random_.below(count);
  const std::size_t b = (a + 1 + random_.below(count - 1)) % count;
  // a is inside and b outside: somebody is parted from somebody.
  if (fault == Fault::bridge) return separate(fault, {a}, {b}, how, until);
  const Server* const alone = random_.coin() ? leader() : nullptr;
  std::vector<std::size_t> in;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count; ++i) {
    const bool drawn = i == a || (i != b && random_.coin());
    (alone ? at_.servers[i].get() == alone : drawn) ? in.push_back(i) : out.push_back(i);
  }
  separate(fault, in, out, how, until);
}

// Both ways, or only from one side.
void Nemesis::separate(Fault fault, const std::vector<std::size_t>& in,
                       const std::vector<std::size_t>& out, PeerNetwork::Cut how, Micros until) {
  const bool outwards = fault != Fault::one_way || random_.coin();
  const bool inwards = fault != Fault::one_way || !outwards;
  for (const std::size_t i : in) {
    if (at_.servers[i]->up()) at_.servers[i]->hit(fault);
    for (const std::size_t j : out) {
      if (outwards) cut(at_.servers[i]->id(), at_.servers[j]->id(), how, until);
      if (inwards) cut(at_.servers[j]->id(), at_.servers[i]->id(), how, until);
    }
  }
}

void Nemesis::strike_link(Fault fault) {
  const std::size_t count = at_.servers.size();
  if (count < 2) return;
  Server& a = choose_server();
  Server& b = *at_.servers[(index_of(a) + 1 + random_.below(count - 1)) % count];
  if (!a.up() || !b.up()) return;
  a.hit(fault);
  if (fault == Fault::disconnect) return at_.peers.disconnect(a.id(), b.id());
  if (fault == Fault::deaf_link) return at_.peers.deafen(a.id(), b.id());
  at_.peers.clog(a.id(), b.id(), at_.timeline.now() + while_());
}

void Nemesis::strike_client(Fault fault) {
  if (fault == Fault::client_restart) {
    at_.hits.add(fault, ServerState::client);
    if (random_.coin()) {
      PublisherActor& publisher = *at_.publishers[random_.below(at_.publishers.size())];
      return random_.coin() ? publisher.restart() : publisher.close();
    }
    return at_.subscribers[random_.below(at_.subscribers.size())]->restart();
  }
  if (fault == Fault::client_partition) {
    const bool end_connections = random_.coin();
    const Micros until = at_.timeline.now() + while_();
    const Server& chosen = choose_server();
    for (auto& server : at_.servers) {
      if (server.get() != &chosen && !random_.chance(250'000)) continue;
      if (server->up()) server->hit(fault);
      at_.clients.partition(server->id(), until, end_connections);
    }
    return;
  }
  const std::vector<std::uint64_t> connections = at_.clients.established();
  if (connections.empty()) return;
  const std::uint64_t chosen = connections[random_.below(connections.size())];
  at_.servers[static_cast<std::size_t>(at_.clients.server_of(chosen)) - 1]->hit(fault);
  if (fault == Fault::client_not_reading) {
    return at_.clients.stop_reading(chosen, at_.timeline.now() + while_());
  }
  if (random_.coin()) return at_.clients.break_off(chosen);
  at_.clients.stall(chosen, at_.timeline.now() + while_());
}

// --- the operator ---

void Nemesis::plan_start(Server& server, Micros delay) {
  at_.timeline.after(delay, [this, &server] {
    const bool may_start = !dead_[index_of(server)] && !held_down(server);
    if (!server.up() && may_start) server.start();
  });
}

// Called for each server every now and then. What stops by itself is started again; a directory
// that goes on refusing, or stops whenever somebody reads there, gives way to an empty one.
void Nemesis::look_after(Server& server) {
  if (server.up() || dead_[index_of(server)]) {
    if (!server.replica()) return;
    at_.invariants.mend_where_possible(server.id(), server.replica()->core());
    if (!at_.invariants.is_damaged(server.id())) stops_[index_of(server)] = 0;
    return;
  }
  if (held_down(server)) return;
  if (!over_ && random_.chance(900'000)) return;  // it takes a while until somebody comes
  const bool damaged =
      server.end() == Server::End::corrupt && at_.invariants.is_damaged(server.id());
  if (damaged && ++stops_[index_of(server)] > stops_max) {
    stops_[index_of(server)] = 0;
    server.wipe();
  }
  server.start();
}

void Nemesis::heal(const std::vector<bool>& core) {
  over_ = true;
  aims_.clear();
  tail_.reset();
  deposed_.reset();
  if (old_copy_) {
    old_copy_->server->kill();
    old_copy_->server->wipe();
    old_copy_.reset();
  }
  say("heals");
  at_.peers.heal();
  at_.clients.heal();
  for (auto& server : at_.servers) {
    server->space_returns();
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
