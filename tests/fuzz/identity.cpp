// Identity record: as bytes, and as a file that is replaced while the machine crashes, on the same
// disk as a log. A start finds the old record or the new one, never neither, and the new one for
// certain once its store was reported done; what is damaged is named, never taken.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <variant>

#include "input.hpp"
#include "log_life.hpp"
#include "sim/memory_disk.hpp"
#include "storage/identity_file.hpp"
#include "target.hpp"
#include "zabmq/record.hpp"

namespace zabmq::fuzz {
namespace {

using storage::IdentityFile;
using storage::IdentityRecord;
using storage::StartFailure;

constexpr std::size_t checksum_size = 8;
constexpr std::size_t steps_max = 64;

// Any bytes with the checksum they should have: taken only in the one form that encodes the record.
void check_bytes(Bytes bytes, std::uint8_t choice) {
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  if (file.size() >= checksum_size) {
    const Digest digest = checksum(Bytes{file}.first(file.size() - checksum_size));
    std::memcpy(file.data() + file.size() - checksum_size, &digest, checksum_size);
  }
  const auto parsed = storage::parse_identity(file);
  if (const auto* failure = std::get_if<StartFailure>(&parsed)) {
    ZABMQ_CHECK(!failure->text.empty());
    return;
  }
  const auto& record = std::get<IdentityRecord>(parsed);
  ZABMQ_CHECK(record.current <= record.accepted);
  ZABMQ_CHECK(storage::encode_identity(record) == file);
  ZABMQ_CHECK(!storage::foreign_identity(record, record.server, record.voters));
  ZABMQ_CHECK(storage::foreign_identity(record, record.server, record.voters + ","));

  std::vector<std::byte> damaged = file;
  damaged[choice % file.size()] ^= std::byte{1} << choice % 8;
  ZABMQ_CHECK(std::holds_alternative<StartFailure>(storage::parse_identity(damaged)));
  ZABMQ_CHECK(std::holds_alternative<StartFailure>(
      storage::parse_identity(Bytes{file}.first(choice % file.size()))));
  file.push_back(std::byte{0});
  ZABMQ_CHECK(std::holds_alternative<StartFailure>(storage::parse_identity(file)));
}

// One server's directory: the identity record and the log, stored as a server would.
class Directory final : storage::HistoryLog::Listener {
 public:
  void run(Input& input) {
    start();
    for (std::size_t i = 0; i < steps_max && !input.empty(); ++i) step(input);
    lose_power(input);
    start();
  }

 private:
  void step(Input& input) {
    switch (input.below(8)) {
      case 0:
      case 1:
        return store(input);
      case 2:
        return append(input);
      case 3:
      case 4:
      case 5:
        for (std::size_t n = 1 + input.below(8); n > 0; --n) disk_.step();
        return;
      case 6:
        return disk_.run_all();
      default:
        lose_power(input);
        start();
    }
  }

  void store(Input& input) {
    if (identity_->storing() || !log_) return;
    IdentityRecord wanted = newest_;
    wanted.server = log_server;
    wanted.cluster = log_cluster;
    wanted.history = log_history;
    wanted.standing = 2;
    wanted.accepted = Epoch{static_cast<std::uint32_t>(wanted.accepted) + 1};
    if (input.flag()) wanted.current = wanted.accepted;
    wanted.voters.assign(input.below(12), '1');
    newest_ = wanted;
    identity_->store(wanted, [this, wanted](storage::IoStatus status) {
      ZABMQ_CHECK(status);
      durable_ = wanted;
    });
  }

  void append(Input& input) {
    if (!log_ || !log_->ready() || !durable_) return;
    log_->append(maker_.batch(input.byte()));
    log_->flush();
  }

  void lose_power(Input& input) {
    const auto mask = input.number<std::uint32_t>();
    const std::size_t changes = input.below(disk_.directory_changes() + 1);
    log_.reset();
    identity_.reset();
    if (input.below(4) == 0) return disk_.crash_process();
    disk_.lose_power(
        {[mask](std::size_t ordinal) { return (mask >> (ordinal % 32) & 1u) != 0; }, changes});
  }

  void start() {
    ZABMQ_CHECK(disk_.open_directory());
    identity_.emplace(disk_);
    const IdentityFile::Loaded loaded = identity_->load();
    ZABMQ_CHECK(!std::holds_alternative<StartFailure>(loaded));
    if (const auto* record = std::get_if<IdentityRecord>(&loaded)) {
      ZABMQ_CHECK(durable_ ? record->accepted >= durable_->accepted : true);
      ZABMQ_CHECK(*record == newest_ || (durable_ && *record == *durable_));
      durable_ = newest_ = *record;
    } else {
      ZABMQ_CHECK(!durable_);
      newest_ = {};
    }
    start_log();
  }

  void start_log() {
    Visited visited;
    auto opened = storage::SegmentedLog::open(disk_, log_options(), visited);
    ZABMQ_CHECK(!std::holds_alternative<StartFailure>(opened));
    log_ = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(opened));
    log_->set_listener(this);
    ZABMQ_CHECK(log_->last().zxid >= logged_);
    disk_.run_all();
    maker_.continue_from(log_->last());
    logged_ = log_->durable();
  }

  void on_durable(Zxid up_to) override { logged_ = up_to; }
  void on_rewound(bool) override {}
  void on_drained(Zxid) override {}
  void on_failed(const storage::Failure&) override { std::abort(); }

  sim::MemoryDisk disk_;
  std::optional<IdentityFile> identity_;
  std::unique_ptr<storage::SegmentedLog> log_;
  storage::RecordMaker maker_;
  IdentityRecord newest_;                  // as last asked to be stored
  std::optional<IdentityRecord> durable_;  // as last reported
  Zxid logged_;                            // told durable
};

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const std::uint8_t choice = input.byte();
  if (choice % 2 == 0) return check_bytes(input.rest(), choice / 2);
  Directory().run(input);
}

}  // namespace zabmq::fuzz
