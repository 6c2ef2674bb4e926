// Replica: one server of the cluster, without threads, sockets, clock or disk. It feeds lib/zab and
// performs what it asks, in order; it serves publishers and subscribers from the history.
//
// Inputs are the calls below, from one thread; effects go to the interfaces of the constructor.
// Several inputs may be handed in before one step(): that is how batches form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/peer_links.hpp"
#include "storage/history_log.hpp"
#include "wire/batch.hpp"
#include "wire/client_frame.hpp"
#include "zab/core.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// A client's connection, numbered by the composition root; never reused while the process lives.
enum class ConnectionId : std::uint64_t { none = 0 };

// Who asks, for the one place where authorization will be decided.
struct Principal { std::string name = "anonymous"; };

// Frames to clients.
class ClientLinks {
 public:
  enum class Sent : std::uint8_t { ok, full, gone };  // full: not sent, try again later; gone: forget the connection
  virtual ~ClientLinks() = default;
  virtual Sent send(ConnectionId to, const wire::ServerMessage& message, Slice body) = 0;
};

// The identity record's file.
class IdentityStore {
 public:
  virtual ~IdentityStore() = default;
  virtual void store(const zab::Identity& identity) = 0;  // Replica::on_stored tells
};

struct ServerAddress {
  ServerId id = ServerId::none;
  std::string client_endpoint;
};

struct Options {
  zab::Options zab;
  wire::BatchLimits batch;
  std::size_t group_bytes_max = 1 << 20;         // or one batch
  std::size_t in_flight_bytes_max = 64 << 20;    // leader: proposed, not committed, plus waiting
  std::size_t learner_window_bytes = 16 << 20;   // sent to a learner, not yet reported durable
  std::size_t read_bytes_max = 1 << 20;          // of one read for a cursor
  std::size_t publishers_max = 100000;
  LogTime publisher_ttl_us = 3'600'000'000;      // of log time without a message
  std::size_t receipts_max = 1024;               // batch receipts kept per publisher
  std::size_t connections_max = 10000;
  std::size_t subscriptions_max = 1024;          // per connection
  std::uint64_t client_timeout_ms = 15000;       // a connection silent for so long is forgotten
  std::uint64_t client_heartbeat_ms = 1000;
  std::uint64_t disk_stuck_ms = 10000;
  std::uint64_t question_timeout_ms = 2000;      // a question about the cluster's end without an answer
};

// What has happened, for logs and status; the composition root reads it.
struct Counters {
  std::uint64_t proposals = 0, messages_proposed = 0, commits = 0, messages_delivered = 0;
  std::uint64_t publishes_refused = 0, duplicates = 0, fenced = 0;
  std::uint64_t client_frames_malformed = 0, batches_malformed = 0, resets = 0;
  std::uint64_t peer_records_malformed = 0, sessions_lost = 0, dropped_peer_messages = 0;
  std::uint64_t elections = 0, alarms = 0;
};

}  // namespace zabmq::replica
