// TailCache: the newest records in memory, as the slices in which they were appended. Followers,
// joining learners and subscribers at the end of the history are served from it without a disk.
//
// Invariants: the entries follow one another without holes and end at the log's last record;
// nothing is evicted that is not durable, so what is not here can be read from disk.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "storage/history_log.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::storage {

class TailCache {
 public:
  // Empty: everything up to `end` is on disk only, or is not kept.
  explicit TailCache(const LastRecord& end) : before_(end) {}

  // Verified records behind the last ones; `end` is the history's end with them.
  void push(Slice records, const LastRecord& end);
  void evict(std::size_t bytes_max, Zxid durable);
  void truncate_after(const LastRecord& kept);

  // nullopt: begins in front of what is here.
  std::optional<ReadResult> read(const ReadFrom& from, Zxid up_to, std::size_t max_bytes) const;
  // The end of the history at `zxid`; nullopt: not here.
  std::optional<LastRecord> find(Zxid zxid) const;

  std::size_t bytes() const { return bytes_; }
  const LastRecord& end() const { return entries_.empty() ? before_ : entries_.back().end; }

 private:
  struct Entry {
    Slice records;
    LastRecord end;
  };
  using Entries = std::deque<Entry>;

  Entries::const_iterator first_reaching(const ReadFrom& from) const;

  Entries entries_;
  LastRecord before_;  // in front of the first entry
  std::size_t bytes_ = 0;
};

}  // namespace zabmq::storage
