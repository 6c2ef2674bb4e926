// HistoryLog: what lib/replica needs of the history on disk. SegmentedLog (segmented_log.hpp) is
// the implementation over a FileSystem. One thread; nothing blocks; completions arrive as calls
// from within FileSystem completions, or at once where the comment says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

// The end of the history as logged (durable or not): what the next record must continue.
struct LastRecord {
  Zxid zxid;          // the floor's, when the history is empty
  Offset offset = 0;  // last offset taken
  Digest digest = Digest::none;
  LogTime time = 0;
};

// Where a read begins.
struct After {
  Zxid zxid;
};  // the record behind this one (which is in the history, or the floor)
struct AtOffset {
  Offset offset = 0;
};  // the batch that holds this offset
struct FromZxid {
  Zxid zxid;
};  // the first record with a zxid >= this one
struct FromTime {
  LogTime time = 0;
};  // the first record with a log time >= this one
using ReadFrom = std::variant<After, AtOffset, FromZxid, FromTime>;

// Whole records, back to back in each slice, verified against their checksums. Empty: nothing
// there, or it is below the floor: what `from` asks for may have been, and is not kept any more.
struct ReadResult {
  std::vector<Slice> slices;
  Zxid last;  // of the last record returned; none when empty
};

// The last counter of one epoch that has transactions.
struct EpochLast {
  Epoch epoch = Epoch::none;
  std::uint64_t last = 0;
  friend bool operator==(const EpochLast&, const EpochLast&) = default;
};

// Server state as of one delivered transaction. With it a log needs no records in front of `at` to
// be understood: neither at start, nor by a server that is given both.
struct Snapshot {
  LastRecord at;   // the last transaction that the state contains
  Floor retained;  // as the state has it: what lies at or below it is not wanted any more
  Floor floor;     // where `ends` begins
  std::vector<EpochLast> ends;  // the epoch table from `floor` up to `at`
  Slice state;                  // lib/replica's; not looked into here
};

// One segment of the chain that is written to the end.
struct SegmentSpan {
  LastRecord end;  // of its last record
  std::uint64_t bytes = 0;
};

// A history that replaces this one (SNAP): it begins behind `floor`, and its server state is known.
// fits_floor(snapshot, floor) holds (snapshot.hpp); asked of what a peer sends.
struct Installation {
  LastRecord floor;
  std::uint32_t generation = 0;  // of the history on this disk; one more than the present one
  Snapshot snapshot;
};

// What the disk has room for. `enough`: for everything. `low`: the reserve (`min_free_bytes`) has
// begun; nothing new that takes room may be begun, and only half of the reserve is for what frees
// some, and for what ends. `last`: only for what retention needs.
enum class Space : std::uint8_t { enough, low, last };

// The snapshots that this server has on its disk.
struct SnapshotReport {
  Zxid retained;  // what lies at or below it the newest one does not want any more
  std::uint64_t saved = 0;
  std::uint64_t dropped = 0;  // for want of space
};

// What a failure means: `corrupt` names file, offset and zxid and is final, as is every write
// error.
struct Failure {
  bool corrupt = false;
  std::string text;
};

class HistoryLog {
 public:
  // Told on the log's thread, never from inside a call into the log.
  struct Listener {
    virtual ~Listener() = default;
    virtual void on_durable(Zxid up_to) = 0;
    virtual void on_rewound(bool matched) = 0;
    // A piece more of what is installed is on the disk: it takes long because there is much of it.
    virtual void on_install_step() {}
    virtual void on_drained(Zxid durable_end) = 0;
    virtual void on_failed(const Failure& failure) = 0;  // fail-stop: nothing more will be written
  };
  using ReadDone = std::function<void(ReadResult)>;
  using DigestDone = std::function<void(std::optional<Digest>)>;

  virtual ~HistoryLog() = default;

  virtual LastRecord last() const = 0;
  virtual Zxid durable() const = 0;
  // The last transaction in front of the oldest record kept. It rises in tick() only, and moves
  // when another history is installed or taken back.
  virtual LastRecord floor() const = 0;

  // True when the records in `records` (whole, headers and bodies already verified) continue
  // last(): zxid, base offset and previous digest, each record behind the one before.
  virtual bool continues(Bytes records) const = 0;
  // Takes verified records that continue last(); checks it (our bug otherwise). They are written in
  // groups: as soon as no write is under way, everything taken so far goes out as one.
  // `flush` starts the write; call it once all of a loop turn has been appended.
  virtual void append(Slice records) = 0;
  virtual void flush() = 0;
  virtual bool idle() const = 0;  // no write under way, none waiting
  virtual std::size_t unwritten_bytes() const = 0;
  virtual std::uint64_t oldest_write_age_ms(std::uint64_t now_ms) const = 0;  // 0: none under way
  // Counts what was taken and is not written yet as used.
  virtual Space space() const = 0;
  bool no_space() const { return space() != Space::enough; }

  // Compares the chain digest at `to` and cuts behind it; on_rewound tells. Nothing may be appended
  // before.
  virtual void rewind(Zxid to, Digest digest) = 0;
  // Drops what no write has begun to take; on_drained tells when running writes have ended.
  virtual void drain() = 0;

  // --- snapshots and retention ---

  // Writes a snapshot of the state at a delivered point that is durable here; at most one is under
  // way, and none while installing. The newest three that were verified are kept. At the next tick
  // whole segments at or below the `retained` of the *oldest* of them are freed, so that any of the
  // three can be started from: the floor rises, their files become spares. In no_space() the newest
  // alone is kept, if that frees something. Where there is no space for it, the snapshot is
  // dropped: no failure.
  virtual void save_snapshot(Snapshot snapshot) = 0;
  virtual bool saving_snapshot() const = 0;
  virtual SnapshotReport snapshot_report() const = 0;
  // Nothing behind `zxid` is freed until the next call: somebody reads there. {}: no hold.
  virtual void hold_behind(std::optional<Zxid> zxid) = 0;
  // The closed segments, oldest first, of which retention frees the first ones.
  virtual std::vector<SegmentSpan> segments() const = 0;

  // --- installing another history (SNAP) ---

  // What no write has begun to take is dropped. Then the log becomes that history, empty behind its
  // floor: last(), append(), reads and all. on_rewound(true) tells when its snapshot and first
  // segment are durable; nothing may be appended before. The present history stays on disk, and
  // comes back as the log's when drain() is called (before on_drained, and then on_rewound may not
  // come), or after a crash. continues() refuses what does not lead to the snapshot's transaction.
  virtual void install(Installation installation) = 0;
  // It stays: no drain takes it back. The log is durable to the snapshot's transaction, at least.
  // The identity record with its generation is stored next.
  virtual void adopt_installed() = 0;
  // That record is durable: the old history's files are removed. Does nothing without an adoption.
  virtual void remove_replaced() = 0;
  virtual bool installing() const = 0;  // installed, and not adopted

  // The delivered point, written into the next mark. Ignored while installing.
  virtual void set_delivered(Zxid zxid) = 0;
  virtual void tick(std::uint64_t now_ms) = 0;  // idle mark, freed and spare segments

  // Records from `from` on, none behind `up_to`, at most max_bytes (but at least one record when
  // there is one). Hot: from the tail cache, at once. nullopt: on disk, use read_cold.
  virtual std::optional<ReadResult> read_hot(ReadFrom from, Zxid up_to, std::size_t max_bytes) = 0;
  virtual void read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) = 0;
  virtual void digest_at(
      Zxid zxid, DigestDone done) = 0;  // may call back at once; nullopt: not in the history
};

}  // namespace zabmq::storage
