// Faults: choosing, the cycle around one, and making sure that all is well again.
#include "nemesis/engine/faults.hpp"

#include <poll.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "nemesis/engine/syscall_fault.hpp"

namespace zabmq::nemesis {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds recovery_bound{30000};  // from healed to acknowledging, on a busy machine
constexpr milliseconds settle_bound{60000};    // until all servers have everything
constexpr milliseconds look_again{20};
constexpr unsigned together_percent = 40;  // of link faults have a second fault on top
constexpr std::uint32_t probe_number = 1000;

struct Name {
  Fault fault;
  std::string_view text;
};

constexpr std::array<Name, fault_count> names{{
    {Fault::kill_leader, "SIGKILL of the leader"},
    {Fault::kill_follower, "SIGKILL of a follower"},
    {Fault::kill_majority, "SIGKILL of a majority"},
    {Fault::kill_all, "SIGKILL of all servers"},
    {Fault::pause_leader, "SIGSTOP of the leader"},
    {Fault::pause_follower, "SIGSTOP of a follower"},
    {Fault::partition_leader, "partition: leader alone"},
    {Fault::partition_pair, "partition: one pair, not transitive"},
    {Fault::partition_with_clients, "partition: a server from all and clients"},
    {Fault::hold_one_way, "link holds one way"},
    {Fault::delay, "links with delay and jitter"},
    {Fault::cut, "links reset"},
    {Fault::corrupt, "link corrupts bytes"},
    {Fault::clients_held, "clients: requests or answers held"},
    {Fault::clients_cut, "clients: connections reset, disks slow"},
    {Fault::clients_corrupt, "clients: links corrupt bytes"},
    {Fault::sync_error, "EIO from fdatasync"},
    {Fault::sync_delay, "slow fdatasync"},
    {Fault::full_disk, "full disk"},
    {Fault::truncated_tail, "truncated tail"},
    {Fault::flipped_bit, "flipped bit"},
    {Fault::wiped_disk, "wiped disk"},
}};

bool is_link_fault(Fault fault) {
  return fault >= Fault::partition_leader && fault <= Fault::clients_corrupt;
}
bool is_damage(Fault fault) {
  return fault >= Fault::truncated_tail;
}

}  // namespace

std::string_view to_string(Fault fault) {
  return names[static_cast<std::size_t>(fault)].text;
}

std::uint64_t Faults::Report::total() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

Faults::Faults(Parts parts, const Abilities& abilities, std::uint64_t seed)
    : parts_(std::move(parts)),
      abilities_(abilities),
      random_(seed),
      probes_(parts_.directory / "history", "probes", probe_number),
      log_(parts_.directory / "faults.log") {}

bool Faults::covered(Fault fault) const {
  switch (fault) {
    case Fault::partition_with_clients:
      return abilities_.cables;
    case Fault::sync_error:
    case Fault::sync_delay:
      return abilities_.system_calls;
    case Fault::full_disk:
      return abilities_.mounts;
    default:
      return true;
  }
}

std::vector<Fault> Faults::not_covered() const {
  std::vector<Fault> missing;
  for (const Name& name : names) {
    if (!covered(name.fault)) missing.push_back(name.fault);
  }
  return missing;
}

// Every fault once, in any order, before any comes again; what hits the leader comes twice.
Fault Faults::draw() {
  if (bag_.empty()) {
    for (const Name& name : names) {
      if (covered(name.fault)) bag_.push_back(name.fault);
    }
    bag_.insert(bag_.end(), {Fault::kill_leader, Fault::pause_leader, Fault::partition_leader});
    std::shuffle(bag_.begin(), bag_.end(), random_);
  }
  const Fault fault = bag_.back();
  bag_.pop_back();
  return fault;
}

void Faults::run(Nanos until) {
  // A violation that shows before the history is judged ends the run: what led there is still
  // fresh.
  while (now_ns() < until && rest(between(1500, 2300)) && parts_.timeline.violations().empty()) {
    cycle();
  }
}

void Faults::cycle() {
  const Fault fault = draw();
  const Nanos begin = now_ns();
  if (is_damage(fault)) {
    damage(fault);
  } else {
    strike(fault);
  }
  undo_links();
  look_after_servers();
  const Nanos healed = now_ns();
  parts_.timeline.fault(begin, healed);
  await_progress(healed, to_string(fault));
}

