// Install: another history takes the place of this one (SNAP). Its snapshot and its segments are
// files of the next generation; which generation is the history's, the identity record says. So the
// switch is the replacement of one file, and until then a crash, or drain(), leaves the old history
// as it was: nothing of it is touched.
//
// The files of an installation that was given up are removed, and the directory is synced, before
// another one may begin: it would have the same generation. A start does the same with all files of
// other generations.
#include <algorithm>
#include <utility>

#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"

namespace zabmq::storage {

void SegmentedLog::install(Installation installation) {
  ZABMQ_CHECK(!rewind_ && !installing() && !draining_ && !stop_done_ && !starting_);
  ZABMQ_CHECK(installation.generation > options_.generation);
  ZABMQ_CHECK(fits_floor(installation.snapshot, installation.floor));
  ZABMQ_CHECK(replaced_.empty());
  if (failure_) return;
  drop_pending();
  installation_ = std::move(installation);
  advance();
}

// Again after a while, when there was no space.
void SegmentedLog::begin_install() {
  if (creation_must_wait() || snapshot_writer_.writing()) return;
  begin_operation();
  if (!aside_) set_aside();
  if (snapshots_.empty()) {
    write_installed_snapshot();
  } else {
    create_installed();
  }
}

void SegmentedLog::set_aside() {
  ZABMQ_CHECK(last_.zxid == durable_.zxid);
  const LastRecord& floor = installation_->floor;
  aside_ = Aside{std::exchange(options_.generation, installation_->generation),
                 std::exchange(chain_, {}),
                 std::exchange(floor_, floor),
                 std::exchange(durable_, floor),
                 std::exchange(delivered_, floor.zxid),
                 std::exchange(marked_delivered_, floor.zxid),
                 std::exchange(mark_wanted_, false),
                 std::exchange(tail_, TailCache(floor)),
                 std::exchange(snapshots_, {}),
                 installation_->snapshot.at};
  last_ = floor;
  ++cuts_;
  read_ends_.clear();
}

// The old history is the log's again. Returned: the files of the other one.
std::vector<std::string> SegmentedLog::take_back() {
  std::vector<std::string> names;
  for (auto segment = chain_.rbegin(); segment != chain_.rend(); ++segment) {
    names.push_back(segment->name());
    fs_.close(segment->file);
  }
  for (const SnapshotFile& file : snapshots_) names.push_back(file.name);
  Aside aside = *std::exchange(aside_, std::nullopt);
  options_.generation = aside.generation;
  chain_ = std::move(aside.chain);
  floor_ = aside.floor;
  last_ = durable_ = aside.durable;
  delivered_ = aside.delivered;
  marked_delivered_ = aside.marked_delivered;
  mark_wanted_ = aside.mark_wanted;
  tail_ = std::move(aside.tail);
  snapshots_ = std::move(aside.snapshots);
  ++cuts_;
  read_ends_.clear();
  return names;
}

void SegmentedLog::write_installed_snapshot() {
  const Snapshot& snapshot = installation_->snapshot;
  SnapshotFile file{snapshot_name(options_.generation, snapshot.at.zxid), snapshot.at,
                    snapshot.retained.zxid, true};
  snapshot_writer_.write(encode_snapshot(snapshot, owner()), file.name,
                         guarded([this, file](const IoStatus& status) {
                           if (is_out_of_space(status)) return refuse_creation();
                           if (!status) return fail(status);
                           snapshots_.push_back(file);
                           create_installed();
                         }),
                         [this] { on_install_step(); });
}

// A disk that writes a large snapshot is slow, not stuck, and the leader is to know.
void SegmentedLog::on_install_step() {
  busy_since_ms_ = now_ms_;
  if (listener_ && !draining_) listener_->on_install_step();
}

void SegmentedLog::create_installed() {
  create_segment(next_header(0, 0, floor_), [this](Segment segment) {
    chain_.push_back(std::move(segment));
    mark_wanted_ = true;
    installation_.reset();
    const bool told = !draining_;  // else it is given up at once
    end_operation();
    advance();
    if (told && listener_) listener_->on_rewound(true);
  });
}

// While another history is installed, it must come to the place where its snapshot stands: a start
// would find them contradicting each other.
bool SegmentedLog::leads_to_snapshot(const LastRecord& before, const LastRecord& end) const {
  if (!aside_) return true;
  const LastRecord& at = aside_->leads_to;
  if (end.zxid == at.zxid) return is_same(end, at);
  return end.zxid < at.zxid || before.zxid >= at.zxid;
}

void SegmentedLog::adopt_installed() {
  if (failure_) return;
  ZABMQ_CHECK(aside_ && !installation_ && !draining_);
  ZABMQ_CHECK(durable_.zxid >= aside_->leads_to.zxid);
  for (const Segment& segment : aside_->chain) {
    replaced_.push_back(segment.name());
    fs_.close(segment.file);
  }
  for (const SnapshotFile& file : aside_->snapshots) replaced_.push_back(file.name);
  aside_.reset();
}

void SegmentedLog::remove_replaced() {
  if (failure_ || replaced_.empty()) return;
  remove_files(std::exchange(replaced_, {}));
}

}  // namespace zabmq::storage
