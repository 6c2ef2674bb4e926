// Retention: snapshots are saved, and with the third newest one what it does not want any more is
// freed: whole segments, oldest first, whose files become spares.
//
// What a crash leaves of it is harmless in any order. A file that was not removed is off the chain,
// or in front of the floor of the snapshot that a start uses.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

auto newest_snapshot(const std::vector<SnapshotFile>& files) {
  return std::find_if(files.rbegin(), files.rend(),
                      [](const SnapshotFile& file) { return file.whole; });
}

}  // namespace

SnapshotOwner SegmentedLog::owner() const {
  return {options_.cluster, options_.history, options_.server, options_.generation};
}

// In no_space() too, as far as three quarters of the reserve reach: a snapshot is what frees
// segments. (No record's write can meet an ENOSPC for it: it leaves a quarter of the reserve, and
// what is submitted for a snapshot is not counted as free.)
void SegmentedLog::save_snapshot(Snapshot snapshot) {
  ZABMQ_CHECK(!snapshot_writer_.writing() && !installing() && !starting_ && !stop_done_);
  if (failure_) return;
  ZABMQ_CHECK(snapshot.at.zxid <= durable_.zxid && snapshot.at.zxid >= floor_.zxid);
  ZABMQ_CHECK(snapshot.floor.zxid <= floor_.zxid);
  // What a state does not want any more it never wants again.
  const bool freed = !chain_.empty() && chain_.front().header.continues != 0;
  ZABMQ_CHECK(!freed || snapshot.retained.zxid >= floor_.zxid);
  Slice bytes = encode_snapshot(snapshot, owner());
  if (free_bytes_ < bytes.size() + options_.min_free_bytes / 4) {
    ++snapshots_dropped_;
    return;
  }
  SnapshotFile file{snapshot_name(options_.generation, snapshot.at.zxid), snapshot.at,
                    snapshot.retained.zxid, true};
  std::string name = file.name;
  snapshot_writer_.write(std::move(bytes), std::move(name),
                         guarded([this, file = std::move(file)](const IoStatus& status) {
                           on_snapshot_written(file, status);
                         }));
}

void SegmentedLog::on_snapshot_written(const SnapshotFile& file, const IoStatus& status) {
  if (is_out_of_space(status)) {
    ++snapshots_dropped_;
  } else if (!status) {
    return fail(status);
  } else {
    ++snapshots_saved_;
    keep_snapshot(file);
  }
  advance();  // an installation may wait for it
}

// What is older than the third newest that can be started from goes, whole or not: a damaged one is
// kept for as long as it could be of use to somebody who looks for the cause.
void SegmentedLog::keep_snapshot(const SnapshotFile& file) {
  std::erase_if(snapshots_, [&](const SnapshotFile& old) { return old.name == file.name; });
  const auto behind =
      std::find_if(snapshots_.begin(), snapshots_.end(),
                   [&](const SnapshotFile& other) { return other.at.zxid > file.at.zxid; });
  snapshots_.insert(behind, file);  // a damaged one may be of a later transaction
  std::size_t whole = 0;
  auto oldest = snapshots_.end();
  while (oldest != snapshots_.begin() && whole < snapshots_kept) whole += (--oldest)->whole;
  if (oldest == snapshots_.begin()) return;
  std::vector<std::string> names;
  for (auto old = snapshots_.begin(); old != oldest; ++old) names.push_back(old->name);
  snapshots_.erase(snapshots_.begin(), oldest);
  remove_files(names);
}

SnapshotReport SegmentedLog::snapshot_report() const {
  const auto newest = newest_snapshot(snapshots_);
  const Zxid retained = newest == snapshots_.rend() ? Zxid{} : newest->retained;
  return {retained, snapshots_saved_, snapshots_dropped_};
}

// A nearly full disk cannot wait for two more snapshots: without new messages there may be nothing
// that they could be of. The newest one decides alone, so it is read once more before. (Seed
// 1795690021211: a bit had flipped in it, and what an older one would have wanted was gone.)
void SegmentedLog::give_up_older_snapshots() {
  if (reading_back_ || snapshots_in_the_way() == 0) return;
  const std::string name = newest_snapshot(snapshots_)->name;
  reading_back_ = true;
  read_back(name, guarded([this, name](bool whole) {
              reading_back_ = false;
              on_read_back(name, whole);
            }));
}

