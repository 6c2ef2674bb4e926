// Retention: whole segments, oldest first.
#include "replica/retention.hpp"

#include "zabmq/mutant.hpp"

namespace zabmq::replica {

std::optional<storage::LastRecord> retention_floor(
    const std::vector<storage::SegmentSpan>& segments, const RetentionLimits& limits,
    const RetentionState& state) {
  std::uint64_t bytes = 0;
  for (const storage::SegmentSpan& segment : segments) {
    if (segment.end.zxid > state.retained) bytes += segment.bytes;
  }
  std::optional<storage::LastRecord> floor;
  for (const storage::SegmentSpan& segment : segments) {
    if (segment.end.zxid <= state.retained) continue;
    if (segment.end.zxid > state.delivered) break;
    const bool old = segment.end.time + limits.age_us <= state.now;
    const bool passed = !state.slowest_cursor || segment.end.offset <= *state.slowest_cursor ||
                        ZABMQ_MUTANT(cursors_hold_nothing);
    const bool unwanted = bytes > limits.bytes && old && passed;
    const bool held = !passed && ZABMQ_MUTANT(cursors_hold_for_ever);
    if (!unwanted && (held || bytes <= limits.bytes_max)) break;
    floor = segment.end;
    bytes -= segment.bytes;
  }
  return floor;
}

}  // namespace zabmq::replica
