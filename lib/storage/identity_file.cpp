// Identity file: its layout, and how it is replaced.
#include "storage/identity_file.hpp"

#include <algorithm>
#include <utility>

#include "storage/little_endian.hpp"
#include "storage/segment_header.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t fixed_size = 72;
constexpr std::size_t checksum_size = 8;
constexpr const char* file_name = "identity";
constexpr const char* tmp_name = "identity.tmp";

std::size_t padded(std::size_t size) {
  return (size + 7) / 8 * 8;
}

std::size_t identity_size(std::size_t voters) {
  return fixed_size + padded(voters) + checksum_size;
}

void put_uuid(std::byte* at, const Uuid& id) {
  std::memcpy(at, id.bytes.data(), id.bytes.size());
}

Uuid get_uuid(const std::byte* at) {
  Uuid id;
  std::memcpy(id.bytes.data(), at, id.bytes.size());
  return id;
}

StartFailure corrupt_identity(const std::string& why) {
  return {StartFailure::Kind::corrupt,
          std::string("the file ") + file_name + " is damaged (" + why +
              "); move the data directory away and start this server empty: it joins again as a "
              "learner",
          Damage{file_name, 0, {}}};
}

}  // namespace

std::vector<std::byte> encode_identity(const IdentityRecord& record) {
  ZABMQ_CHECK(record.voters.size() <= voters_text_max);
  ZABMQ_CHECK(record.current <= record.accepted);
  std::vector<std::byte> bytes(identity_size(record.voters.size()));
  std::byte* p = bytes.data();
  put(p, identity_magic);
  put(p + 4, identity_version);
  put(p + 5, record.standing);
  put(p + 6, static_cast<std::uint16_t>(record.voters.size()));
  put(p + 8, record.server);
  put(p + 12, record.accepted);
  put(p + 16, record.current);
  put(p + 20, record.generation);
  put_uuid(p + 24, record.cluster);
  put_uuid(p + 40, record.history);
  put_uuid(p + 56, record.incarnation);
  std::memcpy(p + fixed_size, record.voters.data(), record.voters.size());
  const std::size_t checksum_at = bytes.size() - checksum_size;
  put(p + checksum_at, checksum({p, checksum_at}));
  return bytes;
}

std::variant<IdentityRecord, StartFailure> parse_identity(Bytes bytes) {
  const std::byte* p = bytes.data();
  if (bytes.size() < fixed_size + checksum_size || get<std::uint32_t>(p) != identity_magic)
    return corrupt_identity("it is not an identity record");
  const std::size_t checksum_at = bytes.size() - checksum_size;
  if (get<Digest>(p + checksum_at) != checksum({p, checksum_at}))
    return corrupt_identity("wrong checksum");
  const auto version = get<std::uint8_t>(p + 4);
  if (version > identity_version) {
    return StartFailure{StartFailure::Kind::newer_version,
                        "the data directory has format version " + std::to_string(version) +
                            ", this program knows " + std::to_string(identity_version) +
                            "; use the newer program",
                        std::nullopt};
  }
  const std::size_t voters = get<std::uint16_t>(p + 6);
  if (version != identity_version || voters > voters_text_max ||
      bytes.size() != identity_size(voters) ||
      !all_zero(bytes.subspan(fixed_size + voters, padded(voters) - voters))) {
    return corrupt_identity("its lengths do not fit");
  }
  IdentityRecord record;
  record.standing = get<std::uint8_t>(p + 5);
  record.server = get<ServerId>(p + 8);
  record.accepted = get<Epoch>(p + 12);
  record.current = get<Epoch>(p + 16);
  record.generation = get<std::uint32_t>(p + 20);
  record.cluster = get_uuid(p + 24);
  record.history = get_uuid(p + 40);
  record.incarnation = get_uuid(p + 56);
  record.voters.assign(reinterpret_cast<const char*>(p + fixed_size), voters);
  if (record.current > record.accepted) return corrupt_identity("currentEpoch above acceptedEpoch");
  return record;
}

