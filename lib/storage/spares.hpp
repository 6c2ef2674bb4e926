// Spares: files that are ready to become segments: segments that were freed, and files written
// ahead with zeros while the disk is idle. A sync into blocks that were written before is much
// cheaper than one that also moves the file's size; writing zeros under load would cost more than
// it gains, so under load a spare under way just waits.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/file_system.hpp"
#include "storage/segment.hpp"

namespace zabmq::storage {

// Freed segments are kept as spares up to this many beyond those that are wanted.
inline constexpr std::size_t spares_extra_max = 2;

class Spares {
 public:
  // `existing`: whole spares found at start.
  Spares(FileSystem& fs, std::uint64_t size, std::size_t wanted, std::vector<Spare> existing);
  ~Spares();
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;

  // A file ready to be renamed, if there is one.
  std::optional<Spare> take();
  std::size_t ready() const { return ready_.size(); }

  // The name that a freed segment shall be given, to be added when its rename is synced; nullopt:
  // there are enough.
  std::optional<std::string> reserve();
  void add(Spare spare);

  // May write now, or not. One chunk is written at a time, each synced, so that a record's write
  // never waits long behind zeros.
  void set_idle(bool idle);

 private:
  void advance();
  void begin();
  void write_chunk();
  void on_chunk(const IoStatus& status);
  void give_up(const IoStatus& status);

  FileSystem& fs_;
  std::uint64_t size_;
  std::size_t wanted_;
  std::deque<Spare> ready_;
  std::size_t reserved_ = 0;
  std::uint64_t next_number_ = 1;

  bool idle_ = false;
  bool busy_ = false;                // a chunk is under way
  bool failed_ = false;              // a disk that refuses zeros is not asked again
  std::optional<Spare> unfinished_;  // its size is what has been written
  Slice zeros_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace zabmq::storage
