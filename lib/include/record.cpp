// Record: the layout, byte by byte. Golden bytes: tests/storage/record_test.cpp.
#include "zabmq/record.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace zabmq {
namespace {

static_assert(std::endian::native == std::endian::little, "the layout is little-endian");

constexpr std::size_t reserved_at = 104;
constexpr std::size_t reserved_size = 16;
constexpr std::size_t checksum_at = 120;

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <class T>
T get(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(RecordKind::batch) &&
         kind <= static_cast<std::uint8_t>(RecordKind::config);
}

}  // namespace

Digest checksum(Bytes bytes) {
  return Digest{XXH3_64bits(bytes.data(), bytes.size())};
}

Digest encode_header(const RecordHeader& h, std::span<std::byte, record_header_size> out) {
  std::byte* p = out.data();
  std::memset(p, 0, record_header_size);
  put(p, record_magic);
  put(p + 4, record_version);
  put(p + 5, static_cast<std::uint8_t>(record_header_size / 8));
  put(p + 6, h.kind);
  put(p + 7, h.flags);
  put(p + 8, h.body_size);
  put(p + 12, h.count);
  put(p + 16, h.zxid.epoch);
  put(p + 24, h.zxid.counter);
  put(p + 32, h.base_offset);
  put(p + 40, h.time);
  std::memcpy(p + 48, h.publisher.bytes.data(), 16);
  put(p + 64, h.instance);
  put(p + 72, h.first_sequence);
  put(p + 80, h.topic_word);
  put(p + 88, h.body_checksum);
  put(p + 96, h.previous);
  const Digest digest = checksum({p, checksum_at});
  put(p + checksum_at, digest);
  return digest;
}

std::optional<RecordHeader> parse_header(Bytes bytes) {
  if (bytes.size() < record_header_size) return std::nullopt;
  const std::byte* p = bytes.data();
  if (get<std::uint32_t>(p) != record_magic || get<std::uint8_t>(p + 4) != record_version ||
      get<std::uint8_t>(p + 5) != record_header_size / 8) {
    return std::nullopt;
  }
  if (get<Digest>(p + checksum_at) != checksum({p, checksum_at})) return std::nullopt;
  if (!known_kind(get<std::uint8_t>(p + 6)) || get<std::uint32_t>(p + 20) != 0 ||
      !all_zero({p + reserved_at, reserved_size})) {
    return std::nullopt;
  }
  RecordHeader h;
  h.kind = get<RecordKind>(p + 6);
  h.flags = get<std::uint8_t>(p + 7);
  h.body_size = get<std::uint32_t>(p + 8);
  h.count = get<std::uint32_t>(p + 12);
  h.zxid = {get<Epoch>(p + 16), get<std::uint64_t>(p + 24)};
  h.base_offset = get<Offset>(p + 32);
  h.time = get<LogTime>(p + 40);
  std::memcpy(h.publisher.bytes.data(), p + 48, 16);
  h.instance = get<Instance>(p + 64);
  h.first_sequence = get<Sequence>(p + 72);
  h.topic_word = get<std::uint64_t>(p + 80);
  h.body_checksum = get<Digest>(p + 88);
  h.previous = get<Digest>(p + 96);
  h.checksum = get<Digest>(p + checksum_at);
  return h;
}

std::optional<RecordHeader> parse_record(Bytes bytes) {
  const std::optional<RecordHeader> header = parse_header(bytes);
  if (!header) return std::nullopt;
  const std::size_t size = record_size(header->body_size);
  if (bytes.size() < size) return std::nullopt;
  const std::size_t body_end = record_header_size + header->body_size;
  if (checksum(bytes.subspan(record_header_size, header->body_size)) != header->body_checksum ||
      !all_zero(bytes.subspan(body_end, size - body_end))) {
    return std::nullopt;
  }
  return header;
}

}  // namespace zabmq
