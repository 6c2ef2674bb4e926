// PublisherTable: what every server knows of every publisher, as replicated state. It is a function
// of the delivered records alone, so it is the same on all servers at the same delivered point, and
// it makes a retried publish find its first answer.
//
// Invariants: 1. a publisher's receipts have ascending sequences, the last one ends at its last
// sequence; 2. the entries in order of their last log time are the order in which they expire; 3.
// at most receipts_max receipts of a publisher and receipts_total_max of all are kept, the newest,
// so that the table, and the time to write it down, have a bound that no number of publishers
// moves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
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
  void drop_oldest();  // there is one
  // The receipt that contains `sequence`; nullptr: none that is kept.
  const BatchReceipt* find(Sequence sequence) const;
  std::size_t size() const { return size_; }
  const BatchReceipt& operator[](std::size_t i) const;  // 0 is the oldest
  bool operator==(const ReceiptRing& other) const;

 private:
  void resize(std::size_t slots);

  std::vector<BatchReceipt> slots_;
  std::size_t oldest_ = 0;
  std::size_t size_ = 0;
};

struct PublisherState {
  Instance instance = 0;
  Instance born = 0;  // the instance with which its entry began: whoever had an older was forgotten
  Sequence last_sequence = 0;
  LogTime last_time = 0;  // log time of its last record
  ReceiptRing receipts;
};

struct PublisherTableLimits {
  std::size_t receipts_max = 1024;  // of one publisher
  LogTime ttl_us = 3'600'000'000;
  std::size_t receipts_total_max = 1 << 20;
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
  std::size_t receipts() const { return receipts_; }  // of all publishers
  std::size_t ages_kept() const { return by_age_.size(); }
  // Of a publisher whose last record is of `last_time`.
  bool expired(LogTime last_time, LogTime now) const { return now - last_time > limits_.ttl_us; }
  // Those that a record of `now` would free, as long as `visit` returns true.
  template <class Visit>
  void for_each_expired(LogTime now, Visit visit) const {
    for (const Uuid& publisher : order_) {
      if (!expired(find(publisher)->last_time, now) || !visit(publisher)) return;
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

  struct Aged {  // a receipt, which may have given way since
    Uuid publisher;
    Zxid zxid;
  };

  Entry& touch(const Uuid& publisher, Instance instance, LogTime time);
  void deliver_batch(const RecordHeader& header);
  void keep_receipt(const Uuid& publisher, PublisherState& state, const BatchReceipt& receipt);
  void drop_oldest_receipt();
  bool is_kept(const Aged& receipt) const;
  void deliver_publisher(const RecordHeader& header);
  void free(std::unordered_map<Uuid, Entry, UuidHash>::iterator it);
  void expire(LogTime now);
  bool decode_publisher(wire::MsgpackReader& in);

  PublisherTableLimits limits_;
  std::unordered_map<Uuid, Entry, UuidHash> entries_;
  Order order_;
  Instance freed_instance_ = 0;  // greatest instance of a freed entry
  std::deque<Aged> by_age_;      // all that are kept are here, in log order
  std::size_t receipts_ = 0;     // kept
};

}  // namespace zabmq::replica
