// History walk: marks and records, one after the other, and the end.
#include "storage/history_walk.hpp"

#include <algorithm>
#include <utility>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t scan_bytes = 1 << 20;
constexpr std::size_t item_alignment = 8;  // marks and records begin at multiples of it

}  // namespace

void HistoryWalk::begin(Begin begin) {
  last_ = begin.last;
  result_.history.ends = std::move(begin.ends);
  delivered_ = begin.delivered;
  told_up_to_ = begin.told_up_to;
}

bool HistoryWalk::end() {
  result_.history.last = last_;
  result_.history.delivered = delivered_;
  if (met_ == witnesses_.size()) return true;
  const Witness& missed = witnesses_[met_];
  return fail_at(missed.file, 0,
                 "it is of transaction " + to_string(missed.at.zxid) +
                     ", which was on disk once, and the history ends before it");
}

bool HistoryWalk::enter(const Segment& segment) {
  position_ = segment_header_size;
  ++result_.history.segments;
  result_.history.bytes += segment_header_size;
  if (!meet_witnesses(segment.name())) return false;
  const Zxid delivered = segment.header.delivered;
  marked_ = std::max(marked_, delivered);
  if (delivered <= delivered_ || take_delivered(delivered)) return true;
  return fail_at(segment.name(), 0,
                 "it says that transaction " + to_string(delivered) +
                     " was delivered, which is not in front of it");
}

bool HistoryWalk::walk_older(Segment& segment, const Segment& successor) {
  SegmentReader reader(fs_, segment.file, segment.allocated);
  if (!enter(segment)) return false;
  if (!walk(segment, reader, std::min(segment.end, segment.allocated), false)) return false;
  if (position_ != segment.end)
    return fail_at(segment.name(), position_, "neither a mark nor the next record");
  const LastRecord& expected = successor.header.before;
  if (last_.zxid != expected.zxid || last_.offset != expected.offset ||
      last_.digest != expected.digest) {
    return fail_at(successor.name(), 0,
                   "it continues transaction " + to_string(expected.zxid) +
                       " with another chain digest or offset");
  }
  return true;
}

bool HistoryWalk::walk_newest(Segment& segment) {
  SegmentReader reader(fs_, segment.file, segment.allocated);
  result_.files.proven = last_;
  if (!enter(segment)) return false;
  if (!walk(segment, reader, segment.allocated, true)) return false;
  segment.end = position_;
  return examine_tail(segment, reader);
}

// Goes over marks and records until `limit` or until something is neither.
bool HistoryWalk::walk(Segment& segment, SegmentReader& reader, std::uint64_t limit, bool newest) {
  while (position_ < limit) {
    const Bytes front = reader.at(position_, static_cast<std::size_t>(std::min<std::uint64_t>(
                                                 record_header_size, limit - position_)));
    std::size_t size = 0;
    if (looks_like_mark(front)) {
      if (!take_mark(segment, front)) break;
      if (newest) {
        result_.files.last_write = position_;
        result_.files.proven = last_;
      }
      size = mark_size;
    } else if (position_ > segment_header_size) {  // a segment begins with a mark
      size = take_record(segment, reader, limit);
      if (size > 0 && !meet_witnesses(segment.name())) return false;
    }
    if (size == 0) break;
    position_ += size;
    result_.history.bytes += size;
  }
  return ok(reader.status());
}

bool HistoryWalk::take_mark(const Segment& segment, Bytes bytes) {
  if (!is_mark_of(segment.header, bytes, position_)) return false;
  const Zxid delivered = parse_mark(bytes)->delivered;
  if (delivered < marked_) return false;
  // What a snapshot covers, or is no longer kept, was delivered, whatever an older mark says.
  const bool known = delivered == marked_ || delivered <= result_.history.floor.zxid;
  if (!known && !holds(delivered)) return false;
  marked_ = delivered;
  return delivered <= delivered_ || take_delivered(delivered);
}

// False: no such transaction lies in front of this place.
bool HistoryWalk::take_delivered(Zxid delivered) {
  if (!holds(delivered)) return false;
  delivered_ = delivered;
  visitor_.on_delivered(delivered_);
  return true;
}

// Whether a transaction in front of this place has this zxid.
bool HistoryWalk::holds(Zxid zxid) const {
  const std::vector<EpochLast>& ends = result_.history.ends;
  const auto end = std::find_if(ends.begin(), ends.end(),
                                [&](const EpochLast& e) { return e.epoch == zxid.epoch; });
  return end != ends.end() && zxid.counter > 0 && zxid.counter <= end->last &&
         zxid > result_.history.floor.zxid;
}

