// Link: what of a record decides whether it continues a history. Read from bytes that were verified
// before, without computing a checksum again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/history_log.hpp"
#include "storage/little_endian.hpp"
#include "zabmq/record.hpp"

namespace zabmq::storage {

struct Link {
  std::size_t size = 0;  // of the whole record
  RecordKind kind = RecordKind::no_op;
  std::uint32_t count = 0;
  Zxid zxid;
  Offset base_offset = 0;
  LogTime time = 0;
  Digest previous = Digest::none;
  Digest checksum = Digest::none;

  // The history's end once this record is in it.
  LastRecord end() const {
    const Offset offset = kind == RecordKind::batch ? base_offset + count - 1 : base_offset;
    return {zxid, offset, checksum, time};
  }
};

inline Link link_of(const RecordHeader& h) {
  return {record_size(h.body_size),
          h.kind,
          h.count,
          h.zxid,
          h.base_offset,
          h.time,
          h.previous,
          h.checksum};
}

// The record header at `p`, at the places that record.hpp documents; 128 bytes must be there.
inline Link link_at(const std::byte* p) {
  Link link;
  link.size = record_size(get<std::uint32_t>(p + 8));
  link.kind = get<RecordKind>(p + 6);
  link.count = get<std::uint32_t>(p + 12);
  link.zxid = get_zxid(p + 16);
  link.base_offset = get<Offset>(p + 32);
  link.time = get<LogTime>(p + 40);
  link.previous = get<Digest>(p + 96);
  link.checksum = get<Digest>(p + 120);
  return link;
}

inline bool continues(const Link& link, const LastRecord& last) {
  const bool offset_fits = link.kind == RecordKind::batch
                               ? link.count > 0 && link.base_offset == last.offset + 1
                               : link.base_offset == last.offset;
  return follows(link.zxid, last.zxid) && offset_fits && link.previous == last.digest;
}

// Whether a record with this end is where a read `from` begins, or lies behind that place.
inline bool reaches(const LastRecord& end, const ReadFrom& from) {
  if (const auto* after = std::get_if<After>(&from)) return end.zxid > after->zxid;
  if (const auto* first = std::get_if<FromZxid>(&from)) return end.zxid >= first->zxid;
  if (const auto* since = std::get_if<FromTime>(&from)) return end.time >= since->time;
  return end.offset >= std::get<AtOffset>(from).offset;
}

}  // namespace zabmq::storage
