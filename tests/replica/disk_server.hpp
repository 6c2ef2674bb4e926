// DiskServer: a replica over the real log and identity file, on a disk in memory that loses what
// was not synced.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server.hpp"
#include "sim/memory_disk.hpp"
#include "storage/identity_file.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::testing {

// What a directory holds before the first start. Equal zxids are equal records at all servers.
struct Past {
  struct Run {
    unsigned epoch = 0;
    unsigned last = 0;  // transactions 1..last
  };
  std::vector<Run> history;
  unsigned accepted = 0;       // 0: the newest epoch of the history
  unsigned current = 0;        // 0: the same
  Zxid delivered;              // by the newest mark
  std::string diverging = {};  // added to every payload: the same zxids, other records
};

constexpr Zxid zxid(unsigned epoch, std::uint64_t counter) {
  return {Epoch{epoch}, counter};
}
std::string name_of(Zxid zxid);  // the payload of a transaction of a Past: "1.2"

class DiskServer final : public Host {
 public:
  DiskServer(ServerId id, std::vector<ServerId> voters, replica::Options options,
             net::PeerLinks& links);
  ~DiskServer() override;

  void has(const Past& past);  // before the first start

  void start() override;
  void crash() override;   // power loss; what survives says `survival`
  bool finish() override;  // one step(), then one step of the disk
  void stop_process();     // the page cache survives
  void store(const zab::Identity& identity) override;

  // What a start would find: after a power loss now, and as programs see it now.
  struct Found {
    zab::History history;
    std::vector<RecordHeader> records;
    Epoch accepted = Epoch::none;
    Epoch current = Epoch::none;
  };
  Found on_platter() const;
  Found on_disk() const;

  sim::MemoryDisk disk;
  sim::MemoryDisk::Survival survival;  // default: nothing that was not synced
  bool power_fails = true;             // false: a crash is one of the process only
  std::unique_ptr<storage::SegmentedLog> log;
  storage::LogOptions log_options;
  bool reader_works = true;                      // false: cold reads wait
  std::function<void()> before_disk_step;        // may crash this server
  std::optional<storage::StartFailure> refused;  // the last start

 private:
  bool open(replica::Recovered& recovered);
  Found found_by(sim::MemoryDisk copy) const;
  storage::LogOptions options_of_log() const;
  storage::IdentityRecord record_of(const zab::Identity& identity) const;

  std::unique_ptr<storage::IdentityFile> identity_file_;
};

}  // namespace zabmq::testing
