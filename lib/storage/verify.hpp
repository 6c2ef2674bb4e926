// Verify: checks a data directory offline, more than a start would, and changes nothing: every
// segment of the chain, every record and mark, every checksum and the chain digest, every snapshot
// and that it is of this history, and the identity record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/failure.hpp"
#include "storage/file_system.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

struct VerifyReport {
  enum class Verdict : std::uint8_t {
    clean,
    torn,       // a crash cut the last write off: no error, the next start goes on in front of it
    corrupt,    // stored bytes are not what was written
    unreadable  // in use, not a data directory, foreign, of a newer version, or an I/O error
  };
  Verdict verdict = Verdict::clean;
  std::string text;              // one line; with clean too
  std::optional<Damage> damage;  // with torn and corrupt: where

  // What was checked; up to the damage, when corrupt.
  std::uint64_t segments = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t records = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  Zxid floor;  // none: nothing was freed
  Zxid first;  // none: no records
  Zxid last;
  Zxid delivered;           // at the newest mark
  Offset first_offset = 0;  // 0: no messages
  Offset last_offset = 0;
};

// `fs` has not been opened yet.
VerifyReport verify(FileSystem& fs);
VerifyReport verify_opened(FileSystem& fs);  // or has

// The same for a directory of this machine. Refuses, politely, while a server runs on it.
VerifyReport verify_directory(const std::string& path);

}  // namespace zabmq::storage
