// SnapshotWriter: makes a snapshot file visible under its name only when it is complete: written to
// snapshot.tmp chunk by chunk, each synced, so that a record's write never waits long behind it;
// read back and compared; renamed; the directory synced. One at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "storage/file_system.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::storage {

class SnapshotWriter {
 public:
  using Done = std::function<void(const IoStatus&)>;

  explicit SnapshotWriter(FileSystem& fs) : fs_(fs) {}
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  bool writing() const { return done_ != nullptr; }
  // A file of that name is replaced. After an error the file is not there; an ENOSPC is one. `step`
  // is called, on the file system's thread like `done`, for each chunk that was written or read
  // back.
  void write(
      Slice bytes, std::string name, Done done, std::function<void()> step = [] {});

 private:
  void write_chunk();
  void on_chunk(std::size_t count);
  void read_chunk();
  void on_read(const IoStatus& status, const Slice& chunk);
  void rename();
  void end(const IoStatus& status);
  template <class Next>
  FileSystem::Done then(Next next);

  FileSystem& fs_;
  Slice bytes_;
  std::size_t position_ = 0;
  std::string name_;
  FileId file_ = FileId::none;
  Done done_;
  std::function<void()> step_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace zabmq::storage
