// Recovery: from files to a chain and a snapshot. The records: history_walk.cpp.
#include "storage/recovery.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "storage/history_walk.hpp"
#include "storage/mark.hpp"
#include "storage/segment_reader.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t item_alignment = 8;  // marks begin at multiples of it

struct SegmentFile {
  FileId file = FileId::none;
  std::uint64_t size = 0;
  ParsedSegmentHeader parsed;
};

StartFailure newer_version(const std::string& file, std::uint8_t theirs, std::uint8_t ours) {
  return {StartFailure::Kind::newer_version,
          file + " has format version " + std::to_string(theirs) + ", this program knows " +
              std::to_string(ours) + "; use the newer program",
          std::nullopt};
}

class Recovery {
 public:
  Recovery(FileSystem& fs, const RecoveryOptions& options, RecoveryVisitor& visitor)
      : fs_(fs),
        options_(options),
        visitor_(visitor),
        walk_(fs, options.waypoint_interval, visitor, result_) {}

  RecoveryResult run() {
    if (list_files() && find_newest() && follow_chain() && read_snapshots() && check_front()) {
      walk_chain();
    }
    return std::move(result_);
  }

 private:
  using Files = std::map<std::uint64_t, SegmentFile, std::greater<>>;

  bool list_files();
  bool open_segment(std::uint64_t number, const std::string& name);
  bool open_spare(const std::string& name);
  void note_snapshot(const std::string& name);
  void adopt_owner();
  bool find_newest();
  bool never_created(std::uint64_t number, const SegmentFile& file);
  bool check_owner(const SegmentHeader& header);
  bool follow_chain();
  bool check_order(const SegmentHeader& older, const SegmentHeader& newer);
  bool read_snapshots();
  bool read_snapshot(SnapshotFile& file);
  void try_snapshot(SnapshotFile& file, Snapshot snapshot);
  bool check_front();
  bool walk_chain();
  std::size_t first_to_walk() const;
  bool pass_over(const Segment& segment);
  void give_up(const std::string& name, FileId file);
  SnapshotOwner owner() const {
    return {options_.cluster, options_.history, options_.server, options_.generation};
  }

  bool fail(StartFailure failure) {
    result_.failure = std::move(failure);
    return false;
  }
  bool fail_at(const std::string& file, std::uint64_t position, Zxid behind,
               const std::string& why) {
    return fail(corrupt({file, position, behind}, why));
  }
  bool ok(const IoStatus& status) { return status ? true : fail(failed(status)); }

  FileSystem& fs_;
  RecoveryOptions options_;
  RecoveryVisitor& visitor_;
  RecoveryResult result_;
  Files files_;
  std::optional<Snapshot> used_;  // without its state
  bool missing_ = false;          // what the first of the chain continues is not there
  HistoryWalk walk_;
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
    } else if (name == snapshot_tmp_name) {
      result_.files.useless.push_back(name);
    }
  }
  adopt_owner();
  for (const std::string& name : names) note_snapshot(name);
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
  if (file.parsed.kind == ParsedSegmentHeader::Kind::valid) {
    result_.files.next_number = std::max(result_.files.next_number, number + 1);
  }
  files_.emplace(number, std::move(file));
  return true;
}

// A spare of zeros that is too short is unfinished. One that was a segment is as long as it was.
bool Recovery::open_spare(const std::string& name) {
  Spare spare{name, FileId::none, 0, false};
  if (!ok(fs_.open(name, spare.file, spare.size))) return false;
  SegmentReader reader(fs_, spare.file, spare.size);
  spare.recycled = !all_zero(reader.at(0, segment_header_size));
  if (!ok(reader.status())) return false;
  const std::uint64_t least =
      spare.recycled ? recycled_size_min(options_.segment_size) : options_.segment_size;
  if (spare.size >= least) {
    result_.files.spares.push_back(std::move(spare));
  } else {
    give_up(name, spare.file);
  }
  return true;
}

void Recovery::note_snapshot(const std::string& name) {
  const auto parsed = parse_snapshot_name(name);
  if (!parsed) return;
  if (parsed->first == options_.generation) {
    SnapshotFile file;
    file.name = name;
    file.at.zxid = parsed->second;
    result_.files.snapshots.push_back(std::move(file));
  } else {
    result_.files.useless.push_back(name);
  }
}

