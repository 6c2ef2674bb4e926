// Recovery: from files to a history.
#include "storage/recovery.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "storage/segment_reader.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t scan_bytes = 1 << 20;
constexpr std::size_t item_alignment = 8;  // marks and records begin at multiples of it

struct SegmentFile {
  FileId file = FileId::none;
  std::uint64_t size = 0;
  ParsedSegmentHeader parsed;
};

class Recovery {
 public:
  Recovery(FileSystem& fs, const RecoveryOptions& options, RecoveryVisitor& visitor)
      : fs_(fs), options_(options), visitor_(visitor) {}

  RecoveryResult run() {
    if (list_files() && find_newest() && follow_chain() && walk_chain()) summarize();
    return std::move(result_);
  }

 private:
  using Files = std::map<std::uint64_t, SegmentFile, std::greater<>>;

  bool list_files();
  bool open_segment(std::uint64_t number, const std::string& name);
  bool open_spare(const std::string& name);
  bool find_newest();
  bool never_created(std::uint64_t number, const SegmentFile& file);
  bool check_owner(const SegmentHeader& header);
  bool follow_chain();
  bool walk_chain();
  bool walk_older(Segment& segment, const Segment& successor);
  bool walk_newest(Segment& segment);
  bool enter(const Segment& segment);
  void walk(Segment& segment, SegmentReader& reader, std::uint64_t limit);
  bool take_mark(const Segment& segment, Bytes bytes);
  bool take_delivered(Zxid delivered);
  bool holds(Zxid zxid) const;
  std::size_t take_record(Segment& segment, SegmentReader& reader, std::uint64_t limit);
  bool examine_tail(Segment& segment, SegmentReader& reader);
  std::uint64_t damaged_body_end(SegmentReader& reader) const;
  void summarize();

  bool fail(StartFailure failure) {
    result_.failure = std::move(failure);
    return false;
  }
  bool fail_at(const std::string& file, std::uint64_t position, const std::string& why) {
    return fail(corrupt({file, position, last_.zxid}, why));
  }
  bool ok(const IoStatus& status) { return status ? true : fail(failed(status)); }

  FileSystem& fs_;
  RecoveryOptions options_;
  RecoveryVisitor& visitor_;
  RecoveryResult result_;
  Files files_;

  // The walk.
  std::uint64_t position_ = 0;
  LastRecord last_;
  Zxid delivered_;
};

bool Recovery::list_files() {
  std::vector<std::string> names;
  if (!ok(fs_.list(names))) return false;
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (const auto number = parse_segment_name(name)) {
      if (!open_segment(*number, name)) return false;
    } else if (parse_spare_name(name)) {
      if (!open_spare(name)) return false;
    }
  }
  return true;
}

bool Recovery::open_segment(std::uint64_t number, const std::string& name) {
  SegmentFile file;
  if (!ok(fs_.open(name, file.file, file.size))) return false;
  SegmentReader reader(fs_, file.file, file.size);
  file.parsed = parse_segment_header(reader.at(0, segment_header_size));
  if (!ok(reader.status())) return false;
  // A page that was written for another number stands in a reused file: not this segment's header.
  if (file.parsed.kind == ParsedSegmentHeader::Kind::valid && file.parsed.header.number != number) {
    file.parsed.kind = ParsedSegmentHeader::Kind::invalid;
  }
  files_.emplace(number, std::move(file));
  return true;
}

bool Recovery::open_spare(const std::string& name) {
  Spare spare{name, FileId::none, 0};
  if (!ok(fs_.open(name, spare.file, spare.size))) return false;
  if (spare.size >= options_.segment_size) {
    result_.files.spares.push_back(std::move(spare));
  } else {
    fs_.close(spare.file);
    result_.files.useless.push_back(name);
  }
  return true;
}

// Drops files that never became segments; the first one left is the newest.
bool Recovery::find_newest() {
  while (!files_.empty()) {
    const auto& [number, file] = *files_.begin();
    if (file.parsed.kind == ParsedSegmentHeader::Kind::newer_version) {
      return fail({StartFailure::Kind::newer_version,
                   segment_name(number) + " has format version " +
                       std::to_string(file.parsed.version) + ", this program knows " +
                       std::to_string(segment_version) + "; use the newer program",
                   std::nullopt});
    }
    if (file.parsed.kind == ParsedSegmentHeader::Kind::valid) return true;
    if (!never_created(number, file)) return false;
    result_.files.useless.push_back(segment_name(number));
    fs_.close(file.file);
    files_.erase(files_.begin());
  }
  return true;
}

