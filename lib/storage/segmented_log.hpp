// SegmentedLog: the history in segment files, over a FileSystem.
//
// Life: open() reads everything and starts to write the last write again; when ready() holds, all
// that was recovered is durable. stop() writes a last mark. One thread; completions come through
// the FileSystem.
//
// Invariants:
// 1. One operation on segments is under way at a time (`busy_`): a group, a mark, the creation of a
//    segment, a cut. A write starts only when the sync of the one before has returned.
// 2. chain_.back() is where writes go; it is empty only until the first record.
// 3. durable_ is the end of what is synced; last_ the end of what was taken; between them lie the
//    group being written and pending_.
// 4. Snapshots are written beside all that; they never wait for a segment, nor a segment for them.
// 5. The chain begins behind floor_; nothing in front of it is ever returned.
// 6. After a failure nothing is written and nobody is called back any more.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/failure.hpp"
#include "storage/file_system.hpp"
#include "storage/history_log.hpp"
#include "storage/recovery.hpp"
#include "storage/segment.hpp"
#include "storage/snapshot.hpp"
#include "storage/snapshot_writer.hpp"
#include "storage/spares.hpp"
#include "storage/tail_cache.hpp"

namespace zabmq::storage {

struct LogOptions {
  // Both ids none: no cluster yet; nothing may be appended before belongs_to().
  Uuid cluster;
  Uuid history;
  ServerId server = ServerId::none;
  std::uint32_t generation = 0;  // of the history, as the identity record has it

  std::uint64_t segment_size = 64 << 20;       // a segment holds at least two largest records
  std::size_t group_bytes_max = 1 << 20;       // of one write, or one record
  std::size_t tail_cache_bytes = 128 << 20;    // and whatever is not durable yet
  std::uint64_t page_cache_bytes = 256 << 20;  // of the newest segments: stay in the page cache
  std::uint64_t min_free_bytes = 0;            // the reserve: below it no_space(); 0: two segments
  std::size_t spare_segments = 2;
  std::size_t waypoint_interval = 256 << 10;  // a search reads at most this much in vain
  // A read from disk takes in so much more than what was asked for and the way from a waypoint:
  // marks, and the last record in full.
  std::size_t read_slack = 64 << 10;
  std::uint64_t idle_mark_ms = 100;
  std::uint64_t spare_after_idle_ms = 1000;
  std::uint64_t space_retry_ms = 1000;
};

class SegmentedLog final : public HistoryLog {
 public:
  using OpenResult = std::variant<std::unique_ptr<SegmentedLog>, StartFailure>;

  // fs.open_directory() has succeeded. Reads the newest usable snapshot and all records behind it,
  // or all records; `visitor` is told, in order.
  static OpenResult open(FileSystem& fs, const LogOptions& options, RecoveryVisitor& visitor);
  ~SegmentedLog() override;
  SegmentedLog(const SegmentedLog&) = delete;
  SegmentedLog& operator=(const SegmentedLog&) = delete;

  const Recovered& recovered() const { return recovered_; }
  // All that was recovered is durable again. Until then run completions, and look at failure().
  bool ready() const { return !starting_; }
  const std::optional<Failure>& failure() const { return failure_; }

  // Whom to tell; before this, a failure only shows in failure().
  void set_listener(Listener* listener) { listener_ = listener; }
  // The ids of the cluster that this server has just founded or joined.
  void belongs_to(const Uuid& cluster, const Uuid& history);
  // Writes what is pending and a last mark, then calls `done`. Nothing may be appended any more.
  void stop(std::function<void()> done);

  LastRecord last() const override { return last_; }
  Zxid durable() const override { return durable_.zxid; }
  LastRecord floor() const override { return floor_; }

  bool continues(Bytes records) const override;
  void append(Slice records) override;
  void flush() override;
  bool idle() const override { return !busy_ && pending_.empty() && !rewind_ && !installation_; }
  std::size_t unwritten_bytes() const override { return pending_bytes_ + group_.bytes; }
  std::uint64_t oldest_write_age_ms(std::uint64_t now_ms) const override;
  Space space() const override;