// Asked for no owner: the newest segment's.
void Recovery::adopt_owner() {
  if (!is_none(options_.cluster)) return;
  for (const auto& [number, file] : files_) {
    if (file.parsed.kind != ParsedSegmentHeader::Kind::valid) continue;
    const SegmentHeader& newest = file.parsed.header;
    options_.cluster = newest.cluster;
    options_.history = newest.history;
    options_.server = newest.server;
    options_.generation = newest.generation;
    return;
  }
}

void Recovery::give_up(const std::string& name, FileId file) {
  result_.files.useless.push_back(name);
  fs_.close(file);
}

// Drops files that never became segments, and those of other generations; the first one left is the
// newest.
bool Recovery::find_newest() {
  while (!files_.empty()) {
    const auto& [number, file] = *files_.begin();
    const ParsedSegmentHeader& parsed = file.parsed;
    if (parsed.kind == ParsedSegmentHeader::Kind::newer_version) {
      return fail(newer_version(segment_name(number), parsed.version, segment_version));
    }
    if (parsed.kind == ParsedSegmentHeader::Kind::valid) {
      if (parsed.header.generation == options_.generation) return true;
    } else if (!never_created(number, file)) {
      return false;
    }
    give_up(segment_name(number), file.file);
    files_.erase(files_.begin());
  }
  return true;
}

