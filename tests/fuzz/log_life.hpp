// LogLife: a log on a disk in memory, driven by a fuzzer's bytes: records, groups, cuts, epochs,
// snapshots, retention, crashes. It remembers every record that was ever given to the log, and what
// was told durable, so that whatever is recovered later can be judged.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "input.hpp"
#include "sim/memory_disk.hpp"
#include "storage/records.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::fuzz {

inline constexpr Uuid log_cluster{{std::byte{0xc1}}};
inline constexpr Uuid log_history{{std::byte{0x41}}};
inline constexpr ServerId log_server{3};

storage::LogOptions log_options();

struct Visited final : storage::RecoveryVisitor {
  std::optional<storage::Snapshot> snapshot;  // the newest one
  std::vector<RecordHeader> records;
  std::vector<Zxid> delivered;
  bool on_snapshot(const storage::Snapshot& newest) override {
    snapshot = newest;
    return true;
  }
  void on_record(const RecordHeader& header, Bytes) override { records.push_back(header); }
  void on_delivered(Zxid zxid) override { delivered.push_back(zxid); }
};

class LogLife final : public storage::HistoryLog::Listener {
 public:
  // `saves`: each time that something is delivered, a snapshot is saved.
  explicit LogLife(sim::MemoryDisk::State state = {}, bool saves = false)
      : disk_(std::move(state)), saves_(saves) {}

  // Opens the directory and the log and runs until all is durable. What is refused is returned.
  std::optional<storage::StartFailure> start();
  void live(Input& input, std::size_t steps_max);
  void append(std::uint32_t body_size);  // one record, and waits for the disk
  void lose_power(Input& input);         // what survives is the input's choice; the log is gone
  std::size_t count_readable();          // records of those that start() found
  void lose_unsynced();

  const sim::MemoryDisk::State& state() const { return disk_.state(); }
  const std::vector<RecordHeader>& recovered() const { return visited_.records; }  // by start()
  storage::LastRecord last() const { return log_->last(); }
  Zxid durable() const { return durable_; }  // told, and not cut since
  // Their digests, each of which covers all that precedes the record.
  const std::set<Digest>& ever_logged() const { return ever_; }
  const std::set<Zxid>& ever_delivered() const { return ever_delivered_; }

  void on_durable(Zxid up_to) override { durable_ = up_to; }
  void on_rewound(bool matched) override;
  void on_drained(Zxid) override {}
  void on_failed(const storage::Failure& failure) override;

 private:
  void step(Input& input);
  void give(const Slice& records);
  void deliver(Input& input);
  void save(Input& input);
  void cut(Input& input);
  void restart(Input& input);

  sim::MemoryDisk disk_;
  bool saves_;
  std::unique_ptr<storage::SegmentedLog> log_;
  storage::RecordMaker maker_;
  Visited visited_;
  std::uint64_t now_ms_ = 1000;

  std::vector<RecordHeader> logged_;  // behind base_
  storage::LastRecord base_;          // what the last start had from a snapshot
  Floor retained_;
  std::set<Digest> ever_;
  std::set<Zxid> ever_delivered_{Zxid{}};
  Zxid delivered_;
  Zxid durable_;
  std::optional<Zxid> cutting_to_;
};

}  // namespace zabmq::fuzz
