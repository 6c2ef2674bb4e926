// PosixFileSystem: a directory of a POSIX system. One log thread performs the write queue, one
// reader thread the read queue; completions wait until run_completions() is called by the thread
// that submits, and completion_fd() becomes readable when there are some.
//
// Submissions, run_completions() and the start calls belong to one thread. The destructor lets the
// queued operations end and drops their completions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/file_system.hpp"

namespace zabmq::storage {

class PosixFileSystem final : public FileSystem {
 public:
  enum class Access : std::uint8_t {
    read_write,  // creates a missing directory; nobody else may have it open
    read_only    // changes nothing; for offline tools
  };

  explicit PosixFileSystem(std::string directory, Access access = Access::read_write);
  ~PosixFileSystem() override;
  PosixFileSystem(const PosixFileSystem&) = delete;
  PosixFileSystem& operator=(const PosixFileSystem&) = delete;

  // Readable when run_completions() has something to do.
  int completion_fd() const;
  void run_completions();

  IoStatus open_directory() override;
  IoStatus list(std::vector<std::string>& names) override;
  IoStatus open(const std::string& name, FileId& file, std::uint64_t& size) override;
  IoStatus read_now(FileId file, std::uint64_t position, std::span<std::byte> into,
                    std::size_t& count) override;

  void write(FileId file, std::uint64_t position, std::vector<Slice> slices, bool sync,
             Done done) override;
  FileId create(const std::string& name, Done done) override;
  void rename(const std::string& from, const std::string& to, Done done) override;
  void remove(const std::string& name, Done done) override;
  void sync_directory(Done done) override;
  void close(FileId file) override;
  void drop_cached(FileId file) override;
  void read(FileId file, std::uint64_t position, std::size_t count, ReadDone done) override;
  void defer(std::function<void()> call) override;
  std::uint64_t free_bytes() override;

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace zabmq::storage
