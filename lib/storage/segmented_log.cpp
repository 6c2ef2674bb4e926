// Segmented log: opening, and taking records. What is written when: group_commit.cpp.
#include "storage/segmented_log.hpp"

#include <algorithm>
#include <iterator>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

RecoveryOptions recovery_options(const LogOptions& options) {
  return {options.cluster,           options.history,    options.server, options.segment_size,
          options.waypoint_interval, options.generation, false};
}

}  // namespace

SegmentedLog::OpenResult SegmentedLog::open(FileSystem& fs, const LogOptions& options,
                                            RecoveryVisitor& visitor) {
  ZABMQ_CHECK(options.segment_size > segment_header_size + mark_size);
  RecoveryResult recovered = recover(fs, recovery_options(options), visitor);
  if (recovered.failure) return std::move(*recovered.failure);
  const RecoveredFiles files = recovered.files;
  std::unique_ptr<SegmentedLog> log(new SegmentedLog(fs, options, std::move(recovered)));
  if (auto failure = log->repair(files)) return std::move(*failure);
  return log;
}

SegmentedLog::SegmentedLog(FileSystem& fs, const LogOptions& options, RecoveryResult recovered)
    : fs_(fs),
      options_(options),
      recovered_(std::move(recovered.history)),
      chain_(std::make_move_iterator(recovered.files.chain.begin()),
             std::make_move_iterator(recovered.files.chain.end())),
      next_number_(recovered.files.next_number),
      floor_(chain_.empty() ? LastRecord{} : chain_.front().header.before),
      last_(recovered_.last),
      durable_(recovered.files.proven),
      delivered_(recovered_.delivered),
      marked_delivered_(recovered_.delivered),
      snapshots_(std::move(recovered.files.snapshots)),
      snapshot_writer_(fs),
      tail_(last_),
      spares_(fs, options.segment_size, options.spare_segments, std::move(recovered.files.spares)) {
  if (!chain_.empty()) cached_from_ = chain_.back().header.number;  // those before are not ours
  if (options_.min_free_bytes == 0) options_.min_free_bytes = 2 * options_.segment_size;
  watch_space();
}

SegmentedLog::~SegmentedLog() = default;

void SegmentedLog::belongs_to(const Uuid& cluster, const Uuid& history) {
  ZABMQ_CHECK(!is_none(cluster) && !is_none(history));
  ZABMQ_CHECK(chain_.empty() || (cluster == options_.cluster && history == options_.history));
  options_.cluster = cluster;
  options_.history = history;
}

bool SegmentedLog::continues(Bytes records) const {
  LastRecord last = last_;
  while (!records.empty()) {
    if (records.size() < record_header_size) return false;
    const Link link = link_at(records.data());
    if (link.size > records.size() || !storage::continues(link, last)) return false;
    if (!leads_to_snapshot(last, link.end())) return false;
    last = link.end();
    records = records.subspan(link.size);
  }
  return true;
}

void SegmentedLog::append(Slice records) {
  ZABMQ_CHECK(!rewind_ && !installation_ && !draining_ && !stop_done_);
  ZABMQ_CHECK(!starting_);
  if (failure_ || records.empty()) return;
  const LastRecord before = last_;
  for (Bytes rest = records.bytes(); !rest.empty();) {
    ZABMQ_CHECK(rest.size() >= record_header_size);
    const Link link = link_at(rest.data());
    ZABMQ_CHECK(link.size <= rest.size());
    ZABMQ_CHECK(storage::continues(link, last_) && leads_to_snapshot(last_, link.end()));
    last_ = link.end();
    rest = rest.subspan(link.size);
  }
  pending_bytes_ += records.size();
  tail_.push(records, last_);
  pending_.push_back({std::move(records), before, last_});
}

void SegmentedLog::flush() {
  advance();
}

// The next thing to do, when nothing is under way.
void SegmentedLog::advance() {
  if (busy_ || failure_) return;
  if (!pending_.empty()) {
    start_group();
    if (busy_ || !stop_done_) return;
    drop_pending();  // there is no space for it, and we stop: nobody was told that it is durable
  }
  if (draining_) return finish_drain();
  if (rewind_ && !stop_done_) return begin_rewind();
  if (installation_ && !stop_done_) return begin_install();
  if (stop_done_) finish_stop();
}

void SegmentedLog::begin_operation() {
  ZABMQ_CHECK(!busy_);
  busy_ = true;
  busy_since_ms_ = now_ms_;
  spares_.set_idle(false);
}

void SegmentedLog::end_operation() {
  ZABMQ_CHECK(busy_);
  busy_ = false;
  last_write_ms_ = now_ms_;
}

std::uint64_t SegmentedLog::oldest_write_age_ms(std::uint64_t now_ms) const {
  return busy_ && now_ms > busy_since_ms_ ? now_ms - busy_since_ms_ : 0;
}

void SegmentedLog::set_delivered(Zxid zxid) {
  if (installing()) return;
  ZABMQ_CHECK(zxid <= durable_.zxid);
  delivered_ = std::max(delivered_, ZABMQ_MUTANT(mark_says_too_much) ? durable_.zxid : zxid);
}

void SegmentedLog::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  if (!std::exchange(ticked_, true)) last_write_ms_ = busy_since_ms_ = now_ms;
  if (failure_) return;
  watch_space();
  free_segments();
  const bool mark_time = now_ms - last_write_ms_ >= options_.idle_mark_ms;
  if (idle() && !draining_ && mark_due() && mark_time) write_mark();
  tend_spares();
}

void SegmentedLog::drop_pending() {
  pending_.clear();
  pending_bytes_ = 0;
  last_ = group_.slices.empty() ? durable_ : group_.end;
  tail_.truncate_after(last_);
}

void SegmentedLog::drain() {
  if (failure_) return;
  ZABMQ_CHECK(!draining_);
  drop_pending();
  draining_ = true;
  advance();
}

// A cut or an installation that has not begun, or waits for space, is dropped: nobody waits for it.
void SegmentedLog::finish_drain() {
  begin_operation();
  rewind_.reset();
  installation_.reset();
  auto told = [this] {
    end_operation();
    draining_ = false;
    advance();
    if (listener_) listener_->on_drained(durable_.zxid);
  };
  if (!aside_) return fs_.defer(guarded(std::move(told)));
  // Synced before another one may be installed, which would have the same generation.
  for (const std::string& name : take_back()) {
    fs_.remove(name, guarded([this](const IoStatus& status) {
                 if (!status && status.error != ENOENT) fail(status);
               }));
  }
  fs_.sync_directory(guarded([this, told = std::move(told)](const IoStatus& status) {
    if (!status) return fail(status);
    told();
  }));
}

void SegmentedLog::stop(std::function<void()> done) {
  ZABMQ_CHECK(!stop_done_ && done);
  stop_done_ = std::move(done);
  advance();
}

void SegmentedLog::finish_stop() {
  if (mark_due()) return write_mark();
  begin_operation();
  fs_.defer(guarded([this] { std::exchange(stop_done_, [] {})(); }));
}

std::optional<ReadResult> SegmentedLog::read_hot(ReadFrom from, Zxid up_to, std::size_t max_bytes) {
  if (is_below_floor(from)) return ReadResult{};
  return tail_.read(from, up_to, max_bytes);
}

void SegmentedLog::fail(Failure failure) {
  if (failure_) return;
  failure_ = std::move(failure);
  spares_.set_idle(false);
  if (listener_) listener_->on_failed(*failure_);
}

void SegmentedLog::fail(const IoStatus& status) {
  fail(Failure{false, status.what});
}

}  // namespace zabmq::storage
