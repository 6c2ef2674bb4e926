// Rewind: TRUNC as the creation of the next segment, whose header takes over at the cut. Nothing
// old is overwritten; until the header is synced with its directory entry the old history stands.
#include <utility>

#include "storage/segmented_log.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::storage {

void SegmentedLog::rewind(Zxid to, Digest digest) {
  ZABMQ_CHECK(!rewind_ && !installation_ && !draining_ && !stop_done_);
  if (failure_) return;
  rewind_ = Cut{to, digest};
  advance();
}

void SegmentedLog::begin_rewind() {
  if (creation_must_wait()) return;
  begin_operation();
  if (rewind_->to == last_.zxid) {
    const bool matched = rewind_->digest == last_.digest;
    fs_.defer(guarded([this, matched] { finish_rewind(matched); }));
    return;
  }
  locate(rewind_->to, [this](const std::optional<Located>& place) { on_located(place); });
}

void SegmentedLog::on_located(const std::optional<Located>& place) {
  if (!place || place->end.digest != rewind_->digest) return finish_rewind(false);
  ZABMQ_CHECK(place->end.zxid >= delivered_);  // what was delivered is never cut
  const SegmentHeader header = next_header(place->segment, place->position, place->end);
  create_segment(header,
                 [this, at = *place](Segment segment) { adopt_cut(at, std::move(segment)); });
}

// The cut stands. Its segment gets a mark at once: a header that is damaged later is then known for
// a damaged one, and not taken for a segment that was never created, which would undo the cut.
void SegmentedLog::adopt_cut(const Located& place, Segment segment) {
  std::vector<std::string> off_chain;  // newest first
  while (chain_.back().header.number != place.segment) {
    off_chain.push_back(chain_.back().name());
    fs_.close(chain_.back().file);
    chain_.pop_back();
  }
  chain_.back().cut_at(place.position);
  chain_.push_back(std::move(segment));
  ++cuts_;
  read_ends_.clear();
  const Offset offset_before = last_.offset;
  last_ = durable_ = place.end;
  if (ZABMQ_MUTANT(offset_kept_over_trunc)) last_.offset = offset_before;
  tail_.truncate_after(last_);
  end_operation();
  write_mark();
  if (!off_chain.empty()) remove_files(off_chain);
}

void SegmentedLog::finish_rewind(bool matched) {
  rewind_.reset();
  end_operation();
  advance();
  if (listener_) listener_->on_rewound(matched);
}

}  // namespace zabmq::storage