void Faults::strike(Fault fault) {
  if (!is_link_fault(fault)) {
    return fault >= Fault::sync_error ? strike_disk(fault) : strike_servers(fault);
  }
  fault >= Fault::clients_held ? strike_clients(fault) : strike_links(fault);
  if (random_() % 100 < together_percent) {
    rest(between(300, 1500));
    constexpr std::array on_top = {Fault::kill_leader, Fault::kill_follower, Fault::kill_majority,
                                   Fault::kill_all, Fault::pause_leader};
    strike_servers(on_top[random_() % on_top.size()]);
    rest(between(0, 1000));
  } else {
    rest(between(1200, 3000));
  }
}

void Faults::count(Fault fault, const std::string& what) {
  ++report_.counts[static_cast<std::size_t>(fault)];
  log(std::string(to_string(fault)) + ": " + what);
}

void Faults::log(const std::string& text) {
  std::ofstream(log_, std::ios::app) << now_ns() << " " << text << "\n";
}

// --- links ---

void Faults::separate(ServerId a, ServerId b) {
  if (abilities_.cables) return parts_.network.cut(a, b);
  parts_.proxies.set(a, b, {.hold = true});
  parts_.proxies.set(b, a, {.hold = true});
}

void Faults::partition(const std::set<ServerId>& side) {
  for (const ServerId a : side) {
    for (const ServerId b : parts_.servers.ids()) {
      if (!side.contains(b)) separate(a, b);
    }
  }
}

void Faults::strike_links(Fault fault) {
  const std::vector<ServerId> ids = parts_.servers.ids();
  const ServerId leader = leader_or_any();
  const ServerId other = follower();
  count(fault, to_string(leader) + " and " + to_string(other));
  switch (fault) {
    case Fault::partition_leader:
      return partition({leader});
    case Fault::partition_pair:
      return separate(leader, other);
    case Fault::partition_with_clients: {
      const ServerId victim = any();
      partition({victim});
      return parts_.network.cut_from_clients(victim);
    }
    case Fault::hold_one_way: {
      const unsigned variant = static_cast<unsigned>(random_() % 3);
      for (const ServerId id : ids) {
        if (variant != 1 && id != leader) parts_.proxies.set(leader, id, {.hold = true});
        if (variant == 1 && id != leader) parts_.proxies.set(id, leader, {.hold = true});
        if (variant == 2) break;
      }
      return;
    }
    case Fault::delay:
      for (const ProxyLink& link : parts_.servers.links()) {
        parts_.proxies.set(link.from, link.to,
                           {.delay = between(1, 120), .jitter = between(1, 200)});
      }
      return;
    case Fault::cut:
      for (int i = 0; i < 10 && rest(between(20, 250)); ++i) parts_.proxies.cut(any(), any());
      return;
    default:
      parts_.proxies.set(leader, other, {.corrupt_percent = 20});
      return parts_.proxies.set(other, leader, {.corrupt_percent = 20});
  }
}

// --- clients ---

void Faults::strike_clients(Fault fault) {
  const unsigned variant = static_cast<unsigned>(random_() % 3);
  count(fault, fault == Fault::clients_held ? "variant " + std::to_string(variant) : "all");
  if (fault == Fault::clients_cut) return cut_clients();
  for (const ProxyLink& link : parts_.servers.client_links()) {
    if (fault == Fault::clients_held) {
      parts_.proxies.set(clients, link.to, {.hold = variant != 0, .hold_back = variant != 1});
    } else {
      parts_.proxies.set(clients, link.to, {.corrupt_percent = 5});
    }
  }
}

// While disks are slow, what is sent again after a reset meets its first copy in flight.
void Faults::cut_clients() {
  std::vector<SyscallFault> slow;
  for (const ServerId id : parts_.servers.ids()) {
    if (!abilities_.system_calls || !parts_.servers.running(id)) continue;
    slow.push_back(SyscallFault::slow_sync(parts_.servers.process_id(id), between(100, 400),
                                           parts_.directory / "strace.log"));
  }
  for (int i = 0; i < 8 && rest(between(50, 300)); ++i) {
    for (const ServerId id : parts_.servers.ids()) parts_.proxies.cut(clients, id);
  }
}

