// Faults: choosing, the cycle around one, and making sure that all is well again.
#include "nemesis/engine/faults.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "nemesis/engine/syscall_fault.hpp"

namespace zabmq::nemesis {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds recovery_bound{30000};  // from healed to acknowledging, on a busy machine
constexpr milliseconds settle_bound{60000};    // until all servers have everything
constexpr milliseconds look_again{20};
constexpr milliseconds leader_bound{2000};
constexpr unsigned together_percent = 40;  // of link faults have a second fault on top
constexpr std::uint32_t probe_number = 1000;
constexpr const char* strace_refused = "strace did not attach";

bool is_link_fault(Fault fault) {
  return fault >= Fault::partition_leader && fault <= Fault::clients_corrupt;
}
bool is_damage(Fault fault) {
  return fault >= Fault::truncated_tail;
}

}  // namespace

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
    case Fault::clients_cut:
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
  for (const Fault fault : all_faults()) {
    if (!covered(fault)) missing.push_back(fault);
  }
  return missing;
}

// Every fault once, in any order, before any comes again; what hits the leader comes twice.
Fault Faults::draw() {
  if (bag_.empty()) {
    for (const Fault fault : all_faults()) {
      if (covered(fault)) bag_.push_back(fault);
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
  const ProxyEffects before = parts_.proxies.effects();
  const std::string problem =
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
  conclude(fault, problem, before);
}

// A fault on a link was done when it met bytes or connections. Nobody counts the packets that a cut
// cable loses: there it is enough that the cable was cut.
void Faults::conclude(Fault fault, const std::string& problem, const ProxyEffects& before) {
  if (!problem.empty()) return not_done(fault, problem);
  const ProxyEffects after = parts_.proxies.effects();
  const std::uint64_t held = after.held - before.held;
  switch (fault) {
    case Fault::partition_leader:
    case Fault::partition_pair:
    case Fault::partition_with_clients:
      if (abilities_.cables) return done(fault, "over");
      [[fallthrough]];
    case Fault::hold_one_way:
    case Fault::clients_held:
      if (held == 0) return not_done(fault, "no bytes came that could be held");
      return done(fault, std::to_string(held) + " pieces held");
    case Fault::delay:
      if (after.delayed == before.delayed) return not_done(fault, "no bytes came to be delayed");
      return done(fault, std::to_string(after.delayed - before.delayed) + " pieces delayed");
    case Fault::cut:
    case Fault::clients_cut:
      if (after.resets == before.resets) return not_done(fault, "there was no connection to reset");
      return done(fault, std::to_string(after.resets - before.resets) + " connections reset");
    default:
      if (after.corrupted == before.corrupted) return not_done(fault, "no bytes were corrupted");
      return done(fault, std::to_string(after.corrupted - before.corrupted) + " pieces corrupted");
  }
}

void Faults::done(Fault fault, const std::string& what) {
  report_.tally.done(fault);
  log(std::string(to_string(fault)) + ": " + what);
}

void Faults::not_done(Fault fault, const std::string& why) {
  report_.tally.not_done(fault, why);
  log(std::string(to_string(fault)) + " could not be done: " + why);
}

void Faults::log(const std::string& text) {
  std::ofstream(log_, std::ios::app) << now_ns() << " " << text << "\n";
}

// --- links ---

bool Faults::separate(ServerId a, ServerId b) {
  if (abilities_.cables) return parts_.network.cut(a, b);
  parts_.proxies.set(a, b, {.hold = true});
  parts_.proxies.set(b, a, {.hold = true});
  return true;
}

bool Faults::partition(const std::set<ServerId>& side) {
  bool all = true;
  for (const ServerId a : side) {
    for (const ServerId b : parts_.servers.ids()) {
      if (!side.contains(b)) all = separate(a, b) && all;
    }
  }
  return all;
}

void Faults::hold_one_way(ServerId leader) {
  const unsigned variant = static_cast<unsigned>(random_() % 3);
  for (const ServerId id : parts_.servers.ids()) {
    if (id == leader) continue;
    if (variant == 1) {
      parts_.proxies.set(id, leader, {.hold = true});
    } else {
      parts_.proxies.set(leader, id, {.hold = true});
    }
    if (variant == 2) break;
  }
}

void Faults::cut_links() {
  const std::vector<ProxyLink> links = parts_.servers.links();
  for (int i = 0; i < 10 && rest(between(20, 250)); ++i) {
    const ProxyLink& link = links[random_() % links.size()];
    parts_.proxies.cut(link.from, link.to);
  }
}

std::string Faults::strike_links(Fault fault) {
  const std::optional<Roles> now = roles();
  if (!now) return "no leader was known";
  log(std::string(to_string(fault)) + " begins: " + to_string(now->leader) + " and " +
      to_string(now->other));
  const std::string uncut = "a cable could not be cut";
  switch (fault) {
    case Fault::partition_leader:
      return partition({now->leader}) ? "" : uncut;
    case Fault::partition_pair:
      return separate(now->leader, now->other) ? "" : uncut;
    case Fault::partition_with_clients: {
      const ServerId victim = any();
      const bool alone = partition({victim});
      return parts_.network.cut_from_clients(victim) && alone ? "" : uncut;
    }
    case Fault::hold_one_way:
      hold_one_way(now->leader);
      return "";
    case Fault::delay:
      for (const ProxyLink& link : parts_.servers.links()) {
        parts_.proxies.set(link.from, link.to,
                           {.delay = between(1, 120), .jitter = between(1, 200)});
      }
      return "";
    case Fault::cut:
      cut_links();
      return "";
    default:
      parts_.proxies.set(now->leader, now->other, {.corrupt_percent = 20});
      parts_.proxies.set(now->other, now->leader, {.corrupt_percent = 20});
      return "";
  }
}

// --- clients ---

std::string Faults::strike_clients(Fault fault) {
  const unsigned variant = static_cast<unsigned>(random_() % 3);
  log(std::string(to_string(fault)) + " begins: variant " + std::to_string(variant));
  if (fault == Fault::clients_cut) return cut_clients();
  for (const ProxyLink& link : parts_.servers.client_links()) {
    if (fault == Fault::clients_held) {
      parts_.proxies.set(clients, link.to, {.hold = variant != 0, .hold_back = variant != 1});
    } else {
      parts_.proxies.set(clients, link.to, {.corrupt_percent = 5});
    }
  }
  return "";
}

// While disks are slow, what is sent again after a reset meets its first copy in flight.
std::string Faults::cut_clients() {
  std::vector<SyscallFault> slow;
  for (const ServerId id : parts_.servers.ids()) {
    if (!parts_.servers.running(id)) continue;
    slow.push_back(
        SyscallFault::slow_sync(parts_.servers.process_id(id), between(100, 400), strace_log(id)));
  }
  for (int i = 0; i < 8 && rest(between(50, 300)); ++i) {
    for (const ServerId id : parts_.servers.ids()) parts_.proxies.cut(clients, id);
  }
  std::uint64_t delayed = 0;
  bool attached = true;
  for (SyscallFault& fault : slow) {
    attached = attached && fault.attached();
    delayed += fault.detach();
  }
  log(std::to_string(delayed) + " syncs were slow meanwhile");
  if (!attached) return strace_refused;
  return delayed > 0 ? "" : "no disk was asked to sync meanwhile";
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

std::optional<Faults::Roles> Faults::roles() {
  std::optional<ServerId> leader;
  if (!eventually(leader_bound, [&] { return (leader = parts_.servers.leader()).has_value(); })) {
    return std::nullopt;
  }
  std::vector<ServerId> others = parts_.servers.ids();
  std::erase(others, *leader);
  const ServerId other = others[random_() % others.size()];
  return Roles{*leader, other, random_() % 2 == 0 ? *leader : other};
}

std::filesystem::path Faults::strace_log(ServerId id) const {
  return parts_.directory / ("strace-" + to_string(id) + ".log");
}

}  // namespace zabmq::nemesis
