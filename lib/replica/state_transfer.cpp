// State transfer: snapshots of the server state, to this disk and, as SNAP, to a learner; and what
// depends on them: retention, and the floor of the history.
#include <algorithm>
#include <utility>

#include "replica/delivery.hpp"
#include "replica/learner_queue.hpp"
#include "replica/proposals.hpp"
#include "replica/replica.hpp"
#include "replica/subscriptions.hpp"
#include "storage/snapshot.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

// How many times storage.retain_max_bytes of log a slow learner may hold.
constexpr std::uint64_t held_log_ratio_max = 2;

Floor floor_of(const storage::LastRecord& last) {
  return {last.zxid, last.offset, last.digest};
}

Slice to_slice(std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {owner, *owner};
}

}  // namespace

// Of the delivered point, which is durable here.
storage::Snapshot Replica::make_snapshot() const {
  zab::History history = core_.history();
  history.truncate_after(state_.delivered());
  storage::Snapshot snapshot;
  snapshot.at = state_.last();
  snapshot.retained = floor_of(state_.retained());
  snapshot.floor = history.floor;
  for (const zab::EpochEnd& end : history.ends) snapshot.ends.push_back({end.epoch, end.last});
  snapshot.state = to_slice(state_.encode());
  return snapshot;
}

// The log frees segments when a snapshot covers them; the core must know of no more than there is.
void Replica::follow_floor() {
  if (!core_.taking_part() || draining_ || rewinding_ || env_.log.installing()) return;
  const storage::LastRecord floor = env_.log.floor();
  if (floor.zxid > core_.history().floor.zxid) core_.raise_floor(floor_of(floor));
}

void Replica::save_snapshot_when_due() {
  follow_floor();
  if (!core_.taking_part() || draining_ || rewinding_ || env_.log.installing()) return;
  if (env_.log.saving_snapshot() || is_none(state_.delivered())) return;
  const bool retention_moved = state_.retained().zxid > env_.log.snapshot_report().retained;
  if (!snapshot_clock_.due(now_ms_, retention_moved)) return;
  if (ZABMQ_MUTANT(delivered_before_durable) && state_.delivered() > env_.log.durable()) return;
  env_.log.hold_behind(hold());
  env_.log.save_snapshot(make_snapshot());
  snapshot_clock_.on_begun(now_ms_);
}

// Where somebody still reads: a learner, or a subscription that retention has passed only now.
std::optional<Zxid> Replica::hold() {
  std::optional<Zxid> learner = learners_->lowest();
  if (learner && holds_too_much()) learner.reset();
  const std::optional<Zxid> subscription = subscriptions_->hold();
  if (learner && subscription) return std::min(*learner, *subscription);
  return learner ? learner : subscription;
}

// A learner that makes progress for ever, and never arrives, may not fill the disk. It is left
// behind: its next read fails, and it gets SNAP.
bool Replica::holds_too_much() const {
  std::uint64_t bytes = 0;
  for (const storage::SegmentSpan& segment : env_.log.segments()) bytes += segment.bytes;
  return bytes / held_log_ratio_max > options_.retention.bytes_max;
}

void Replica::propose_retention() {
  if (!accepts_publishes() || now_ms_ < retention_due_ms_) return;
  retention_due_ms_ = now_ms_ + options_.retention_interval_ms;
  const auto floor = retention_floor(
      env_.log.segments(), options_.retention,
      {state_.retained().zxid, state_.delivered(), state_.cursors().slowest(), wall_us_});
  if (floor) proposals_->stop_retaining(*floor);
}

// --- SNAP: the leader's side ---

void Replica::send_snap(ServerId to, zab::Snap snap) {
  const storage::LastRecord floor = env_.log.floor();
  ZABMQ_CHECK(floor.zxid == snap.floor.zxid);
  snap.time = floor.time;
  snap.state = state_.delivered();
  ++counters_.snapshots_sent;
  const zab::Identity& own = core_.identity();
  const storage::SnapshotOwner owner{own.cluster, own.history, core_.self(), own.generation};
  learners_->push_snap(to, snap, storage::encode_snapshot(make_snapshot(), owner));
}

// --- SNAP: the learner's side ---

// Its parts gather here; the core is told when all are there and make sense.
void Replica::receive_snap(ServerId from, const zab::Snap& snap, const Slice& part) {
  settle_core();
  if (core_.role() != Role::following || core_.leader() != from) {
    ++counters_.dropped_peer_messages;
    return break_session(from, "SNAP from a server that this one does not follow");
  }
  if (snap.part == 0) incoming_.emplace(state_.publishers().limits());
  const bool fits = incoming_ && incoming_->parts == snap.part &&
                    incoming_->bytes.size() + part.size() <= options_.snapshots.state_bytes_max;
  if (!fits) {
    incoming_.reset();
    return break_session(from,
                         "a part of its SNAP is missing, or it is larger than snapshots may be");
  }
  ++incoming_->parts;
  const Bytes bytes = part.bytes();
  incoming_->bytes.insert(incoming_->bytes.end(), bytes.begin(), bytes.end());
  send(from, zab::StateTaken{snap.part});
  if (!incoming_ || incoming_->parts < snap.parts) return;
  install_incoming(from, snap);
}

void Replica::install_incoming(ServerId from, const zab::Snap& snap) {
  storage::ParsedSnapshot parsed =
      storage::parse_snapshot(to_slice(std::exchange(incoming_->bytes, {})));
  const storage::Snapshot& snapshot = parsed.snapshot;
  const bool ours = parsed.kind == storage::ParsedSnapshot::Kind::valid &&
                    parsed.owner.cluster == core_.identity().cluster &&
                    parsed.owner.history == core_.identity().history;
  const storage::LastRecord floor{snap.floor.zxid, snap.floor.offset, snap.floor.digest, snap.time};
  const bool fits = ours && snapshot.at.zxid == snap.state && storage::fits_floor(snapshot, floor);
  if (!fits || !incoming_->state.restore(snapshot)) {
    incoming_.reset();
    ++counters_.peer_records_malformed;
    return break_session(from, "its SNAP is damaged, or of a version that this one does not know");
  }
  incoming_->installation.floor = floor;
  incoming_->installation.snapshot = std::move(parsed.snapshot);
  core_.receive(from, zab::Snap{snap.floor, snap.time, snap.state, 0, 1});
  run_core();
}

void Replica::install(const zab::Install& install) {
  ZABMQ_CHECK(incoming_ && incoming_->installation.floor.zxid == install.floor.zxid);
  incoming_->installation.generation = install.generation;
  rewinding_ = true;
  env_.log.install(std::exchange(incoming_->installation, {}));
}

// From here on this server's state is the leader's; what stood for the old history is forgotten.
void Replica::adopt() {
  ZABMQ_CHECK(incoming_);
  switching_ = true;
  env_.log.adopt_installed();
  state_ = std::move(incoming_->state);
  retained_ = state_.retained().offset;
  incoming_.reset();
  delivery_->start_anew();
  subscriptions_->on_delivered();
  announced_ = state_.delivered();
  ++counters_.snapshots_installed;
}

}  // namespace zabmq::replica
