// FileSystem: the narrow interface between the log and a disk. Operations are submitted and
// complete by a call on the submitting thread; a POSIX implementation runs them on one log thread
// and one reader thread, a simulator completes them in simulated time.
//
// Completions of one queue come in the order of submission. An error is reported once and is final
// for the file concerned: callers never retry a failed write or sync (ZOOKEEPER-4882, fsyncgate).
// Opening a directory at start is synchronous (`Startup`): nothing else runs then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

// errno and what was attempted on which file; ok when error == 0.
struct IoStatus {
  int error = 0;
  std::string what;  // "fdatasync 00000007.seg: Input/output error"
  explicit operator bool() const { return error == 0; }
};

enum class FileId : std::uint32_t { none = 0 };

class FileSystem {
 public:
  using Done = std::function<void(IoStatus)>;
  using ReadDone = std::function<void(IoStatus, Slice)>;

  virtual ~FileSystem() = default;

  // --- synchronous: at start, and open() of what is to be read later ---
  // Creates the directory when missing, and locks it (flock); error EWOULDBLOCK: in use.
  virtual IoStatus open_directory() = 0;
  virtual IoStatus list(std::vector<std::string>& names) = 0;
  virtual IoStatus open(const std::string& name, FileId& file,
                        std::uint64_t& size) = 0;  // existing, read and write
  virtual IoStatus read_now(FileId file, std::uint64_t position, std::span<std::byte> into,
                            std::size_t& count) = 0;

  // --- write queue: strictly in order ---
  // pwritev of all slices at `position`; with `sync`, fdatasync before completing.
  virtual void write(FileId file, std::uint64_t position, std::vector<Slice> slices, bool sync,
                     Done done) = 0;
  // Creates `name` (it must not exist); `file` is usable in submissions at once.
  virtual FileId create(const std::string& name, Done done) = 0;
  virtual void rename(const std::string& from, const std::string& to, Done done) = 0;
  virtual void remove(const std::string& name, Done done) = 0;
  virtual void sync_directory(Done done) = 0;
  virtual void close(FileId file) = 0;
  // A hint: nobody is expected to read what was written and synced to it so far.
  virtual void drop_cached(FileId file) = 0;

  // --- read queue ---
  // Up to `count` bytes; fewer only at the end of the file.
  virtual void read(FileId file, std::uint64_t position, std::size_t count, ReadDone done) = 0;

  // Calls `call` like a completion, without touching a disk: for what must not be told from within
  // the call that caused it.
  virtual void defer(std::function<void()> call) = 0;

  // Free bytes for unprivileged writers, less those by which writes that were submitted make files
  // longer; polled, cheap.
  virtual std::uint64_t free_bytes() = 0;
};

}  // namespace zabmq::storage
