// Platter: where each record stands on a simulated disk, learnt by watching the writes pass, and
// whether it would be there after a power failure. It believes no word of lib/storage: it reads the
// platter's bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/memory_disk.hpp"
#include "storage/file_system.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

class Platter {
 public:
  struct Place {
    std::uint32_t file = 0;
    std::uint64_t position = 0;
    std::uint32_t size = 0;
  };

  explicit Platter(const MemoryDisk& disk) : disk_(disk) {}

  void watch_write(storage::FileId file, std::uint64_t position, const std::vector<Slice>& slices);
  void forget() {  // the disk was wiped or replaced
    places_.clear();
    older_places_.clear();
    noted_.clear();
    marks_.clear();
    looked_up_.clear();
    damage_.clear();
  }
  void learn();  // an old copy of the disk has come back: what stands in its segments
  void power_lost() { looked_up_.clear(); }
  // Before a fault that changes this byte of a file, as programs see it.
  void damaging(const std::string& name, std::uint64_t position);

  // The record with this digest, whole, in a segment whose header and name are durable.
  bool holds(Digest digest) const;
  const Place* place_of(Digest digest) const;
  // A later mark on the platter proves that this record was synced: damage to it shows.
  bool proven(Digest digest) const;
  std::optional<std::string> file_name(std::uint32_t file) const;  // durable
  // Places whose damage shows at the next start, at the latest: marks with a later one on the
  // platter, and the headers of segments with a mark there.
  std::vector<Place> proven_marks() const;
  std::vector<Place> proven_headers() const;
  bool damaged() const;  // a damaged byte is still there, in a file that has a name

 private:
  void note_items(std::uint32_t file, std::uint64_t position, Bytes rest);
  void forget_file(std::uint32_t file);
  bool holds_at(const Place& place, Digest digest) const;
  bool is_segment(std::uint32_t file) const;
  bool header_damaged(std::uint32_t file) const;  // by a fault: until then it was whole
  std::set<std::uint64_t> valid_marks(std::uint32_t file) const;

  const MemoryDisk& disk_;
  std::unordered_map<std::uint64_t, Place> places_;        // by digest
  std::unordered_map<std::uint64_t, Place> older_places_;  // of those that were written again
  // Keys of both, by the file that they were noted in: one may stand elsewhere since.
  std::unordered_map<std::uint32_t, std::vector<std::uint64_t>> noted_;
  std::map<std::uint32_t, std::vector<std::uint64_t>> marks_;  // positions, by file
  // Segments whose name and header were seen to be durable; only a power failure takes them back.
  mutable std::set<std::uint32_t> looked_up_;
  struct Damage {
    std::uint32_t file = 0;
    std::uint64_t position = 0;
    std::byte before{};
  };
  std::vector<Damage> damage_;
};

// A FileSystem that shows the platter what is written and leaves the rest to the disk.
class WatchedFileSystem final : public storage::FileSystem {
 public:
  WatchedFileSystem(MemoryDisk& disk, Platter& platter) : disk_(disk), platter_(platter) {}

  storage::IoStatus open_directory() override { return disk_.open_directory(); }
  storage::IoStatus list(std::vector<std::string>& names) override { return disk_.list(names); }
  storage::IoStatus open(const std::string& name, storage::FileId& file,
                         std::uint64_t& size) override {
    return disk_.open(name, file, size);
  }
  storage::IoStatus read_now(storage::FileId file, std::uint64_t position,
                             std::span<std::byte> into, std::size_t& count) override {
    return disk_.read_now(file, position, into, count);
  }
  void write(storage::FileId file, std::uint64_t position, std::vector<Slice> slices, bool sync,
             Done done) override {
    platter_.watch_write(file, position, slices);
    disk_.write(file, position, std::move(slices), sync, std::move(done));
  }
  storage::FileId create(const std::string& name, Done done) override {
    return disk_.create(name, std::move(done));
  }
  void rename(const std::string& from, const std::string& to, Done done) override {
    disk_.rename(from, to, std::move(done));
  }
  void remove(const std::string& name, Done done) override { disk_.remove(name, std::move(done)); }
  void sync_directory(Done done) override { disk_.sync_directory(std::move(done)); }
  void close(storage::FileId file) override { disk_.close(file); }
  void drop_cached(storage::FileId file) override { disk_.drop_cached(file); }
  void read(storage::FileId file, std::uint64_t position, std::size_t count,
            ReadDone done) override {
    disk_.read(file, position, count, std::move(done));
  }
  void defer(std::function<void()> call) override { disk_.defer(std::move(call)); }
  std::uint64_t free_bytes() override { return disk_.free_bytes(); }

 private:
  MemoryDisk& disk_;
  Platter& platter_;
};

}  // namespace zabmq::sim
