// Machine: one log on a disk in memory, with everything it has told written down.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "records.hpp"
#include "sim/memory_disk.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::storage {

inline constexpr Uuid test_cluster{{std::byte{0xc1}}};
inline constexpr Uuid test_history{{std::byte{0x41}}};
inline constexpr ServerId test_server{3};

// Small, so that tests cross every boundary; no spares.
LogOptions small_options();

struct Visited final : RecoveryVisitor {
  std::vector<Snapshot> snapshots;
  std::vector<RecordHeader> records;
  std::vector<Zxid> delivered;
  bool on_snapshot(const Snapshot& snapshot) override {
    return snapshots.push_back(snapshot), true;
  }
  void on_record(const RecordHeader& header, Bytes) override { records.push_back(header); }
  void on_delivered(Zxid zxid) override { delivered.push_back(zxid); }
};

// What recovery finds on a disk, without changing it.
struct Found {
  Recovered history;
  RecoveredFiles files;
  std::vector<Digest> digests;
  std::optional<StartFailure> failure;
};
Found look_at(const sim::MemoryDisk::State& state, const LogOptions& options = small_options(),
              bool everything = false);

// Every way in which this disk may look after a crash now: the process only, or the power with all
// numbers of directory changes and several choices of sectors.
std::vector<sim::MemoryDisk::State> after_crash(const sim::MemoryDisk& disk);

class Machine final : public HistoryLog::Listener {
 public:
  explicit Machine(LogOptions log_options = small_options()) : options(std::move(log_options)) {}
  Machine(sim::MemoryDisk::State state, LogOptions log_options = small_options())
      : options(std::move(log_options)), disk(std::move(state)) {}

  // Opens the directory and the log; what it refuses is returned.
  std::optional<StartFailure> open();
  // ... which must succeed, and runs until all is durable.
  void start();
  // Ends the program; what the disk keeps is decided by the caller before or after.
  void kill();
  void restart_after_power_loss(const sim::MemoryDisk::Survival& survival);
  void restart();  // the page cache survives

  // Appends, flushes; run() lets the disk finish.
  void append(const Slice& records);
  void write(const Slice& records);  // append, then run
  void run() { disk.run_all(); }
  void tick(std::uint64_t ms);          // time goes on by so much
  bool rewind(Zxid to, Digest digest);  // runs; whether it matched
  void drain();
  void set_delivered(Zxid zxid);

  // Everything from behind the floor, read from disk in pieces.
  std::vector<RecordHeader> read_everything(std::size_t piece = 1 << 16);
  ReadResult read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes);
  std::optional<Digest> digest_at(Zxid zxid);

  void on_durable(Zxid up_to) override;
  void on_rewound(bool matched) override;
  void on_install_step() override { ++install_steps; }
  void on_drained(Zxid durable_end) override;
  void on_failed(const Failure& failure) override;

  LogOptions options;
  sim::MemoryDisk disk;
  std::unique_ptr<SegmentedLog> log;
  RecordMaker maker;
  Visited visited;

  std::vector<Zxid> durable_told;
  std::vector<bool> rewound_told;
  int install_steps = 0;
  std::vector<Zxid> drained_told;
  std::optional<Failure> failure_told;
  std::uint64_t now_ms = 1000;

 private:
  // Nothing may be told from inside a call into the log.
  struct Inside {
    explicit Inside(Machine& machine) : m(machine) { m.inside_ = true; }
    ~Inside() { m.inside_ = false; }
    Machine& m;
  };
  bool inside_ = false;
};

inline constexpr Zxid no_end{Epoch{~std::uint32_t{0}}, ~std::uint64_t{0}};

}  // namespace zabmq::storage
