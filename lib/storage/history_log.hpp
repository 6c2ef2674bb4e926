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
// there.
struct ReadResult {
  std::vector<Slice> slices;
  Zxid last;  // of the last record returned; none when empty
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
    virtual void on_drained(Zxid durable_end) = 0;
    virtual void on_failed(const Failure& failure) = 0;  // fail-stop: nothing more will be written
  };
  using ReadDone = std::function<void(ReadResult)>;
  using DigestDone = std::function<void(std::optional<Digest>)>;

  virtual ~HistoryLog() = default;

  virtual LastRecord last() const = 0;
  virtual Zxid durable() const = 0;
  virtual Floor floor() const = 0;
  virtual Offset first_offset() const = 0;  // of the oldest kept message (floor.offset + 1)

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
  virtual bool no_space() const = 0;

  // Compares the chain digest at `to` and cuts behind it; on_rewound tells. Nothing may be appended
  // before.
  virtual void rewind(Zxid to, Digest digest) = 0;
  // Drops what no write has begun to take; on_drained tells when running writes have ended.
  virtual void drain() = 0;
  // The delivered point, written into the next mark.
  virtual void set_delivered(Zxid zxid) = 0;
  virtual void tick(std::uint64_t now_ms) = 0;  // idle mark, spare segments

  // Records from `from` on, none behind `up_to`, at most max_bytes (but at least one record when
  // there is one). Hot: from the tail cache, at once. nullopt: on disk, use read_cold.
  virtual std::optional<ReadResult> read_hot(ReadFrom from, Zxid up_to, std::size_t max_bytes) = 0;
  virtual void read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) = 0;
  virtual void digest_at(
      Zxid zxid, DigestDone done) = 0;  // may call back at once; nullopt: not in the history
};

}  // namespace zabmq::storage
