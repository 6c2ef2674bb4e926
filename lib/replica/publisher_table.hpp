// PublisherTable: what every server knows of every publisher, as replicated state. It is a function
// of the delivered records alone, so it is the same on all servers at the same delivered point, and
// it makes a retried publish find its first answer.
//
// Invariants: 1. a publisher's receipts have ascending sequences, the last one ends at its last
// sequence; 2. the entries in order of their last log time are the order in which they expire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "wire/msgpack_reader.hpp"
#include "wire/msgpack_writer.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

struct UuidHash {
  std::size_t operator()(const Uuid& id) const;
};

// The answer to a batch: where it stands.
struct BatchReceipt {
  Sequence first_sequence = 0;
  Offset base_offset = 0;
  Zxid zxid;
  std::uint32_t count = 0;

  Sequence last_sequence() const { return first_sequence + count - 1; }
  friend bool operator==(const BatchReceipt&, const BatchReceipt&) = default;
};

// The newest receipts of one publisher, at most `max`; an older one gives way.
class ReceiptRing {
 public:
  void add(const BatchReceipt& receipt, std::size_t max);
  // The receipt that contains `sequence`; nullptr: none that is kept.
  const BatchReceipt* find(Sequence sequence) const;
  std::size_t size() const { return receipts_.size(); }
  const BatchReceipt& operator[](std::size_t i) const;  // 0 is the oldest
  bool operator==(const ReceiptRing& other) const;

 private:
  std::vector<BatchReceipt> receipts_;
  std::size_t oldest_ = 0;
};

struct PublisherState {
  Instance instance = 0;
  Sequence last_sequence = 0;
  LogTime last_time = 0;  // log time of its last record
  ReceiptRing receipts;
};

struct PublisherTableLimits {
  std::size_t receipts_max = 1024;
  LogTime ttl_us = 3'600'000'000;
};

class PublisherTable {
 public:
  explicit PublisherTable(PublisherTableLimits limits = {}) : limits_(limits) {}
  PublisherTable(PublisherTable&&) = default;
  PublisherTable& operator=(PublisherTable&&) = default;

  // The next record in log order, of any kind: time passes with each.
  void deliver(const RecordHeader& header);

  const PublisherState* find(const Uuid& publisher) const;
  std::size_t size() const { return entries_.size(); }
  // Those that a record of `now` would free, as long as `visit` returns true.
  template <class Visit>
  void for_each_expired(LogTime now, Visit visit) const {
    for (const Uuid& publisher : order_) {
      if (!expired(*find(publisher), now) || !visit(publisher)) return;
    }
  }

  // The instance that the next opening of a publisher without an entry gets. Never reused for a
  // publisher whose entry was freed, so that its forgotten processes stay fenced.
  Instance next_unknown_instance() const { return freed_instance_ + 1; }

  const PublisherTableLimits& limits() const { return limits_; }
  // For snapshots: one msgpack array. decode() expects an empty table; false: what is there is not
  // what encode() writes.
  void encode(wire::MsgpackWriter& out) const;
  [[nodiscard]] bool decode(wire::MsgpackReader& in);

 private:
  using Order = std::list<Uuid>;  // by last_time, oldest first
  struct Entry {
    PublisherState state;
    Order::iterator place;
  };

  Entry& touch(const Uuid& publisher, LogTime time);
  void deliver_batch(const RecordHeader& header);
  void deliver_publisher(const RecordHeader& header);
  void free(std::unordered_map<Uuid, Entry, UuidHash>::iterator it);
  bool expired(const PublisherState& state, LogTime now) const {
    return now - state.last_time > limits_.ttl_us;
  }
  void expire(LogTime now);
  bool decode_publisher(wire::MsgpackReader& in);

  PublisherTableLimits limits_;
  std::unordered_map<Uuid, Entry, UuidHash> entries_;
  Order order_;
  Instance freed_instance_ = 0;  // greatest instance of a freed entry
};

}  // namespace zabmq::replica
