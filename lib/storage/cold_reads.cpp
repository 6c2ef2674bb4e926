// Cold reads: records from disk, from the nearest waypoint on. Everything read is verified: that a
// record was good when it was written says nothing about the disk since.
#include <algorithm>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

// Of `read_slack`, when the read begins exactly where it shall.
constexpr std::size_t exact_share = 16;
constexpr std::size_t read_ends_max = 64;

// Whether the record behind `end` is the one that reaches `from`, as far as it can be known.
bool stands_before(const LastRecord& end, const ReadFrom& from) {
  if (const auto* after = std::get_if<After>(&from)) return end.zxid == after->zxid;
  if (const auto* offset = std::get_if<AtOffset>(&from)) return end.offset + 1 == offset->offset;
  return false;
}

// How much must be seen of the record at the front of `bytes` before it can be checked.
std::size_t bytes_needed(Bytes bytes) {
  return bytes.size() < record_header_size ? record_header_size : link_at(bytes.data()).size;
}

void add_run(ReadResult& result, const Slice& chunk, std::size_t begin, std::size_t end) {
  if (end > begin) result.slices.push_back(chunk.sub(begin, end - begin));
}

}  // namespace

// Invariant: every record of the chain in front of (segment, position) lies before `from`, or is in
// `result`; `last` is the history's end there.
struct SegmentedLog::Scan {
  ReadFrom from;
  Zxid up_to;
  std::size_t max_bytes = 0;
  ScanDone done;

  std::uint64_t cuts = 0;
  std::uint64_t segment = 0;
  std::uint64_t position = 0;
  LastRecord last;
  std::size_t chunk_bytes = 0;
  std::size_t taken = 0;
  ReadResult result;
};

void SegmentedLog::read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) {
  auto reading = std::make_shared<Scan>();
  reading->from = from;
  reading->up_to = up_to;
  reading->max_bytes = max_bytes;
  reading->done = [this, done = std::move(done)](Scan& s) {
    if (s.taken == 0) s.result = read_hot(s.from, s.up_to, s.max_bytes).value_or(ReadResult{});
    done(std::move(s.result));
  };
  scan(std::move(reading));
}

void SegmentedLog::digest_at(Zxid zxid, DigestDone done) {
  if (zxid < floor_.zxid) return done(std::nullopt);
  if (zxid == floor_.zxid) return done(floor_.digest);
  if (const auto here = tail_.find(zxid)) return done(here->digest);
  locate(zxid, [done = std::move(done)](const std::optional<Located>& place) {
    done(place ? std::optional(place->end.digest) : std::nullopt);
  });
}

// Finds where a record on disk ends. Never calls back at once.
void SegmentedLog::locate(Zxid zxid, LocateDone done) {
  if (!chain_.empty() && zxid == floor_.zxid) {
    const SegmentHeader& first = chain_.front().header;
    const Located place{first.number, segment_header_size, first.before};
    fs_.defer(guarded([place, done = std::move(done)] { done(place); }));
    return;
  }
  auto search = std::make_shared<Scan>();
  search->from = FromZxid{zxid};
  search->up_to = zxid;
  search->max_bytes = 1;  // the scan stops directly behind the record
  search->done = [zxid, done = std::move(done)](const Scan& s) {
    if (s.taken == 0 || s.result.last != zxid) return done(std::nullopt);
    done(Located{s.segment, s.position, s.last});
  };
  scan(std::move(search));
}

// The record that `from` asks for, or one in front of it, may have been, and is not kept.
bool SegmentedLog::is_below_floor(const ReadFrom& from) const {
  return !is_none(floor_.zxid) && reaches(floor_, from);
}

SegmentedLog::Chain::iterator SegmentedLog::segment_numbered(std::uint64_t number) {
  return std::partition_point(chain_.begin(), chain_.end(),
                              [&](const Segment& s) { return s.header.number < number; });
}

SegmentedLog::Chain::const_iterator SegmentedLog::segment_for(const ReadFrom& from) const {
  const auto behind = std::partition_point(chain_.begin(), chain_.end(), [&](const Segment& s) {
    return !reaches(s.header.before, from);
  });
  return behind == chain_.begin() ? behind : std::prev(behind);
}