std::optional<StartFailure> foreign_identity(const IdentityRecord& stored, ServerId server,
                                             const std::string& voters) {
  const auto foreign = [](const std::string& text) {
    return StartFailure{StartFailure::Kind::foreign, text, std::nullopt};
  };
  if (stored.server != server) {
    return foreign("the data directory belongs to server " + to_string(stored.server) +
                   ", this is server " + to_string(server));
  }
  if (stored.voters != voters) {
    return foreign("the data directory belongs to the voters " + stored.voters +
                   ", this cluster has the voters " + voters);
  }
  return std::nullopt;
}

namespace {

// Only an empty directory is taken for a new server's: whatever else is there is somebody's, and
// files with our names would be overwritten.
IdentityFile::Loaded new_directory(const std::vector<std::string>& names) {
  const auto foreign = std::find_if(names.begin(), names.end(), [](const std::string& name) {
    return name != tmp_name && name != "lock" && name != "lost+found";
  });
  if (foreign == names.end()) return std::monostate{};
  return StartFailure{StartFailure::Kind::used,
                      "the data directory holds " + *foreign + " but no file " + file_name +
                          ": it is not a server's; give an empty or a new directory",
                      std::nullopt};
}

}  // namespace

IdentityFile::Loaded IdentityFile::load() {
  std::vector<std::string> names;
  if (const IoStatus status = fs_.list(names); !status) return failed(status);
  const auto has = [&](auto test) { return std::any_of(names.begin(), names.end(), test); };
  leftover_ = has([](const std::string& name) { return name == tmp_name; });
  if (!has([](const std::string& name) { return name == file_name; })) {
    const auto segment = std::find_if(names.begin(), names.end(), [](const std::string& name) {
      return parse_segment_name(name).has_value();
    });
    if (segment == names.end()) return new_directory(names);
    return StartFailure{StartFailure::Kind::used,
                        "the data directory holds " + *segment + " but no file " + file_name +
                            "; move it away and start this server empty: it joins again as a "
                            "learner",
                        std::nullopt};
  }
  FileId file = FileId::none;
  std::uint64_t size = 0;
  if (const IoStatus status = fs_.open(file_name, file, size); !status) return failed(status);
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(std::min<std::uint64_t>(size, identity_size(voters_text_max) + 1)));
  std::size_t count = 0;
  const IoStatus status = fs_.read_now(file, 0, bytes, count);
  fs_.close(file);
  if (!status) return failed(status);
  auto parsed = parse_identity(Bytes{bytes}.first(count));
  if (auto* failure = std::get_if<StartFailure>(&parsed)) return std::move(*failure);
  return std::move(std::get<IdentityRecord>(parsed));
}

// Each step begins when the one before has succeeded; the first error ends it all.
template <class Next>
FileSystem::Done IdentityFile::then(Next next) {
  return [this, next, alive = std::weak_ptr<int>(alive_)](IoStatus status) {
    if (alive.expired() || failed_) return;
    if (status) return (this->*next)();
    failed_ = true;
    std::exchange(done_, nullptr)(std::move(status));
  };
}

void IdentityFile::store(const IdentityRecord& record, Done done) {
  ZABMQ_CHECK(!done_ && done);
  if (failed_) return;
  auto bytes = std::make_shared<std::vector<std::byte>>(encode_identity(record));
  bytes_ = Slice(bytes, *bytes);
  done_ = std::move(done);
  if (std::exchange(leftover_, false)) {
    fs_.remove(tmp_name, then(&IdentityFile::create));
  } else {
    create();
  }
}

void IdentityFile::create() {
  file_ = fs_.create(tmp_name, then(&IdentityFile::write));
}

void IdentityFile::write() {
  const bool sync = !ZABMQ_MUTANT(identity_not_synced);
  fs_.write(file_, 0, {std::exchange(bytes_, {})}, sync, then(&IdentityFile::rename));
}

void IdentityFile::rename() {
  fs_.close(file_);
  fs_.rename(tmp_name, file_name, then(&IdentityFile::sync_directory));
}

void IdentityFile::sync_directory() {
  if (ZABMQ_MUTANT(identity_directory_not_synced)) return finish();
  fs_.sync_directory(then(&IdentityFile::finish));
}

void IdentityFile::finish() {
  std::exchange(done_, nullptr)(IoStatus{});
}

}  // namespace zabmq::storage
