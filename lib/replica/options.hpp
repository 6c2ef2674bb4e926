// Options: every bound and interval of a replica; Counters: what has happened, in numbers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "replica/publisher_table.hpp"
#include "replica/retention.hpp"
#include "replica/snapshots.hpp"
#include "wire/batch.hpp"
#include "zab/core.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

struct Options {
  zab::Options zab;
  wire::BatchLimits batch;
  std::size_t group_bytes_max = 1 << 20;       // or one batch
  std::size_t in_flight_bytes_max = 64 << 20;  // leader: proposed, not committed, plus waiting
  std::size_t unwritten_bytes_max = 16 << 20;  // leader: logged, not durable here; then it waits
  std::size_t forwarded_bytes_max = 16 << 20;  // learner: passed on to the leader, not yet answered
  std::size_t learner_window_bytes = 16 << 20;  // sent to a learner, not yet reported durable
  std::size_t read_bytes_max = 1 << 20;         // of one read for a cursor
  std::size_t publishers_max = 100000;
  LogTime publisher_ttl_us = 3'600'000'000;  // of log time without a message
  std::size_t receipts_max = 1024;           // batch receipts kept per publisher
  std::size_t receipts_total_max = 1 << 20;  // and of all of them together
  std::size_t cursors_max = 1024;            // durable cursors
  std::size_t connections_max = 10000;
  std::size_t subscriptions_max = 1024;            // per connection
  std::size_t answers_max = 4096;                  // per connection: held while its link is full
  std::size_t answers_bytes_max = 1 << 20;         // per connection; or one answer
  std::size_t answers_total_bytes_max = 64 << 20;  // of all connections
  std::size_t serve_bytes_per_step = 8 << 20;      // to all subscribers, so that a step stays short
  std::size_t cold_reads_max = 64;           // of all subscriptions, under way or not yet sent
  std::size_t resets_per_second_max = 1000;  // answers to frames of unknown connections
  std::uint64_t client_timeout_ms = 15000;   // a connection silent for so long is forgotten
  std::uint64_t client_heartbeat_ms = 1000;
  RetentionLimits retention;
  SnapshotLimits snapshots;
  // A subscription that retention passes may read on for so long before it gets GAP.
  std::uint64_t retention_hold_ms = 30000;
  std::uint64_t retention_interval_ms = 1000;  // between two looks at what may go
  std::uint64_t disk_stuck_ms = 10000;
  std::uint64_t question_timeout_ms = 2000;  // a question about the cluster's end without an answer

  PublisherTableLimits publisher_table() const {
    return {receipts_max, publisher_ttl_us, receipts_total_max};
  }
};

// What has happened, for logs and status; the composition root reads it.
struct Counters {
  std::uint64_t proposals = 0, messages_proposed = 0, commits = 0, messages_delivered = 0;
  std::uint64_t publishes_refused = 0, duplicates = 0, fenced = 0, forwarded = 0;
  std::uint64_t client_frames_malformed = 0, batches_malformed = 0, resets = 0;
  std::uint64_t peer_records_malformed = 0, sessions_lost = 0, dropped_peer_messages = 0;
  std::uint64_t elections = 0, alarms = 0, protocol_errors = 0;
  std::uint64_t connections_forgotten = 0, subscriptions_opened = 0, gaps = 0;
  std::uint64_t cursors_overtaken = 0;  // by retention, whatever they had not acknowledged
  std::uint64_t snapshots_sent = 0, snapshots_installed = 0;
};

}  // namespace zabmq::replica
