// Segment header: its layout, byte by byte, and the names of files.
#include "storage/segment_header.hpp"

#include <charconv>

#include "storage/little_endian.hpp"
#include "storage/mark.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t recycled_at = 132;
constexpr std::size_t reserved_at = 133;
constexpr std::size_t checksum_at = segment_header_size - 8;
constexpr std::string_view segment_suffix = ".seg";
constexpr std::string_view spare_prefix = "spare-";
constexpr std::size_t segment_digits = 8;

// What a correct writer never produces, whatever the checksum says.
bool plausible(const SegmentHeader& header) {
  if (header.number == 0 || header.continues >= header.number) return false;
  const Zxid before = header.before.zxid;
  if (!is_none(before) && (before.epoch == Epoch::none || before.counter == 0)) return false;
  if (header.continues == 0) return header.takes_over_at == 0;
  return header.takes_over_at >= segment_header_size && header.takes_over_at % 8 == 0;
}

SegmentHeader read_fields(const std::byte* p) {
  SegmentHeader header;
  header.number = get<std::uint64_t>(p + 8);
  header.continues = get<std::uint64_t>(p + 16);
  header.takes_over_at = get<std::uint64_t>(p + 24);
  std::memcpy(header.cluster.bytes.data(), p + 32, 16);
  std::memcpy(header.history.bytes.data(), p + 48, 16);
  header.server = get<ServerId>(p + 64);
  header.before.zxid = get_zxid(p + 72);
  header.before.offset = get<Offset>(p + 88);
  header.before.digest = get<Digest>(p + 96);
  header.before.time = get<LogTime>(p + 104);
  header.delivered = get_zxid(p + 112);
  header.generation = get<std::uint32_t>(p + 128);
  header.recycled = get<std::uint8_t>(p + recycled_at) != 0;
  header.checksum = get<Digest>(p + checksum_at);
  return header;
}

bool zeros_where_due(const std::byte* p) {
  return get<std::uint8_t>(p + 5) == 0 && get<std::uint32_t>(p + 68) == 0 &&
         get<std::uint32_t>(p + 76) == 0 && get<std::uint32_t>(p + 116) == 0 &&
         get<std::uint8_t>(p + recycled_at) <= 1 &&
         all_zero({p + reserved_at, checksum_at - reserved_at});
}

}  // namespace

Digest encode_segment_header(const SegmentHeader& header,
                             std::span<std::byte, segment_header_size> out) {
  std::byte* p = out.data();
  std::memset(p, 0, segment_header_size);
  put(p, segment_magic);
  put(p + 4, segment_version);
  put(p + 6, static_cast<std::uint16_t>(segment_header_size / 8));
  put(p + 8, header.number);
  put(p + 16, header.continues);
  put(p + 24, header.takes_over_at);
  std::memcpy(p + 32, header.cluster.bytes.data(), 16);
  std::memcpy(p + 48, header.history.bytes.data(), 16);
  put(p + 64, header.server);
  put_zxid(p + 72, header.before.zxid);
  put(p + 88, header.before.offset);
  put(p + 96, header.before.digest);
  put(p + 104, header.before.time);
  put_zxid(p + 112, header.delivered);
  put(p + 128, header.generation);
  put(p + recycled_at, std::uint8_t{header.recycled});
  const Digest digest = checksum({p, checksum_at});
  put(p + checksum_at, digest);
  return digest;
}

ParsedSegmentHeader parse_segment_header(Bytes bytes) {
  ParsedSegmentHeader parsed;
  if (bytes.size() < segment_header_size) return parsed;
  const std::byte* p = bytes.data();
  if (get<std::uint32_t>(p) != segment_magic ||
      get<Digest>(p + checksum_at) != checksum({p, checksum_at})) {
    return parsed;
  }
  parsed.version = get<std::uint8_t>(p + 4);
  if (parsed.version > segment_version) {
    parsed.kind = ParsedSegmentHeader::Kind::newer_version;
    return parsed;
  }
  if (parsed.version != segment_version || get<std::uint16_t>(p + 6) != segment_header_size / 8 ||
      !zeros_where_due(p)) {
    return parsed;
  }
  parsed.header = read_fields(p);
  if (plausible(parsed.header)) parsed.kind = ParsedSegmentHeader::Kind::valid;
  return parsed;
}

bool is_mark_of(const SegmentHeader& header, Bytes bytes, std::uint64_t position) {
  const auto mark = parse_mark(bytes);
  return mark && mark->segment == header.number && mark->position == position &&
         mark->header == header.checksum;
}

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::string segment_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < segment_digits) digits.insert(0, segment_digits - digits.size(), '0');
  return digits.append(segment_suffix);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (!name.ends_with(segment_suffix)) return std::nullopt;
  const auto number = parse_number(name.substr(0, name.size() - segment_suffix.size()));
  if (!number || *number == 0 || segment_name(*number) != name) return std::nullopt;
  return number;
}

std::string spare_name(std::uint64_t number) {
  return std::string(spare_prefix) + std::to_string(number);
}

std::optional<std::uint64_t> parse_spare_name(std::string_view name) {
  if (!name.starts_with(spare_prefix)) return std::nullopt;
  const auto number = parse_number(name.substr(spare_prefix.size()));
  if (!number || spare_name(*number) != name) return std::nullopt;
  return number;
}

}  // namespace zabmq::storage
