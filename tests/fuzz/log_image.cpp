// LogImage: finding, damaging and forging.
#include "log_image.hpp"

#include <algorithm>

#include "log_life.hpp"

#include "storage/little_endian.hpp"
#include "storage/mark.hpp"
#include "storage/segment_header.hpp"
#include "zabmq/record.hpp"

namespace zabmq::fuzz {
namespace {

using storage::get;
using storage::mark_size;
using storage::put;
using storage::segment_header_size;

constexpr std::size_t file_size_max = 24 << 10;
constexpr std::size_t page = 4096;

// The size of the whole and valid item there, 0 when there is none.
std::size_t item_size(Bytes rest) {
  if (storage::parse_mark(rest)) return mark_size;
  const auto record = parse_record(rest);
  return record ? record_size(record->body_size) : 0;
}

std::string pick_name(const Files& files, Input& input) {
  auto at = files.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(input.below(files.size())));
  return at->first;
}

std::size_t pick_position(const std::vector<std::byte>& file, Input& input) {
  if (file.empty()) return 0;
  switch (input.below(4)) {
    case 0: {  // where an item begins, or close behind
      const auto items = item_positions(file);
      if (items.empty()) return 0;
      return std::min<std::size_t>(items[input.below(items.size())] + input.below(192),
                                   file.size() - 1);
    }
    case 1:
      return input.below((file.size() + sim::sector_size - 1) / sim::sector_size) *
             sim::sector_size;
    default:
      return input.number<std::uint16_t>() % file.size();
  }
}

void copy_block(std::vector<std::byte>& to, std::size_t to_at, const std::vector<std::byte>& from,
                std::size_t from_at, std::size_t size) {
  if (from_at >= from.size()) return;
  size = std::min(size, from.size() - from_at);
  const std::vector<std::byte> block(from.begin() + static_cast<std::ptrdiff_t>(from_at),
                                     from.begin() + static_cast<std::ptrdiff_t>(from_at + size));
  if (to_at + size > file_size_max) return;
  if (to.size() < to_at + size) to.resize(to_at + size);
  std::copy(block.begin(), block.end(), to.begin() + static_cast<std::ptrdiff_t>(to_at));
}

std::size_t pick_size(const std::vector<std::byte>& file, std::size_t at, Input& input) {
  constexpr std::size_t sizes[] = {mark_size, sim::sector_size, page, 128, 0};
  const std::size_t size = sizes[input.below(std::size(sizes))];
  if (size > 0) return size;
  const std::size_t item = item_size(Bytes{file}.subspan(std::min(at, file.size())));
  return item > 0 ? item : 1 + input.below(2048);
}

void damage_once(Files& files, Input& input) {
  const std::string name = pick_name(files, input);
  std::vector<std::byte>& file = files.at(name);
  const std::size_t at = pick_position(file, input);
  const auto here = file.begin() + static_cast<std::ptrdiff_t>(at);
  switch (input.below(10)) {
    case 0:
      if (!file.empty()) file[at] ^= std::byte{1} << input.below(8);
      return;
    case 1:
      if (!file.empty()) file[at] = std::byte{input.byte()};
      return;
    case 2:  // cut
      return file.resize(at);
    case 3:  // something behind the end
      return file.resize(std::min(file_size_max, file.size() + input.below(page)),
                         std::byte{input.byte()});
    case 4: {  // a sector or a page that was never written, or of which the device forgot
      const std::size_t size = std::min(file.size() - at, input.flag() ? page : sim::sector_size);
      std::fill(here, here + static_cast<std::ptrdiff_t>(size), std::byte{0});
      return;
    }
    case 5:
    case 6: {  // written elsewhere too: in this file or in another
      const std::vector<std::byte> from = files.at(pick_name(files, input));
      const std::size_t from_at = pick_position(from, input);
      return copy_block(file, at, from, from_at, pick_size(from, from_at, input));
    }
    case 7: {  // bytes taken out: the rest moves up
      const std::size_t size = std::min(file.size() - at, pick_size(file, at, input));
      file.erase(here, here + static_cast<std::ptrdiff_t>(size));
      return;
    }
    case 8:  // a copy of the file under the name of another segment
      files[storage::segment_name(1 + input.below(6))] = std::vector<std::byte>(file);
      return;
    default:
      if (files.size() > 1) files.erase(name);
  }
}

void seal_mark(std::byte* p, std::uint64_t number, std::uint64_t position, Digest header) {
  put(p + 8, number);
  put(p + 16, position);
  put(p + 40, header);
  put(p + 56, checksum({p, 56}));
}

// The record's size when one may lie there.
std::size_t seal_record(std::byte* p, std::size_t room, bool chained, storage::LastRecord& last) {
  const std::size_t size = record_size(get<std::uint32_t>(p + 8));
  if (size > room) return 0;
  if (chained) put(p + 96, last.digest);
  put(p + 88, checksum({p + record_header_size, get<std::uint32_t>(p + 8)}));
  last.digest = checksum({p, 120});
  put(p + 120, last.digest);
  return size;
}

}  // namespace

