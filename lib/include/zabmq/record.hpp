// Record: the log record, the one form in which a transaction is stored, sent and delivered. A
// fixed 128-byte header and a body, padded with zeros to 8 bytes; byte-identical on every server.
// The layout is documented in docs/wire.md; offsets below are bytes, integers little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "zabmq/types.hpp"

namespace zabmq {

enum class RecordKind : std::uint8_t {
  batch = 1,  // messages of one publisher; the only kind that takes offsets
  no_op = 2,
  publisher = 3,  // opens (or with flag `close` ends) a publisher's instance
  cursor = 4,     // kinds from here on are reserved
  floor = 5,
  admit = 6,
  config = 7
};

inline constexpr std::size_t record_header_size = 128;
inline constexpr std::size_t record_alignment = 8;
inline constexpr std::uint32_t record_magic = 0x3152'425a;  // "ZBR1"
inline constexpr std::uint8_t record_version = 1;
inline constexpr std::uint8_t record_flag_close = 1;  // kind publisher: a clean close
inline constexpr std::uint64_t all_topics = ~std::uint64_t{0};

struct RecordHeader {
  RecordKind kind = RecordKind::no_op;  //   6
  std::uint8_t flags = 0;               //   7
  std::uint32_t body_size = 0;          //   8  without padding
  std::uint32_t count = 0;              //  12  messages in a batch, else 0
  Zxid zxid;                            //  16  u32 epoch, u32 zero, u64 counter
  Offset base_offset = 0;       //  32  of the first message; other kinds: the last offset before
  LogTime time = 0;             //  40
  Uuid publisher;               //  48
  Instance instance = 0;        //  64
  Sequence first_sequence = 0;  //  72  of the first message
  std::uint64_t topic_word = all_topics;  //  80
  Digest body_checksum = Digest::none;    //  88  XXH3-64 of the body
  Digest previous = Digest::none;         //  96  header checksum of the previous record
                                          // 104  16 reserved bytes, zero
  Digest checksum = Digest::none;         // 120  XXH3-64 of bytes 0..119: the chain digest
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;

  Offset end_offset() const {
    return kind == RecordKind::batch ? base_offset + count - 1 : base_offset;
  }
};
// Bytes 0..3 magic, 4 format version, 5 header length / 8.

// XXH3-64, the only checksum in the system.
Digest checksum(Bytes bytes);

// Size of a record on disk and on the wire, padding included.
constexpr std::size_t record_size(std::uint32_t body_size) {
  return record_header_size +
         (std::size_t{body_size} + record_alignment - 1) / record_alignment * record_alignment;
}

// Writes the 128 header bytes and returns `header.checksum`, which it computes from all other
// fields.
Digest encode_header(const RecordHeader& header, std::span<std::byte, record_header_size> out);

// The header at the front of `bytes`. nullopt: too short, wrong magic, version or length, reserved
// bytes not zero, an unknown kind, or a wrong header checksum. The body is not looked at.
std::optional<RecordHeader> parse_header(Bytes bytes);

// The record at the front of `bytes`, whole and with both checksums and zero padding verified; its
// body is bytes [128, 128 + body_size).
std::optional<RecordHeader> parse_record(Bytes bytes);

}  // namespace zabmq
