// SegmentHeader: the first page of a segment file. It names whose segment this is and where in the
// chain it stands: *the segment it continues and the position there where it takes over*. Behind a
// roll that is the predecessor's end; a position before its end is a cut, and the whole of TRUNC.
//
// The header takes 4 KiB so that no later write touches its page. Magic, version, length and the
// place of the checksum are the same in every version, so that a newer segment is told from a
// damaged one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/history_log.hpp"
#include "zabmq/types.hpp"

namespace zabmq::storage {

inline constexpr std::size_t segment_header_size = 4096;
inline constexpr std::size_t page_size = 4096;               // of the page cache
inline constexpr std::uint32_t segment_magic = 0x3153'425a;  // "ZBS1"
inline constexpr std::uint8_t segment_version = 1;

// Bytes 0..3 magic, 4 format version, 5 zero, 6..7 length / 8.
struct SegmentHeader {
  std::uint64_t number = 0;          //    8  from 1; the greatest valid one is the end of the chain
  std::uint64_t continues = 0;       //   16  number of the segment before; 0: the history's first
  std::uint64_t takes_over_at = 0;   //   24  position there; 0 for the first
  Uuid cluster;                      //   32
  Uuid history;                      //   48
  ServerId server = ServerId::none;  //   64  u32, then 4 zero bytes
  LastRecord before;                 //   72  the last record before it (or the floor): zxid 16,
                                     //       offset 8, digest 8, log time 8
  Zxid delivered;                    //  112  the last transaction delivered when it was created
  std::uint32_t generation = 0;      //  128  of the history, on this disk: one more for each that
                                     //       replaced the one before (SNAP)
  bool recycled = false;             //  132  u8 1: the file was a segment before; what lies behind
                                     //       the end may be of that one
                                     //  133  reserved, zero
  Digest checksum = Digest::none;    // 4088  XXH3-64 of bytes 0..4087
};

// Writes the page and returns its checksum.
Digest encode_segment_header(const SegmentHeader& header,
                             std::span<std::byte, segment_header_size> out);

struct ParsedSegmentHeader {
  enum class Kind : std::uint8_t { valid, invalid, newer_version };
  Kind kind = Kind::invalid;
  std::uint8_t version = 0;  // with newer_version
  SegmentHeader header;      // with valid
};
ParsedSegmentHeader parse_segment_header(Bytes bytes);

// Whether `bytes`, at `position` of this segment's file, begin with a mark of this segment.
bool is_mark_of(const SegmentHeader& header, Bytes bytes, std::uint64_t position);

// "00000007.seg", more digits when needed.
std::string segment_name(std::uint64_t number);
std::optional<std::uint64_t> parse_segment_name(std::string_view name);

// "spare-3": zeros written ahead, or a segment that was freed, to become a segment by renaming.
std::string spare_name(std::uint64_t number);
std::optional<std::uint64_t> parse_spare_name(std::string_view name);

// Digits only, all of `digits`.
std::optional<std::uint64_t> parse_number(std::string_view digits);

}  // namespace zabmq::storage
