// Snapshot file: server state as of one transaction, with all that a log needs to begin there: its
// layout, its name, and how it fits a history. The same bytes go to a learner that is given a
// history (SNAP), so they are parsed as a stranger's.
//
// A file is visible under its name only when it is complete, synced and read back; whether it is
// still what was written, its checksum tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/file_system.hpp"
#include "storage/history_log.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

inline constexpr std::uint32_t snapshot_magic = 0x314e'425a;  // "ZBN1"
inline constexpr std::uint8_t snapshot_version = 1;
inline constexpr std::size_t snapshots_kept = 3;
inline constexpr const char* snapshot_tmp_name = "snapshot.tmp";

// Whose it is. What a peer sent has the peer's server id and generation: they say nothing here.
struct SnapshotOwner {
  Uuid cluster;
  Uuid history;
  ServerId server = ServerId::none;
  std::uint32_t generation = 0;
  friend bool operator==(const SnapshotOwner&, const SnapshotOwner&) = default;
};

// Bytes 0..3 magic, 4 format version, 5 zero, 6..7 header length / 8, 8 generation, 12 server,
// 16 cluster, 32 history, 48 `at` (zxid 16, offset 8, digest 8, time 8), 88 `retained` and 120
// `floor` (zxid 16, offset 8, digest 8 each), 152 u32 number of ends, then 4 zero bytes, 160 size
// of the state, 168 the ends (16 bytes each, as zxids), the state, and XXH3-64 of all before it.
Slice encode_snapshot(const Snapshot& snapshot, const SnapshotOwner& owner);

struct ParsedSnapshot {
  enum class Kind : std::uint8_t { valid, invalid, newer_version };
  Kind kind = Kind::invalid;
  std::uint8_t version = 0;  // with newer_version
  SnapshotOwner owner;       // with valid, as is
  Snapshot snapshot;         // its state shares the bytes
};
// Valid: complete, unchanged, and a table that some history can have.
ParsedSnapshot parse_snapshot(const Slice& bytes);

// At start, or offline. Fewer bytes only when the file became shorter while it was read.
IoStatus read_snapshot_file(FileSystem& fs, const std::string& name, Slice& bytes);

// Whether a log that begins behind `front` can be the one that the snapshot is of: the front is in
// the snapshot's history, or its floor.
bool fits_floor(const Snapshot& snapshot, const LastRecord& front);

// The entries above `floor`, up to a transaction.
std::vector<EpochLast> ends_between(const std::vector<EpochLast>& ends, Zxid floor, Zxid up_to);

inline bool is_same(const LastRecord& a, const LastRecord& b) {
  return a.zxid == b.zxid && a.offset == b.offset && a.digest == b.digest && a.time == b.time;
}

// "snapshot-0-7.42": generation, and the zxid of `at`.
std::string snapshot_name(std::uint32_t generation, Zxid at);
std::optional<std::pair<std::uint32_t, Zxid>> parse_snapshot_name(std::string_view name);

// One of the files of this history.
struct SnapshotFile {
  std::string name;
  LastRecord at;       // of one that is not whole, only the zxid
  Zxid retained;       // when whole
  bool whole = false;  // false: it cannot be started from
  // The disk did not give it away at the start: it may be whole, and want anything.
  bool unread = false;
};

}  // namespace zabmq::storage
