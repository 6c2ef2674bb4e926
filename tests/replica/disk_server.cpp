// DiskServer: starting from what the disk kept, and driving it.
#include "disk_server.hpp"

#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::testing {
namespace {

class StateFeeder final : public storage::RecoveryVisitor {
 public:
  explicit StateFeeder(replica::ServerState& state) : state_(state) {}
  bool on_snapshot(const storage::Snapshot& snapshot) override { return state_.restore(snapshot); }
  void on_record(const RecordHeader& header, Bytes body) override {
    state_.on_record(header, body);
  }
  void on_delivered(Zxid zxid) override { state_.on_delivered(zxid); }

 private:
  replica::ServerState& state_;
};

struct Headers final : storage::RecoveryVisitor {
  std::vector<RecordHeader> all;
  bool on_snapshot(const storage::Snapshot&) override { return true; }
  void on_record(const RecordHeader& header, Bytes) override { all.push_back(header); }
  void on_delivered(Zxid) override {}
};

zab::History history_of(const storage::Recovered& recovered) {
  zab::History history;
  history.floor = recovered.floor;
  for (const auto& [epoch, last] : recovered.ends) history.ends.push_back({epoch, last});
  return history;
}

}  // namespace

std::string name_of(Zxid zxid) {
  return to_string(zxid);
}

DiskServer::DiskServer(ServerId server, std::vector<ServerId> voters,
                       replica::Options server_options, net::PeerLinks& links)
    : Host(server, std::move(voters), server_options, links) {
  log_options.server = id;
  log_options.segment_size = 16 << 10;
  log_options.group_bytes_max = 2 << 10;
  log_options.tail_cache_bytes = 8 << 10;
  log_options.spare_segments = 0;
  log_options.waypoint_interval = 2 << 10;
}

DiskServer::~DiskServer() = default;

storage::LogOptions DiskServer::options_of_log() const {
  storage::LogOptions all = log_options;
  all.cluster = identity.cluster;
  all.history = identity.history;
  all.generation = identity.generation;
  return all;
}

storage::IdentityRecord DiskServer::record_of(const zab::Identity& wanted) const {
  storage::IdentityRecord record;
  record.standing = static_cast<std::uint8_t>(wanted.standing);
  record.server = id;
  record.accepted = wanted.accepted;
  record.current = wanted.current;
  record.cluster = wanted.cluster;
  record.history = wanted.history;
  record.incarnation = wanted.incarnation;
  record.generation = wanted.generation;
  return record;
}

void DiskServer::has(const Past& past) {
  ZABMQ_CHECK(!up());
  const unsigned newest = past.history.empty() ? 0 : past.history.back().epoch;
  identity.accepted = Epoch{past.accepted != 0 ? past.accepted : newest};
  identity.current = Epoch{past.current != 0 ? past.current : newest};
  ZABMQ_CHECK(disk.open_directory());
  storage::IdentityFile file(disk);
  ZABMQ_CHECK(std::holds_alternative<std::monostate>(file.load()));
  file.store(record_of(identity), [](const storage::IoStatus& status) { ZABMQ_CHECK(status); });
  disk.run_all();
  Headers none;
  auto opened = storage::SegmentedLog::open(disk, options_of_log(), none);
  auto& fresh = std::get<std::unique_ptr<storage::SegmentedLog>>(opened);
  disk.run_all();
  storage::LastRecord last;
  for (const Past::Run& run : past.history) {
    for (unsigned counter = 1; counter <= run.last; ++counter) {
      const Zxid z = zxid(run.epoch, counter);
      fresh->append(make_record(last, z, make_body({name_of(z) + past.diverging}), 1));
      fresh->flush();
      disk.run_all();
    }
  }
  fresh->set_delivered(past.delivered);
  fresh->stop([] {});
  disk.run_all();
  fresh.reset();
  disk.crash_process();
}

bool DiskServer::open(replica::Recovered& recovered) {
  ZABMQ_CHECK(disk.open_directory());
  identity_file_ = std::make_unique<storage::IdentityFile>(disk);
  const auto loaded = identity_file_->load();
  if (const auto* failure = std::get_if<storage::StartFailure>(&loaded)) {
    refused = *failure;
    return false;
  }
  if (const auto* record = std::get_if<storage::IdentityRecord>(&loaded)) {
    identity.standing = static_cast<zab::Standing>(record->standing);
    identity.accepted = record->accepted;
    identity.current = record->current;
    identity.cluster = record->cluster;
    identity.history = record->history;
    identity.incarnation = record->incarnation;
    identity.generation = record->generation;
  }
  recovered.state = empty_state();
  StateFeeder feeder(recovered.state);
  auto opened = storage::SegmentedLog::open(disk, options_of_log(), feeder);
  if (const auto* failure = std::get_if<storage::StartFailure>(&opened)) {
    refused = *failure;
    return false;
  }
  log = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(opened));
  while (!log->ready() && !log->failure() && disk.step()) {
  }
  ZABMQ_CHECK(log->ready());
  recovered.state.finish_recovery();
  recovered.identity = identity;
  recovered.history = history_of(log->recovered());
  recovered.delivered = log->recovered().delivered;
  return true;
}

void DiskServer::start() {
  refused.reset();
  fatal.clear();
  replica::Recovered recovered;
  if (!open(recovered)) return stop_process();
  run(std::move(recovered), *log);
  log->set_listener(replica.get());
  tick();
}

void DiskServer::crash() {
  stop_process();
  if (power_fails) disk.lose_power(survival);
}

void DiskServer::stop_process() {
  replica.reset();
  log.reset();
  identity_file_.reset();
  disk.crash_process();
}

bool DiskServer::finish() {
  bool progress = replica->step();
  if (!disk_works || disk.waiting() == 0) return progress;
  if (before_disk_step) before_disk_step();
  if (!up()) return true;
  progress |= reader_works ? disk.step() : disk.step_writer();
  return progress;
}

void DiskServer::store(const zab::Identity& wanted) {
  identity_file_->store(record_of(wanted), [this, wanted](const storage::IoStatus& status) {
    if (!status) return replica->on_failed({false, status.what});
    identity = wanted;
    replica->on_stored();
  });
}

DiskServer::Found DiskServer::found_by(sim::MemoryDisk copy) const {
  ZABMQ_CHECK(copy.open_directory());
  Headers headers;
  const storage::LogOptions all = options_of_log();
  const auto result = storage::recover(
      copy, {all.cluster, all.history, all.server, all.segment_size, all.waypoint_interval},
      headers);
  ZABMQ_CHECK(!result.failure);
  Found found{history_of(result.history), std::move(headers.all), {}};
  const auto record = storage::IdentityFile(copy).load();
  if (const auto* identity_record = std::get_if<storage::IdentityRecord>(&record)) {
    found.accepted = identity_record->accepted;
    found.current = identity_record->current;
  }
  return found;
}

DiskServer::Found DiskServer::on_platter() const {
  sim::MemoryDisk copy(disk.state());
  copy.lose_power(sim::MemoryDisk::nothing());
  return found_by(std::move(copy));
}

DiskServer::Found DiskServer::on_disk() const {
  return found_by(sim::MemoryDisk(disk.state()));
}

}  // namespace zabmq::testing
