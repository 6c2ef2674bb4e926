// Records: walking whole log records that lie back to back, and checking those of a peer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/history_log.hpp"
#include "zab/ready.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// Walks records that were verified before (they come from the log); a malformed one is our bug.
class RecordWalk {
 public:
  explicit RecordWalk(Bytes records) : rest_(records) {}

  std::optional<RecordHeader> next();   // nullopt: the end
  Bytes body() const { return body_; }  // of the record that next() returned
  std::size_t position(Bytes records) const { return records.size() - rest_.size(); }

 private:
  Bytes rest_;
  Bytes body_;
};

// Which transactions verified records hold.
std::vector<zab::Run> runs_of(Bytes records);

// The same of records that a peer sent. nullopt: empty, a record is not whole or fails one of its
// checksums, or does not follow the one before it.
std::optional<std::vector<zab::Run>> verify_frame(Bytes records);

// Body of a record of kind admit: u32 server, u32 zero, 16 bytes of its incarnation.
Slice admit_body(const zab::Admit& admit);
std::optional<zab::Admit> parse_admit(Bytes body);  // nullopt: it cannot be

// Body of a record of kind floor: the last transaction that is not retained: u32 epoch, u32 zero,
// u64 counter, u64 offset, u64 chain digest, u64 log time.
Slice floor_body(const storage::LastRecord& floor);
std::optional<storage::LastRecord> parse_floor(Bytes body);

// Body of a record of kind cursor: u64 offset that was acknowledged, then the cursor's name. With
// record_flag_close the cursor is removed.
struct CursorMove {
  std::string name;
  Offset offset = 0;
  friend bool operator==(const CursorMove&, const CursorMove&) = default;
};
Slice cursor_body(const CursorMove& move);
std::optional<CursorMove> parse_cursor(Bytes body);

}  // namespace zabmq::replica
