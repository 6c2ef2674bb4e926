// Segment files: what happens to them as a whole: repair at start, creation, removal, free space.
#include <algorithm>
#include <cerrno>

#include "storage/link.hpp"
#include "storage/mark.hpp"
#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t erase_bytes = 1 << 20;

// A new segment's header and zeros behind it: there is room for a first mark, whatever the disk
// says later.
constexpr std::size_t created_bytes = 2 * segment_header_size;

struct Buffer {
  explicit Buffer(std::size_t size) : bytes(std::make_shared<std::vector<std::byte>>(size)) {}
  Slice slice() const { return {bytes, *bytes}; }
  std::shared_ptr<std::vector<std::byte>> bytes;
};

}  // namespace

// What a crash, or a sync that failed, may have left in the page cache only is written again and
// synced before it counts. Leftovers behind the end are erased: if the next write had the same
// records in front, one of them could continue it.
std::optional<StartFailure> SegmentedLog::repair(const RecoveredFiles& files) {
  if (!files.useless.empty()) remove_files(files.useless);
  starting_ = true;
  begin_operation();
  if (!chain_.empty()) {
    if (auto failure = write_last_again(files)) return failure;
  }
  // A process that was killed behind a rename, of the identity record above all, has left a
  // directory that a power failure may still take back (found by simulation, seed 176).
  fs_.sync_directory(guarded([this](const IoStatus& done) { on_repaired(done); }));
  return std::nullopt;
}

// From the last mark to the end; without one, the header.
std::optional<StartFailure> SegmentedLog::write_last_again(const RecoveredFiles& files) {
  const Segment& newest = chain_.back();
  const bool has_mark = files.last_write != 0;
  const std::uint64_t end = has_mark ? newest.end : segment_header_size;
  const Buffer buffer(static_cast<std::size_t>(end - files.last_write));
  std::size_t count = 0;
  const IoStatus status = fs_.read_now(newest.file, files.last_write, *buffer.bytes, count);
  if (!status) return failed(status);
  if (count != buffer.bytes->size()) {
    return corrupt({newest.name(), files.last_write, durable_.zxid}, "it has become shorter");
  }
  mark_wanted_ = !has_mark || newest.end > files.last_write + mark_size;
  erase_leftovers(newest, files.leftovers_end);
  const bool sync = !(has_mark && ZABMQ_MUTANT(last_write_not_synced));
  fs_.write(newest.file, files.last_write, {buffer.slice()}, sync,
            guarded([this](const IoStatus& done) {
              if (!done) fail(done);
            }));
  return std::nullopt;
}

void SegmentedLog::erase_leftovers(const Segment& newest, std::uint64_t until) {
  if (until <= newest.end) return;
  const Buffer zeros(
      static_cast<std::size_t>(std::min<std::uint64_t>(erase_bytes, until - newest.end)));
  for (std::uint64_t p = newest.end; p < until; p += zeros.bytes->size()) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(zeros.bytes->size(), until - p));
    fs_.write(newest.file, p, {zeros.slice().sub(0, count)}, false,
              guarded([this](const IoStatus& status) {
                if (!status) fail(status);
              }));
  }
}

void SegmentedLog::on_repaired(const IoStatus& status) {
  if (!status) return fail(status);
  starting_ = false;
  durable_ = last_;
  end_operation();
  advance();
  if (listener_ && !chain_.empty()) listener_->on_durable(durable_.zxid);
}

// The next segment, where the newest one ends; the first one, when there is none.
void SegmentedLog::roll() {
  starved_ = creation_must_wait() || (spares_.ready() == 0 && !may_grow_a_segment());
  if (starved_) return;
  ZABMQ_CHECK(!is_none(options_.cluster) && !is_none(options_.history));
  begin_operation();
  const SegmentHeader header =
      chain_.empty() ? next_header(0, 0, durable_)
                     : next_header(chain_.back().header.number, chain_.back().end, durable_);
  create_segment(header, [this](Segment segment) {
    chain_.push_back(std::move(segment));
    leave_page_cache();
    end_operation();
    advance();
  });
}

// A log that only grows would fill the page cache with what hardly anybody reads again, and each of
// its pages would be a new one: where memory is given to a machine when it is first touched, that
// costs more than the write (docs/performance.md). What is read most is in the tail cache, and in
// the segments that stay.
void SegmentedLog::leave_page_cache() {
  std::uint64_t newer = 0;
  std::uint64_t stays_from = cached_from_;
  for (auto at = chain_.rbegin(); at != chain_.rend(); ++at) {
    if (at->header.number < cached_from_) break;
    if (newer > options_.page_cache_bytes) {
      fs_.drop_cached(at->file);
      stays_from = std::max(stays_from, at->header.number + 1);
    }
    newer += at->end;
  }
  cached_from_ = stays_from;
}

// Whether the disk has what a new file takes, with the first record that is pending.
bool SegmentedLog::may_grow_a_segment() const {
  const Link first = link_at(pending_.front().records.bytes().data());
  const std::uint64_t taken = created_bytes + mark_size + first.size;
  if (free_bytes_ >= options_.min_free_bytes / 2 + taken) return true;
  return free_bytes_ >= options_.min_free_bytes / 4 + taken &&
         (first.kind != RecordKind::batch || floor_waits());
}

