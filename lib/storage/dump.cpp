// Dump: a walk over every file that stops at nothing.
#include "storage/dump.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "storage/little_endian.hpp"
#include "storage/recovery.hpp"
#include "storage/segment_reader.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t item_alignment = 8;  // marks and records begin at multiples of it

struct Nobody final : RecoveryVisitor {
  bool on_snapshot(const Snapshot&) override { return true; }
  void on_record(const RecordHeader&, Bytes) override {}
  void on_delivered(Zxid) override {}
};

class SegmentDump {
 public:
  SegmentDump(SegmentReader& file, DumpedSegment segment, DumpReader& reader)
      : file_(file), segment_(std::move(segment)), reader_(reader) {}

  void run() {
    const bool old_bytes = segment_.in_chain && segment_.parsed.header.recycled;
    const std::uint64_t end = old_bytes ? segment_.end : file_.size();
    for (position_ = segment_header_size; position_ < end;) {
      const std::uint64_t size = take_item();
      if (size == 0) {
        skip();
      } else {
        position_ += size;
      }
    }
  }

 private:
  Place here() const {
    return {segment_.file, position_, segment_.in_chain && position_ < segment_.end};
  }

  bool is_mark(const Mark& mark) const {
    const bool header = segment_.parsed.kind != ParsedSegmentHeader::Kind::valid ||
                        mark.header == segment_.parsed.header.checksum;
    return header && parse_segment_name(segment_.file) == mark.segment &&
           mark.position == position_;
  }

  // The size of the item at the position, told; 0: there is none.
  std::uint64_t take_item() {
    if (const auto mark = parse_mark(file_.at(position_, mark_size)); mark && is_mark(*mark)) {
      reader_.on_mark(here(), *mark);
      return mark_size;
    }
    const auto header = parse_header(file_.at(position_, record_header_size));
    if (!header) return 0;
    const std::uint64_t whole = record_size(header->body_size);
    const std::uint64_t size = std::min(whole, file_.size() - position_);
    if (size == whole && parse_record(file_.at(position_, static_cast<std::size_t>(whole)))) {
      reader_.on_record(here(), *header);
    } else {
      reader_.on_damage(
          here(), size,
          "the body of record " + to_string(header->zxid) + " is not what was written");
    }
    return size;
  }

  bool is_item() {
    const auto mark = parse_mark(file_.at(position_, mark_size));
    return (mark && is_mark(*mark)) || parse_header(file_.at(position_, record_header_size));
  }

  // To the next item. Zeros behind the last one are what was written ahead, and no damage.
  void skip() {
    const Place begin = here();
    std::uint64_t last = position_;  // end of what is not zero
    do {
      const Bytes bytes = file_.at(position_, item_alignment);
      position_ += item_alignment;
      if (!all_zero(bytes)) last = position_;
    } while (position_ < file_.size() && !is_item());
    const bool at_end = position_ >= file_.size();
    const std::uint64_t end = std::min(at_end ? last : position_, file_.size());
    if (end > begin.position) {
      reader_.on_damage(begin, end - begin.position, "neither a mark nor a record");
    }
  }

  SegmentReader& file_;
  DumpedSegment segment_;
  DumpReader& reader_;
  std::uint64_t position_ = 0;
};

class Dump {
 public:
  Dump(FileSystem& fs, DumpReader& reader) : fs_(fs), reader_(reader) {}

  IoStatus run() {
    std::vector<std::string> names;
    if (IoStatus status = fs_.list(names); !status) return status;
    std::sort(names.begin(), names.end());
    IdentityFile identity(fs_);
    const IdentityFile::Loaded loaded = identity.load();
    reader_.on_identity(loaded);
    find_chain(std::get_if<IdentityRecord>(&loaded));
    for (const std::string& name : names) {
      if (!parse_snapshot_name(name)) continue;
      if (IoStatus status = dump_snapshot(name); !status) return status;
    }
    for (const auto& [number, name] : segments_of(names)) {
      if (IoStatus status = dump_segment(number, name); !status) return status;
    }
    for (const std::string& name : names) {
      if (parse_segment_name(name) || parse_snapshot_name(name)) continue;
      if (IoStatus status = tell_other(name); !status) return status;
    }
    return {};
  }

 private:
  static std::map<std::uint64_t, std::string> segments_of(const std::vector<std::string>& names) {
    std::map<std::uint64_t, std::string> segments;
    for (const std::string& name : names) {
      if (const auto number = parse_segment_name(name)) segments.emplace(*number, name);
    }
    return segments;
  }

  // As a start would find it; of a damaged one as far as it got.
  void find_chain(const IdentityRecord* identity) {
    RecoveryOptions options;
    if (identity) {
      options.cluster = identity->cluster;
      options.history = identity->history;
      options.server = identity->server;
      options.generation = identity->generation;
    }
    Nobody nobody;
    const RecoveryResult result = recover(fs_, options, nobody);
    for (const Segment& segment : result.files.chain) {
      chain_[segment.header.number] = segment.end;
      fs_.close(segment.file);
    }
    for (const Spare& spare : result.files.spares) fs_.close(spare.file);
    used_snapshot_ = result.history.snapshot;
    // Where a damaged history ends is not known: what is behind the damage is shown as part of it.
    const bool unknown = result.failure && !chain_.empty();
    if (unknown) chain_.rbegin()->second = ~std::uint64_t{0};
  }

  IoStatus dump_snapshot(const std::string& name) {
    DumpedSnapshot snapshot;
    Slice bytes;
    if (IoStatus status = read_snapshot_file(fs_, name, bytes); !status) return status;
    snapshot.file = name;
    snapshot.size = bytes.size();
    snapshot.parsed = parse_snapshot(bytes);
    snapshot.used = name == used_snapshot_;
    reader_.on_snapshot(snapshot);
    return {};
  }

  IoStatus dump_segment(std::uint64_t number, const std::string& name) {
    FileId file = FileId::none;
    DumpedSegment segment;
    segment.file = name;
    if (IoStatus status = fs_.open(name, file, segment.size); !status) return status;
    SegmentReader reader(fs_, file, segment.size);
    segment.parsed = parse_segment_header(reader.at(0, segment_header_size));
    if (segment.parsed.header.number != number) segment.parsed = {};
    if (const auto at = chain_.find(number); at != chain_.end()) {
      segment.in_chain = true;
      segment.end = std::min(at->second, segment.size);
    }
    reader_.on_segment(segment);
    SegmentDump(reader, segment, reader_).run();
    fs_.close(file);
    return reader.status();
  }

  IoStatus tell_other(const std::string& name) {
    FileId file = FileId::none;
    std::uint64_t size = 0;
    if (IoStatus status = fs_.open(name, file, size); !status) return status;
    fs_.close(file);
    reader_.on_other_file(name, size);
    return {};
  }

  FileSystem& fs_;
  DumpReader& reader_;
  std::map<std::uint64_t, std::uint64_t> chain_;  // numbers, and where each ends
  std::string used_snapshot_;
};

VerifyReport unreadable(const IoStatus& status) {
  VerifyReport report;
  report.verdict = VerifyReport::Verdict::unreadable;
  report.text = failed(status).text;
  return report;
}

}  // namespace

VerifyReport dump(FileSystem& fs, DumpReader& reader) {
  if (const IoStatus status = fs.open_directory(); !status) return unreadable(status);
  if (const IoStatus status = Dump(fs, reader).run(); !status) return unreadable(status);
  return verify_opened(fs);
}

}  // namespace zabmq::storage
