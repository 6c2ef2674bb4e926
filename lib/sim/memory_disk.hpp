// MemoryDisk: a FileSystem in memory that loses what a real disk may lose. For every file and every
// directory entry it keeps what programs see (the page cache) apart from what a power failure
// leaves (the platter).
//
// Nothing happens by itself: operations wait until they are stepped, so a test decides what runs
// before what, and crashes between any two steps. A write with sync takes two steps, so a crash can
// fall between them. State is plain data: it can be copied, kept, and gone on with many times.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/file_system.hpp"

namespace zabmq::sim {

inline constexpr std::size_t sector_size = 512;  // written as a whole or not at all
inline constexpr std::size_t page_size = 4096;   // cached as a whole

class MemoryDisk final : public storage::FileSystem {
 public:
  struct Sector {
    std::uint32_t file = 0;
    std::uint64_t number = 0;
    friend auto operator<=>(const Sector&, const Sector&) = default;
  };
  struct FileData {
    std::vector<std::byte> cache;
    std::vector<std::byte> platter;
    std::set<std::uint64_t> dirty;  // sectors in which the two may differ
    friend bool operator==(const FileData&, const FileData&) = default;
  };
  using Entries = std::map<std::string, std::uint32_t>;
  struct Change {
    std::string gone;  // a name, or empty
    std::string name;  // what is there now, or empty
    std::uint32_t file = 0;
  };
  struct State {
    std::map<std::uint32_t, FileData> files;
    Entries live;                 // names as programs see them
    Entries durable;              // those that are on the platter
    std::vector<Change> changes;  // that made the former of the latter
    std::uint32_t next_file = 1;
  };

  // What a power failure leaves of all that was not synced.
  struct Survival {
    std::function<bool(std::size_t ordinal)> sector;  // of dirty_sectors(); empty: none
    std::size_t directory_changes = 0;                // that many, oldest first
  };
  static Survival nothing() { return {}; }
  static Survival everything() {
    return {[](std::size_t) { return true; }, static_cast<std::size_t>(-1)};
  }

  // What a power failure took from the files that programs saw.
  struct Loss {
    bool bytes = false;
    bool entries = false;
  };

  enum class Operation : std::uint8_t { write, sync, create, rename, remove, sync_directory, read };

  static constexpr std::uint64_t roomy = std::uint64_t{1} << 40;  // bytes, as good as endless

  MemoryDisk() = default;
  explicit MemoryDisk(State state) : state_(std::move(state)) {}

  // --- running ---

  bool step();         // one step of the oldest operation; false: nothing is waiting
  bool step_writer();  // of the oldest one in the write queue
  bool step_reader();  // of the oldest one in the read queue
  void run_all();      // and everything that completions submit, until nothing is waiting
  std::size_t waiting() const { return writer_.size() + reader_.size(); }
  bool writer_waiting() const { return !writer_.empty(); }
  bool reader_waiting() const { return !reader_.empty(); }
  std::uint64_t steps() const { return steps_; }
  std::uint64_t bytes_read() const { return bytes_read_; }  // by the read queue
  // That a write had to be preceded by: it changes a part of a page that was dropped.
  std::uint64_t pages_read() const { return pages_read_; }
  std::size_t uncached_pages(const std::string& name) const;

  // --- faults ---

  // The (skip + 1)-th operation of this kind from now on fails, once. A write that fails leaves its
  // first half in the page cache. A sync that fails leaves the page cache as it is and forgets that
  // it was not written: the next sync succeeds and proves nothing.
  void fail(Operation operation, int error, std::size_t skip = 0);
  void forget_faults() { faults_.clear(); }
  // Told of each such failure when it happens, and of ENOSPC.
  using OnFault = std::function<void(Operation, int error)>;
  void when_it_fails(OnFault call) { on_fault_ = std::move(call); }
  // Bytes that all files together may take; what does not fit fails with ENOSPC.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  void flip_bit(const std::string& name, std::uint64_t position, unsigned bit);
  // Bytes that were meant for elsewhere: in the page cache and on the platter.
  void overwrite(const std::string& name, std::uint64_t position, Bytes bytes);