SegmentHeader SegmentedLog::next_header(std::uint64_t continues, std::uint64_t position,
                                        const LastRecord& before) const {
  SegmentHeader header;
  header.number = next_number_;
  header.continues = continues;
  header.takes_over_at = position;
  header.cluster = options_.cluster;
  header.history = options_.history;
  header.server = options_.server;
  header.generation = options_.generation;
  header.before = before;
  header.delivered = delivered_;
  return header;
}

// `done` is called when header and directory entry are synced; before that the segment does not
// exist, whatever a crash leaves of it.
void SegmentedLog::create_segment(const SegmentHeader& header, std::function<void(Segment)> done) {
  ZABMQ_CHECK(!creating_);
  creating_.emplace(Creation{{}, std::move(done)});
  Segment& segment = creating_->segment;
  segment.header = header;
  auto on_done = guarded([this](const IoStatus& status) { on_created(status); });
  if (const auto spare = spares_.take()) {
    segment.file = spare->file;
    segment.allocated = spare->size;
    segment.header.recycled = spare->recycled;
    fs_.rename(spare->name, segment.name(), std::move(on_done));
  } else {
    segment.file = fs_.create(segment.name(), std::move(on_done));
  }
}

void SegmentedLog::on_created(const IoStatus& status) {
  if (creation_failed(status)) return;
  Segment& segment = creating_->segment;
  const Buffer pages(created_bytes);
  segment.header.checksum =
      encode_segment_header(segment.header, std::span(*pages.bytes).first<segment_header_size>());
  segment.allocated = std::max<std::uint64_t>(segment.allocated, created_bytes);
  fs_.write(segment.file, 0, {pages.slice()}, true,
            guarded([this](const IoStatus& done) { on_header_written(done); }));
}

void SegmentedLog::on_header_written(const IoStatus& status) {
  if (creation_failed(status)) return;
  auto on_synced = guarded([this](const IoStatus& done) {
    if (!done) return fail(done);
    Creation creation = *std::exchange(creating_, std::nullopt);
    creation_refused_ = false;
    next_number_ = creation.segment.header.number + 1;
    creation.done(std::move(creation.segment));
  });
  if (ZABMQ_MUTANT(segment_directory_not_synced)) return on_synced(IoStatus{});
  fs_.sync_directory(std::move(on_synced));
}

// A full disk is a state that ends by itself; every other error is final.
bool SegmentedLog::creation_failed(const IoStatus& status) {
  if (status) return false;
  if (!is_out_of_space(status)) {
    fail(status);
    return true;
  }
  const Segment segment = std::exchange(creating_, std::nullopt)->segment;
  fs_.close(segment.file);
  remove_files({segment.name()});
  refuse_creation();
  return true;
}

void SegmentedLog::refuse_creation() {
  creation_refused_ = true;
  creation_retry_ms_ = now_ms_ + options_.space_retry_ms;
  end_operation();
  advance();
}

void SegmentedLog::remove_files(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    fs_.remove(name, guarded([this](const IoStatus& status) {
                 if (!status && status.error != ENOENT) fail(status);
               }));
  }
  fs_.sync_directory(guarded([this](const IoStatus& status) {
    if (!status) fail(status);
  }));
}

void SegmentedLog::watch_space() {
  free_bytes_ = fs_.free_bytes();
  if (free_bytes_ < options_.min_free_bytes && !busy_) give_up_spare();
  if (starved_) advance();
  if (!creation_refused_ || creation_must_wait()) return;
  if (pending_.empty() && !rewind_ && !installation_) {
    creation_refused_ =
        free_bytes_ <
        options_.min_free_bytes;  // nobody waits for a segment: believe the free bytes
  } else {
    advance();
  }
}

// One at a time: what it gave back shows at the next look.
void SegmentedLog::give_up_spare() {
  const std::optional<Spare> spare = spares_.take();
  if (!spare) return;
  fs_.close(spare->file);
  remove_files({spare->name});
}

// Of what is pending, all counts that does not go into bytes that were allocated before.
Space SegmentedLog::space() const {
  if (creation_refused_) return Space::last;
  std::uint64_t allocated = spares_.ready() * options_.segment_size;
  if (!chain_.empty()) {
    const std::uint64_t used = chain_.back().end + group_.bytes;
    allocated += chain_.back().allocated - std::min(chain_.back().allocated, used);
  }
  const std::uint64_t wanted = pending_bytes_ - std::min<std::uint64_t>(pending_bytes_, allocated);
  if (free_bytes_ >= options_.min_free_bytes + wanted) return Space::enough;
  return free_bytes_ >= options_.min_free_bytes / 2 + wanted ? Space::low : Space::last;
}

void SegmentedLog::tend_spares() {
  const bool quiet = idle() && !snapshot_writer_.writing() && !draining_ && !stop_done_ &&
                     !chain_.empty() && now_ms_ - last_write_ms_ >= options_.spare_after_idle_ms;
  spares_.set_idle(quiet && free_bytes_ >= options_.min_free_bytes + options_.segment_size);
}

}  // namespace zabmq::storage