// One that is not what was written is of no use any more; the next one takes its place. What may be
// freed now goes with the next tick, as ever: a floor that rose between the core's word and the
// sending of a SNAP made the leader abort (seed 1795697887982).
void SegmentedLog::on_read_back(const std::string& name, bool whole) {
  const auto file = std::find_if(snapshots_.begin(), snapshots_.end(),
                                 [&](const SnapshotFile& known) { return known.name == name; });
  if (file == snapshots_.end()) return;
  file->whole = whole;
  if (!whole || newest_snapshot(snapshots_)->name != name) return;
  const auto wanted = snapshots_.begin() + static_cast<std::ptrdiff_t>(snapshots_in_the_way());
  std::vector<std::string> names;
  for (auto old = snapshots_.begin(); old != wanted; ++old) names.push_back(old->name);
  snapshots_.erase(snapshots_.begin(), wanted);
  if (!names.empty()) remove_files(names);
}

// The oldest ones, when the disk is nearly full and the newest one would let a segment go.
std::size_t SegmentedLog::snapshots_in_the_way() const {
  if (!no_space() || installing() || rewind_ || starting_ || chain_.size() < 2) return 0;
  const Zxid end = chain_[1].header.before.zxid;
  if (snapshot_report().retained < end || (hold_ && *hold_ < end)) return 0;
  const auto first =
      std::find_if(snapshots_.begin(), snapshots_.end(),
                   [end](const SnapshotFile& file) { return file.whole && file.retained >= end; });
  return static_cast<std::size_t>(first - snapshots_.begin());
}

void SegmentedLog::read_back(const std::string& name, std::function<void(bool whole)> done) {
  FileId file = FileId::none;
  std::uint64_t size = 0;
  if (!fs_.open(name, file, size)) return fs_.defer([done = std::move(done)] { done(false); });
  fs_.read(
      file, 0, static_cast<std::size_t>(size),
      guarded([this, file, done = std::move(done)](const IoStatus& status, const Slice& bytes) {
        fs_.close(file);
        const ParsedSnapshot parsed = status ? parse_snapshot(bytes) : ParsedSnapshot{};
        done(parsed.kind == ParsedSnapshot::Kind::valid && parsed.owner == owner());
      }));
}

// None: nothing is to be freed. A start from any of the snapshots must find what it wants, also
// from one that could not be read this time (seed 1795693636254).
Zxid SegmentedLog::free_up_to() const {
  const auto oldest =
      std::find_if(snapshots_.begin(), snapshots_.end(),
                   [](const SnapshotFile& file) { return file.whole || file.unread; });
  if (oldest == snapshots_.end() || installing() || rewind_ || starting_) return {};
  return hold_ ? std::min(oldest->retained, *hold_) : oldest->retained;
}

void SegmentedLog::free_segments() {
  give_up_older_snapshots();
  const Zxid up_to = free_up_to();
  if (is_none(up_to)) return;
  std::deque<Segment> freed;
  while (chain_.size() > 1 && chain_[1].header.before.zxid <= up_to) {
    freed.push_back(std::move(chain_.front()));
    chain_.pop_front();
  }
  if (freed.empty()) return;
  const SegmentHeader& front = chain_.front().header;
  floor_ = front.before;
  std::erase_if(read_ends_, [&](const Located& end) { return end.segment < front.number; });
  recycle(freed);
}

// A file is a spare when its new name is synced: before, a power failure would bring back a segment
// that was overwritten. While the disk is nearly full there are none: room is what is wanted.
void SegmentedLog::recycle(const std::deque<Segment>& freed) {
  std::vector<std::string> useless;
  std::vector<Spare> spares;
  for (const Segment& segment : freed) {
    std::optional<std::string> name;
    const bool roomy = free_bytes_ >= options_.min_free_bytes;
    if (roomy && segment.allocated >= recycled_size_min(options_.segment_size))
      name = spares_.reserve();
    if (name) {
      fs_.rename(segment.name(), *name, guarded([this](const IoStatus& status) {
                   if (!status) fail(status);
                 }));
      spares.push_back({std::move(*name), segment.file, segment.allocated, true});
    } else {
      fs_.close(segment.file);
      useless.push_back(segment.name());
    }
  }
  if (!useless.empty()) remove_files(useless);
  if (spares.empty()) return;
  fs_.sync_directory(guarded([this, spares = std::move(spares)](const IoStatus& status) {
    if (!status) return fail(status);
    for (const Spare& spare : spares) spares_.add(spare);
    if (starved_) advance();  // somebody may wait for a file
  }));
}

std::vector<SegmentSpan> SegmentedLog::segments() const {
  std::vector<SegmentSpan> spans;
  for (std::size_t i = 0; i + 1 < chain_.size(); ++i) {
    spans.push_back({chain_[i + 1].header.before, chain_[i].end});
  }
  return spans;
}

}  // namespace zabmq::storage
