// Options: everything about a server that can be tuned, in one struct, with one table of keys.
// `--set KEY=VALUE` and, later, a configuration file go through set() and nothing else.
//
// Sizes are written "64MiB", durations "100ms"; a bare number of something that has a unit is
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/problem.hpp"
#include "replica/replica.hpp"

namespace zabmq::node {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct Options {
  struct Timing {
    std::uint64_t heartbeat_ms = 100;
    std::uint64_t peer_timeout_ms = 1000;
    std::uint64_t election_wait_ms = 200;
    std::uint64_t discovery_timeout_ms = 2000;
    std::uint64_t sync_timeout_ms = 10000;
    std::uint64_t disk_stuck_timeout_ms = 10000;
    std::uint64_t client_timeout_ms = 15000;
    std::uint64_t client_heartbeat_ms = 1000;
    std::uint64_t question_timeout_ms = 2000;
  };
  struct Limits {
    std::size_t max_payload = 1 << 20;
    std::size_t max_batch = 2 << 20;
    std::size_t max_forwarded_bytes = 16 << 20;
    std::size_t max_inflight_bytes = 64 << 20;
    std::size_t learner_window = 16 << 20;
    std::size_t tail_cache = 128 << 20;
    std::size_t read_max = 1 << 20;
    std::size_t max_clients = 10000;
    std::size_t max_subscriptions = 1024;
    std::size_t max_publishers = 100000;
    std::size_t max_cursors = 1024;
    std::uint64_t session_ttl_ms = 3'600'000;
  };
  struct Storage {
    std::size_t segment_size = 64 << 20;
    std::size_t batch_max = 1 << 20;
    std::size_t min_free = 0;  // 0: two segments
    std::size_t page_cache = 256 << 20;
    std::size_t spare_segments = 2;
    std::uint64_t retain_bytes = std::uint64_t{8} << 30;
    std::uint64_t retain_max_bytes = std::uint64_t{10} << 30;
    std::uint64_t retain_min_ms = 3'600'000;
    std::uint64_t retain_hold_ms = 30'000;
  };
  struct Snapshot {
    std::uint64_t every_bytes = 256 << 20;
    std::uint64_t every_ms = 3'600'000;
    std::uint64_t max_bytes = 1 << 30;
  };

  Timing timing;
  Limits limits;
  Storage storage;
  Snapshot snapshot;
  LogLevel log_level = LogLevel::info;

  // "limits.max_payload=64KiB". The problem names key and value.
  [[nodiscard]] std::optional<Problem> set(std::string_view assignment);
  // What no single key shows: values that contradict each other.
  [[nodiscard]] std::optional<Problem> check() const;

  std::size_t min_free_bytes() const;
  replica::Options for_replica() const;  // zab::Options included
};

// What `limits.max_batch` may be at most, and with it any batch of any log.
inline constexpr std::size_t batch_bytes_largest = 128 << 20;

// Every key that set() knows, with its unit and default, for --help and docs.
struct OptionKey {
  std::string_view key;
  std::string_view default_value;
  std::string_view meaning;
};
std::vector<OptionKey> option_keys();

std::optional<std::uint64_t> parse_size(
    std::string_view text);  // "512", "64KiB", "1MiB", "2GiB", "10B"
std::optional<std::uint64_t> parse_duration_ms(std::string_view text);  // "100ms", "5s", "1m", "1h"

}  // namespace zabmq::node
