// Records: makes valid records for tests, each continuing the one before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/history_log.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::storage {

class RecordMaker {
 public:
  explicit RecordMaker(const LastRecord& last = {}) : last_(last) {}

  const LastRecord& last() const { return last_; }
  void continue_from(const LastRecord& last) { last_ = last; }

  // A batch whose body has `body_size` bytes and `count` messages, in the newest epoch (at least
  // 1).
  Slice batch(std::uint32_t body_size, std::uint32_t count = 1);
  Slice no_op();
  Slice floor();
  // Several batches back to back in one slice.
  Slice group(const std::vector<std::uint32_t>& body_sizes);
  // The next record is the first of a later epoch.
  void begin_epoch(Epoch epoch) { epoch_ = epoch; }

 private:
  void append_record(RecordHeader header, std::uint32_t body_size, std::vector<std::byte>& to);

  LastRecord last_;
  Epoch epoch_{1};
  std::uint64_t filler_ = 1;
};

// The headers of whole records lying back to back; all of them valid, or the test aborts.
std::vector<RecordHeader> headers_of(Bytes records);
std::vector<RecordHeader> headers_of(const ReadResult& result);
Slice joined(const std::vector<Slice>& slices);

// Digests identify records and all that precedes them.
std::vector<Digest> digests_of(const std::vector<RecordHeader>& headers);

}  // namespace zabmq::storage