void SegmentedLog::scan(std::shared_ptr<Scan> s) {
  if (chain_.empty() || is_below_floor(s->from)) {
    s->taken = 0;
    s->result = {};
    fs_.defer(guarded([s] { s->done(*s); }));
    return;
  }
  const Segment& segment = *segment_for(s->from);
  const Waypoint waypoint = segment.waypoint_for(s->from);
  Located begin{segment.header.number, waypoint.position, waypoint.before};
  for (const Located& end : read_ends_) {
    if (!reaches(end.end, s->from) && end.end.zxid > begin.end.zxid) begin = end;
  }
  s->chunk_bytes = s->max_bytes + (stands_before(begin.end, s->from)
                                       ? options_.read_slack / exact_share
                                       : options_.waypoint_interval + options_.read_slack);
  s->cuts = cuts_;
  s->segment = begin.segment;
  s->position = begin.position;
  s->last = begin.end;
  s->taken = 0;
  s->result = {};
  scan_on(std::move(s));
}

void SegmentedLog::scan_on(std::shared_ptr<Scan> s) {
  auto segment = segment_numbered(s->segment);
  while (s->position >= segment->end) {
    if (std::next(segment) == chain_.end()) {
      fs_.defer(guarded([s] { s->done(*s); }));
      return;
    }
    ++segment;
    s->segment = segment->header.number;
    s->position = segment_header_size;
  }
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(s->chunk_bytes, segment->end - s->position));
  const FileId file = segment->file;
  const std::uint64_t position = s->position;
  fs_.read(file, position, count,
           guarded([this, s = std::move(s), count](const IoStatus& status, const Slice& chunk) {
             // Bytes of a segment that was freed meanwhile may be those of another one.
             if (s->cuts != cuts_ || s->segment < chain_.front().header.number) return scan(s);
             if (!status) {
               damaged(*s, status.what);
             } else if (chunk.size() != count) {
               damaged(*s, "the file has become shorter");
             } else {
               on_chunk(s, chunk);
             }
           }));
}

void SegmentedLog::on_chunk(std::shared_ptr<Scan> s, const Slice& chunk) {
  const bool complete = take_chunk(*s, chunk);
  if (failure_) return;
  if (s->taken > 0) note_read_end({s->segment, s->position, s->last});
  if (complete || s->taken > 0) return s->done(*s);
  scan_on(std::move(s));
}

// A cursor reads on where its last read ended: the way from the waypoint is not read again.
void SegmentedLog::note_read_end(const Located& place) {
  if (read_ends_.size() >= read_ends_max) read_ends_.pop_front();
  read_ends_.push_back(place);
}

// Goes over the marks and records of a chunk; true when the read has all it wants.
bool SegmentedLog::take_chunk(Scan& s, const Slice& chunk) {
  Segment& segment = *segment_numbered(s.segment);
  const bool closed = s.segment != chain_.back().header.number;
  std::size_t at = 0;
  std::size_t run = 0;  // the records from here up to `at` are wanted, and lie back to back
  bool complete = false;
  while (!complete && at < chunk.size()) {
    const Bytes rest = chunk.bytes().subspan(at);
    // The chunk may end inside a mark, and a mark may be the last thing in the segment.
    const bool cut_off = rest.size() < mark_size && rest.size() < segment.end - s.position;
    if (cut_off && !ZABMQ_MUTANT(mark_cut_by_chunk)) break;
    if (looks_like_mark(rest)) {
      if (!is_mark_of(segment.header, rest, s.position)) return damaged(s, "not the mark written");
      add_run(s.result, chunk, run, at);
      at += mark_size;
      s.position += mark_size;
      run = at;
      continue;
    }
    const std::size_t size = bytes_needed(rest);
    if (size > segment.end - s.position) return damaged(s, "not the record written");
    if (size > rest.size()) {
      s.chunk_bytes = std::max(s.chunk_bytes, size);
      break;
    }
    const std::optional<RecordHeader> header = parse_record(rest);
    if (!header || !storage::continues(link_of(*header), s.last))
      return damaged(s, "not the record written");
    // A start does not read what a snapshot covers: its waypoints are laid by the first reader.
    if (closed) segment.add_waypoint({s.position, s.last}, options_.waypoint_interval);
    const LastRecord end = link_of(*header).end();
    if (!reaches(end, s.from)) {
      run = at + size;
    } else if (end.zxid > s.up_to || (s.taken > 0 && s.taken + size > s.max_bytes)) {
      complete = true;
      break;
    } else {
      s.taken += size;
      s.result.last = end.zxid;
      complete = s.taken >= s.max_bytes;
    }
    s.last = end;
    s.position += size;
    at += size;
  }
  add_run(s.result, chunk, run, at);
  return complete;
}

// Bytes that were synced and are no longer what they were. Final, like every failure; the read that
// met them is not answered. The result ends the scan.
bool SegmentedLog::damaged(const Scan& s, const std::string& why) {
  fail(Failure{true, describe({segment_name(s.segment), s.position, s.last.zxid}, why)});
  return true;
}

}  // namespace zabmq::storage