  void rewind(Zxid to, Digest digest) override;
  void drain() override;

  void save_snapshot(Snapshot snapshot) override;
  bool saving_snapshot() const override { return snapshot_writer_.writing() && !installing(); }
  SnapshotReport snapshot_report() const override;
  void hold_behind(std::optional<Zxid> zxid) override { hold_ = zxid; }
  std::vector<SegmentSpan> segments() const override;

  void install(Installation installation) override;
  void adopt_installed() override;
  void remove_replaced() override;
  bool installing() const override { return installation_ || aside_; }

  void set_delivered(Zxid zxid) override;
  void tick(std::uint64_t now_ms) override;

  std::optional<ReadResult> read_hot(ReadFrom from, Zxid up_to, std::size_t max_bytes) override;
  void read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) override;
  void digest_at(Zxid zxid, DigestDone done) override;

 private:
  using Chain = std::deque<Segment>;
  struct Pending {
    Slice records;
    LastRecord before;
    LastRecord end;
  };
  struct Group {  // being written: a mark and records, or the mark alone
    std::vector<Slice> slices;
    std::size_t bytes = 0;  // of records
    LastRecord end;
    Zxid delivered;  // in its mark
    std::vector<Waypoint> waypoints;
  };
  struct Cut {
    Zxid to;
    Digest digest = Digest::none;
  };
  struct Located {  // a record of the chain: where it ends
    std::uint64_t segment = 0;
    std::uint64_t position = 0;
    LastRecord end;
  };
  struct Scan;
  using ScanDone = std::function<void(Scan&)>;
  using LocateDone = std::function<void(std::optional<Located>)>;
  struct Creation {
    Segment segment;
    std::function<void(Segment)> done;
  };
  struct Aside {  // the present history, while another one is installed
    std::uint32_t generation = 0;
    Chain chain;
    LastRecord floor;
    LastRecord durable;  // and last
    Zxid delivered;
    Zxid marked_delivered;
    bool mark_wanted = false;
    TailCache tail;
    std::vector<SnapshotFile> snapshots;
    LastRecord leads_to;  // where the other history's snapshot stands
  };

  SegmentedLog(FileSystem& fs, const LogOptions& options, RecoveryResult recovered);

  // segmented_log.cpp: taking records
  void advance();
  void begin_operation();
  void end_operation();
  void drop_pending();
  void finish_drain();
  void finish_stop();

  // group_commit.cpp: writing them
  void start_group();
  bool fits(std::size_t bytes) const;
  std::uint64_t room(bool for_batches) const;
  bool fills() const;
  void collect_group(std::size_t limit);
  void take_into_group(std::size_t size);
  void note_waypoints(const Slice& records, LastRecord before);
  bool floor_waits() const;
  void fill_page();
  void submit_group();
  void on_group_written(const IoStatus& status);
  bool mark_due() const;
  void write_mark();

  // segment_files.cpp: start, creation, removal, space
  std::optional<StartFailure> repair(const RecoveredFiles& files);
  std::optional<StartFailure> write_last_again(const RecoveredFiles& files);
  void erase_leftovers(const Segment& newest, std::uint64_t until);
  void on_repaired(const IoStatus& status);
  void roll();
  void leave_page_cache();
  bool may_grow_a_segment() const;
  SegmentHeader next_header(std::uint64_t continues, std::uint64_t position,
                            const LastRecord& before) const;
  void create_segment(const SegmentHeader& header, std::function<void(Segment)> done);
  void on_created(const IoStatus& status);
  void on_header_written(const IoStatus& status);
  bool creation_failed(const IoStatus& status);
  bool creation_must_wait() const { return creation_refused_ && now_ms_ < creation_retry_ms_; }
  void refuse_creation();
  void remove_files(const std::vector<std::string>& names);
  void watch_space();
  void give_up_spare();
  void tend_spares();