  // --- crashes: the queues, their completions and all handles are gone ---

  void crash_process();  // the page cache survives
  Loss lose_power(const Survival& survival);
  void replace(State state);  // another disk in its place
  std::vector<Sector> dirty_sectors() const;
  bool dirty() const;  // something was written and not synced
  std::size_t directory_changes() const { return state_.changes.size(); }

  // --- looking ---

  const State& state() const { return state_; }
  std::vector<std::string> names() const;
  const std::vector<std::byte>& content(const std::string& name) const;
  void set_content(const std::string& name, std::vector<std::byte> bytes);  // durable
  bool holds_durably(const std::string& name, std::uint64_t position, Bytes bytes) const;

  // --- FileSystem ---

  storage::IoStatus open_directory() override;
  storage::IoStatus list(std::vector<std::string>& names) override;
  storage::IoStatus open(const std::string& name, storage::FileId& file,
                         std::uint64_t& size) override;
  storage::IoStatus read_now(storage::FileId file, std::uint64_t position,
                             std::span<std::byte> into, std::size_t& count) override;
  void write(storage::FileId file, std::uint64_t position, std::vector<Slice> slices, bool sync,
             Done done) override;
  storage::FileId create(const std::string& name, Done done) override;
  void rename(const std::string& from, const std::string& to, Done done) override;
  void remove(const std::string& name, Done done) override;
  void sync_directory(Done done) override;
  void close(storage::FileId file) override;
  void drop_cached(storage::FileId file) override;
  void read(storage::FileId file, std::uint64_t position, std::size_t count,
            ReadDone done) override;
  void defer(std::function<void()> call) override;
  std::uint64_t free_bytes() override;

 private:
  // One step of an operation: true when it has ended and its completion has been called.
  using Job = std::function<bool()>;
  struct Queued {
    std::uint64_t order = 0;
    Job job;
  };
  struct Fault {
    Operation operation;
    int error = 0;
    std::size_t skip = 0;
  };

  void submit(std::deque<Queued>& queue, Job job);
  bool step_queue(std::deque<Queued>& queue);
  void change_directory(Operation operation, const std::string& what,
                        std::function<int(Change&)> plan, Done done);
  storage::IoStatus fault(Operation operation, const std::string& what);
  storage::IoStatus fault(Operation operation, std::uint32_t file);
  int next_error(Operation operation);  // 0: this one succeeds
  storage::IoStatus failed(Operation operation, int error, const std::string& what);
  storage::IoStatus write_to_cache(std::uint32_t file, std::uint64_t position,
                                   const std::vector<Slice>& slices);
  storage::IoStatus sync_file(std::uint32_t file);
  void note_cached(std::uint32_t file, std::uint64_t begin, std::uint64_t end);
  std::uint64_t used_bytes() const;
  void forget_used() { used_.reset(); }
  void note_growth(std::uint32_t file, std::uint64_t bytes);
  void note_change(const Change& change);
  static void make(const Change& change, Entries& entries);
  std::string name_of(std::uint32_t file) const;
  FileData& data(storage::FileId file);
  void forget_handles();

  State state_;
  bool locked_ = false;
  std::set<std::uint32_t> open_;
  std::deque<Queued> writer_;
  std::deque<Queued> reader_;
  std::vector<Fault> faults_;
  OnFault on_fault_;
  std::uint64_t capacity_ = roomy;
  struct Used {
    std::uint64_t bytes = 0;
    std::set<std::uint32_t> files;  // those with a name
  };
  std::map<std::uint32_t, std::uint64_t> growing_;  // where writes end that wait
  mutable std::optional<Used> used_;                // until something comes or goes
  std::uint64_t next_order_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::map<std::uint32_t, std::set<std::uint64_t>> uncached_;  // pages that were dropped
  std::uint64_t pages_read_ = 0;
};

}  // namespace zabmq::sim
