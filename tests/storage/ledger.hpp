// Ledger: the history that a test writes, remembered, so that snapshots of any of its points can be
// made.
#pragma once

#include <string>
#include <vector>

#include "machine.hpp"
#include "storage/snapshot.hpp"

namespace zabmq::storage {

class Ledger {
 public:
  Ledger() = default;
  explicit Ledger(const std::vector<RecordHeader>& records) { add(records); }

  // Records behind those that are known.
  void add(const std::vector<RecordHeader>& records);
  void add(const Slice& records) { add(headers_of(records.bytes())); }
  // Appends `count` batches to the machine's log, one write each.
  void write(Machine& m, std::size_t count, std::uint32_t body_size = 3000);
  // Forgets what is behind it.
  void cut(Zxid to);

  const std::vector<LastRecord>& ends() const { return ends_; }  // of the records
  LastRecord last() const { return ends_.empty() ? LastRecord{} : ends_.back(); }
  LastRecord at(Zxid zxid) const;  // none: the beginning
  std::vector<Digest> digests(Zxid behind) const;

  // Its state is of `state_size` bytes and says whose it is.
  Snapshot snapshot(Zxid at, Zxid retained = {}, Zxid floor = {},
                    std::size_t state_size = 64) const;

 private:
  std::vector<LastRecord> ends_;
};

Slice state_at(Zxid at, std::size_t size = 64);

// Stored as the server's own: test_server of test_cluster, a voter of 1,2,3.
void store_identity(Machine& m);

// Saves a snapshot, and lets retention do what it does.
void save(Machine& m, const Snapshot& snapshot);
// 103 batches and three snapshots, the newest at the last of them; each lets go what stands in
// front of the third segment. The point behind which all is retained.
Zxid write_with_floor(Machine& m, Ledger& ledger);
std::vector<std::string> names_with(const Machine& m, const std::string& prefix);
// What is there, all records read and all snapshots compared.
Found look_at_everything(const sim::MemoryDisk::State& state,
                         const LogOptions& options = small_options());
LogOptions of_generation(std::uint32_t generation);

}  // namespace zabmq::storage
