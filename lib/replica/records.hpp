// Records: walking whole log records that lie back to back, and checking those of a peer.
#pragma once

#include <optional>
#include <vector>

#include "zab/history.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// Walks records that were verified before (they come from the log); a malformed one is our bug.
class RecordWalk {
 public:
  explicit RecordWalk(Bytes records) : rest_(records) {}

  std::optional<RecordHeader> next();  // nullopt: the end
  std::size_t position(Bytes records) const { return records.size() - rest_.size(); }

 private:
  Bytes rest_;
};

// Which transactions verified records hold.
std::vector<zab::Run> runs_of(Bytes records);

// The same of records that a peer sent. nullopt: empty, a record is not whole or fails one of its
// checksums, or does not follow the one before it.
std::optional<std::vector<zab::Run>> verify_frame(Bytes records);

}  // namespace zabmq::replica