// An invalid header: if a mark of this segment exists, the header was valid once. The mark's copy
// of the header's checksum cannot be compared here, and need not be: a file that was never a
// segment has no bytes of clients.
bool Recovery::never_created(std::uint64_t number, const SegmentFile& file) {
  SegmentReader reader(fs_, file.file, file.size);
  for (std::uint64_t p = segment_header_size; p + mark_size <= file.size; p += item_alignment) {
    const Bytes bytes = reader.at(p, mark_size);
    if (!ok(reader.status())) return false;
    if (!looks_like_mark(bytes)) continue;
    const auto mark = parse_mark(bytes);
    if (mark && mark->segment == number && mark->position == p) {
      return fail_at(segment_name(number), 0, "the segment's header is not what was written");
    }
  }
  return true;
}

bool Recovery::check_owner(const SegmentHeader& header) {
  const auto foreign = [&](const std::string& what, const std::string& theirs,
                           const std::string& ours) {
    return fail({StartFailure::Kind::foreign,
                 segment_name(header.number) + " belongs to " + what + " " + theirs +
                     ", this server is of " + what + " " + ours,
                 std::nullopt});
  };
  if (header.cluster != options_.cluster)
    return foreign("cluster", to_string(header.cluster), to_string(options_.cluster));
  if (header.history != options_.history)
    return foreign("history", to_string(header.history), to_string(options_.history));
  if (header.server != options_.server)
    return foreign("server", to_string(header.server), to_string(options_.server));
  return true;
}

bool Recovery::follow_chain() {
  std::vector<Segment>& chain = result_.files.chain;
  if (is_none(options_.cluster) && !files_.empty()) {
    const SegmentHeader& newest = files_.begin()->second.parsed.header;
    options_.cluster = newest.cluster;
    options_.history = newest.history;
    options_.server = newest.server;
  }
  for (auto it = files_.begin(); it != files_.end();) {
    Segment segment;
    segment.header = it->second.parsed.header;
    segment.file = it->second.file;
    segment.allocated = it->second.size;
    if (!check_owner(segment.header)) return false;
    if (!chain.empty()) segment.end = chain.back().header.takes_over_at;
    files_.erase(it);
    const std::uint64_t older = segment.header.continues;
    chain.push_back(std::move(segment));
    if (older == 0) break;
    it = files_.find(older);
    if (it == files_.end() || it->second.parsed.kind != ParsedSegmentHeader::Kind::valid) {
      last_ = chain.back().header.before;
      return fail_at(segment_name(older), 0,
                     it == files_.end()
                         ? "the file is missing, " + chain.back().name() + " continues it"
                         : "the segment's header is not what was written");
    }
  }
  std::reverse(chain.begin(), chain.end());
  for (const auto& [number, file] : files_) {  // newest first, as they are to be removed
    result_.files.useless.push_back(segment_name(number));
    fs_.close(file.file);
  }
  return true;
}

bool Recovery::walk_chain() {
  std::vector<Segment>& chain = result_.files.chain;
  if (chain.empty()) return true;
  last_ = chain.front().header.before;
  result_.history.floor = {last_.zxid, last_.offset, last_.digest};
  delivered_ = last_.zxid;  // what is no longer kept was delivered
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    if (!walk_older(chain[i], chain[i + 1])) return false;
  }
  return walk_newest(chain.back());
}

bool Recovery::enter(const Segment& segment) {
  position_ = segment_header_size;
  ++result_.history.segments;
  result_.history.bytes += segment_header_size;
  const Zxid delivered = segment.header.delivered;
  if (delivered <= delivered_ || take_delivered(delivered)) return true;
  return fail_at(segment.name(), 0,
                 "it says that transaction " + to_string(delivered) +
                     " was delivered, which is not in front of it");
}