// An invalid header: if a mark of this segment exists, the header was valid once. The mark's copy
// of the header's checksum cannot be compared here, and need not be: a file that was never a
// segment has no bytes of clients, or those of a segment with another number.
bool Recovery::never_created(std::uint64_t number, const SegmentFile& file) {
  SegmentReader reader(fs_, file.file, file.size);
  for (std::uint64_t p = segment_header_size; p + mark_size <= file.size; p += item_alignment) {
    const Bytes bytes = reader.at(p, mark_size);
    if (!ok(reader.status())) return false;
    if (!looks_like_mark(bytes)) continue;
    const auto mark = parse_mark(bytes);
    if (mark && mark->segment == number && mark->position == p) {
      return fail_at(segment_name(number), 0, {}, "the segment's header is not what was written");
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
  for (auto it = files_.begin(); it != files_.end();) {
    Segment segment;
    segment.header = it->second.parsed.header;
    segment.file = it->second.file;
    segment.allocated = it->second.size;
    if (!check_owner(segment.header)) return false;
    if (!chain.empty()) {
      segment.end = chain.back().header.takes_over_at;
      if (!check_order(segment.header, chain.back().header)) return false;
    }
    files_.erase(it);
    const std::uint64_t older = segment.header.continues;
    chain.push_back(std::move(segment));
    if (older == 0) break;
    it = files_.find(older);
    if (it == files_.end()) {
      missing_ = true;
      break;
    }
    if (it->second.parsed.kind != ParsedSegmentHeader::Kind::valid ||
        it->second.parsed.header.generation != options_.generation) {
      return fail_at(segment_name(older), 0, chain.back().header.before.zxid,
                     "the segment's header is not what was written");
    }
  }
  std::reverse(chain.begin(), chain.end());
  // Newest first, as they are to be removed.
  for (const auto& [number, file] : files_) give_up(segment_name(number), file.file);
  return true;
}

bool Recovery::check_order(const SegmentHeader& older, const SegmentHeader& newer) {
  if (older.before.zxid <= newer.before.zxid && older.before.offset <= newer.before.offset) {
    return true;
  }
  return fail_at(segment_name(newer.number), 0, newer.before.zxid,
                 "the segment that it continues begins behind it");
}

// All of them, newest first; the first that can be used is.
bool Recovery::read_snapshots() {
  std::vector<SnapshotFile>& files = result_.files.snapshots;
  std::sort(files.begin(), files.end(),
            [](const SnapshotFile& a, const SnapshotFile& b) { return a.at.zxid < b.at.zxid; });
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (!read_snapshot(*file)) return false;
  }
  // One of a transaction in front of the chain was to be removed before the segments were.
  std::erase_if(files, [&](const SnapshotFile& file) {
    const bool late = used_ && !result_.files.chain.empty() &&
                      file.at.zxid < result_.files.chain.front().header.before.zxid;
    if (late) result_.files.useless.push_back(file.name);
    return late;
  });
  for (const SnapshotFile& file : files) {
    if (!file.whole) result_.history.unused_snapshots.push_back(file.name);
  }
  return true;
}

// What cannot be read is passed over, and noted: an older one may do.
bool Recovery::read_snapshot(SnapshotFile& file) {
  Slice bytes;
  ParsedSnapshot parsed;
  file.unread = !read_snapshot_file(fs_, file.name, bytes);
  if (!file.unread) parsed = parse_snapshot(bytes);
  if (parsed.kind == ParsedSnapshot::Kind::newer_version) {
    return fail(newer_version(file.name, parsed.version, snapshot_version));
  }
  if (parsed.kind == ParsedSnapshot::Kind::valid && parsed.owner == owner() &&
      parsed.snapshot.at.zxid == file.at.zxid) {
    try_snapshot(file, std::move(parsed.snapshot));
  }
  return true;
}

// Where the chain still has segments in front of the snapshot's floor, a crash came between freeing
// them and their removal: the table does not reach down to them.
void Recovery::try_snapshot(SnapshotFile& file, Snapshot snapshot) {
  std::vector<Segment>& chain = result_.files.chain;
  std::size_t freed = 0;
  while (freed + 1 < chain.size() && chain[freed + 1].header.before.zxid <= snapshot.floor.zxid) {
    ++freed;
  }
  if (!chain.empty() && !fits_floor(snapshot, chain[freed].header.before)) return;
  file.at = snapshot.at;
  file.retained = snapshot.retained.zxid;
  if (used_) {
    file.whole = true;
    return;
  }
  file.whole = visitor_.on_snapshot(snapshot);
  if (!file.whole) return;
  result_.history.snapshot = file.name;
  for (std::size_t i = 0; i < freed; ++i) give_up(chain[i].name(), chain[i].file);
  chain.erase(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(freed));
  missing_ = missing_ || freed > 0;
  used_ = std::move(snapshot);
  used_->state = {};
}

// A history begins with its first transaction, or where a snapshot needs nothing older.
bool Recovery::check_front() {
  const std::vector<Segment>& chain = result_.files.chain;
  if (chain.empty()) {
    const bool none = result_.files.snapshots.empty();
    if (none && options_.generation == 0) return true;
    return fail_at(none ? "the history" : result_.files.snapshots.back().name, 0, {},
                   "there are no segments");
  }
  const SegmentHeader& front = chain.front().header;
  if (used_ && (!missing_ || front.before.zxid <= used_->retained.zxid)) return true;
  if (missing_) {
    return fail_at(segment_name(front.continues), 0, front.before.zxid,
                   "the file is missing, " + chain.front().name() + " continues it");
  }
  if (is_none(front.before.zxid)) return true;
  return fail_at(chain.front().name(), 0, front.before.zxid,
                 "it is the history's first, and there is no snapshot of what is in front of it");
}

bool Recovery::walk_chain() {
  std::vector<Segment>& chain = result_.files.chain;
  if (chain.empty()) return true;
  const LastRecord floor = chain.front().header.before;
  result_.history.floor = {floor.zxid, floor.offset, floor.digest};
  const std::size_t first = first_to_walk();
  HistoryWalk::Begin begin{chain[first].header.before, {}, floor.zxid, floor.zxid};
  if (used_) {
    begin.ends = ends_between(used_->ends, floor.zxid, begin.last.zxid);
    begin.delivered = used_->at.zxid;
    if (!options_.everything) begin.told_up_to = used_->at.zxid;
  }
  for (const SnapshotFile& file : result_.files.snapshots) {
    if (file.whole && (options_.everything || file.name == result_.history.snapshot)) {
      walk_.expect({file.name, file.at});
    }
  }
  walk_.begin(std::move(begin));
  for (std::size_t i = 0; i < first; ++i) {
    if (!pass_over(chain[i])) return false;
  }
  for (std::size_t i = first; i + 1 < chain.size(); ++i) {
    if (!walk_.walk_older(chain[i], chain[i + 1])) return false;
  }
  return walk_.walk_newest(chain.back()) && walk_.end();
}

// The segment that holds the snapshot's transaction, or that begins behind it.
std::size_t Recovery::first_to_walk() const {
  if (!used_ || options_.everything) return 0;
  std::size_t first = 0;
  const std::vector<Segment>& chain = result_.files.chain;
  while (first + 1 < chain.size() && chain[first + 1].header.before.zxid <= used_->at.zxid) ++first;
  return first;
}

bool Recovery::pass_over(const Segment& segment) {
  ++result_.history.segments;
  result_.history.bytes += segment.end;
  if (segment.end <= segment.allocated) return true;
  return fail_at(segment.name(), segment.allocated, segment.header.before.zxid,
                 "the file has become shorter");
}

}  // namespace

RecoveryResult recover(FileSystem& fs, const RecoveryOptions& options, RecoveryVisitor& visitor) {
  return Recovery(fs, options, visitor).run();
}

}  // namespace zabmq::storage
