// Cluster: steps, and waiting for conditions in simulated time.
#include "zab/harness/cluster.hpp"

#include <algorithm>
#include <cstring>

#include "zabmq/check.hpp"

namespace zabmq::zab::test {

Cluster::Cluster(std::vector<Past> pasts, Options options, const Allow& allow)
    : checker_(voters(static_cast<unsigned>(pasts.size())), Checker::Peers::real,
               [this](const std::string& violation) {
                 FAIL("violation: " << violation << "\n" << describe());
               }),
      options_(options) {
  if (allow) allow(checker_);
  const auto count = static_cast<unsigned>(pasts.size());
  for (unsigned id = 1; id <= count; ++id) {
    const ServerId server{id};
    servers_[server] = std::make_unique<Server>(setup_of(server, count, options),
                                                disk_of(pasts[id - 1], server), network_, checker_);
  }
  for (auto& [id, server] : servers_) checker_.watch(*server);
  for (auto& [id, server] : servers_) server->start(now_ms_);
}

std::vector<ServerId> Cluster::ids() const {
  std::vector<ServerId> out;
  for (const auto& [id, server] : servers_) out.push_back(id);
  return out;
}

// --- small steps ---

void Cluster::take(const Network::Arrival& arrival) {
  Server& to = *servers_.at(arrival.to);
  const bool loss = arrival.kind == Network::Arrival::Kind::loss;
  const std::optional<Frame> frame = network_.take(arrival);
  if (frame) {
    to.receive(arrival.from, *frame);
  } else if (loss) {
    to.session_lost(arrival.from);
  }
}

bool Cluster::arrival_may_be_taken(const Network::Arrival& arrival) const {
  if (paused.contains(arrival.to)) return false;
  return arrival.kind != Network::Arrival::Kind::frame || servers_.at(arrival.to)->takes_records();
}

std::vector<Network::Arrival> Cluster::arrivals() const {
  std::vector<Network::Arrival> all = network_.arrivals();
  std::erase_if(all, [this](const Network::Arrival& a) { return !arrival_may_be_taken(a); });
  return all;
}

bool Cluster::deliver(unsigned from, unsigned to, const std::string& name) {
  for (const Network::Arrival& arrival : arrivals()) {
    if (arrival.from != ServerId{from} || arrival.to != ServerId{to}) continue;
    const bool loss = arrival.kind == Network::Arrival::Kind::loss;
    if (!name.empty() && (loss ? name != "LOSS" : name != name_of(network_.peek(arrival))))
      continue;
    take(arrival);
    return true;
  }
  return false;
}

bool Cluster::drop(unsigned from, unsigned to, const std::string& name) {
  for (const Network::Arrival& arrival : network_.arrivals()) {
    if (arrival.from != ServerId{from} || arrival.to != ServerId{to}) continue;
    if (arrival.kind != Network::Arrival::Kind::datagram) continue;
    if (name != name_of(network_.peek(arrival))) continue;
    network_.drop(arrival);
    return true;
  }
  return false;
}

void Cluster::tick(std::uint64_t ms) {
  now_ms_ += ms;
  for (auto& [id, server] : servers_) {
    if (!paused.contains(id)) server->tick(now_ms_);
  }
}

void Cluster::lose_session(unsigned a, unsigned b) {
  network_.lose(ServerId{a}, ServerId{b});
  while (deliver(a, b, "LOSS") || deliver(b, a, "LOSS")) {
  }
}

void Cluster::crash(unsigned id, const CrashChoice& choice) {
  (*this)[id].crash(choice);
}

void Cluster::restart(unsigned id) {
  (*this)[id].start(now_ms_);
}

void Cluster::wipe(unsigned id) {
  (*this)[id].wipe(uuid(0x1000 + ++wipes_));
}

// --- large steps ---

bool Cluster::step() {
  for (auto& [id, server] : servers_) {
    if (!server->up()) continue;
    if (!server->hold_log && server->disk().log_busy()) return server->complete_log(), true;
    if (!server->hold_store && server->disk().storing()) return server->complete_store(), true;
  }
  const std::vector<Network::Arrival> waiting = arrivals();
  if (waiting.empty()) return false;
  take(waiting.front());
  return true;
}

void Cluster::settle() {
  for (std::size_t steps = 0; step(); ++steps) {
    if (steps >= settle_steps_max) FAIL("the servers never stop talking");
  }
}

void Cluster::run(std::uint64_t ms) {
  for (std::uint64_t end = now_ms_ + ms; now_ms_ < end;) {
    tick();
    settle();
  }
}

bool Cluster::run_until(const std::function<bool()>& condition, std::uint64_t ms_max) {
  settle();
  for (const std::uint64_t end = now_ms_ + ms_max; !condition();) {
    if (now_ms_ >= end) return false;
    tick();
    settle();
  }
  return true;
}

bool Cluster::elect(unsigned id) {
  return run_until([&] {
    if (leader() != id) return false;
    return std::all_of(servers_.begin(), servers_.end(), [&](const auto& entry) {
      const Server& server = *entry.second;
      if (!server.up() || entry.first == ServerId{id}) return true;
      const bool reachable = !network_.is_cut(entry.first, ServerId{id}) &&
                             !network_.is_cut(ServerId{id}, entry.first);
      return !reachable || server.is_up_to_date();
    });
  });
}

bool Cluster::run_until_converged(std::uint64_t ms_max) {
  return run_until([this] { return converged(); }, ms_max);
}

Zxid Cluster::propose(unsigned id, const std::string& value) {
  const std::vector<Zxid> given = (*this)[id].propose({value});
  REQUIRE_MESSAGE(given.size() == 1, "server " << id << " does not lead in broadcast");
  return given.front();
}

// --- partitions ---

void Cluster::cut(unsigned a, unsigned b) {
  network_.cut(ServerId{a}, ServerId{b});
  network_.cut(ServerId{b}, ServerId{a});
}

void Cluster::isolate(unsigned id) {
  for (ServerId other : ids()) {
    if (other != ServerId{id}) cut(id, static_cast<unsigned>(other));
  }
}

// --- state ---

unsigned Cluster::leader() const {
  const Server* best = nullptr;
  for (const auto& [id, server] : servers_) {
    if (!server->leads_in_broadcast()) continue;
    const Epoch epoch = server->core().identity().accepted;
    if (!best || epoch > best->core().identity().accepted) best = server.get();
  }
  return best ? static_cast<unsigned>(best->id()) : 0;
}

bool Cluster::converged() const {
  const unsigned id = leader();
  if (id == 0) return false;
  const Server& first = *servers_.at(ServerId{id});
  const Zxid end = first.core().last_logged();
  return std::all_of(servers_.begin(), servers_.end(), [&](const auto& entry) {
    const Server& server = *entry.second;
    if (!server.up()) return true;
    const bool follows = server.is_up_to_date() && server.core().leader() == ServerId{id};
    return (&server == &first || follows) && server.core().last_delivered() == end &&
           server.disk().durable_end() == end;
  });
}

std::vector<std::string> Cluster::values(unsigned id) {
  std::vector<std::string> out;
  const auto& records = (*this)[id].disk().records();
  for (std::size_t i = 0; i < (*this)[id].delivered_count(); ++i) out.push_back(records[i].value);
  return out;
}

std::string Cluster::describe() const {
  std::string out;
  for (const auto& [id, server] : servers_) {
    const Disk& disk = server->disk();
    out += "  " + to_string(id) + ": ";
    if (server->up()) {
      const Core& core = server->core();
      out += std::string(to_string(core.role())) + "/" + std::string(to_string(core.phase())) +
             " leader=" + to_string(core.leader()) +
             " committed=" + to_string(core.last_committed()) +
             " delivered=" + to_string(core.last_delivered());
    } else {
      out += "down";
    }
    out += " " + text(disk.identity()) + " history=[" + text(history_of({}, disk.records())) +
           "] durable=" + to_string(disk.durable_end()) + "\n";
  }
  return out;
}

}  // namespace zabmq::zab::test
