// Records: walking whole log records that lie back to back, and checking those of a peer.
#pragma once

#include <optional>
#include <vector>

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

}  // namespace zabmq::replica
