// ServerState: what a server knows as a function of the delivered records alone: publishers,
// cursors, and from where on messages are retained. It is the same on all servers at the same
// delivered point, and a snapshot of it stands for every record up to there.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "replica/cursor_table.hpp"
#include "replica/publisher_table.hpp"
#include "storage/history_log.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

class ServerState {
 public:
  explicit ServerState(PublisherTableLimits limits = {}) : publishers_(limits) {}
  ServerState(ServerState&&) = default;
  ServerState& operator=(ServerState&&) = default;

  // --- recovery ---

  // Instead of all records up to snapshot.at; before any. False: its state does not parse, and
  // nothing has changed.
  [[nodiscard]] bool restore(const storage::Snapshot& snapshot);
  // Records of the log behind that, in order, of all kinds, and between them how far they are known
  // to be delivered; records above that point wait. A record behind the point that on_delivered
  // named before is taken at once. finish_recovery(): what still waits is not delivered and is
  // forgotten, it comes again through delivery.
  void on_record(const RecordHeader& header, Bytes body);
  void on_delivered(Zxid up_to);
  void finish_recovery();

  // --- delivery ---

  // The next record in log order.
  void deliver(const RecordHeader& header, Bytes body);

  // The delivered point: the last record taken.
  const storage::LastRecord& last() const { return last_; }
  Zxid delivered() const { return last_.zxid; }
  Offset delivered_offset() const { return last_.offset; }
  LogTime delivered_time() const { return last_.time; }

  const PublisherTable& publishers() const { return publishers_; }
  const CursorTable& cursors() const { return cursors_; }
  // The last transaction that retention does not keep any more; the log may still hold it.
  const storage::LastRecord& retained() const { return retained_; }
  Offset first_offset() const { return retained_.offset + 1; }

  // What restore() reads, all but `last`, which stands beside it in a snapshot.
  std::vector<std::byte> encode() const;

 private:
  struct Waiting {
    RecordHeader header;
    std::vector<std::byte> body;  // of kinds whose bodies count
  };

  bool decode(Bytes state);

  PublisherTable publishers_;
  CursorTable cursors_;
  storage::LastRecord retained_;
  storage::LastRecord last_;

  std::deque<Waiting> waiting_;  // recovery only
  Zxid recovered_up_to_;
};

}  // namespace zabmq::replica