// The size of the record at the position, when a whole and valid one is there that continues the
// history; else 0.
std::size_t HistoryWalk::take_record(Segment& segment, SegmentReader& reader, std::uint64_t limit) {
  const std::uint64_t room = limit - position_;
  if (room < record_header_size) return 0;
  const auto header = parse_header(reader.at(position_, record_header_size));
  if (!header || record_size(header->body_size) > room) return 0;
  const Link link = link_of(*header);
  const Bytes record = reader.at(position_, link.size);
  const bool whole = parse_record(record) || ZABMQ_MUTANT(body_not_checked);
  if (!continues(link, last_) || !whole) return 0;
  segment.add_waypoint({position_, last_}, waypoint_interval_);
  if (link.zxid > told_up_to_) {
    visitor_.on_record(*header, record.subspan(record_header_size, header->body_size));
  }
  last_ = link.end();
  std::vector<EpochLast>& ends = result_.history.ends;
  if (ends.empty() || ends.back().epoch != link.zxid.epoch) ends.push_back({link.zxid.epoch, 0});
  ends.back().last = link.zxid.counter;
  ++result_.history.records;
  return link.size;
}

// A snapshot's transaction that the history has reached must be the one that is here.
bool HistoryWalk::meet_witnesses(const std::string& file) {
  while (met_ < witnesses_.size() && witnesses_[met_].at.zxid <= last_.zxid) {
    const Witness& witness = witnesses_[met_++];
    if (is_same(witness.at, last_)) continue;
    return fail_at(file, position_,
                   witness.file + " has transaction " + to_string(witness.at.zxid) +
                       " with another chain digest, offset or time");
  }
  return true;
}

// A record whose header is good and whose body is not: its body may hold anything a client wrote,
// and is not searched for marks.
std::uint64_t HistoryWalk::damaged_body_end(SegmentReader& reader) const {
  const auto header = parse_header(reader.at(position_, record_header_size));
  if (!header || !continues(link_of(*header), last_)) return position_;
  return position_ + record_size(header->body_size);
}

// What lies behind the end: a later mark proves corruption; other bytes are leftovers of a torn
// write.
bool HistoryWalk::examine_tail(Segment& segment, SegmentReader& reader) {
  const std::uint64_t body_end = damaged_body_end(reader);
  std::uint64_t leftovers_end = position_;
  for (std::uint64_t window = position_; window < reader.size(); window += scan_bytes) {
    const Bytes bytes = reader.at(window, scan_bytes + record_header_size);
    for (std::size_t i = 0; i < std::min(bytes.size(), scan_bytes); i += item_alignment) {
      const Bytes rest = bytes.subspan(i);
      const std::uint64_t here = window + i;
      if (const std::uint64_t size = leftover_size(segment.header, rest)) {
        leftovers_end = std::max(leftovers_end, std::min(here + size, reader.size()));
      }
      if (ZABMQ_MUTANT(corruption_taken_for_torn)) continue;
      if (here >= body_end && is_mark_of(segment.header, rest, here)) {
        return fail_at(segment.name(), position_,
                       "a later write, at byte " + std::to_string(here) +
                           ", proves that this was on disk once");
      }
    }
  }
  if (!ok(reader.status())) return false;
  if (leftovers_end > position_) result_.history.torn = TornTail{segment.name(), position_};
  result_.files.leftovers_end = leftovers_end;
  return true;
}

// How many bytes of a torn write stand here, behind the end; 0: none, as far as can be seen.
//
// In a file of zeros it is any other byte. A recycled file is full of old records. Those were freed
// when they were delivered, so their zxids lie at or below the history's end; a record of the write
// that was torn lies above. Without its header no record is ever taken for one, so these are all
// leftovers that could continue the chain when the same write comes again and is torn again.
std::uint64_t HistoryWalk::leftover_size(const SegmentHeader& segment, Bytes rest) const {
  if (!segment.recycled) {
    if (rest.size() < item_alignment) return all_zero(rest) ? 0 : rest.size();
    return get<std::uint64_t>(rest.data()) == 0 ? 0 : item_alignment;
  }
  if (rest.size() < record_header_size || get<std::uint32_t>(rest.data()) != record_magic) return 0;
  const auto header = parse_header(rest);
  return header && header->zxid > last_.zxid ? record_size(header->body_size) : 0;
}

}  // namespace zabmq::storage