Files files_of(const sim::MemoryDisk::State& state) {
  Files files;
  for (const auto& [name, file] : state.live) files[name] = state.files.at(file).cache;
  return files;
}

sim::MemoryDisk::State state_of(const Files& files) {
  sim::MemoryDisk disk;
  for (const auto& [name, content] : files) disk.set_content(name, content);
  return disk.state();
}

std::vector<Proof> proofs_of(const Files& files) {
  std::vector<Proof> proofs;
  for (const auto& [name, content] : files) {
    const auto parsed = storage::parse_segment_header(content);
    const auto number = storage::parse_segment_name(name);
    if (parsed.kind != storage::ParsedSegmentHeader::Kind::valid) continue;
    if (!number || *number != parsed.header.number) continue;
    Digest last = parsed.header.before.digest;
    Zxid zxid = parsed.header.before.zxid;
    for (std::size_t at = segment_header_size; at < content.size();) {
      const Bytes rest = Bytes{content}.subspan(at);
      if (storage::is_mark_of(parsed.header, rest, at)) {
        const Bytes bytes = rest.first(mark_size);
        proofs.push_back({*number,
                          at,
                          last,
                          zxid,
                          storage::parse_mark(rest)->delivered,
                          {bytes.begin(), bytes.end()}});
        at += mark_size;
      } else {
        const auto record = parse_record(rest);
        if (!record || record->previous != last) break;
        last = record->checksum;
        zxid = record->zxid;
        at += record_size(record->body_size);
      }
    }
  }
  return proofs;
}

bool stands(const Proof& proof, const Files& files) {
  const auto file = files.find(storage::segment_name(proof.segment));
  if (file == files.end() || file->second.size() < proof.position + mark_size) return false;
  return std::equal(proof.bytes.begin(), proof.bytes.end(),
                    file->second.begin() + static_cast<std::ptrdiff_t>(proof.position));
}

std::vector<std::uint64_t> item_positions(Bytes file) {
  std::vector<std::uint64_t> positions{0};
  for (std::size_t at = segment_header_size; at < file.size();) {
    const std::size_t size = item_size(file.subspan(at));
    if (size > 0) positions.push_back(at);
    at += size > 0 ? size : record_alignment;
  }
  return positions;
}

void damage(Files& files, Input& input, std::size_t faults_max) {
  for (std::size_t i = 0; i < faults_max && !input.empty() && !files.empty(); ++i) {
    damage_once(files, input);
  }
}

void reseal(std::vector<std::byte>& file, std::uint64_t number, bool chained) {
  if (file.size() < segment_header_size) return;
  std::byte* p = file.data();
  if (get<std::uint32_t>(p) == storage::segment_magic) {
    put(p + segment_header_size - 8, checksum({p, segment_header_size - 8}));
  }
  const auto header = get<Digest>(p + segment_header_size - 8);
  storage::LastRecord last;
  last.digest = get<Digest>(p + 96);
  for (std::size_t at = segment_header_size; at + mark_size <= file.size();) {
    const auto magic = get<std::uint32_t>(p + at);
    const std::size_t room = file.size() - at;
    std::size_t size = 0;
    if (magic == storage::mark_magic) {
      seal_mark(p + at, number, at, header);
      size = mark_size;
    } else if (magic == record_magic && room >= record_header_size) {
      size = seal_record(p + at, room, chained, last);
    }
    at += size > 0 ? size : record_alignment;
  }
}

