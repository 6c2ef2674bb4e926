// Retention: up to where a leader stops to keep messages. It only decides; the transaction `floor`
// tells all servers, so that they cut at the same offset.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/history_log.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

struct RetentionLimits {
  // Above `bytes` of log, the oldest segments go that are older than `age` and that every cursor
  // has passed; above `bytes_max` the oldest go whatever holds them.
  std::uint64_t bytes = std::uint64_t{8} << 30;
  std::uint64_t bytes_max = std::uint64_t{10} << 30;
  LogTime age_us = 3'600'000'000;
};

struct RetentionState {
  Zxid retained;   // as last decided
  Zxid delivered;  // nothing behind it may go
  std::optional<Offset> slowest_cursor;
  LogTime now = 0;
};

// The last transaction that need not be kept; nullopt: what was decided last stays.
std::optional<storage::LastRecord> retention_floor(
    const std::vector<storage::SegmentSpan>& segments, const RetentionLimits& limits,
    const RetentionState& state);

}  // namespace zabmq::replica
