// Ghost: zab.md 2.2 and 2.3, over the servers' disks; a core is believed only where it is compared.
#include "sim/exhaustive/ghost.hpp"

#include <algorithm>
#include <variant>

namespace zabmq::sim::exhaustive {
namespace {

// How many of the committed records are durable on this disk. A digest covers all before it.
std::size_t committed_on(const std::vector<Record>& log, std::size_t durable,
                         const std::vector<Record>& committed) {
  std::size_t count = std::min(durable, committed.size());
  while (count > 0 && log[count - 1].digest != committed[count - 1].digest) --count;
  return count;
}

std::size_t committed_on(const Disk& disk, const std::vector<Record>& committed) {
  return committed_on(disk.log, disk.durable, committed);
}

bool is_voter(const Server& server) {
  return server.disk.identity.standing == zab::Standing::voter;
}

std::size_t quorum_of_servers() {
  return servers_count / 2 + 1;
}

}  // namespace

void GhostStep::complain(const Server& server, const std::string& text) {
  violations_.push_back("server " + to_string(server.core.self()) + ": " + text);
}

void GhostStep::check(const Server& before, const Server& now, const Effect::Notable* notable) {
  if (notable) {
    for (const std::string& text : notable->violations) complain(now, text);
    check_proposals(now, notable->proposed);
  }
  learn_wipe(before, now);
  check_disk(before, now);
  check_leader(before, now);
  check_broadcast(before, now);
  learn_commit(now);
  for (const Server* server : servers_) check_follower(*server);
  if (!notable) return;
  if (notable->delivered) check_delivery(before, now, *notable->delivered);
  check_questions(now, *notable);
}

// Integrity, and primary integrity: a leader proposes after it has delivered all of I_e'.
void GhostStep::check_proposals(const Server& now, const std::vector<Record>& proposed) {
  for (const Record& record : proposed) {
    for (const Record& other : ghost_.proposed) {
      if (other.zxid == record.zxid) complain(now, to_string(record.zxid) + " proposed twice");
    }
    ghost_.proposed.push_back(record);
    const auto mine =
        std::find_if(ghost_.established.begin(), ghost_.established.end(),
                     [&](const Ghost::Established& e) { return e.epoch == record.zxid.epoch; });
    if (mine == ghost_.established.end() || mine->leader != now.core.self()) {
      complain(now,
               "proposes in epoch " + to_string(record.zxid.epoch) + ", which it does not lead");
      continue;
    }
    const std::size_t delivered = now.disk.count_up_to(now.core.last_delivered()).value_or(0);
    if (delivered < mine->initial.size()) complain(now, "proposes before it delivered I_e'");
    if (!mine->delivered_at_first_proposal) mine->delivered_at_first_proposal = delivered;
  }
}

void GhostStep::learn_wipe(const Server& before, const Server& now) {
  if (now.disk.identity.incarnation == before.disk.identity.incarnation) return;
  const Disk& disk = before.disk;
  const auto end = disk.log.begin() + static_cast<std::ptrdiff_t>(disk.durable);
  ghost_.lost = {now.core.self(), {disk.log.begin(), end}, disk.identity.current};
}

// Disks of voters that have adopted this epoch and hold so much of what is committed, one that was
// wiped since included.
std::size_t GhostStep::disks_with(Epoch adopted, std::size_t committed_count) const {
  const auto has = [&](const Server* server) {
    const Disk& disk = server->disk;
    if (is_voter(*server)) {
      return disk.identity.current >= adopted &&
             committed_on(disk, ghost_.committed) >= committed_count;
    }
    const Ghost::Lost& lost = ghost_.lost;
    return lost.server == server->core.self() && lost.current >= adopted &&
           committed_on(lost.log, lost.log.size(), ghost_.committed) >= committed_count;
  };
  return static_cast<std::size_t>(std::count_if(servers_.begin(), servers_.end(), has));
}

// I5: a committed transaction never leaves a disk on which it was durable. I7 and integrity: a zxid
// in a log is the one that was proposed. The history is never ahead of acceptedEpoch.
void GhostStep::check_disk(const Server& before, const Server& now) {
  const bool wiped = now.disk.identity.incarnation != before.disk.identity.incarnation;
  const std::size_t had = committed_on(before.disk, ghost_.committed);
  const std::size_t has = committed_on(now.disk, ghost_.committed);
  if (has < had && !wiped) {
    complain(now, "loses committed " + to_string(ghost_.committed[has].zxid) + " from its disk");
  }
  if (now.disk.last().epoch > now.disk.identity.accepted) {
    complain(now, "its history is ahead of its acceptedEpoch");
  }
  Digest previous = Digest::none;
  for (const Record& record : now.disk.log) {
    const bool known =
        std::find(ghost_.proposed.begin(), ghost_.proposed.end(), record) != ghost_.proposed.end();
    if (!known || record.previous != previous) {
      complain(now, "has " + to_string(record.zxid) + ", never proposed with this history");
    }
    previous = record.digest;
  }
}

// I1: one leader in an epoch, and a quorum of durable promises behind it. I4: I_e holds whatever
// was committed before.
void GhostStep::check_leader(const Server& before, const Server& now) {
  const auto* leading = std::get_if<zab::Leading>(&now.core.role_state());
  if (!leading) {  // its questions will never be answered
    std::erase_if(ghost_.asked,
                  [&](const Ghost::Asked& asked) { return asked.leader == now.core.self(); });
  }
  if (!leading || leading->phase == Phase::discovery) return;
  const auto* was = std::get_if<zab::Leading>(&before.core.role_state());
  if (was && was->phase != Phase::discovery) return;
  const Epoch epoch = *leading->epoch;
  for (const Ghost::Established& other : ghost_.established) {
    if (other.epoch == epoch) {
      complain(now, "leads epoch " + to_string(epoch) + ", which server " +
                        to_string(other.leader) + " leads or led");
    }
  }
  Ghost::Established established{epoch, now.core.self(), {}, {}};
  const std::size_t count = now.disk.count_up_to(leading->initial_end).value_or(0);
  for (std::size_t i = 0; i < count; ++i) established.initial.push_back(now.disk.log[i].digest);
  ghost_.established.push_back(established);
  check_initial_history(established);
  std::size_t promises = 0;
  for (const Server* server : servers_) {
    if (!leading->acked_epoch.contains(server->core.self())) continue;
    ++promises;
    if (!is_voter(*server)) continue;  // wiped since: nobody counts it any more
    if (server->disk.identity.accepted < epoch) {
      complain(now, "counts a promise of server " + to_string(server->core.self()) +
                        " that is not durable there");
    }
  }
  if (promises < quorum_of_servers()) complain(now, "leads without a quorum of promises");
}

// NEWLEADER is acknowledged by a quorum: their disks say so.
void GhostStep::check_broadcast(const Server& before, const Server& now) {
  if (!now.core.leading_in_broadcast() || before.core.leading_in_broadcast()) return;
  const Epoch epoch = now.core.identity().accepted;
  const std::size_t disks = disks_with(epoch, 0);
  if (disks < quorum_of_servers()) {
    complain(now, "establishes epoch " + to_string(epoch) + " without a quorum that adopted it");
  }
}

void GhostStep::check_initial_history(const Ghost::Established& established) {
  for (std::size_t i = 0; i < ghost_.committed.size(); ++i) {
    if (ghost_.committed_in[i] >= established.epoch) return;
    if (i < established.initial.size() && established.initial[i] == ghost_.committed[i].digest) {
      continue;
    }
    violations_.push_back("the leader of epoch " + to_string(established.epoch) + ", server " +
                          to_string(established.leader) + ", lacks committed " +
                          to_string(ghost_.committed[i].zxid));
    return;
  }
}

// I9 and total order: whoever knows of a commit, its history up to there is the committed one, and
// a quorum has it on disk.
void GhostStep::learn_commit(const Server& now) {
  const auto count = now.disk.count_up_to(now.core.last_committed());
  if (!count) return;  // draining, or complained of already
  const auto& log = now.disk.log;
  auto& committed = ghost_.committed;
  const std::size_t known = std::min(*count, committed.size());
  if (known > 0 && log[known - 1].digest != committed[known - 1].digest) {
    return complain(now, "committed " + to_string(log[known - 1].zxid) +
                             " where another server committed " +
                             to_string(committed[known - 1].zxid));
  }
  if (*count <= committed.size()) return;
  committed.insert(committed.end(), log.begin() + static_cast<std::ptrdiff_t>(committed.size()),
                   log.begin() + static_cast<std::ptrdiff_t>(*count));
  const Epoch epoch = now.core.identity().accepted;
  ghost_.committed_in.resize(*count, epoch);
  // A disk that has not adopted the leader's epoch does not count (ZOOKEEPER-4685).
  const std::size_t disks = disks_with(epoch, *count);
  if (disks < quorum_of_servers()) {
    complain(now, "committed " + to_string(committed.back().zxid) +
                      ", which is not durable on a quorum of disks of epoch " + to_string(epoch));
  }
  // For the leaders that are there already: after their quorum's promise nobody commits below.
  for (const Ghost::Established& later : ghost_.established) {
    if (epoch < later.epoch) check_initial_history(later);
  }
}

// I8: after ACK-LD a follower's history is a prefix of its leader's.
void GhostStep::check_follower(const Server& server) {
  if (!server.seen.acked_leader || server.core.role() != Role::following) return;
  const Server& leader = *servers_[static_cast<std::uint32_t>(server.core.leader()) - 1];
  const auto* leading = std::get_if<zab::Leading>(&leader.core.role_state());
  if (!leading || leading->epoch != server.core.identity().accepted) return;
  if (leader.disk.digest_at(server.disk.last()) != server.disk.last_digest()) {
    complain(server, "has " + to_string(server.disk.last()) + ", which its leader has not");
  }
}

// Total order and agreement: everybody delivers the same list.
void GhostStep::check_delivery(const Server& before, const Server& now, Zxid up_to) {
  const auto count = now.disk.count_up_to(up_to);
  if (!count) return complain(now, "delivers " + to_string(up_to) + ", which it does not have");
  if (*count > ghost_.committed.size()) {
    complain(now, "delivers " + to_string(up_to) + ", which is not committed");
  }
  const std::size_t from = now.disk.count_up_to(before.core.last_delivered()).value_or(0);
  if (*count <= from) complain(now, "delivers " + to_string(up_to) + " again");
  for (std::size_t i = from; i < *count; ++i) {
    const Record& record = now.disk.log[i];
    if (i >= ghost_.delivered.size()) {
      add_delivered(now, record);
    } else if (ghost_.delivered[i] != record) {
      complain(now, "delivers " + to_string(record.zxid) + " at position " + std::to_string(i + 1) +
                        ", where " + to_string(ghost_.delivered[i].zxid) + " was delivered");
    }
  }
}

// Local and global primary order, and primary integrity.
void GhostStep::add_delivered(const Server& now, const Record& record) {
  const std::string z = to_string(record.zxid);
  const Zxid last = ghost_.delivered.empty() ? Zxid{} : ghost_.delivered.back().zxid;
  if (!follows(record.zxid, last)) complain(now, "delivers " + z + " after " + to_string(last));
  for (const Ghost::Established& later : ghost_.established) {
    if (later.epoch <= record.zxid.epoch || !later.delivered_at_first_proposal) continue;
    if (ghost_.delivered.size() >= *later.delivered_at_first_proposal) {
      complain(now, "delivers " + z + ", which the leader of epoch " + to_string(later.epoch) +
                        " had not delivered when it began to propose");
    }
  }
  ghost_.delivered.push_back(record);
}

// A deposed leader never answers where the cluster ends with less than was committed when it was
// asked (ZOOKEEPER-1675).
void GhostStep::check_questions(const Server& now, const Effect::Notable& notable) {
  const ServerId self = now.core.self();
  if (notable.asked) {
    ghost_.asked.push_back({self, *notable.asked, ghost_.committed.size()});
  }
  if (!notable.answered) return;
  const std::size_t end = now.disk.count_up_to(now.core.last_committed()).value_or(0);
  for (const Ghost::Asked& asked : ghost_.asked) {
    if (asked.leader == self && asked.ticket <= *notable.answered && asked.committed > end) {
      complain(now, "answers a question with an end that was passed before it was asked");
    }
  }
  std::erase_if(ghost_.asked, [&](const Ghost::Asked& asked) {
    return asked.leader == self && asked.ticket <= *notable.answered;
  });
}

std::uint32_t Ghosts::intern(const Ghost& ghost) {
  Hasher hasher;
  const auto add_records = [&](const std::vector<Record>& records) {
    hasher.add(records.size());
    for (const Record& record : records) hasher.add(record.digest);
  };
  add_records(ghost.proposed);
  add_records(ghost.committed);
  for (Epoch epoch : ghost.committed_in) hasher.add(epoch);
  add_records(ghost.delivered);
  hasher.add(ghost.established.size());
  for (const Ghost::Established& established : ghost.established) {
    hasher.add(established.epoch);
    hasher.add(established.leader);
    hasher.add(established.initial.size());
    for (Digest digest : established.initial) hasher.add(digest);
    hasher.add(established.delivered_at_first_proposal.has_value());
    hasher.add(std::uint64_t{established.delivered_at_first_proposal.value_or(0)});
  }
  hasher.add(ghost.asked.size());
  for (const Ghost::Asked& asked : ghost.asked) {
    hasher.add(asked.leader);
    hasher.add(asked.ticket);
    hasher.add(asked.committed);
  }
  hasher.add(ghost.lost.server);
  add_records(ghost.lost.log);
  hasher.add(ghost.lost.current);
  const auto [at, added] =
      ids_.try_emplace(hasher.hash(), static_cast<std::uint32_t>(ghosts_.size()));
  if (added) ghosts_.push_back(ghost);
  return at->second;
}

}  // namespace zabmq::sim::exhaustive