namespace {

Zxid made_zxid(Zxid last, Input& input) {
  switch (input.below(8)) {
    case 0:
      return {next(last.epoch), 1};
    case 1:
      return {Epoch{input.byte()}, input.byte()};
    case 2:
      return {last.epoch, input.number<std::uint64_t>()};
    default:
      return next(last);
  }
}

void make_mark(std::vector<std::byte>& file, const storage::SegmentHeader& header,
               const storage::LastRecord& last, Input& input) {
  storage::Mark mark{header.number, file.size(), {}, header.checksum};
  if (input.below(4) == 0) mark.delivered = made_zxid(last.zxid, input);
  if (input.flag()) mark.delivered = last.zxid;
  file.resize(file.size() + mark_size);
  storage::encode_mark(mark, std::span(file).last<mark_size>());
}

void make_record(std::vector<std::byte>& file, storage::LastRecord& last, Input& input) {
  RecordHeader record;
  record.kind = input.below(4) == 0 ? RecordKind{input.byte()} : RecordKind::batch;
  record.flags = input.below(8) == 0 ? input.byte() : std::uint8_t{0};
  record.count = static_cast<std::uint32_t>(record.kind == RecordKind::batch ? input.below(8) : 0);
  record.zxid = made_zxid(last.zxid, input);
  record.base_offset = last.offset + (record.kind == RecordKind::batch ? 1 : 0);
  if (input.below(8) == 0) record.base_offset = input.number<std::uint64_t>();
  record.previous = input.below(8) == 0 ? Digest{input.byte()} : last.digest;
  const Bytes body = input.bytes(input.below(24));
  record.body_size = input.below(16) == 0 ? input.number<std::uint32_t>()
                                          : static_cast<std::uint32_t>(body.size());
  record.body_checksum = checksum(body);
  const std::size_t begin = file.size();
  file.resize(begin + record_size(static_cast<std::uint32_t>(body.size())));
  std::copy(body.begin(), body.end(),
            file.begin() + static_cast<std::ptrdiff_t>(begin + record_header_size));
  const Digest digest = encode_header(
      record, std::span<std::byte, record_header_size>(file.data() + begin, record_header_size));
  last = {record.zxid, record.end_offset(), digest, record.time};
}

}  // namespace

std::vector<std::byte> made_segment(std::uint64_t number, Input& input) {
  storage::SegmentHeader header;
  header.number = number;
  header.cluster = log_cluster;
  header.history = log_history;
  header.server = log_server;
  header.continues = input.below(static_cast<std::size_t>(number) + 1);
  if (header.continues > 0) header.takes_over_at = segment_header_size + 8 * input.below(128);
  if (input.flag()) {
    header.before = {{Epoch{input.byte()}, input.byte()}, input.byte(), Digest{input.byte()}, 0};
  }
  if (input.below(4) == 0) header.delivered = made_zxid(header.before.zxid, input);
  std::vector<std::byte> file(segment_header_size);
  header.checksum =
      storage::encode_segment_header(header, std::span(file).first<segment_header_size>());
  storage::LastRecord last = header.before;
  while (!input.empty() && file.size() < file_size_max) {
    const std::size_t what = input.below(8);
    if (what == 0) break;
    if (what == 1) {
      const Bytes bytes = input.bytes(input.below(64));
      file.insert(file.end(), bytes.begin(), bytes.end());
    } else if (what == 2) {
      file.resize((file.size() + 7) / 8 * 8 + 8 * input.below(8));
    } else if (what < 5) {
      make_mark(file, header, last, input);
    } else {
      make_record(file, last, input);
    }
  }
  return file;
}

}  // namespace zabmq::fuzz
