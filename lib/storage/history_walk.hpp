// HistoryWalk: reads the records of the chain at start, in order, checks each, and tells the torn
// end from corruption. Recovery decides where it begins.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/recovery.hpp"
#include "storage/segment_reader.hpp"

namespace zabmq::storage {

class HistoryWalk {
 public:
  // Where it begins: in front of the first record of a segment.
  struct Begin {
    LastRecord last;
    std::vector<EpochLast> ends;  // between the floor and `last`
    Zxid delivered;               // at least that much was
    Zxid told_up_to;              // records up to here are not told
  };
  // A transaction of the history, as a snapshot has it.
  struct Witness {
    std::string file;
    LastRecord at;
  };

  // `result`: its floor is set; what is found is added.
  HistoryWalk(FileSystem& fs, std::size_t waypoint_interval, RecoveryVisitor& visitor,
              RecoveryResult& result)
      : fs_(fs), waypoint_interval_(waypoint_interval), visitor_(visitor), result_(result) {}

  void begin(Begin begin);
  // The history must pass through it; increasing, none in front of the beginning.
  void expect(Witness witness) { witnesses_.push_back(std::move(witness)); }

  // Each: false, and the result has a failure.
  bool walk_older(Segment& segment, const Segment& successor);
  bool walk_newest(Segment& segment);
  bool end();  // all witnesses were met

 private:
  bool enter(const Segment& segment);
  bool walk(Segment& segment, SegmentReader& reader, std::uint64_t limit, bool newest);
  bool take_mark(const Segment& segment, Bytes bytes);
  bool take_delivered(Zxid delivered);
  bool holds(Zxid zxid) const;
  std::size_t take_record(Segment& segment, SegmentReader& reader, std::uint64_t limit);
  bool meet_witnesses(const std::string& file);
  bool examine_tail(Segment& segment, SegmentReader& reader);
  std::uint64_t damaged_body_end(SegmentReader& reader) const;
  std::uint64_t leftover_size(const SegmentHeader& segment, Bytes rest) const;

  bool fail_at(const std::string& file, std::uint64_t position, const std::string& why) {
    result_.failure = corrupt({file, position, last_.zxid}, why);
    return false;
  }
  bool ok(const IoStatus& status) {
    if (!status) result_.failure = failed(status);
    return status.error == 0;
  }

  FileSystem& fs_;
  std::size_t waypoint_interval_;
  RecoveryVisitor& visitor_;
  RecoveryResult& result_;
  std::vector<Witness> witnesses_;
  std::size_t met_ = 0;

  std::uint64_t position_ = 0;
  LastRecord last_;
  Zxid delivered_;
  Zxid marked_;  // delivered, as the newest mark or header has it
  Zxid told_up_to_;
};

}  // namespace zabmq::storage
