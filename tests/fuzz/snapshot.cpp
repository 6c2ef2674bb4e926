// Snapshot: any bytes, with the checksum they should have. What is taken is the one form of a
// snapshot whose table some history can have; what is damaged or cut is refused.
#include "storage/snapshot.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "input.hpp"
#include "target.hpp"
#include "zabmq/check.hpp"
#include "zabmq/record.hpp"

namespace zabmq::fuzz {
namespace {

using storage::ParsedSnapshot;

constexpr std::size_t checksum_size = 8;

Slice slice_of(const std::vector<std::byte>& bytes) {
  const auto owner = std::make_shared<std::vector<std::byte>>(bytes);
  return {owner, *owner};
}

bool is_valid(const std::vector<std::byte>& bytes) {
  return storage::parse_snapshot(slice_of(bytes)).kind == ParsedSnapshot::Kind::valid;
}

void check_table(const storage::Snapshot& snapshot) {
  const auto all = storage::ends_between(snapshot.ends, snapshot.floor.zxid, snapshot.at.zxid);
  ZABMQ_CHECK(all == snapshot.ends);
  ZABMQ_CHECK(storage::fits_floor(snapshot, snapshot.at));
  const storage::LastRecord floor{snapshot.floor.zxid, snapshot.floor.offset, snapshot.floor.digest,
                                  snapshot.at.time};
  ZABMQ_CHECK(storage::fits_floor(snapshot, floor));
  ZABMQ_CHECK(snapshot.retained.zxid <= snapshot.at.zxid);
  const auto name = storage::snapshot_name(7, snapshot.at.zxid);
  ZABMQ_CHECK(storage::parse_snapshot_name(name) == std::pair(std::uint32_t{7}, snapshot.at.zxid));
}

}  // namespace

void fuzz_one(Bytes input) {
  std::vector<std::byte> file(input.begin(), input.end());
  storage::parse_snapshot(slice_of(file));
  if (file.size() < checksum_size) return;
  const Digest digest = checksum(Bytes{file}.first(file.size() - checksum_size));
  std::memcpy(file.data() + file.size() - checksum_size, &digest, checksum_size);
  const ParsedSnapshot parsed = storage::parse_snapshot(slice_of(file));
  if (parsed.kind != ParsedSnapshot::Kind::valid) return;
  check_table(parsed.snapshot);
  const Slice again = storage::encode_snapshot(parsed.snapshot, parsed.owner);
  ZABMQ_CHECK(std::equal(file.begin(), file.end(), again.bytes().begin(), again.bytes().end()));

  const std::size_t place = static_cast<std::size_t>(digest) % file.size();
  std::vector<std::byte> damaged = file;
  damaged[place] ^= std::byte{1};
  ZABMQ_CHECK(!is_valid(damaged));
  damaged = file;
  damaged.resize(place);
  ZABMQ_CHECK(!is_valid(damaged));
}

}  // namespace zabmq::fuzz
