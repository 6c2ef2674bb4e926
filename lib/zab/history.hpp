// History: what the core knows of a log. Counters are contiguous inside an epoch, so the whole
// history is described by its floor and, for each epoch that has transactions, its last counter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::zab {

// The transactions first..last of one epoch, counters inclusive.
struct Run {
  Epoch epoch = Epoch::none;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const Run&, const Run&) = default;
};

struct EpochEnd {
  Epoch epoch = Epoch::none;
  std::uint64_t last = 0;  // counter of the epoch's last transaction; never 0
  friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
};

inline constexpr std::size_t epoch_entries_sent_max = 1024;  // newest entries carried by ACK-E

// Invariants: the floor is none or a transaction; `ends` has strictly increasing epochs, none below
// floor.zxid.epoch, every `last` > 0; an entry of the floor's own epoch lies above the floor.
struct History {
  Floor floor;
  std::vector<EpochEnd> ends;

  Zxid last() const;                              // of the newest transaction, or the floor
  bool contains(Zxid z) const;                    // z is in the history or is its floor
  void append(Run run);                           // precondition: continues(run)
  bool continues(Run run) const;                  // run.first follows last()
  void truncate_after(Zxid last_kept);            // precondition: contains(last_kept)
  void raise_floor(const Floor& to);              // precondition: contains(to.zxid)
  History newest(std::size_t entries_max) const;  // what ACK-E carries
  bool valid() const;  // the invariants above hold; asked of what peers send

  friend bool operator==(const History&, const History&) = default;
};

// Where two histories part: the last transaction that both have.
struct CommonPoint {
  enum class Kind : std::uint8_t {
    found,
    none,        // they share nothing that is still kept: SNAP
    conflicting  // an older epoch ends differently: one of the two is damaged; alarm, never DIFF
  };
  Kind kind = Kind::none;
  Zxid zxid;
};

// The greatest epoch in both tables (the floor counts as an entry) with the lesser of its two
// counters. All older entries above both floors must be equal. Worked examples at the definition.
CommonPoint common_point(const History& leader, const History& learner);

}  // namespace zabmq::zab
