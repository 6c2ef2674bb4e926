// Snapshot file: its layout, byte by byte.
#include "storage/snapshot.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "storage/little_endian.hpp"
#include "storage/segment_header.hpp"
#include "zabmq/check.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t header_size = 168;
constexpr std::size_t end_size = 16;
constexpr std::size_t checksum_size = 8;
constexpr std::string_view prefix = "snapshot-";

void put_floor(std::byte* p, const Floor& floor) {
  put_zxid(p, floor.zxid);
  put(p + 16, floor.offset);
  put(p + 24, floor.digest);
}

Floor get_floor(const std::byte* p) {
  return {get_zxid(p), get<Offset>(p + 16), get<Digest>(p + 24)};
}

bool is_transaction(Zxid zxid) {
  return zxid.epoch != Epoch::none && zxid.counter > 0;
}

bool is_sound(const Floor& floor, const LastRecord& at) {
  if (is_none(floor.zxid)) return floor == Floor{};
  return is_transaction(floor.zxid) && floor.zxid <= at.zxid && floor.offset <= at.offset;
}

// Whether `ends` can be the table from the floor up to `at`.
bool is_sound(const std::vector<EpochLast>& ends, const Floor& floor, const LastRecord& at) {
  Zxid before = floor.zxid;
  for (const EpochLast& end : ends) {
    const Zxid zxid{end.epoch, end.last};
    const bool rises = zxid > before && (end.epoch > before.epoch || before == floor.zxid);
    if (!is_transaction(zxid) || !rises) return false;
    before = zxid;
  }
  return before == at.zxid;
}

// A transaction of the snapshot's history that lies above its floor.
bool holds(const Snapshot& snapshot, Zxid zxid) {
  const auto end = std::find_if(snapshot.ends.begin(), snapshot.ends.end(),
                                [&](const EpochLast& e) { return e.epoch == zxid.epoch; });
  return end != snapshot.ends.end() && zxid.counter > 0 && zxid.counter <= end->last &&
         zxid > snapshot.floor.zxid;
}

bool is_sound(const Snapshot& s) {
  if (!is_transaction(s.at.zxid) || !is_sound(s.floor, s.at) || !is_sound(s.retained, s.at) ||
      !is_sound(s.ends, s.floor, s.at)) {
    return false;
  }
  const bool empty = s.floor.zxid == s.at.zxid;
  if (empty && (s.floor.offset != s.at.offset || s.floor.digest != s.at.digest)) return false;
  return s.retained.zxid <= s.floor.zxid || holds(s, s.retained.zxid);
}

bool zeros_where_due(const std::byte* p) {
  return get<std::uint8_t>(p + 5) == 0 && get<std::uint16_t>(p + 6) == header_size / 8 &&
         get<std::uint32_t>(p + 52) == 0 && get<std::uint32_t>(p + 92) == 0 &&
         get<std::uint32_t>(p + 124) == 0 && get<std::uint32_t>(p + 156) == 0;
}

SnapshotOwner read_owner(const std::byte* p) {
  SnapshotOwner owner;
  owner.generation = get<std::uint32_t>(p + 8);
  owner.server = get<ServerId>(p + 12);
  std::memcpy(owner.cluster.bytes.data(), p + 16, owner.cluster.bytes.size());
  std::memcpy(owner.history.bytes.data(), p + 32, owner.history.bytes.size());
  return owner;
}

// nullopt: the lengths do not fit.
std::optional<Snapshot> read_fields(const Slice& slice) {
  const std::byte* p = slice.bytes().data();
  Snapshot s;
  s.at = {get_zxid(p + 48), get<Offset>(p + 64), get<Digest>(p + 72), get<LogTime>(p + 80)};
  s.retained = get_floor(p + 88);
  s.floor = get_floor(p + 120);
  const std::uint64_t room = slice.size() - header_size - checksum_size;
  const std::uint64_t ends_size = get<std::uint32_t>(p + 152) * std::uint64_t{end_size};
  if (ends_size > room || get<std::uint64_t>(p + 160) != room - ends_size) return std::nullopt;
  for (std::size_t at = header_size; at < header_size + ends_size; at += end_size) {
    if (get<std::uint32_t>(p + at + 4) != 0) return std::nullopt;
    const Zxid end = get_zxid(p + at);
    s.ends.push_back({end.epoch, end.counter});
  }
  s.state = slice.sub(header_size + static_cast<std::size_t>(ends_size),
                      static_cast<std::size_t>(room - ends_size));
  return s;
}

}  // namespace

