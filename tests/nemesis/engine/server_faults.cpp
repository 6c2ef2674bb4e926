// Server faults: processes that end, stand still, or have trouble with their disk.
#include <signal.h>

#include <algorithm>

#include "nemesis/engine/faults.hpp"
#include "nemesis/engine/syscall_fault.hpp"

namespace zabmq::nemesis {

namespace {

using std::chrono::milliseconds;

constexpr int killed = 128 + SIGKILL;
constexpr milliseconds fail_stop_bound{5000};
constexpr milliseconds refusal_bound{3000};
constexpr milliseconds proof_bound{30000};
constexpr milliseconds probe_silence{5000};
constexpr milliseconds reach_bound{15000};
constexpr milliseconds even_bound{60000};
constexpr Offset probe_span = 20000;                  // more than the newest segments hold
constexpr std::uint64_t low_space = 3 * 1024 * 1024;  // less than min_free: two segments
constexpr std::uint64_t no_space_at_all = 16 * 1024;

}  // namespace

void Faults::strike_servers(Fault fault) {
  std::vector<ServerId> ids = parts_.servers.ids();
  std::shuffle(ids.begin(), ids.end(), random_);
  const ServerId leader = leader_or_any();
  const ServerId other = follower();
  const bool of_follower = fault == Fault::kill_follower || fault == Fault::pause_follower;
  const ServerId victim = of_follower ? other : leader;
  switch (fault) {
    case Fault::pause_leader:
    case Fault::pause_follower:
      count(fault, to_string(victim));
      return pause(victim);
    case Fault::kill_majority:
      ids.resize(ids.size() / 2 + 1);
      break;
    case Fault::kill_all:
      break;
    default:
      ids = {victim};
  }
  std::string who;
  for (const ServerId id : ids) who += " " + to_string(id);
  count(fault, who);
  kill_some(std::move(ids));
}

// All at once; they come back one by one.
void Faults::kill_some(std::vector<ServerId> victims) {
  for (const ServerId id : victims) parts_.servers.signal(id, SIGKILL);
  for (const ServerId id : victims) parts_.servers.kill(id);
  rest(between(0, 1500));
  std::shuffle(victims.begin(), victims.end(), random_);
  for (const ServerId id : victims) {
    parts_.servers.launch(id);
    rest(between(0, 300));
  }
}

// Long enough that others give it up; sometimes longer than every time-out.
void Faults::pause(ServerId victim) {
  parts_.servers.signal(victim, SIGSTOP);
  rest(random_() % 3 == 0 ? between(3500, 4500) : between(1200, 2500));
  parts_.servers.signal(victim, SIGCONT);
}

// --- the disk ---

void Faults::strike_disk(Fault fault) {
  if (fault == Fault::full_disk) {
    count(fault, to_string(parts_.small_disk_of));
    return fill_disk();
  }
  const ServerId victim = random_() % 2 == 0 ? leader_or_any() : follower();
  count(fault, to_string(victim));
  if (!parts_.servers.running(victim)) return;
  fault == Fault::sync_error ? fail_sync(victim) : delay_sync(victim);
}

void Faults::fail_sync(ServerId victim) {
  const SyscallFault fault = SyscallFault::failing_sync(parts_.servers.process_id(victim),
                                                        parts_.directory / "strace.log");
  const auto code = parts_.servers.wait_for_end(victim, fail_stop_bound);
  expected_ends_[victim] = {exit_fail_stop};
  if (!code) {
    parts_.timeline.violation("server " + to_string(victim) + " went on after EIO from fdatasync");
  }
  rest(between(0, 1000));
}

void Faults::delay_sync(ServerId victim) {
  const SyscallFault fault = SyscallFault::slow_sync(
      parts_.servers.process_id(victim), between(50, 1500), parts_.directory / "strace.log");
  rest(between(2000, 4000));
}

// Nearly full: publishes are refused. Really full: a write may fail, and the server stops.
void Faults::fill_disk() {
  const bool really = random_() % 2 == 0;
  expected_ends_[parts_.small_disk_of] = {exit_fail_stop};
  if (!parts_.small_disk->fill(really ? no_space_at_all : low_space)) {
    ++report_.findings["a disk that could not be filled"];
  }
  rest(between(1500, 3000));
  parts_.small_disk->make_room();
  rest(between(300, 600));
}

// --- damage to a stopped server ---

void Faults::damage(Fault fault) {
  if (!await_even(even_bound)) return;
  const ServerId victim = random_() % 2 == 0 ? leader_or_any() : follower();
  parts_.servers.kill(victim);
  // Acknowledged after that: a quorum of the others has everything that ever was.
  if (!await_newer_receipt(now_ns(), proof_bound)) {
    count(fault, "not done: nothing was acknowledged without server " + to_string(victim));
    return parts_.servers.launch(victim);
  }
  if (fault == Fault::wiped_disk) {
    count(fault, to_string(victim));
    start_empty(victim);
  } else {
    const std::filesystem::path data = parts_.servers.data_directory(victim);
    const std::string what =
        fault == Fault::flipped_bit ? flip_bit(data, random_) : truncate_tail(data, random_);
    count(fault, to_string(victim) + ": " + what);
    parts_.servers.launch(victim);
    if (fault == Fault::flipped_bit) judge_flip(victim);
  }
  await_even(even_bound);
}

// A flipped bit is found at the start, or when it is read, or it is in nobody's bytes; what a
// subscriber is given is right in any case (the history checker sees to that).
void Faults::judge_flip(ServerId victim) {
  const auto ended = [&](Millis bound) {
    return parts_.servers.wait_for_end(victim, bound) == exit_refused;
  };
  const auto ready = [&] {
    const ServerStatus status = parts_.servers.status_of(victim);
    return status.reachable && status.phase == Phase::broadcast;
  };
  if (ended(refusal_bound)) {
    ++report_.findings["flipped bit: refused at the start"];
    return start_empty(victim);
  }
  eventually(reach_bound, [&] { return ready() || ended(Millis{0}); });
  const Offset top = parts_.timeline.top();
  const Offset first = top > probe_span ? top - probe_span : 1;
  const bool whole = drain(parts_.servers.endpoint(victim), first, probe_silence, probes_);
  if (ended(whole ? Millis{0} : refusal_bound)) {
    ++report_.findings["flipped bit: found when read"];
    return start_empty(victim);
  }
  if (!whole) {
    parts_.timeline.violation("server " + to_string(victim) +
                              " with a flipped bit neither serves nor stops");
  }
  ++report_.findings["flipped bit: harmless"];
}

// The documented way out: the directory is moved away, and the server starts empty.
void Faults::start_empty(ServerId victim) {
  log("server " + to_string(victim) + " starts empty: " + parts_.servers.last_words(victim));
  const std::filesystem::path data = parts_.servers.data_directory(victim);
  std::filesystem::path away = data;
  away += "-moved-" + std::to_string(++moved_away_);
  std::filesystem::rename(data, away);
  parts_.servers.launch(victim);
}

}  // namespace zabmq::nemesis