bool Recovery::walk_older(Segment& segment, const Segment& successor) {
  SegmentReader reader(fs_, segment.file, segment.allocated);
  if (!enter(segment)) return false;
  walk(segment, reader, std::min(segment.end, segment.allocated));
  if (!ok(reader.status())) return false;
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

bool Recovery::walk_newest(Segment& segment) {
  SegmentReader reader(fs_, segment.file, segment.allocated);
  result_.files.proven = last_;
  if (!enter(segment)) return false;
  walk(segment, reader, segment.allocated);
  if (!ok(reader.status())) return false;
  segment.end = position_;
  return examine_tail(segment, reader);
}

// Goes over marks and records until `limit` or until something is neither.
void Recovery::walk(Segment& segment, SegmentReader& reader, std::uint64_t limit) {
  const bool newest = &segment == &result_.files.chain.back();
  while (position_ < limit) {
    const Bytes front = reader.at(position_, static_cast<std::size_t>(std::min<std::uint64_t>(
                                                 record_header_size, limit - position_)));
    std::size_t size = 0;
    if (looks_like_mark(front)) {
      if (!take_mark(segment, front)) return;
      if (newest) {
        result_.files.last_write = position_;
        result_.files.proven = last_;
      }
      size = mark_size;
    } else if (position_ > segment_header_size) {  // a segment begins with a mark
      size = take_record(segment, reader, limit);
    }
    if (size == 0) return;
    position_ += size;
    result_.history.bytes += size;
  }
}

bool Recovery::take_mark(const Segment& segment, Bytes bytes) {
  if (!is_mark_of(segment.header, bytes, position_)) return false;
  const auto mark = parse_mark(bytes);
  return mark->delivered == delivered_ ||
         (mark->delivered > delivered_ && take_delivered(mark->delivered));
}

// False: no such transaction lies in front of this place.
bool Recovery::take_delivered(Zxid delivered) {
  if (!holds(delivered)) return false;
  delivered_ = delivered;
  visitor_.on_delivered(delivered_);
  return true;
}

// Whether a transaction that the walk has passed has this zxid.
bool Recovery::holds(Zxid zxid) const {
  const std::vector<EpochLast>& ends = result_.history.ends;
  const auto end = std::find_if(ends.begin(), ends.end(),
                                [&](const EpochLast& e) { return e.epoch == zxid.epoch; });
  return end != ends.end() && zxid.counter > 0 && zxid.counter <= end->last &&
         zxid > result_.history.floor.zxid;
}

// The size of the record at the position, when a whole and valid one is there that continues the
// history; else 0.
std::size_t Recovery::take_record(Segment& segment, SegmentReader& reader, std::uint64_t limit) {
  const std::uint64_t room = limit - position_;
  if (room < record_header_size) return 0;
  auto header = parse_header(reader.at(position_, record_header_size));
  if (!header || record_size(header->body_size) > room) return 0;
  const Link link = link_of(*header);
  const bool whole =
      parse_record(reader.at(position_, link.size)) || ZABMQ_MUTANT(body_not_checked);
  if (!continues(link, last_) || !whole) return 0;
  segment.add_waypoint({position_, last_}, options_.waypoint_interval);
  visitor_.on_record(*header);
  last_ = link.end();
  std::vector<EpochLast>& ends = result_.history.ends;
  if (ends.empty() || ends.back().epoch != link.zxid.epoch) ends.push_back({link.zxid.epoch, 0});
  ends.back().last = link.zxid.counter;
  ++result_.history.records;
  return link.size;
}

// A record whose header is good and whose body is not: its body may hold anything a client wrote,
// and is not searched for marks.
std::uint64_t Recovery::damaged_body_end(SegmentReader& reader) const {
  const auto header = parse_header(reader.at(position_, record_header_size));
  if (!header || !continues(link_of(*header), last_)) return position_;
  return position_ + record_size(header->body_size);
}

// What lies behind the end: a later mark proves corruption; other bytes are leftovers of a torn
// write.
bool Recovery::examine_tail(Segment& segment, SegmentReader& reader) {
  const std::uint64_t body_end = damaged_body_end(reader);
  std::uint64_t leftovers_end = position_;
  for (std::uint64_t window = position_; window < reader.size(); window += scan_bytes) {
    const Bytes bytes = reader.at(window, scan_bytes + mark_size);
    for (std::size_t i = 0; i < std::min(bytes.size(), scan_bytes); i += item_alignment) {
      const Bytes rest = bytes.subspan(i);
      const bool whole = rest.size() >= item_alignment;
      if (whole ? get<std::uint64_t>(rest.data()) == 0 : all_zero(rest)) continue;
      const std::uint64_t here = window + i;
      leftovers_end = here + (whole ? item_alignment : rest.size());
      if (ZABMQ_MUTANT(corruption_taken_for_torn)) continue;
      if (here >= body_end && is_mark_of(segment.header, rest, here)) {
        return fail_at(segment.name(), position_,
                       "a later write, at byte " + std::to_string(here) +
                           ", proves that this was on disk once");
      }
    }
  }
  if (!ok(reader.status())) return false;
  result_.files.leftovers_end = leftovers_end;
  if (leftovers_end > position_) result_.history.torn = TornTail{segment.name(), position_};
  return true;
}

void Recovery::summarize() {
  result_.history.last = last_;
  result_.history.delivered = delivered_;
  if (result_.files.chain.empty()) result_.files.proven = last_;
}

}  // namespace

RecoveryResult recover(FileSystem& fs, const RecoveryOptions& options, RecoveryVisitor& visitor) {
  return Recovery(fs, options, visitor).run();
}

}  // namespace zabmq::storage