  // rewind.cpp
  void begin_rewind();
  void on_located(const std::optional<Located>& place);
  void adopt_cut(const Located& place, Segment segment);
  void finish_rewind(bool matched);

  // retention.cpp
  SnapshotOwner owner() const;
  void on_snapshot_written(const SnapshotFile& file, const IoStatus& status);
  void keep_snapshot(const SnapshotFile& file);
  Zxid free_up_to() const;
  void give_up_older_snapshots();
  void on_read_back(const std::string& name, bool whole);
  std::size_t snapshots_in_the_way() const;
  void read_back(const std::string& name, std::function<void(bool whole)> done);
  void free_segments();
  void recycle(const std::deque<Segment>& freed);

  // install.cpp
  void begin_install();
  void set_aside();
  void write_installed_snapshot();
  void on_install_step();
  void create_installed();
  std::vector<std::string> take_back();
  bool leads_to_snapshot(const LastRecord& before, const LastRecord& end) const;

  // cold_reads.cpp
  void scan(std::shared_ptr<Scan> scan);
  void scan_on(std::shared_ptr<Scan> scan);
  void on_chunk(std::shared_ptr<Scan> scan, const Slice& chunk);
  bool take_chunk(Scan& scan, const Slice& chunk);
  void note_read_end(const Located& place);
  void locate(Zxid zxid, LocateDone done);
  bool is_below_floor(const ReadFrom& from) const;
  Chain::iterator segment_numbered(std::uint64_t number);
  Chain::const_iterator segment_for(const ReadFrom& from) const;
  bool damaged(const Scan& scan, const std::string& why);

  void fail(Failure failure);
  void fail(const IoStatus& status);
  // A completion that does nothing once the log is gone or has failed.
  template <class F>
  auto guarded(F f) {
    return [this, alive = std::weak_ptr<int>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired() && !failure_) f(std::forward<decltype(args)>(args)...);
    };
  }

  FileSystem& fs_;
  LogOptions options_;
  Recovered recovered_;
  Listener* listener_ = nullptr;
  std::optional<Failure> failure_;
  std::uint64_t now_ms_ = 0;  // of the newest tick
  bool ticked_ = false;

  Chain chain_;
  std::uint64_t next_number_ = 1;  // of a segment; never goes back
  std::uint64_t cached_from_ = 0;  // the segments before it were dropped from the page cache
  LastRecord floor_;
  LastRecord last_;
  LastRecord durable_;
  Zxid delivered_;
  Zxid marked_delivered_;  // in the newest mark

  std::deque<Pending> pending_;
  std::size_t pending_bytes_ = 0;
  Group group_;

  bool starting_ = false;
  bool busy_ = false;
  std::uint64_t busy_since_ms_ = 0;
  bool mark_wanted_ = false;  // records, or a delivered point, stand behind no mark yet
  std::uint64_t last_write_ms_ = 0;
  std::optional<Creation> creating_;
  std::optional<Cut> rewind_;
  std::optional<Installation> installation_;  // until its first segment is there
  std::optional<Aside> aside_;
  std::vector<std::string> replaced_;  // files of a history that was replaced
  bool draining_ = false;
  std::function<void()> stop_done_;

  std::uint64_t free_bytes_ = 0;   // less what was submitted
  bool starved_ = false;           // what is pending waits for space
  bool creation_refused_ = false;  // ENOSPC for the next segment
  std::uint64_t creation_retry_ms_ = 0;

  std::vector<SnapshotFile> snapshots_;  // oldest first
  SnapshotWriter snapshot_writer_;
  bool reading_back_ = false;  // the newest one
  std::uint64_t snapshots_saved_ = 0;
  std::uint64_t snapshots_dropped_ = 0;
  std::optional<Zxid> hold_;

  TailCache tail_;
  Spares spares_;
  std::deque<Located> read_ends_;  // where the latest reads ended
  std::uint64_t cuts_ = 0;  // reads that began before a cut, or in another history, start again
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace zabmq::storage
