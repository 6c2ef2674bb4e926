// DataDirectory: opening, checking, recovering.
#include "node/data_directory.hpp"

#include <poll.h>

#include <utility>

#include "node/random.hpp"

namespace zabmq::node {
namespace {

constexpr long start_poll_ms = 100;

// Lets the server state grow with the history as it is read.
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

zab::History history_of(const storage::Recovered& recovered) {
  zab::History history;
  history.floor = recovered.floor;
  for (const auto& [epoch, last] : recovered.ends) history.ends.push_back({epoch, last});
  return history;
}

std::vector<std::string> notes_of(const storage::Recovered& recovered) {
  std::vector<std::string> notes;
  if (recovered.torn) {
    notes.push_back("a crash interrupted the last write: " + recovered.torn->file +
                    " ends at byte " + std::to_string(recovered.torn->position));
  }
  notes.push_back("history up to " + to_string(recovered.last.zxid) + ", offset " +
                  std::to_string(recovered.last.offset) + ", delivered up to " +
                  to_string(recovered.delivered) + " (" + std::to_string(recovered.segments) +
                  " segments, " + std::to_string(recovered.records) + " records)");
  return notes;
}

storage::IdentityRecord record_of(const zab::Identity& identity, ServerId self,
                                  const std::string& voters) {
  storage::IdentityRecord record;
  record.standing = static_cast<std::uint8_t>(identity.standing);
  record.server = self;
  record.accepted = identity.accepted;
  record.current = identity.current;
  record.cluster = identity.cluster;
  record.history = identity.history;
  record.incarnation = identity.incarnation;
  record.generation = identity.generation;
  record.voters = voters;
  return record;
}

// nullopt: a standing that this version does not know.
std::optional<zab::Identity> identity_of(const storage::IdentityRecord& record) {
  if (record.standing > static_cast<std::uint8_t>(zab::Standing::wiped)) return std::nullopt;
  zab::Identity identity;
  identity.standing = static_cast<zab::Standing>(record.standing);
  identity.accepted = record.accepted;
  identity.current = record.current;
  identity.cluster = record.cluster;
  identity.history = record.history;
  identity.incarnation = record.incarnation;
  identity.generation = record.generation;
  return identity;
}

}  // namespace

DataDirectory::DataDirectory(const NodeConfig& config)
    : name_(config.data_dir),
      self_(config.self),
      voters_(config.servers.voter_set()),
      options_(config.options),
      files_(config.data_dir),
      identity_file_(files_) {}

std::variant<std::unique_ptr<DataDirectory>, Problem> DataDirectory::open(
    const NodeConfig& config) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(config));
  if (const auto status = directory->files_.open_directory(); !status) {
    return directory->problem(storage::failed(status));
  }
  if (auto problem = directory->load_identity()) return std::move(*problem);
  return directory;
}

std::optional<Problem> DataDirectory::load_identity() {
  const auto loaded = identity_file_.load();
  if (const auto* failure = std::get_if<storage::StartFailure>(&loaded)) return problem(*failure);
  const auto* record = std::get_if<storage::IdentityRecord>(&loaded);
  if (!record) {
    // Stored with the first promise or the founding; until then nobody has heard of it.
    identity_.incarnation = draw_uuid();
    return std::nullopt;
  }
  if (const auto foreign = storage::foreign_identity(*record, self_, voters_)) {
    return problem(*foreign);
  }
  const auto identity = identity_of(*record);
  if (!identity) {
    return problem("its standing " + std::to_string(record->standing) +
                   " is unknown to this version; use the newer program");
  }
  identity_ = *identity;
  return std::nullopt;
}

storage::LogOptions DataDirectory::log_options() const {
  storage::LogOptions options;
  options.cluster = identity_.cluster;
  options.history = identity_.history;
  options.server = self_;
  options.generation = identity_.generation;
  options.segment_size = options_.storage.segment_size;
  options.group_bytes_max = options_.storage.batch_max;
  options.tail_cache_bytes = options_.limits.tail_cache;
  options.min_free_bytes = options_.min_free_bytes();
  options.page_cache_bytes = options_.storage.page_cache;
  options.spare_segments = options_.storage.spare_segments;
  return options;
}

std::variant<Recovery, Problem> DataDirectory::recover() {
  const replica::Options replica_options = options_.for_replica();
  replica::ServerState state(replica_options.publisher_table());
  StateFeeder feeder(state);
  auto opened = storage::SegmentedLog::open(files_, log_options(), feeder);
  if (const auto* failure = std::get_if<storage::StartFailure>(&opened)) return problem(*failure);
  log_ = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(opened));
  if (auto failed = wait_until_durable()) return std::move(*failed);

  const storage::Recovered& recovered = log_->recovered();
  state.finish_recovery();
  return Recovery{{identity_, history_of(recovered), recovered.delivered, std::move(state)},
                  notes_of(recovered)};
}

std::optional<Problem> DataDirectory::wait_until_durable() {
  while (!log_->ready() && !log_->failure()) {
    wait_for_completions(start_poll_ms);
    run_completions();
  }
  if (const auto& failure = log_->failure()) return problem(failure->text);
  return std::nullopt;
}

void DataDirectory::wait_for_completions(long timeout_ms) {
  pollfd item{completion_fd(), POLLIN, 0};
  ::poll(&item, 1, static_cast<int>(timeout_ms));
}

void DataDirectory::store(const zab::Identity& identity, Stored stored) {
  const auto done = [stored = std::move(stored)](const storage::IoStatus& status) {
    stored(status ? std::nullopt : std::optional(storage::failed(status).text));
  };
  identity_file_.store(record_of(identity, self_, voters_), done);
}

bool DataDirectory::belong_to(const zab::Identity& identity) {
  const bool is_new = !is_none(identity.cluster) && identity.cluster != identity_.cluster;
  identity_ = identity;
  if (is_new) log_->belongs_to(identity.cluster, identity.history);
  return is_new;
}

Problem DataDirectory::problem(const std::string& text) const {
  return {"--data-dir " + name_ + ": " + text};
}

Problem DataDirectory::problem(const storage::StartFailure& failure) const {
  if (failure.kind == storage::StartFailure::Kind::in_use) {
    return problem("in use by another process");
  }
  return problem(failure.text);
}

}  // namespace zabmq::node
