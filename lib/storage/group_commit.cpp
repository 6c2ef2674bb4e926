// Group commit: as soon as no write is under way, everything taken so far goes out as one: a mark,
// the records, one sync.
#include <algorithm>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

Slice make_mark(const Segment& segment, std::uint64_t position, Zxid delivered) {
  auto bytes = std::make_shared<std::array<std::byte, mark_size>>();
  encode_mark({segment.header.number, position, delivered, segment.header.checksum}, *bytes);
  return {bytes, *bytes};
}

// The whole records at the front that fit into `limit` bytes, as their size.
std::size_t whole_records(Bytes records, std::size_t limit) {
  std::size_t size = 0;
  while (size < records.size()) {
    const std::size_t with_it = size + link_at(records.data() + size).size;
    if (with_it > limit) break;
    size = with_it;
  }
  return size;
}

}  // namespace

void SegmentedLog::start_group() {
  const Link first = link_at(pending_.front().records.bytes().data());
  const bool batch = first.kind == RecordKind::batch;
  starved_ = false;
  free_bytes_ = fs_.free_bytes();
  if (chain_.empty() || !fits(first.size)) return roll();
  const Segment& newest = chain_.back();
  const bool relieves = batch && mark_size + first.size > room(true) && floor_waits();
  if (mark_size + first.size > room(batch && !relieves)) {  // waits, unless a spare has the bytes
    starved_ = true;
    if (newest.end > segment_header_size && spares_.ready() > 0) roll();
    return;
  }
  std::uint64_t limit = options_.group_bytes_max;
  if (newest.end + mark_size < options_.segment_size)
    limit = std::min(limit, options_.segment_size - newest.end - mark_size);
  limit = std::min(limit, std::max<std::uint64_t>(room(!relieves), mark_size) - mark_size);
  begin_operation();
  collect_group(std::max(static_cast<std::size_t>(limit), first.size));
  fill_page();
  submit_group();
}

// Whether batches that wait for space may go into what is kept for a floor behind them: it lets
// retention free some, when all of them fit, and a snapshot as well.
bool SegmentedLog::floor_waits() const {
  std::uint64_t bytes = 0;
  for (const Pending& some : pending_) {
    const Bytes records = some.records.bytes();
    for (std::size_t at = 0; at < records.size();) {
      const Link link = link_at(records.data() + at);
      bytes += mark_size + link.size;
      if (link.kind == RecordKind::floor) {
        return free_bytes_ >= options_.min_free_bytes * 3 / 8 + bytes;
      }
      at += link.size;
    }
  }
  return false;
}

// An empty segment takes any record, so that a small segment size never blocks a large record.
bool SegmentedLog::fits(std::size_t bytes) const {
  const Segment& newest = chain_.back();
  return newest.end == segment_header_size ||
         newest.end + mark_size + bytes <= options_.segment_size;
}

// How many bytes may be written behind the end of the newest segment: those that were allocated
// before, and what the disk has beyond the part of the reserve that stays. An ENOSPC in the middle
// of a group would be final. What was taken before no_space() began is written, as far as half of
// the reserve: the disks of a cluster are never quite equally full, and who waits acknowledges
// nothing. All that is not a batch lets retention free space, or ends something, and may use half
// of the rest, and so may batches in front of a floor.
std::uint64_t SegmentedLog::room(bool for_batches) const {
  const Segment& newest = chain_.back();
  const std::uint64_t allocated = newest.allocated - std::min(newest.allocated, newest.end);
  const std::uint64_t stays = options_.min_free_bytes / (for_batches ? 2 : 4);
  return allocated + (free_bytes_ > stays ? free_bytes_ - stays : 0);
}

void SegmentedLog::collect_group(std::size_t limit) {
  const Segment& newest = chain_.back();
  group_.delivered = delivered_;
  group_.slices.push_back(make_mark(newest, newest.end, delivered_));
  while (!pending_.empty()) {
    const Bytes front = pending_.front().records.bytes();
    const std::size_t room = limit - group_.bytes;
    const std::size_t size = front.size() <= room ? front.size() : whole_records(front, room);
    if (size == 0) break;
    take_into_group(size);
  }
  ZABMQ_CHECK(group_.bytes > 0);
}

