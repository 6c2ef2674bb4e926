// Recovery: reads the history from a data directory, and tells a torn tail from corruption. It only
// reads; what must be repaired is returned as a list, for SegmentedLog to do.
//
// The chain is followed back from the highest-numbered segment with a valid header. Every older
// segment must be valid up to where its successor takes over. In the newest one the history ends at
// the first bytes that are neither mark nor record: if a later valid mark exists, those bytes were
// synced once, and the segment is corrupt; if none does, the last write was torn.
//
// The newest snapshot that can be used stands for what is in front of it: records are read from its
// segment on, of older segments only the headers. Without one all records are read. Where segments
// were freed the chain begins behind them, and needs a snapshot that does not want them any more.
// Files of another generation belong to a history that was replaced, or to one that did not get to
// replace this one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/failure.hpp"
#include "storage/file_system.hpp"
#include "storage/history_log.hpp"
#include "storage/segment.hpp"
#include "storage/snapshot.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {

// Told everything that is recovered, in the order of the history.
struct RecoveryVisitor {
  virtual ~RecoveryVisitor() = default;
  // First, when there is one. False: the state does not parse; an older one is tried.
  virtual bool on_snapshot(const Snapshot& snapshot) = 0;
  // Of records behind the snapshot. `body` without padding; valid during the call.
  virtual void on_record(const RecordHeader& header, Bytes body) = 0;
  // Everything up to here was known to be delivered. Never goes back.
  virtual void on_delivered(Zxid zxid) = 0;
};

// A write that a crash interrupted. Nobody was ever told that it was durable.
struct TornTail {
  std::string file;
  std::uint64_t position = 0;  // the history ends here
  friend bool operator==(const TornTail&, const TornTail&) = default;
};

// The history as the directory holds it.
struct Recovered {
  Floor floor;
  std::vector<EpochLast> ends;  // increasing epochs, those above the floor
  LastRecord last;
  Zxid delivered;  // of the newest mark, or of the snapshot
  std::optional<TornTail> torn;
  std::string snapshot;                       // the one that was used; empty: none
  std::vector<std::string> unused_snapshots;  // damaged ones, passed over; they stay where they are
  std::uint64_t segments = 0;
  std::uint64_t records = 0;  // that were read
  std::uint64_t bytes = 0;    // of headers, marks and records in the chain
};

// What the running log goes on with.
struct RecoveredFiles {
  std::vector<Segment> chain;           // oldest first; empty: nothing was ever logged
  std::vector<SnapshotFile> snapshots;  // oldest first
  std::vector<Spare> spares;
  std::vector<std::string> useless;  // off the chain, never created, freed, replaced, or unfinished
  std::uint64_t next_number = 1;     // above every segment's, of any generation
  std::uint64_t last_write = 0;      // position of the last mark in the newest segment; 0: none
  LastRecord proven;                 // the end of what is known to be synced
  std::uint64_t leftovers_end = 0;   // of the bytes of torn writes behind the newest segment's end
};

struct RecoveryOptions {
  // Whose segments these must be. none: take those of the newest segment (offline verification).
  Uuid cluster;
  Uuid history;
  ServerId server = ServerId::none;
  std::uint64_t segment_size = 0;  // smaller spares are unfinished
  std::size_t waypoint_interval = 0;
  std::uint32_t generation = 0;  // with a cluster
  bool everything = false;       // read all records, and compare every snapshot with them
};

struct RecoveryResult {
  Recovered history;
  RecoveredFiles files;
  std::optional<StartFailure> failure;  // then only the counts of `history` mean something
};

// The directory is open. `visitor` may have been told some records when a failure is found.
RecoveryResult recover(FileSystem& fs, const RecoveryOptions& options, RecoveryVisitor& visitor);

}  // namespace zabmq::storage
