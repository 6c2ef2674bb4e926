// DiskDamage: what is done to the data directory of a stopped server, and a disk that fills up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <string>

namespace zabmq::nemesis {

// Both say what they did; nullopt: there was nothing to damage.

// Cuts off the end of the history: up to some tens of KiB of what was written.
std::optional<std::string> truncate_tail(const std::filesystem::path& data,
                                         std::mt19937_64& random);

// Flips a bit in one of the newest segments, the identity or the epoch record.
std::optional<std::string> flip_bit(const std::filesystem::path& data, std::mt19937_64& random);

// A directory that is a small file system of its own, in memory, for as long as this lives.
class SmallDisk {
 public:
  static bool available();  // we may mount
  SmallDisk(std::filesystem::path directory, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  bool fill(std::uint64_t left);  // so many bytes are free from now on; false: it would not
  void make_room();

 private:
  bool resize(std::uint64_t bytes);

  std::filesystem::path directory_;
  std::uint64_t bytes_;
  bool mounted_ = false;
};

}  // namespace zabmq::nemesis