// Moves the first `size` bytes of the oldest pending slice, whole records, into the group.
void SegmentedLog::take_into_group(std::size_t size) {
  Pending& front = pending_.front();
  Slice taken = front.records.sub(0, size);
  note_waypoints(taken, front.before);
  pending_bytes_ -= size;
  if (size == front.records.size()) {
    group_.end = front.end;
    pending_.pop_front();
  } else {
    for (std::size_t at = 0; at < size;) {
      const Link link = link_at(taken.bytes().data() + at);
      front.before = link.end();
      at += link.size;
    }
    group_.end = front.before;
    front.records = front.records.sub(size, front.records.size() - size);
  }
  group_.bytes += size;
  group_.slices.push_back(std::move(taken));
}

void SegmentedLog::note_waypoints(const Slice& records, LastRecord before) {
  std::uint64_t position = chain_.back().end + mark_size + group_.bytes;
  const Bytes bytes = records.bytes();
  std::uint64_t next = chain_.back().waypoints.empty() ? segment_header_size
                                                       : chain_.back().waypoints.back().position;
  if (!group_.waypoints.empty()) next = group_.waypoints.back().position;
  next += options_.waypoint_interval;
  if (position + bytes.size() <= next) return;
  for (std::size_t at = 0; at < bytes.size();) {
    const Link link = link_at(bytes.data() + at);
    if (position + at >= next) {
      group_.waypoints.push_back({position + at, before});
      next = position + at + options_.waypoint_interval;
    }
    before = link.end();
    at += link.size;
  }
}

// Zeros up to the end of the page, where the file has more behind it: of a recycled segment that is
// not cached any more, the page would have to be read before a part of it is written.
void SegmentedLog::fill_page() {
  static const auto zeros = std::make_shared<const std::array<std::byte, page_size>>();
  const Segment& newest = chain_.back();
  const std::uint64_t end = newest.end + mark_size + group_.bytes;
  const std::uint64_t more = newest.allocated - std::min(newest.allocated, end);
  const std::uint64_t rest = std::min(more, (page_size - end % page_size) % page_size);
  if (rest > 0) group_.slices.push_back(Slice(zeros, Bytes{*zeros}.first(rest)));
}

void SegmentedLog::submit_group() {
  const Segment& newest = chain_.back();
  const bool unsynced =
      ZABMQ_MUTANT(ack_before_fsync) || (ZABMQ_MUTANT(roll_not_synced) && fills());
  fs_.write(newest.file, newest.end, group_.slices, !unsynced,
            guarded([this](const IoStatus& status) { on_group_written(status); }));
  free_bytes_ = fs_.free_bytes();
}

// Behind the group comes the next segment.
bool SegmentedLog::fills() const {
  if (pending_.empty()) return false;
  const std::size_t next = link_at(pending_.front().records.bytes().data()).size;
  return !fits(group_.bytes + mark_size + next);
}

void SegmentedLog::on_group_written(const IoStatus& status) {
  if (!status && ZABMQ_MUTANT(fsync_retried)) return group_.slices.clear(), submit_group();
  if (!status) return fail(status);
  const Group group = std::exchange(group_, {});
  Segment& newest = chain_.back();
  newest.end += mark_size + group.bytes;
  newest.allocated = std::max(newest.allocated, newest.end);
  newest.waypoints.insert(newest.waypoints.end(), group.waypoints.begin(), group.waypoints.end());
  durable_ = group.end;
  marked_delivered_ = group.delivered;
  mark_wanted_ = group.bytes > 0;
  tail_.evict(options_.tail_cache_bytes, durable_.zxid);
  end_operation();
  advance();  // first the disk, then the news
  if (group.bytes > 0 && listener_) listener_->on_durable(group.end.zxid);
}

// Whether a mark without records would tell something new, and may be written.
bool SegmentedLog::mark_due() const {
  return !chain_.empty() && (mark_wanted_ || delivered_ != marked_delivered_) &&
         room(false) >= mark_size;
}

void SegmentedLog::write_mark() {
  begin_operation();
  const Segment& newest = chain_.back();
  group_.delivered = delivered_;
  group_.end = durable_;
  group_.slices.push_back(make_mark(newest, newest.end, delivered_));
  fill_page();
  submit_group();
}

}  // namespace zabmq::storage
