// Dump: everything that stands in a data directory, read offline and changed nowhere: what a start
// would use, what it would leave aside, and what is damaged, each with its file and position.
#pragma once

#include <cstdint>
#include <string>

#include "storage/file_system.hpp"
#include "storage/identity_file.hpp"
#include "storage/mark.hpp"
#include "storage/segment_header.hpp"
#include "storage/snapshot.hpp"
#include "storage/verify.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {

struct DumpedSegment {
  std::string file;
  std::uint64_t size = 0;
  ParsedSegmentHeader parsed;
  bool in_chain = false;
  std::uint64_t end = 0;  // in the chain: where its successor takes over, or the history ends
};

struct DumpedSnapshot {
  std::string file;
  std::uint64_t size = 0;
  ParsedSnapshot parsed;
  bool used = false;  // by a start
};

struct Place {
  std::string file;
  std::uint64_t position = 0;
  bool in_chain = false;  // false: cut off, left over, or of a segment that is not in the chain
};

// Told everything: snapshots, then the segments file by file in the order of their numbers, each
// from front to back. Of a recycled segment in the chain nothing behind its end: old bytes.
struct DumpReader {
  virtual ~DumpReader() = default;
  virtual void on_identity(const IdentityFile::Loaded& identity) = 0;
  virtual void on_snapshot(const DumpedSnapshot& snapshot) = 0;
  virtual void on_segment(const DumpedSegment& segment) = 0;
  virtual void on_mark(const Place& place, const Mark& mark) = 0;
  virtual void on_record(const Place& place, const RecordHeader& header) = 0;
  // `size` bytes that are neither mark nor record, or a record whose body does not check.
  virtual void on_damage(const Place& place, std::uint64_t size, const std::string& what) = 0;
  virtual void on_other_file(const std::string& file, std::uint64_t size) = 0;
};

// `fs` has not been opened yet. The report is that of verify(); with verdict `unreadable` the
// reader may have been told nothing.
VerifyReport dump(FileSystem& fs, DumpReader& reader);

// The same for a directory of this machine. Refuses, politely, while a server runs on it.
VerifyReport dump_directory(const std::string& path, DumpReader& reader);

}  // namespace zabmq::storage
