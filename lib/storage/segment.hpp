// Segment: one file of the chain as the running log knows it, with waypoints from which a record is
// found without reading the file from its beginning.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/file_system.hpp"
#include "storage/link.hpp"
#include "storage/segment_header.hpp"

namespace zabmq::storage {

// A record begins at `position`; `before` is the history's end in front of it.
struct Waypoint {
  std::uint64_t position = 0;
  LastRecord before;
};

// Invariants: waypoints have increasing positions, at least the interval apart and all below `end`;
// the segment's beginning is one without being listed.
struct Segment {
  SegmentHeader header;
  FileId file = FileId::none;
  std::uint64_t end = segment_header_size;  // of what is synced; where the successor takes over
  std::uint64_t allocated = 0;              // written before, by us or as a spare
  std::vector<Waypoint> waypoints;

  std::string name() const { return segment_name(header.number); }

  // Where to begin a search for the first record that reaches `from`: every record in front of the
  // waypoint lies before it.
  Waypoint waypoint_for(const ReadFrom& from) const {
    const Waypoint begin{segment_header_size, header.before};
    const auto behind =
        std::partition_point(waypoints.begin(), waypoints.end(),
                             [&](const Waypoint& w) { return !reaches(w.before, from); });
    return behind == waypoints.begin() ? begin : *std::prev(behind);
  }

  void add_waypoint(const Waypoint& waypoint, std::size_t interval) {
    const std::uint64_t last = waypoints.empty() ? segment_header_size : waypoints.back().position;
    if (waypoint.position >= last + interval) waypoints.push_back(waypoint);
  }

  void cut_at(std::uint64_t position) {
    end = position;
    while (!waypoints.empty() && waypoints.back().position >= position) waypoints.pop_back();
  }
};

// A file that is ready to become a segment.
struct Spare {
  std::string name;
  FileId file = FileId::none;
  std::uint64_t size = 0;
  bool recycled = false;  // it was a segment; else zeros
};

// A freed segment that is shorter than this saves too little to be recycled.
constexpr std::uint64_t recycled_size_min(std::uint64_t segment_size) {
  return segment_size / 2;
}

}  // namespace zabmq::storage
