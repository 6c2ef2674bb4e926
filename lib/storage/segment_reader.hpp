// SegmentReader: reads a file from front to back at start, through a buffer, so that a record is
// always seen in one piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/file_system.hpp"

namespace zabmq::storage {

class SegmentReader {
 public:
  SegmentReader(FileSystem& fs, FileId file, std::uint64_t size)
      : fs_(fs), file_(file), size_(size) {}

  std::uint64_t size() const { return size_; }

  // Up to `count` bytes at `position`; fewer only at the end of the file or after an error. Valid
  // until the next call.
  Bytes at(std::uint64_t position, std::size_t count);

  // The first error met; final.
  const IoStatus& status() const { return status_; }

 private:
  void fill(std::uint64_t position, std::size_t count);

  FileSystem& fs_;
  FileId file_;
  std::uint64_t size_;
  std::uint64_t begin_ = 0;  // of the buffer, in the file
  std::vector<std::byte> buffer_;
  std::size_t filled_ = 0;
  IoStatus status_;
};

}  // namespace zabmq::storage
