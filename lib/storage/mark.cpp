// Mark: its layout, byte by byte.
#include "storage/mark.hpp"

#include "storage/little_endian.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t checksum_at = 56;

}  // namespace

void encode_mark(const Mark& mark, std::span<std::byte, mark_size> out) {
  std::byte* p = out.data();
  std::memset(p, 0, mark_size);
  put(p, mark_magic);
  put(p + 4, mark_version);
  put(p + 5, static_cast<std::uint8_t>(mark_size / 8));
  put(p + 8, mark.segment);
  put(p + 16, mark.position);
  put_zxid(p + 24, mark.delivered);
  put(p + 40, mark.header);
  put(p + checksum_at, checksum({p, checksum_at}));
}

bool looks_like_mark(Bytes bytes) {
  return bytes.size() >= mark_size && get<std::uint32_t>(bytes.data()) == mark_magic;
}

std::optional<Mark> parse_mark(Bytes bytes) {
  if (!looks_like_mark(bytes)) return std::nullopt;
  const std::byte* p = bytes.data();
  if (get<std::uint8_t>(p + 4) != mark_version || get<std::uint8_t>(p + 5) != mark_size / 8 ||
      get<std::uint16_t>(p + 6) != 0 || get<std::uint32_t>(p + 28) != 0 ||
      get<std::uint64_t>(p + 48) != 0) {
    return std::nullopt;
  }
  if (get<Digest>(p + checksum_at) != checksum({p, checksum_at})) return std::nullopt;
  Mark mark;
  mark.segment = get<std::uint64_t>(p + 8);
  mark.position = get<std::uint64_t>(p + 16);
  mark.delivered = get_zxid(p + 24);
  mark.header = get<Digest>(p + 40);
  return mark;
}

}  // namespace zabmq::storage
