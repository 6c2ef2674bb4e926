// Record: a transaction as the tests keep it: its zxid, a value and the chain digest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "zab/message.hpp"
#include "zab/ready.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab::test {

struct Record {
  Zxid zxid;
  std::string value;
  Digest previous = Digest::none;   // of the record before
  Digest digest = Digest::none;     // covers all of the above, hence the whole history up to here
  std::optional<Admit> admit = {};  // what the value says, when it is one
  friend bool operator==(const Record&, const Record&) = default;
};

Record make_record(Zxid zxid, std::string value, Digest previous);
Record make_record(Zxid zxid, const Admit& admit, Digest previous);

// What a PROPOSE frame says about the records it carries.
std::vector<Run> runs_of(const std::vector<Record>& records);

// The table that a core would recover from those of these records that lie above the floor.
History history_of(const Floor& floor, const std::vector<Record>& records);

}  // namespace zabmq::zab::test
