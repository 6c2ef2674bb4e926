// RandomRun: the dice.
#include "zab/harness/random_run.hpp"

#include <algorithm>

namespace zabmq::zab::test {

RandomRun::RandomRun(std::uint64_t seed, std::size_t steps)
    : random_(seed),
      steps_(steps),
      count_(chance(70) ? 3 : 5),
      founding_(chance(15)),
      rates_(draw_rates()),
      cluster_(std::make_unique<Cluster>(draw_pasts(), draw_options())) {}

RandomRun::Rates RandomRun::draw_rates() {
  // Small rates are more likely: a cluster that never gets anywhere tests little.
  const auto up_to = [this](unsigned most) {
    return static_cast<unsigned>(below(below(most + 1) + 1));
  };
  Rates rates;
  rates.crash = up_to(20);
  rates.restart = 8 + up_to(30);
  rates.lose_session = up_to(20);
  rates.cut = up_to(8);
  rates.heal = 2 + up_to(10);
  rates.pause = chance(30) ? up_to(6) : 0;
  // A founding whose directories are emptied may rightly come to nothing.
  rates.wipe = !founding_ && chance(40) ? 1 + up_to(6) : 0;
  rates.put_back = !founding_ && chance(40) ? 2 + up_to(6) : 0;
  rates.free = chance(40) ? 4 + up_to(30) : 0;
  rates.copy = 4 * rates.put_back;
  rates.drop = up_to(40);
  rates.duplicate = up_to(20);
  rates.propose = 10 + up_to(80);
  rates.ask = up_to(10);
  return rates;
}

// Short times give more elections in the same number of steps.
Options RandomRun::draw_options() {
  if (chance(25)) return {};
  Options options;
  options.heartbeat_ms = 20;
  options.peer_timeout_ms = 100 + below(200);
  options.finalize_wait_ms = 20;
  options.discovery_timeout_ms = 2 * options.peer_timeout_ms;
  options.sync_timeout_ms = 4 * options.peer_timeout_ms;
  options.renounce_interval_ms = 200;
  return options;
}

std::vector<Past> RandomRun::draw_pasts() {
  if (founding_) return Cluster::same(count_, empty_directory());
  return Cluster::same(count_, {.history = chance(50) ? "" : "1:3", .accepted = 1});
}

RandomRunResult RandomRun::run(const Trace& trace) {
  for (ServerId id : cluster_->ids()) {
    Server& server = (*cluster_)[static_cast<unsigned>(id)];
    server.hold_log = server.hold_store = true;
    server.hold_streams = true;
    server.hold_admits = chance(50);
    server.trace = trace;
  }
  for (std::size_t i = 0; i < steps_; ++i) step();
  heal();
  result_.steps = steps_;
  result_.committed = cluster_->checker().committed().size();
  result_.epochs = cluster_->checker().epochs_established();
  result_.admitted = cluster_->checker().admitted();
  result_.snaps = cluster_->checker().adopted();
  return result_;
}

void RandomRun::step() {
  if (fault(below(1000))) return;
  const std::uint64_t dice = below(100);
  if (dice < 58) return deliver();
  if (dice < 78) return complete();
  if (dice < 88) return pump();
  cluster_->tick();
}

bool RandomRun::fault(std::uint64_t dice) {
  const auto falls = [&dice](unsigned rate) {
    const bool hit = dice < rate;
    dice = hit ? 1000 : dice - rate;
    return hit;
  };
  if (falls(rates_.crash)) return crash(), true;
  if (falls(rates_.restart)) return restart(), true;
  if (falls(rates_.lose_session)) return lose_session(), true;
  if (falls(rates_.cut)) return cut(), true;
  if (falls(rates_.heal)) return cluster_->heal(), true;
  if (falls(rates_.pause)) return toggle_pause(), true;
  if (falls(rates_.wipe)) return wipe(), true;
  if (falls(rates_.free)) return free(), true;
  if (falls(rates_.copy)) return copy(), true;
  if (falls(rates_.put_back)) return put_back(), true;
  if (falls(rates_.drop)) return disturb_datagram(false), true;
  if (falls(rates_.duplicate)) return disturb_datagram(true), true;
  if (falls(rates_.propose)) return propose(), true;
  if (falls(rates_.ask)) return static_cast<void>((*cluster_)[any_server()].ask_quorum()), true;
  return false;
}

void RandomRun::deliver() {
  std::vector<Network::Arrival> waiting = cluster_->arrivals();
  // Datagrams are many; sessions must not starve behind them.
  const bool datagrams = chance(30);
  std::vector<Network::Arrival> chosen;
  for (const Network::Arrival& arrival : waiting) {
    if ((arrival.kind == Network::Arrival::Kind::datagram) == datagrams) chosen.push_back(arrival);
  }
  if (chosen.empty()) chosen = waiting;
  if (!chosen.empty()) cluster_->take(chosen[below(chosen.size())]);
}

void RandomRun::complete() {
  Server& server = (*cluster_)[any_server()];
  if (!server.up() || cluster_->paused.contains(server.id())) return;
  if (server.admits_waiting() && chance(50)) return server.hand_in_admits();
  const bool log = server.disk().log_busy();
  const bool store = server.disk().storing();
  if (log && (!store || chance(50))) {
    server.complete_log();
  } else if (store) {
    server.complete_store();
  }
}

void RandomRun::pump() {
  Server& server = (*cluster_)[any_server()];
  if (!server.up() || cluster_->paused.contains(server.id())) return;
  const std::vector<ServerId> peers = server.peers_with_streams();
  if (!peers.empty()) server.pump(peers[below(peers.size())], 1 + below(4));
}

// Half of the time it is whoever is about to lead: that is where the protocol is thin.
unsigned RandomRun::victim() {
  if (chance(50)) return any_server();
  for (ServerId id : cluster_->ids()) {
    const Server& server = (*cluster_)[static_cast<unsigned>(id)];
    if (server.up() && server.core().role() == Role::leading) return static_cast<unsigned>(id);
  }
  return any_server();
}

void RandomRun::crash() {
  Server& server = (*cluster_)[victim()];
  if (!server.up()) return;
  CrashChoice choice;
  choice.records_kept = below(server.disk().records_being_written() + 1);
  choice.identity_kept = chance(50);
  choice.rewind_kept = chance(50);
  server.crash(choice, chance(50), below(4));
  cluster_->paused.erase(server.id());
  ++result_.crashes;
}

void RandomRun::restart() {
  const unsigned id = any_server();
  if (!(*cluster_)[id].up()) cluster_->restart(id);
}

// A minority of disks may be lost at a time: that is what the promise allows for. A server has its
// own back when its mark is durable, whoever knows of it.
bool RandomRun::may_lose_disk(unsigned id) {
  std::size_t lost = 1;
  for (ServerId other : cluster_->ids()) {
    const Disk& disk = (*cluster_)[static_cast<unsigned>(other)].disk();
    lost += other != ServerId{id} && disk.identity().standing != Standing::voter;
  }
  return 2 * lost < count_;
}

void RandomRun::wipe() {
  const unsigned id = any_server();
  if ((*cluster_)[id].up() || !may_lose_disk(id)) return;
  cluster_->wipe(id);
  ++result_.wipes;
}

// Retention at one server, earlier than at the others: whoever is further back needs SNAP from it.
void RandomRun::free() {
  Server& server = (*cluster_)[any_server()];
  if (!server.up() || server.disk().replacing() || server.delivered_count() == 0) return;
  const std::size_t count =
      server.delivered_count() - below(std::min<std::size_t>(server.delivered_count(), 4));
  const Zxid up_to = server.disk().records()[count - 1].zxid;
  if (up_to > server.disk().floor().zxid) server.free_up_to(up_to);
}

void RandomRun::copy() {
  const unsigned id = any_server();
  if (!(*cluster_)[id].up()) copy_.emplace(id, (*cluster_)[id].disk());
}

// An older copy of a disk is put back under a leader that works with a quorum of others, and
// nothing else happens until it is found out: nobody could tell, otherwise.
void RandomRun::put_back() {
  if (!copy_ || !may_lose_disk(copy_->first)) return;
  const unsigned id = copy_->first;
  Server& server = (*cluster_)[id];
  lull(true);
  const bool calm = cluster_->run_until([this] { return cluster_->converged() && all_count(); });
  REQUIRE_MESSAGE(calm, "no lull\n" << cluster_->describe());
  const Identity& now = server.disk().identity();
  const Disk& old = copy_->second;
  const bool further = old.identity().standing != now.standing ||
                       old.identity().accepted < now.accepted ||
                       old.identity().current < now.current || old.last() < server.disk().last();
  if (cluster_->leader() != id && old.identity().incarnation == now.incarnation && further) {
    server.crash({}, chance(50), below(4));
    server.put_back(old);
    cluster_->restart(id);
    const bool found_out = cluster_->run_until(
        [&] { return server.disk().identity().standing == Standing::wiped; }, 5000);
    REQUIRE_MESSAGE(found_out, "an old copy is not found out\n" << cluster_->describe());
    ++result_.old_copies;
  }
  copy_.reset();
  lull(false);
}

// The leader counts everybody.
bool RandomRun::all_count() {
  const Core& leader = (*cluster_)[cluster_->leader()].core();
  const auto& learners = std::get<Leading>(leader.role_state()).learners;
  return learners.size() + 1 == count_ &&
         std::all_of(learners.begin(), learners.end(), [](const auto& entry) {
           return entry.second.counts && entry.second.acked_leader;
         });
}

void RandomRun::toggle_pause() {
  const ServerId id{any_server()};
  if (cluster_->paused.erase(id) == 0) cluster_->paused.insert(id);
}

void RandomRun::cut() {
  const ServerId a{any_server()};
  const ServerId b{any_server()};
  if (a == b) return;
  cluster_->network().cut(a, b);
  if (chance(60)) cluster_->network().cut(b, a);
}

void RandomRun::lose_session() {
  cluster_->network().lose(ServerId{victim()}, ServerId{any_server()});
  ++result_.sessions_lost;
}

void RandomRun::disturb_datagram(bool duplicate) {
  std::vector<Network::Arrival> datagrams;
  for (const Network::Arrival& arrival : cluster_->arrivals()) {
    if (arrival.kind == Network::Arrival::Kind::datagram) datagrams.push_back(arrival);
  }
  if (datagrams.empty()) return;
  const Network::Arrival& chosen = datagrams[below(datagrams.size())];
  duplicate ? cluster_->network().duplicate(chosen) : cluster_->network().drop(chosen);
}

void RandomRun::propose() {
  Server& server = (*cluster_)[any_server()];
  if (cluster_->paused.contains(server.id())) return;
  std::vector<std::string> group;
  for (std::uint64_t i = 0, size = 1 + below(4); i < size; ++i) {
    group.push_back("value " + std::to_string(++values_));
  }
  server.propose(group);
}

// Nothing fails and nothing is held back.
void RandomRun::lull(bool begins) {
  if (begins) {
    cluster_->heal();
    cluster_->paused.clear();
  }
  for (ServerId server_id : cluster_->ids()) {
    const auto id = static_cast<unsigned>(server_id);
    Server& server = (*cluster_)[id];
    server.hold_log = server.hold_store = server.hold_streams = !begins;
    server.hold_admits = !begins && chance(50);
    if (!begins) continue;
    if (!server.up()) cluster_->restart(id);
    while (server.up() && !server.peers_with_streams().empty()) {
      server.pump(server.peers_with_streams().front(), 1000);
    }
    if (server.admits_waiting()) server.hand_in_admits();
  }
}

// Phase 2: from now on nothing fails.
void RandomRun::heal() {
  lull(true);
  const bool converged =
      cluster_->run_until([this] { return cluster_->converged() && all_count(); });
  REQUIRE_MESSAGE(converged, "no convergence after healing\n" << cluster_->describe());
  const std::size_t before = cluster_->checker().delivered().size();
  cluster_->propose(cluster_->leader(), "after healing");
  const bool delivered = cluster_->run_until_converged();
  REQUIRE_MESSAGE(delivered, "no delivery after healing\n" << cluster_->describe());
  REQUIRE(cluster_->checker().delivered().size() > before);
}

}  // namespace zabmq::zab::test