// What a link held comes late, or never when the connection is reset first.
void Faults::undo_links() {
  if (random_() % 2 == 0) {
    std::vector<ProxyLink> links = parts_.servers.links();
    for (const ProxyLink& link : parts_.servers.client_links()) links.push_back(link);
    for (const ProxyLink& link : links) {
      if (random_() % 2 == 0) parts_.proxies.cut(link.from, link.to);
    }
  }
  parts_.proxies.heal();
  parts_.network.heal();
}

// --- well again ---

void Faults::look_after_servers() {
  for (const ServerId id : parts_.servers.ids()) {
    if (parts_.servers.running(id)) continue;
    const int code = parts_.servers.wait_for_end(id, Millis{0}).value_or(-1);
    log("server " + to_string(id) + " had ended with " + std::to_string(code));
    if (!expected_ends_[id].contains(code)) {
      parts_.timeline.violation("server " + to_string(id) + " ended with exit code " +
                                std::to_string(code) + ": " + parts_.servers.last_words(id));
    }
    parts_.servers.launch(id);
  }
  expected_ends_.clear();
}

void Faults::await_progress(Nanos healed, std::string_view after) {
  if (!await_newer_receipt(healed, recovery_bound)) {
    if (parts_.interrupted()) return;
    parts_.timeline.violation("nothing was acknowledged within " +
                              std::to_string(recovery_bound.count() / 1000) + " s after " +
                              std::string(after) + " was undone");
    return;
  }
  const Millis took{(now_ns() - healed) / 1'000'000};
  log("acknowledging again after " + std::to_string(took.count()) + " ms");
  report_.longest_recovery = std::max(report_.longest_recovery, took);
}

bool Faults::await_newer_receipt(Nanos invoked_after, Millis bound) {
  return eventually(bound, [&] { return parts_.timeline.newest() > invoked_after; });
}

bool Faults::await_even(Millis bound) {
  const Offset target = parts_.timeline.top();
  std::string why;
  const bool even = eventually(bound, [&] {
    const ClusterStatus status = parts_.servers.status();
    why = status.leader == ServerId::none ? "no leader" : "";
    for (const ServerStatus& server : status.servers) {
      const std::string name = "server " + to_string(server.id);
      if (!server.reachable) {
        why = name + " is not reachable";
      } else if (server.phase != Phase::broadcast) {
        why = name + " is in phase " + std::string(to_string(server.phase));
      } else if (server.standing != "voter") {
        why = name + " is " + server.standing;
      } else if (server.last_offset < target) {
        why = name + " has " + std::to_string(server.last_offset) + " of " + std::to_string(target);
      }
    }
    return why.empty();
  });
  if (!even && !parts_.interrupted()) {
    parts_.timeline.violation("after " + std::to_string(bound.count() / 1000) + " s " + why);
  }
  return even;
}

bool Faults::heal_and_settle(std::string_view when) {
  undo_links();
  look_after_servers();
  await_progress(now_ns(), when);
  return await_even(settle_bound);
}

bool Faults::eventually(Millis bound, const std::function<bool()>& condition) {
  const auto deadline = Clock::now() + bound;
  while (!condition()) {
    if (Clock::now() >= deadline || parts_.interrupted()) return false;
    poll(nullptr, 0, static_cast<int>(look_again.count()));
  }
  return true;
}

bool Faults::rest(Millis span) {
  const auto end = Clock::now() + span;
  return !eventually(span, [&] { return Clock::now() >= end; }) ? !parts_.interrupted() : true;
}

// --- choices ---

Faults::Millis Faults::between(std::int64_t low, std::int64_t high) {
  return Millis(low +
                static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low)));
}

ServerId Faults::any() {
  const std::vector<ServerId> ids = parts_.servers.ids();
  return ids[random_() % ids.size()];
}

ServerId Faults::leader_or_any() {
  const ServerId otherwise = any();  // drawn in any case: the choices that follow stay the same
  return parts_.servers.leader().value_or(otherwise);
}

ServerId Faults::follower() {
  const ServerId leader = leader_or_any();
  std::vector<ServerId> ids = parts_.servers.ids();
  std::erase(ids, leader);
  return ids[random_() % ids.size()];
}

}  // namespace zabmq::nemesis
