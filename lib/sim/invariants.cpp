// Invariants: histories, commits, deliveries. What is said in messages is in
// invariants_messages.cpp, what needs a quorum in invariants_quorums.cpp.
#include "sim/invariants.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "replica/records.hpp"
#include "sim/memory_disk.hpp"

namespace zabmq::sim {
namespace {

// After a power failure as many records before the end are looked at again: what was synced long
// ago does not depend on it.
constexpr std::size_t looked_at_again = 64;

constexpr std::uint32_t own_body_max = 64;  // of what the leader proposes for itself
constexpr std::size_t learner_items_max = 8;

}  // namespace

Invariants::Invariants(std::size_t servers, LogTime publisher_ttl, Report report)
    : quorum_(servers / 2 + 1),
      publisher_ttl_(publisher_ttl),
      report_(std::move(report)),
      nodes_(1),
      seen_(servers) {}

void Invariants::watch(ServerId server, const Platter& platter, const MemoryDisk& disk) {
  seen(server).platter = &platter;
  seen(server).disk = &disk;
}

void Invariants::complain(const std::string& check, ServerId server, const std::string& text) {
  report_(check, "server " + to_string(server) + ": " + text);
}

std::size_t Invariants::damaged_count() const {
  return static_cast<std::size_t>(
      std::count_if(seen_.begin(), seen_.end(), [](const Seen& s) { return s.damaged; }));
}

Zxid Invariants::last_committed() const {
  return committed_.empty() ? Zxid{} : nodes_[committed_.back()].zxid;
}

Offset Invariants::first_offset_since(LogTime time) const {
  const auto first = std::partition_point(committed_.begin(), committed_.end(),
                                          [&](NodeId node) { return nodes_[node].time < time; });
  return first == committed_.begin() ? 1 : nodes_[*std::prev(first)].end + 1;
}

Offset Invariants::committed_offset() const {
  return committed_.empty() ? 0 : nodes_[committed_.back()].end;
}

std::optional<Digest> Invariants::digest_at(ServerId server, std::size_t position) const {
  const Seen& at = seen(server);
  if (position >= at.log.size()) return std::nullopt;
  return nodes_[at.log[position]].digest;
}

// --- the tree ---

Invariants::NodeId Invariants::find(Digest digest) const {
  const auto found = by_digest_.find(static_cast<std::uint64_t>(digest));
  return found == by_digest_.end() ? 0 : found->second;
}

Invariants::NodeId Invariants::add(const RecordHeader& header, NodeId parent) {
  const auto id = static_cast<NodeId>(nodes_.size());
  const Sequence last_sequence =
      header.kind == RecordKind::batch ? header.first_sequence + header.count - 1 : 0;
  const bool publisher = header.kind == RecordKind::publisher;
  const bool closes = publisher && (header.flags & record_flag_close) != 0;
  const Instance opens = publisher && !closes ? header.instance : 0;
  nodes_.push_back({header.zxid, header.checksum, header.end_offset(), header.time,
                    header.publisher, last_sequence, closes, opens, parent});
  by_digest_[static_cast<std::uint64_t>(header.checksum)] = id;
  return id;
}

// How many records of its history end at or before this one; nullopt: it is not in there.
std::optional<std::size_t> Invariants::count_up_to(const Seen& at, Zxid zxid) const {
  if (is_none(zxid)) return 0;
  const auto place =
      std::lower_bound(at.log.begin(), at.log.end(), zxid,
                       [this](NodeId node, Zxid wanted) { return nodes_[node].zxid < wanted; });
  if (place == at.log.end() || nodes_[*place].zxid != zxid) return std::nullopt;
  return static_cast<std::size_t>(place - at.log.begin()) + 1;
}

// --- platters ---

// What it held when a fault was injected passes for held: no server can help what comes then.
void Invariants::advance_platter(Seen& at, std::size_t wanted) {
  const std::size_t end = std::min(wanted, at.log.size());
  while (at.on_platter < end && (at.on_platter < at.held_at_fault || at.on_platter < at.freed ||
                                 at.platter->holds(nodes_[at.log[at.on_platter]].digest))) {
    ++at.on_platter;
  }
}

bool Invariants::platter_holds(Seen& at, std::size_t count) {
  if (at.on_platter < count) advance_platter(at, count);
  return at.on_platter >= count;
}

// --- the life of a server ---

// I6: after a crash the history holds everything it ever acknowledged and was not told to cut, and
// not something else in its place.
void Invariants::started(ServerId server, const zab::Identity& identity, const Found& found) {
  Seen& at = seen(server);
  const Digest base = found.from != Digest::none ? found.from : found.floor.digest;
  std::vector<NodeId> log = path_to(find(base));
  if (log.empty() && base != Digest::none) {
    complain("recovery", server, "begins behind a transaction that was never proposed");
  }
  NodeId parent = log.empty() ? 0 : log.back();
  for (const RecordHeader& header : found.records) {
    const NodeId node = find(header.checksum);
    if (node == 0 || nodes_[node].parent != parent) {
      complain(
          "recovery", server,
          "recovered " + to_string(header.zxid) + ", which was never proposed with this history");
      break;
    }
    log.push_back(node);
    parent = node;
  }
  at.aside.reset();
  const auto kept = std::mismatch(log.begin(), log.end(), at.log.begin(), at.log.end());
  const auto same = static_cast<std::size_t>(kept.first - log.begin());
  if (same < at.acked) {
    complain("I6", server,
             "acknowledged " + std::to_string(at.acked) + " records, recovered " +
                 std::to_string(log.size()) + ", of which the first " + std::to_string(same) +
                 " are the same");
  }
  at.log = std::move(log);
  at.freed = count_up_to(at, found.floor.zxid).value_or(0);
  at.on_platter = std::min(at.on_platter, same);
  at.durable = at.log.size();
  if (!platter_holds(at, at.log.size())) {
    complain("W4", server, "its recovered history is not on the platter");
  }
  at.delivered = count_up_to(at, found.delivered).value_or(0);
  if (at.delivered > committed_.size() ||
      (at.delivered > 0 && at.log[at.delivered - 1] != committed_[at.delivered - 1])) {
    complain("delivery", server, "recovered a delivered point that was never committed");
  }
  at.committed = at.delivered;
  at.committed_zxid = found.delivered;
  if (identity.accepted < at.accepted || identity.current < at.current) {
    complain("W3", server, "its epochs went back over a restart");
  }
  take_identity(server, identity);
  at.up = true;
}

void Invariants::crashed(ServerId server, bool power_lost) {
  Seen& at = seen(server);
  at.up = false;
  at.heard = at.leads = Epoch::none;
  at.renounced_ms.reset();
  if (at.aside) take_back(at);
  if (!power_lost) return;
  at.on_platter -= std::min(at.on_platter, looked_at_again);
  advance_platter(at, at.log.size());
  if (at.on_platter < at.acked) {
    complain("I6", server,
             "acknowledged " + std::to_string(at.acked) + " records, its platter holds " +
                 std::to_string(at.on_platter));
  }
}

void Invariants::damaged(ServerId server) {
  Seen& at = seen(server);
  advance_platter(at, at.log.size());
  at.held_at_fault = at.on_platter;
  at.damaged = true;
}

void Invariants::wiped(ServerId server) {
  Seen& at = seen(server);
  Seen fresh;
  fresh.platter = at.platter;
  fresh.disk = at.disk;
  fresh.damaged = fresh.forgot = true;
  fresh.lost = at.forgot ? std::move(at.lost) : std::move(at.log);
  if (!at.forgot) fresh.lost.resize(std::min(fresh.lost.size(), at.acked));
  at = std::move(fresh);
}

void Invariants::rolled_back(ServerId server) {
  wiped(server);
  seen(server).standing = zab::Standing::voter;  // it says, and has forgotten as much
}

// Most often a damaged platter is as it was the last time: then not all of it is read again.
bool Invariants::still_missing(const Seen& at) const {
  if (at.missing == 0) return false;
  const std::optional<std::size_t> count = count_up_to(at, nodes_[at.missing].zxid);
  return count && *count <= at.durable && at.log[*count - 1] == at.missing &&
         !at.platter->holds(nodes_[at.missing].digest);
}

void Invariants::mend_where_possible(ServerId server, const zab::Core& core) {
  Seen& at = seen(server);
  if (!at.damaged || at.standing != zab::Standing::voter || at.platter->damaged()) return;
  if (core.role() == Role::looking || core.phase() != Phase::broadcast) return;
  if (at.log.size() < committed_.size()) return;
  if (still_missing(at)) return;
  const std::size_t held_at_fault = std::exchange(at.held_at_fault, 0);
  at.on_platter = 0;
  at.damaged = !platter_holds(at, at.durable);
  at.missing = 0;
  if (!at.damaged) return;
  at.missing = at.log[at.on_platter];
  at.held_at_fault = held_at_fault;
}

// A leader's epoch is later than whatever was promised to anyone, as far as it has heard
// (ZOOKEEPER-1343).
void Invariants::storing(ServerId server, const zab::Core& core, const zab::Identity& identity) {
  const Seen& at = seen(server);
  if (core.role() != Role::leading || identity.accepted <= at.accepted) return;
  if (identity.accepted > at.heard) return;
  complain("epoch", server,
           "begins epoch " + to_string(identity.accepted) + ", and was told that " +
               to_string(at.heard) + " has been promised");
}

// I2: promises are never lowered.
void Invariants::stored(ServerId server, const zab::Core& core, const zab::Identity& identity) {
  Seen& at = seen(server);
  if (identity.accepted < at.accepted) complain("I2", server, "acceptedEpoch went down");
  if (identity.current < at.current) complain("I2", server, "currentEpoch went down");
  if (identity.current > identity.accepted) {
    complain("W3", server, "currentEpoch is above acceptedEpoch");
  }
  // ZOOKEEPER-4643: the history first. What it adopts the epoch with must be on the platter.
  if (identity.current > at.current) {
    const auto* following = std::get_if<zab::Following>(&core.role_state());
    const auto* leading = std::get_if<zab::Leading>(&core.role_state());
    if (following) check_claim(server, following->new_leader_at.value_or(Zxid{}), "a new epoch");
    if (leading) check_claim(server, leading->initial_end, "a new epoch");
  }
  take_identity(server, identity);
  if (at.aside && at.aside->adopted) at.aside.reset();
}

// Told by its own writes, or found at its start: a crash may come between a write and its report.
void Invariants::take_identity(ServerId server, const zab::Identity& identity) {
  Seen& at = seen(server);
  if (identity.standing == zab::Standing::wiped) at.forgot = true;
  const bool becomes_voter =
      identity.standing == zab::Standing::voter && at.standing != zab::Standing::voter;
  if (at.forgot && becomes_voter) check_readmitted(server, identity);
  at.accepted = identity.accepted;
  at.current = identity.current;
  at.standing = identity.standing;
}

// --- history ---

// Integrity and log matching (I7): a zxid names one transaction behind one history, everywhere.
void Invariants::appended(ServerId server, const zab::Core& core, Bytes records, bool no_space) {
  Seen& at = seen(server);
  while (const auto header = parse_header(records)) {
    const NodeId parent = at.log.empty() ? 0 : at.log.back();
    NodeId node = find(header->checksum);
    if (node == 0 && core.role() == Role::leading) {
      propose(server, core, *header, parent);
      if (no_space && header->kind == RecordKind::batch) {
        complain("no space", server, "proposes " + to_string(header->zxid) + " on a full disk");
      }
      node = find(header->checksum);
      const Bytes body = records.subspan(record_header_size, header->body_size);
      if (const auto admit = replica::parse_admit(body); header->kind == RecordKind::admit) {
        admits_[node] = admit->incarnation;
      }
      if (header->kind == RecordKind::floor) note_floor(server, node, body);
      if (header->kind == RecordKind::cursor) {
        moves_[node] = {*replica::parse_cursor(body), (header->flags & record_flag_close) != 0};
      }
    }
    if (node == 0 || nodes_[node].parent != parent) {
      complain(
          "I7", server,
          "logged " + to_string(header->zxid) + ", which was never proposed behind this history");
      node = add(*header, parent);
    }
    at.log.push_back(node);
    // I3: nothing of an epoch that was not promised, durably.
    if (header->zxid.epoch > at.accepted) {
      complain("I3", server, "logged " + to_string(header->zxid) + " above its acceptedEpoch");
    }
    const std::size_t size = record_size(header->body_size);
    if (size >= records.size()) break;
    records = records.subspan(size);
  }
}

// Local primary order: 1, 2, 3 ... in an epoch; primary integrity: everything of the predecessors
// is delivered at the leader before its first proposal.
void Invariants::propose(ServerId server, const zab::Core& core, const RecordHeader& header,
                         NodeId parent) {
  const Epoch epoch = header.zxid.epoch;
  const auto established = established_.find(epoch);
  if (!core.leading_in_broadcast() || core.identity().current != epoch ||
      established == established_.end() || established->second.leader != server) {
    complain("I1", server, "proposed " + to_string(header.zxid) + ", an epoch it does not lead");
  } else if (!established->second.delivered_at_first) {
    established->second.delivered_at_first = seen(server).delivered;
    if (seen(server).delivered < established->second.initial) {
      complain("primary integrity", server, "proposed before it had delivered I_e'");
    }
  }
  if (!follows(header.zxid, nodes_[parent].zxid)) {
    complain("primary order", server,
             "proposed " + to_string(header.zxid) + " behind " + to_string(nodes_[parent].zxid));
  }
  const Offset expected = nodes_[parent].end + (header.kind == RecordKind::batch ? 1 : 0);
  if (header.base_offset != expected) {
    complain("offsets", server,
             to_string(header.zxid) + " has base offset " + std::to_string(header.base_offset) +
                 ", not " + std::to_string(expected));
  }
  if (header.time < nodes_[parent].time) {
    complain("log time", server, to_string(header.zxid) + " is older than what it stands behind");
  }
  const NodeId node = add(header, parent);
  if (!proposed_.emplace(header.zxid, node).second) {
    complain("integrity", server, to_string(header.zxid) + " was proposed twice");
  }
}

// I5: a committed transaction never leaves a server that has it. From here on the cut may be
// durable at any moment.
void Invariants::cutting(ServerId server, Zxid to) {
  Seen& at = seen(server);
  const std::optional<std::size_t> kept = count_up_to(at, to);
  if (!kept) return complain("I5", server, "cuts behind " + to_string(to) + ", which it has not");
  if (*kept < at.log.size() && *kept < committed_.size() && at.log[*kept] == committed_[*kept]) {
    complain("I5", server, "cuts committed " + to_string(nodes_[committed_[*kept]].zxid));
  }
  at.acked = std::min(at.acked, *kept);
  at.held_at_fault = std::min(at.held_at_fault, *kept);
}

void Invariants::cut(ServerId server, Zxid to) {
  Seen& at = seen(server);
  const std::size_t kept = count_up_to(at, to).value_or(0);
  at.log.resize(kept);
  at.durable = std::min(at.durable, kept);
  at.on_platter = std::min(at.on_platter, kept);
}

// I10: what is left when a role ends is what the disk holds.
void Invariants::drained(ServerId server, Zxid durable) {
  Seen& at = seen(server);
  if (at.aside && !at.aside->adopted) take_back(at);
  const std::optional<std::size_t> kept = count_up_to(at, durable);
  if (!kept) return complain("I10", server, "drained to " + to_string(durable) + ", unknown");
  at.log.resize(*kept);
  at.durable = std::min(at.durable, *kept);
  at.on_platter = std::min(at.on_platter, *kept);
  if (at.acked > *kept) {
    complain("I6", server, "dropped what it had acknowledged, by ending a role");
    at.acked = *kept;
  }
  if (!platter_holds(at, *kept)) {
    complain("I10", server, "takes " + to_string(durable) + " for durable, the platter has less");
  }
}

void Invariants::durable(ServerId server, Zxid up_to) {
  Seen& at = seen(server);
  const std::optional<std::size_t> count = count_up_to(at, up_to);
  if (!count) return complain("W4", server, to_string(up_to) + " is durable, but not logged");
  at.durable = std::max(at.durable, *count);
  if (!platter_holds(at, *count)) {
    complain("W4", server, to_string(up_to) + " is said to be durable and is not on the platter");
  }
}

// Delivered means committed, and durable here; everybody delivers the same list, each once.
void Invariants::delivered(ServerId server, Zxid up_to) {
  Seen& at = seen(server);
  const std::optional<std::size_t> count = count_up_to(at, up_to);
  if (!count) return complain("delivery", server, "delivers " + to_string(up_to) + ", unknown");
  if (*count > committed_.size() || (*count > 0 && at.log[*count - 1] != committed_[*count - 1])) {
    complain("delivery", server, "delivers " + to_string(up_to) + ", which is not committed");
  }
  if (*count < at.delivered)
    complain("delivery", server, "delivers " + to_string(up_to) + " again");
  if (!platter_holds(at, *count)) {
    complain("W4", server, "delivers " + to_string(up_to) + ", which is not on its platter");
  }
  at.delivered = *count;
}

// --- the whole state ---

void Invariants::look(ServerId server, const zab::Core& core) {
  Seen& at = seen(server);
  if (core.last_committed() != at.committed_zxid) learn_commit(server, core);
  if (core.last_delivered() > core.last_committed()) {
    complain("ladder", server, "delivered before committed");
  }
  if (core.taking_part() && core.last_committed() > core.last_logged()) {
    complain("ladder", server, "committed what it has not logged");
  }
  at.leads = Epoch::none;
  if (core.role() == Role::leading) check_leading(server, core);
  if (core.role() == Role::following) check_following(server, core);
}

// W11: each queue is within the bound that is named for it, or one record over it where a record
// may be larger than what is left.
void Invariants::bounded(ServerId server, const replica::Queues& queues,
                         const replica::Options& options) {
  const auto within = [&](const char* queue, std::size_t filled, std::size_t bound) {
    if (filled <= bound) return;
    complain(
        "bounded", server,
        std::string(queue) + ": " + std::to_string(filled) + ", at most " + std::to_string(bound));
  };
  const std::size_t record = record_size(static_cast<std::uint32_t>(options.batch.batch_max));
  const std::size_t own = (seen_.size() + 1) * record_size(own_body_max);  // admits, and a floor
  const std::size_t group = std::max(options.group_bytes_max, record);
  const std::size_t window = options.learner_window_bytes + record;
  within("bytes to publish", queues.publish_bytes, options.in_flight_bytes_max + own);
  within("batches of a publisher", queues.publisher_batches, options.receipts_max);
  within("bytes sent to a learner", queues.learner_bytes, window);
  within("items for a learner", queues.learner_items, learner_items_max);
  within("bytes forwarded", queues.forwarded_bytes, options.forwarded_bytes_max);
  within("bytes held while cutting", queues.held_bytes,
         window + std::max(record, options.read_bytes_max));
  within("bytes to write", queues.unwritten_bytes,
         std::max(window, options.unwritten_bytes_max + group + own));
  within("publishers", queues.publishers, options.publishers_max);
  within("connections", queues.connections, options.connections_max);
  within("receipts kept", queues.receipts, options.receipts_total_max);
  within("answers held for a client", queues.answers, options.answers_max);
  within("bytes of answers held for a client", queues.answer_bytes, options.answers_bytes_max);
  within("bytes of answers held", queues.all_answer_bytes, options.answers_total_bytes_max);
  within("subscriptions of a client", queues.subscriptions, options.subscriptions_max);
  within("cold reads", queues.cold_reads, options.cold_reads_max);
}

// Total order, agreement, I9: whoever knows of a commit, its history up to there is the committed
// one. W5: when it is first committed, it is on a quorum of platters.
void Invariants::learn_commit(ServerId server, const zab::Core& core) {
  Seen& at = seen(server);
  const Zxid zxid = core.last_committed();
  const std::optional<std::size_t> count = count_up_to(at, zxid);
  if (!count) {
    return complain("commit", server, "committed " + to_string(zxid) + ", not in its history");
  }
  at.committed_zxid = zxid;
  if (*count < at.committed && *count < at.delivered) {
    complain("I9", server, "its commit point went back to " + to_string(zxid));
  }
  at.committed = *count;
  const std::size_t known = std::min(*count, committed_.size());
  if (known > 0 && at.log[known - 1] != committed_[known - 1]) {
    return complain("agreement", server,
                    "committed " + to_string(nodes_[at.log[known - 1]].zxid) +
                        " where another server committed " +
                        to_string(nodes_[committed_[known - 1]].zxid));
  }
  if (*count <= committed_.size()) return;
  if (!core.leading_in_broadcast()) {
    complain("commit", server,
             "knows that " + to_string(zxid) + " is committed before any leader in broadcast does");
  }
  committed_.insert(committed_.end(), at.log.begin() + static_cast<std::ptrdiff_t>(known),
                    at.log.begin() + static_cast<std::ptrdiff_t>(*count));
  const Epoch epoch = core.identity().accepted;
  committed_in_.resize(*count, epoch);
  note_admits(known);
  note_floors(known);
  note_clients(known);
  if (voters_with(*count, epoch) < quorum_) {
    complain("W5", server,
             "committed " + to_string(zxid) + ", which is on the platters of " +
                 std::to_string(voters_with(*count, epoch)) + " voters of its leader's epoch " +
                 to_string(epoch) + ", a quorum is " + std::to_string(quorum_));
  }
  // I4 for the leaders that are there already: after their quorum's promise nobody commits below.
  for (const auto& [later, established] : established_) {
    if (epoch < later) check_initial(later, established);
  }
}

// I1: one leader in an epoch. I4: it has whatever was committed before.
void Invariants::check_leading(ServerId server, const zab::Core& core) {
  const auto& leading = std::get<zab::Leading>(core.role_state());
  if (leading.phase == Phase::discovery || !leading.epoch) return;
  const Epoch epoch = *leading.epoch;
  seen(server).leads = epoch;
  const auto [place, added] = established_.try_emplace(epoch);
  Established& established = place->second;
  if (added) {
    established.leader = server;
    established.initial = count_up_to(seen(server), leading.initial_end).value_or(0);
    if (established.initial > 0) {
      established.initial_end = seen(server).log[established.initial - 1];
    }
    check_quorum(server, said_[epoch].promised, seen(server).accepted >= epoch,
                 "synchronizes epoch " + to_string(epoch) + " without a quorum of ACK-E");
    check_initial(epoch, established);
  }
  if (established.leader != server) {
    complain("I1", server,
             "leads epoch " + to_string(epoch) + ", as server " + to_string(established.leader) +
                 " does or did");
    established.leader = server;
  }
  if (!established.in_broadcast && leading.phase == Phase::broadcast) {
    established.in_broadcast = true;
    newest_established_ = std::max(newest_established_, epoch);
    check_quorum(server, said_[epoch].acknowledged, seen(server).current >= epoch,
                 "established epoch " + to_string(epoch) + " without a quorum of ACK-LD");
  }
  check_rounds(server, leading);
}

// I8: after ACK-LD a follower's history is a prefix of its leader's, as long as that leads.
void Invariants::check_following(ServerId server, const zab::Core& core) {
  const auto& following = std::get<zab::Following>(core.role_state());
  if (!following.acked_leader) return;
  const Seen& leader = seen(core.leader());
  const std::vector<NodeId>& log = seen(server).log;
  if (leader.leads != following.epoch || log.empty()) return;
  if (log.size() <= leader.log.size() && leader.log[log.size() - 1] == log.back()) return;
  complain("I8", server,
           "has " + to_string(nodes_[log.back()].zxid) + ", which its leader " +
               to_string(core.leader()) + " has not");
}

void Invariants::check_initial(Epoch epoch, const Established& established) {
  std::size_t before = committed_in_.size();  // committed in earlier epochs
  while (before > 0 && committed_in_[before - 1] >= epoch) --before;
  if (before == 0) return;
  NodeId node = established.initial_end;
  for (std::size_t i = established.initial; i > before; --i) node = nodes_[node].parent;
  if (established.initial < before || node != committed_[before - 1]) {
    complain("I4", established.leader,
             "leads epoch " + to_string(epoch) + " and lacks committed " +
                 to_string(nodes_[committed_[before - 1]].zxid));
  }
}

}  // namespace zabmq::sim
