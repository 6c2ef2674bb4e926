// Server faults: processes that end, stand still, or have trouble with their disk.
#include <signal.h>

#include <algorithm>

#include "nemesis/engine/faults.hpp"
#include "nemesis/engine/syscall_fault.hpp"
#include "storage/verify.hpp"

namespace zabmq::nemesis {

namespace {

using std::chrono::milliseconds;

constexpr int killed = 128 + SIGKILL;
constexpr milliseconds stop_bound{2000};
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
  if (fault == Fault::kill_all || fault == Fault::kill_majority) {
    std::shuffle(ids.begin(), ids.end(), random_);
    if (fault == Fault::kill_majority) ids.resize(ids.size() / 2 + 1);
    return kill_some(fault, std::move(ids));
  }
  const std::optional<Roles> now = roles();
  if (!now) return not_done(fault, "no leader was known");
  const bool of_follower = fault == Fault::kill_follower || fault == Fault::pause_follower;
  const ServerId victim = of_follower ? now->other : now->leader;
  if (fault == Fault::pause_leader || fault == Fault::pause_follower) return pause(fault, victim);
  kill_some(fault, {victim});
}

// All at once; they come back one by one.
void Faults::kill_some(Fault fault, std::vector<ServerId> victims) {
  for (const ServerId id : victims) parts_.servers.signal(id, SIGKILL);
  bool all = true;
  std::string who = "servers";
  for (const ServerId id : victims) {
    parts_.servers.kill(id);
    all = all && parts_.servers.wait_for_end(id, Millis{0}) == killed;
    who += " " + to_string(id);
  }
  all ? done(fault, who) : not_done(fault, "a server had ended before");
  rest(between(0, 1500));
  std::shuffle(victims.begin(), victims.end(), random_);
  for (const ServerId id : victims) {
    parts_.servers.launch(id);
    rest(between(0, 300));
  }
}

// Longer than every time-out, of servers and of clients; a quarter of the leader's pauses and half
// of a follower's are only so long that others give it up.
void Faults::pause(Fault fault, ServerId victim) {
  const bool is_short = random_() % 4 < (fault == Fault::pause_leader ? 1 : 2);
  const Millis span =
      is_short ? between(1200, 2500) : Millis(longest_time_out) + between(500, 1500);
  parts_.servers.signal(victim, SIGSTOP);
  const bool still =
      eventually(stop_bound, [&] { return parts_.servers.stands_still(victim); }) && rest(span);
  parts_.servers.signal(victim, SIGCONT);
  if (!still) return not_done(fault, "the server did not stand still");
  done(fault, "server " + to_string(victim) + " for " + std::to_string(span.count()) + " ms");
}

// --- the disk ---

void Faults::strike_disk(Fault fault) {
  if (fault == Fault::full_disk) return fill_disk();
  const std::optional<Roles> now = roles();
  if (!now) return not_done(fault, "no leader was known");
  if (!parts_.servers.running(now->either)) return not_done(fault, "the server had ended before");
  fault == Fault::sync_error ? fail_sync(now->either) : delay_sync(now->either);
}

void Faults::fail_sync(ServerId victim) {
  SyscallFault fault =
      SyscallFault::failing_sync(parts_.servers.process_id(victim), strace_log(victim));
  if (!fault.attached()) return not_done(Fault::sync_error, "strace did not attach");
  const auto code = parts_.servers.wait_for_end(victim, fail_stop_bound);
  expected_ends_[victim] = {exit_fail_stop};
  const std::uint64_t failed = fault.detach();
  if (failed == 0) return not_done(Fault::sync_error, "nothing was synced meanwhile");
  done(Fault::sync_error, "server " + to_string(victim));
  if (!code) {
    parts_.timeline.violation("server " + to_string(victim) + " went on after EIO from fdatasync");
  }
  rest(between(0, 1000));
}

void Faults::delay_sync(ServerId victim) {
  const Millis delay = between(50, 1500);
  SyscallFault fault =
      SyscallFault::slow_sync(parts_.servers.process_id(victim), delay, strace_log(victim));
  if (!fault.attached()) return not_done(Fault::sync_delay, "strace did not attach");
  rest(between(2000, 4000));
  const std::uint64_t delayed = fault.detach();
  if (delayed == 0) return not_done(Fault::sync_delay, "nothing was synced meanwhile");
  done(Fault::sync_delay, "server " + to_string(victim) + ", " + std::to_string(delayed) +
                              " times by " + std::to_string(delay.count()) + " ms");
}

// Nearly full: publishes are refused, and the server goes on. Really full: a write may fail, and
// the server stops.
void Faults::fill_disk() {
  const bool really = random_() % 2 == 0;
  if (really) expected_ends_[parts_.small_disk_of] = {exit_fail_stop};
  if (!parts_.small_disk->fill(really ? no_space_at_all : low_space)) {
    parts_.small_disk->make_room();
    return not_done(Fault::full_disk, "it would not fill");
  }
  done(Fault::full_disk, "server " + to_string(parts_.small_disk_of) +
                             (really ? ", no space at all" : ", less than two segments"));
  rest(between(1500, 3000));
  parts_.small_disk->make_room();
  rest(between(300, 600));
}

// --- damage to a stopped server ---

void Faults::damage(Fault fault) {
  if (!await_even(even_bound)) return not_done(fault, "not every server had everything");
  const std::optional<Roles> now = roles();
  if (!now) return not_done(fault, "no leader was known");
  const ServerId victim = now->either;
  parts_.servers.kill(victim);
  // Acknowledged after that: a quorum of the others has everything that ever was.
  if (!await_newer_receipt(now_ns(), proof_bound)) {
    not_done(fault, "nothing was acknowledged without the server");
    return parts_.servers.launch(victim);
  }
  if (fault == Fault::wiped_disk) {
    start_empty(victim);
    done(fault, "server " + to_string(victim));
  } else {
    const std::filesystem::path data = parts_.servers.data_directory(victim);
    const std::optional<std::string> what =
        fault == Fault::flipped_bit ? flip_bit(data, random_) : truncate_tail(data, random_);
    what ? done(fault, "server " + to_string(victim) + ": " + *what)
         : not_done(fault, "there was nothing to damage");
    parts_.servers.launch(victim);
    if (what && fault == Fault::flipped_bit) judge_flip(victim);
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
  const Offset kept = std::max<Offset>(parts_.servers.status_of(victim).first_offset, 1);
  const Offset first = std::max(top > probe_span ? top - probe_span : 1, kept);
  const bool whole = drain(parts_.servers.endpoint(victim), first, probe_silence, probes_);
  if (ended(whole ? Millis{0} : refusal_bound)) {
    ++report_.findings["flipped bit: found when read"];
    return start_empty(victim);
  }
  if (!whole) {
    parts_.timeline.violation("server " + to_string(victim) +
                              " with a flipped bit neither serves nor stops");
  }
  verify(victim);
}

// Nobody has come across it: old segments are not read at a start. Left alone it would be a second
// damaged disk some day, and with the next one a majority (seed 1359360779). So this server's
// administrator does what operations.md says: looks, and lets it come back empty.
void Faults::verify(ServerId victim) {
  parts_.servers.kill(victim);
  const storage::VerifyReport report =
      storage::verify_directory(parts_.servers.data_directory(victim).string());
  if (report.verdict == storage::VerifyReport::Verdict::corrupt) {
    ++report_.findings["flipped bit: found by log verify"];
    return start_empty(victim);
  }
  ++report_.findings["flipped bit: in nobody's bytes"];
  parts_.servers.launch(victim);
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
