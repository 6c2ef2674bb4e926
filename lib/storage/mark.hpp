// Mark: the 64 bytes in front of every write. A write starts only when the sync of the one before
// has returned, so a valid mark proves that everything before it was synced. It says nothing about
// what follows it.
//
// A mark is valid only in its own segment and at its own position. It also carries the checksum of
// its segment's header, which no client knows: a message's payload cannot imitate a mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "zabmq/types.hpp"

namespace zabmq::storage {

inline constexpr std::size_t mark_size = 64;
inline constexpr std::uint32_t mark_magic = 0x314d'425a;  // "ZBM1"
inline constexpr std::uint8_t mark_version = 1;

// Bytes 0..3 magic, 4 format version, 5 length / 8, 6..7 zero.
struct Mark {
  std::uint64_t segment = 0;     //  8
  std::uint64_t position = 0;    // 16  of this mark in the file
  Zxid delivered;                // 24  the last transaction delivered here when it was written
  Digest header = Digest::none;  // 40  checksum of the segment's header
                                 // 48  8 reserved bytes, zero
                                 // 56  XXH3-64 of bytes 0..55
  friend bool operator==(const Mark&, const Mark&) = default;
};

void encode_mark(const Mark& mark, std::span<std::byte, mark_size> out);

// The mark at the front of `bytes`; nullopt when they are anything else.
std::optional<Mark> parse_mark(Bytes bytes);

// Cheap test of the first four bytes, before parse_mark.
bool looks_like_mark(Bytes bytes);

}  // namespace zabmq::storage