Slice encode_snapshot(const Snapshot& s, const SnapshotOwner& owner) {
  ZABMQ_CHECK(is_sound(s));
  const std::size_t ends_size = s.ends.size() * end_size;
  auto bytes = std::make_shared<std::vector<std::byte>>(header_size + ends_size + s.state.size() +
                                                        checksum_size);
  std::byte* p = bytes->data();
  put(p, snapshot_magic);
  put(p + 4, snapshot_version);
  put(p + 6, static_cast<std::uint16_t>(header_size / 8));
  put(p + 8, owner.generation);
  put(p + 12, owner.server);
  std::memcpy(p + 16, owner.cluster.bytes.data(), owner.cluster.bytes.size());
  std::memcpy(p + 32, owner.history.bytes.data(), owner.history.bytes.size());
  put_zxid(p + 48, s.at.zxid);
  put(p + 64, s.at.offset);
  put(p + 72, s.at.digest);
  put(p + 80, s.at.time);
  put_floor(p + 88, s.retained);
  put_floor(p + 120, s.floor);
  put(p + 152, static_cast<std::uint32_t>(s.ends.size()));
  put(p + 160, std::uint64_t{s.state.size()});
  std::byte* next = p + header_size;
  for (const EpochLast& end : s.ends) {
    put_zxid(next, {end.epoch, end.last});
    next += end_size;
  }
  if (!s.state.empty()) std::memcpy(next, s.state.bytes().data(), s.state.size());
  const std::size_t checksum_at = bytes->size() - checksum_size;
  put(p + checksum_at, checksum({p, checksum_at}));
  return {bytes, *bytes};
}

ParsedSnapshot parse_snapshot(const Slice& slice) {
  ParsedSnapshot parsed;
  if (slice.size() < header_size + checksum_size) return parsed;
  const std::byte* p = slice.bytes().data();
  const std::size_t checksum_at = slice.size() - checksum_size;
  if (get<std::uint32_t>(p) != snapshot_magic ||
      get<Digest>(p + checksum_at) != checksum({p, checksum_at})) {
    return parsed;
  }
  parsed.version = get<std::uint8_t>(p + 4);
  if (parsed.version > snapshot_version) {
    parsed.kind = ParsedSnapshot::Kind::newer_version;
    return parsed;
  }
  if (parsed.version != snapshot_version || !zeros_where_due(p)) return parsed;
  auto snapshot = read_fields(slice);
  if (!snapshot || !is_sound(*snapshot)) return parsed;
  parsed.owner = read_owner(p);
  parsed.snapshot = std::move(*snapshot);
  parsed.kind = ParsedSnapshot::Kind::valid;
  return parsed;
}

IoStatus read_snapshot_file(FileSystem& fs, const std::string& name, Slice& bytes) {
  FileId file = FileId::none;
  std::uint64_t size = 0;
  if (IoStatus status = fs.open(name, file, size); !status) return status;
  const auto whole = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(size));
  std::size_t count = 0;
  IoStatus status = fs.read_now(file, 0, *whole, count);
  fs.close(file);
  bytes = Slice(whole, Bytes{*whole}.first(status ? count : 0));
  return status;
}

bool fits_floor(const Snapshot& s, const LastRecord& front) {
  if (front.zxid == s.at.zxid) return is_same(front, s.at);
  if (front.zxid == s.floor.zxid) {
    return front.offset == s.floor.offset && front.digest == s.floor.digest;
  }
  return front.zxid < s.at.zxid && holds(s, front.zxid);
}

std::vector<EpochLast> ends_between(const std::vector<EpochLast>& ends, Zxid floor, Zxid up_to) {
  std::vector<EpochLast> between;
  for (EpochLast end : ends) {
    if (end.epoch > up_to.epoch) break;
    if (end.epoch == up_to.epoch) end.last = std::min(end.last, up_to.counter);
    if (end.last > 0 && Zxid{end.epoch, end.last} > floor) between.push_back(end);
  }
  return between;
}

std::string snapshot_name(std::uint32_t generation, Zxid at) {
  return std::string(prefix) + std::to_string(generation) + "-" + to_string(at);
}

std::optional<std::pair<std::uint32_t, Zxid>> parse_snapshot_name(std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = name.substr(prefix.size());
  const std::size_t dash = rest.find('-');
  const std::size_t dot = rest.find('.');
  if (dash == std::string_view::npos || dot == std::string_view::npos || dot < dash) return {};
  const auto generation = parse_number(rest.substr(0, dash));
  const auto epoch = parse_number(rest.substr(dash + 1, dot - dash - 1));
  const auto counter = parse_number(rest.substr(dot + 1));
  if (!generation || !epoch || !counter) return std::nullopt;
  const auto number = static_cast<std::uint32_t>(*generation);
  const Zxid at{Epoch{static_cast<std::uint32_t>(*epoch)}, *counter};
  if (!is_transaction(at) || snapshot_name(number, at) != name) return std::nullopt;
  return std::pair(number, at);
}

}  // namespace zabmq::storage
