// Checker: the whole state: logs, the ladder, leaders and followers, committed and delivered.
#include "zab/harness/checker.hpp"

#include <algorithm>
#include <tuple>

#include "zab/harness/server.hpp"
#include "zab/harness/text.hpp"

namespace zabmq::zab::test {
namespace {

// The length of the common prefix of two chains: a digest covers everything before it.
std::size_t common_prefix(const std::vector<Record>& a, const std::vector<Record>& b,
                          std::size_t b_count) {
  std::size_t same = 0;
  std::size_t end = std::min(a.size(), b_count);
  while (same < end) {
    const std::size_t middle = same + (end - same + 1) / 2;
    if (a[middle - 1].digest == b[middle - 1].digest) {
      same = middle;
    } else {
      end = middle - 1;
    }
  }
  return same;
}

}  // namespace

void Checker::complain(const std::string& text) {
  violations_.push_back(text);
  if (report_) report_(text);
}

void Checker::complain(const Server& server, const std::string& text) {
  complain("server " + to_string(server.id()) + ": " + text);
}

// What its disk holds before the first start was proposed, and up to its mark committed, in a past
// that the test made up.
void Checker::watch(const Server& server) {
  servers_[server.id()] = &server;
  Seen& seen = seen_[server.id()];
  seen.accepted = server.disk().identity().accepted;
  seen.current = server.disk().identity().current;
  for (const Record& record : server.disk().records()) {
    const auto [at, added] = proposed_.try_emplace(record.zxid, record);
    if (!added && at->second != record && !alarm_allowed) {
      complain(server, "two transactions " + to_string(record.zxid) + " in the test's set-up");
    }
  }
  const auto marked = server.disk().count_up_to(server.disk().marked());
  for (std::size_t i = committed_.size(); marked && i < *marked; ++i) {
    committed_.push_back(server.disk().records()[i]);
    committed_in_.push_back(committed_.back().zxid.epoch);
    delivered_.push_back(server.disk().records()[i]);
  }
}

// --- lives ---

void Checker::started(const Server& server) {
  Seen& seen = seen_[server.id()];
  seen.committed = server.disk().marked();
  seen.delivered_count = server.delivered_count();
  seen.asked.clear();
  seen.new_leader_at.reset();
  seen.acked_leader = false;
  seen.log_looked_at.reset();
}

// I6: what it claimed to have is still there.
void Checker::crashed(const Server& server) {
  Seen& seen = seen_[server.id()];
  if (seen.acked && !server.disk().is_durable(*seen.acked)) {
    complain(server, "acknowledged " + to_string(*seen.acked) + " and lost it in a crash");
  }
  stored(server);
}

void Checker::disk_lost(const Server& server) {
  Seen& old = seen_[server.id()];
  Seen fresh;
  fresh.lost_promises = old.lost_promises;
  fresh.lost_promises.insert(old.promised.begin(), old.promised.end());
  fresh.lost_in = old.accepted;
  const auto acked = server.disk().count_up_to(old.acked.value_or(Zxid{})).value_or(0);
  for (std::size_t i = 0; i < acked; ++i) {
    fresh.lost_acked.push_back(server.disk().records()[i].digest);
  }
  old = fresh;
}

void Checker::disk_replaced(const Server& server, bool old_copy) {
  Seen& seen = seen_[server.id()];
  if (old_copy) seen.old_copy = server.disk().identity().incarnation;
  seen.accepted = server.disk().identity().accepted;
  seen.current = server.disk().identity().current;
}

// I2: promises are never lowered.
void Checker::stored(const Server& server) {
  Seen& seen = seen_[server.id()];
  const Identity& now = server.disk().identity();
  if (now.accepted < seen.accepted) complain(server, "acceptedEpoch went down");
  if (now.current < seen.current) complain(server, "currentEpoch went down");
  if (now.current > now.accepted) complain(server, "currentEpoch is above acceptedEpoch");
  seen.accepted = now.accepted;
  seen.current = now.current;
  if (seen.old_copy && *seen.old_copy != now.incarnation) seen.old_copy.reset();  // it knows
}

// --- proposals and the log ---

void Checker::proposed(const Server& server, const Record& record) {
  const auto [at, added] = proposed_.try_emplace(record.zxid, record);
  if (!added) complain(server, to_string(record.zxid) + " was proposed before");
  if (peers_ == Peers::fictional) return;
  const auto established = established_.find(record.zxid.epoch);
  if (established == established_.end() || established->second.leader != server.id()) {
    return complain(
        server, "proposed in epoch " + to_string(record.zxid.epoch) + ", which it does not lead");
  }
  // Primary integrity: everything of its predecessors is delivered here before the first proposal.
  Established& mine = established->second;
  if (server.delivered_count() < mine.initial.size()) {
    complain(server, "proposed before it had delivered I_e'");
  }
  if (!mine.delivered_at_first_proposal) {
    mine.delivered_at_first_proposal = server.delivered_count();
  }
}

// Integrity and log matching (I7): a zxid names one transaction behind one history, everywhere.
void Checker::appended(const Server& server, const std::vector<Record>& records) {
  for (const Record& record : records) {
    const auto at = proposed_.find(record.zxid);
    if (peers_ == Peers::fictional && at == proposed_.end()) {
      proposed_[record.zxid] = record;
    } else if (at == proposed_.end() || at->second != record) {
      complain(server, to_string(record.zxid) + " was never proposed with this history");
    }
    if (record.zxid.epoch > server.disk().identity().accepted) {  // I3
      complain(server, "logged " + to_string(record.zxid) + " above its durable acceptedEpoch");
    }
  }
}

// --- the whole state ---

void Checker::check() {
  ++checks_made_;
  for (const auto& [id, server] : servers_) check_server(*server, seen_[id]);
}

void Checker::check_server(const Server& server, Seen& seen) {
  if (server.up()) learn_commit(server);
  check_log(server, seen);
  if (!server.up()) return;
  check_ladder(server, seen);
  check_leader(server);
  check_follower(server, seen);
}

void Checker::check_log(const Server& server, Seen& seen) {
  const Disk& disk = server.disk();
  const auto looked_at = std::tuple(disk.version(), disk.durable_count(), committed_.size());
  if (seen.log_looked_at == looked_at) return;
  seen.log_looked_at = looked_at;
  // I5: a committed transaction never leaves a disk on which it was durable.
  const std::size_t kept = committed_on(server);
  if (kept < seen.committed_kept) {
    complain(server, "lost committed transactions: it had " + std::to_string(seen.committed_kept) +
                         " of them, now " + std::to_string(kept));
  }
  seen.committed_kept = kept;
  if (disk.last().epoch > std::max(disk.identity().accepted, Epoch::none) &&
      !disk.records().empty()) {
    complain(server, "its history is ahead of its acceptedEpoch");
  }
  if (server.up() && !disk.log_busy() && server.core().taking_part()) {
    const History recovered = history_of(disk.floor(), disk.records());
    if (recovered != server.core().history()) {
      complain(server, "its core knows [" + test::text(server.core().history()) +
                           "], its disk holds [" + test::text(recovered) + "]");
    }
  }
}

// proposed, logged, durable, committed, delivered: nobody jumps a rung.
void Checker::check_ladder(const Server& server, Seen& seen) {
  const Core& core = server.core();
  if (core.taking_part() && core.last_durable() > server.disk().durable_end()) {
    complain(server, "takes " + to_string(core.last_durable()) + " for durable, the disk ends at " +
                         to_string(server.disk().durable_end()));
  }
  if (core.taking_part() && core.last_committed() > core.last_logged()) {
    complain(server, "committed " + to_string(core.last_committed()) + " is not in its log");
  }
  if (core.last_delivered() > core.last_committed()) complain(server, "delivered before committed");
  // It may forget a commit point that is not durable here, but never below what was delivered.
  if (core.last_committed() < seen.committed && core.last_committed() < core.last_durable() &&
      core.taking_part()) {
    complain(server, "its commit point went back from " + to_string(seen.committed) + " to " +
                         to_string(core.last_committed()));
  }
  seen.committed = core.last_committed();
}

void Checker::check_leader(const Server& server) {
  const auto* leading = std::get_if<Leading>(&server.core().role_state());
  if (!leading || leading->phase == Phase::discovery) return;
  const Epoch epoch = *leading->epoch;
  const auto [at, added] = established_.try_emplace(epoch);
  Established& established = at->second;
  if (added) {
    established.leader = server.id();
    established.incarnation = server.incarnation();
    const std::size_t count = server.disk().count_up_to(leading->initial_end).value_or(0);
    for (std::size_t i = 0; i < count; ++i) {
      established.initial.push_back(server.disk().records()[i].digest);
    }
    check_initial_history(established, epoch);
  }
  // I1: one leader in an epoch.
  if (established.leader != server.id() || established.incarnation != server.incarnation()) {
    complain(server, "leads epoch " + to_string(epoch) + ", which server " +
                         to_string(established.leader) + " leads or led");
  }
  if (peers_ == Peers::fictional) return;
  // Whoever counts is a voter, durably; and it counts what this directory has promised, or one that
  // was lost when it had already counted.
  for (const auto& [id, learner] : leading->learners) {
    const Identity& theirs = servers_.at(id)->disk().identity();
    if (seen_.at(id).old_copy) continue;  // counted before, in a session whose end is not known yet
    if (learner.counts && learner.incarnation == theirs.incarnation &&
        theirs.standing != Standing::voter) {
      complain(server, "counts server " + to_string(id) + " before its mark is durable");
    }
  }
  for (ServerId id : leading->acked_epoch) {
    if (seen_.at(id).lost_promises.contains(epoch)) continue;
    const Identity& theirs = servers_.at(id)->disk().identity();
    if (theirs.accepted < epoch) {
      complain(server,
               "counts a promise of server " + to_string(id) + " that is not durable there");
    }
    if (theirs.standing != Standing::voter) {
      complain(server, "counts server " + to_string(id) + ", which is no voter");
    }
  }
}

// I8: after ACK-LD a follower's history stays a prefix of its leader's. (Equal zxids have equal
// histories behind them: checked when they were appended.)
void Checker::check_follower(const Server& server, const Seen& seen) {
  if (!seen.acked_leader || server.core().role() != Role::following) return;
  const auto leader = servers_.find(server.core().leader());
  if (leader == servers_.end() || !leader->second->up()) return;
  const auto* leading = std::get_if<Leading>(&leader->second->core().role_state());
  const bool same_epoch = leading && leading->epoch == server.core().identity().accepted;
  if (same_epoch && !leader->second->disk().contains(server.disk().last())) {
    complain(server, "has " + to_string(server.disk().last()) + ", which its leader has not");
  }
}

// --- committed ---

std::size_t Checker::committed_on(const Server& server) const {
  return common_prefix(committed_, server.disk().crash_records(), server.disk().crash_count());
}

// A disk on which so many records were, up to the one with this digest, and whose loss came after
// the leader of this epoch had heard of them.
bool Checker::lost_later(ServerId id, std::size_t count, Digest digest, Epoch epoch) const {
  const Seen& seen = seen_.at(id);
  return seen.lost_in == epoch && seen.lost_acked.size() >= count &&
         seen.lost_acked[count - 1] == digest;
}

// Voters on whose disks at least `count` committed records are durable, or were.
std::size_t Checker::quorum_disks(std::size_t count, Epoch epoch) const {
  std::size_t disks = 0;
  for (ServerId id : config_.voters()) {
    const Server& server = *servers_.at(id);
    const bool voter = server.disk().identity().standing == Standing::voter;
    const bool there = voter && committed_on(server) >= count;
    if (there || lost_later(id, count, committed_[count - 1].digest, epoch)) ++disks;
  }
  return disks;
}

// I9 and total order: whoever knows of a commit, its history up to there is the committed one.
void Checker::learn_commit(const Server& server) {
  const auto count = server.disk().count_up_to(server.core().last_committed());
  if (!count) return;  // draining, or complained of in check_ladder
  const auto& records = server.disk().records();
  const std::size_t known = std::min(*count, committed_.size());
  if (known > 0 && records[known - 1].digest != committed_[known - 1].digest) {
    return complain(server, "committed " + to_string(records[known - 1].zxid) +
                                " where another server committed " +
                                to_string(committed_[known - 1].zxid));
  }
  if (*count > committed_.size()) add_committed(server, *count);
}

void Checker::add_committed(const Server& server, std::size_t count) {
  const auto& records = server.disk().records();
  const std::size_t old = committed_.size();
  committed_.insert(committed_.end(), records.begin() + static_cast<std::ptrdiff_t>(old),
                    records.begin() + static_cast<std::ptrdiff_t>(count));
  // The leader is the first to know: a transaction of an older epoch may be committed by a later
  // one.
  const Epoch epoch = server.core().identity().accepted;
  committed_in_.resize(count, epoch);
  if (peers_ == Peers::fictional) return;
  if (quorum_disks(count, epoch) < config_.quorum()) {
    complain(server, "committed " + to_string(committed_.back().zxid) +
                         ", which is not durable on a quorum of voters");
  }
  // I4 for the leaders that are there already: after their quorum's promise nobody commits below.
  for (const auto& [later, established] : established_) {
    if (epoch < later) check_initial_history(established, later);
  }
}

// I4: leader completeness: I_e holds whatever was committed in epochs before e. (What a later
// leader commits of an older epoch's uncommitted tail need not be there.)
void Checker::check_initial_history(const Established& established, Epoch epoch) {
  for (std::size_t i = 0; i < committed_.size() && committed_in_[i] < epoch; ++i) {
    if (i < established.initial.size() && established.initial[i] == committed_[i].digest) continue;
    return complain("the leader of epoch " + to_string(epoch) + ", server " +
                    to_string(established.leader) + ", lacks committed " +
                    to_string(committed_[i].zxid));
  }
}

// --- delivered ---

// The state of a SNAP stands for everything up to it.
void Checker::adopting(const Server& server, Zxid state) {
  Seen& seen = seen_[server.id()];
  const auto count = server.disk().count_up_to(state);
  const bool known = peers_ == Peers::fictional || (count && *count <= delivered_.size());
  if (!count || *count < seen.delivered_count || !known) {
    return complain(server, "takes over the state of " + to_string(state) +
                                ", which is older than its own, or was delivered nowhere");
  }
  seen.delivered_count = *count;
  ++adopted_;
}

void Checker::delivering(const Server& server, Zxid up_to, std::optional<std::size_t> count) {
  if (!count) return complain(server, "delivers " + to_string(up_to) + ", which it does not have");
  Seen& seen = seen_[server.id()];
  if (!server.disk().is_durable(up_to)) {
    complain(server, "delivers " + to_string(up_to) + ", which is not durable here");
  }
  learn_commit(server);
  if (*count > committed_.size()) {
    complain(server, "delivers " + to_string(up_to) + ", which is not committed");
  }
  if (*count <= seen.delivered_count) complain(server, "delivers " + to_string(up_to) + " again");
  for (std::size_t i = seen.delivered_count; i < *count; ++i) {
    const Record& record = server.disk().records()[i];
    if (i < delivered_.size()) {
      // Total order and agreement: everybody delivers the same list.
      if (delivered_[i] != record) {
        complain(server, "delivers " + to_string(record.zxid) + " at position " +
                             std::to_string(i + 1) + ", where " + to_string(delivered_[i].zxid) +
                             " was delivered");
      }
    } else {
      add_delivered(server, record);
    }
  }
  seen.delivered_count = *count;
}

void Checker::add_delivered(const Server& server, const Record& record) {
  const std::string z = to_string(record.zxid);
  // Integrity.
  const auto proposal = proposed_.find(record.zxid);
  if (proposal == proposed_.end() || proposal->second != record) {
    complain(server, "delivers " + z + ", which nobody proposed");
  }
  // Local and global primary order: 1, 2, 3 ... in an epoch, and epochs never go back.
  const Zxid last = delivered_.empty() ? Zxid{} : delivered_.back().zxid;
  if (!follows(record.zxid, last)) complain(server, "delivers " + z + " after " + to_string(last));
  // Primary integrity.
  for (const auto& [epoch, established] : established_) {
    if (epoch <= record.zxid.epoch || !established.delivered_at_first_proposal) continue;
    if (delivered_.size() >= *established.delivered_at_first_proposal) {
      complain(server, "delivers " + z + ", which the leader of epoch " + to_string(epoch) +
                           " had not delivered when it began to propose");
    }
  }
  delivered_.push_back(record);
}

}  // namespace zabmq::zab::test
