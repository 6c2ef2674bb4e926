// DumpLines: the two forms.
#include "cli/dump_lines.hpp"

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/output.hpp"

namespace zabmq::cli {
namespace {

using Json = nlohmann::ordered_json;
using storage::Place;

// As lib/zab numbers them (docs/wire.md).
std::string standing_name(std::uint8_t standing) {
  constexpr const char* names[] = {"empty", "founding", "voter", "wiped"};
  return standing < std::size(names) ? names[standing] : std::to_string(standing);
}

std::string kind_name(const RecordHeader& record) {
  switch (record.kind) {
    case RecordKind::batch:
      return "batch";
    case RecordKind::no_op:
      return "no-op";
    case RecordKind::publisher:
      return (record.flags & record_flag_close) != 0 ? "publisher-close" : "publisher";
    case RecordKind::cursor:
      return "cursor";
    case RecordKind::floor:
      return "floor";
    case RecordKind::admit:
      return "admit";
    case RecordKind::config:
      return "config";
  }
  return std::to_string(static_cast<unsigned>(record.kind));
}

std::string text_of(Digest digest) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, static_cast<std::uint64_t>(digest));
  return text;
}

// RFC 3339, UTC, with microseconds.
std::string time_of(LogTime time) {
  const auto seconds = static_cast<std::time_t>(time / 1'000'000);
  std::tm parts{};
  char day[32];
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(time);
  if (std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 0) return std::to_string(time);
  char text[48];
  std::snprintf(text, sizeof text, "%s.%06uZ", day, static_cast<unsigned>(time % 1'000'000));
  return text;
}

std::string number(auto value) {
  return std::to_string(static_cast<std::uint64_t>(value));
}

class TextDump final : public DumpPrinter {
 public:
  void on_identity(const storage::IdentityFile::Loaded& loaded) override {
    if (const auto* failure = std::get_if<storage::StartFailure>(&loaded)) {
      return write_out("identity: " + failure->text + "\n");
    }
    const auto* identity = std::get_if<storage::IdentityRecord>(&loaded);
    if (!identity) return write_out("identity: none\n");
    write_out("identity: server " + to_string(identity->server) + " of " + identity->voters + ", " +
              standing_name(identity->standing) + ", acceptedEpoch " +
              to_string(identity->accepted) + ", currentEpoch " + to_string(identity->current) +
              "\n          cluster " + to_string(identity->cluster) + " history " +
              to_string(identity->history) + " incarnation " + to_string(identity->incarnation) +
              (identity->generation > 0 ? " generation " + number(identity->generation) : "") +
              "\n");
  }

  void on_snapshot(const storage::DumpedSnapshot& snapshot) override {
    std::string line = snapshot.file + ": " + number(snapshot.size) + " bytes";
    if (snapshot.parsed.kind == storage::ParsedSnapshot::Kind::newer_version) {
      line += ", of format version " + number(snapshot.parsed.version);
    } else if (snapshot.parsed.kind == storage::ParsedSnapshot::Kind::invalid) {
      line += ", DAMAGED";
    } else {
      const storage::Snapshot& s = snapshot.parsed.snapshot;
      line += ", of " + to_string(s.at.zxid) + " offset " + number(s.at.offset) + " digest " +
              text_of(s.at.digest) + ", retained from behind " + to_string(s.retained.zxid) +
              ", floor " + to_string(s.floor.zxid) + ", " + number(s.ends.size()) +
              " epochs, state " + number(s.state.size()) + " bytes";
    }
    write_out(line + (snapshot.used ? "; used by a start\n" : "\n"));
  }

  void on_segment(const storage::DumpedSegment& segment) override {
    std::string line = segment.file + ": " + number(segment.size) + " bytes";
    if (segment.parsed.kind == storage::ParsedSegmentHeader::Kind::newer_version) {
      line += ", of format version " + number(segment.parsed.version);
    } else if (segment.parsed.kind == storage::ParsedSegmentHeader::Kind::invalid) {
      line += ", NO VALID HEADER";
    } else {
      line += origin(segment.parsed.header);
    }
    line += segment.in_chain ? "; ends at byte " + number(segment.end) : "; NOT IN THE CHAIN";
    write_out(line + "\n");
  }

  void on_mark(const Place& place, const storage::Mark& mark) override {
    print(place, "mark   delivered " + to_string(mark.delivered));
  }

  void on_record(const Place& place, const RecordHeader& record) override {
    std::string line = "record " + to_string(record.zxid) + " " + kind_name(record);
    if (record.kind == RecordKind::batch) {
      line += " offsets " + number(record.base_offset) + ".." + number(record.end_offset());
    } else {
      line += " offset " + number(record.base_offset);
    }
    if (!is_none(record.publisher)) {
      line += " publisher " + to_string(record.publisher) + "/" + number(record.instance);
      if (record.kind == RecordKind::batch) line += " sequence " + number(record.first_sequence);
    }
    print(place, line + " bytes " + number(record.body_size) + " " + time_of(record.time) +
                     " digest " + text_of(record.checksum));
  }

  void on_damage(const Place& place, std::uint64_t size, const std::string& what) override {
    print(place, "DAMAGE " + place.file + ": " + number(size) + " bytes, " + what);
  }

  void on_other_file(const std::string& file, std::uint64_t size) override {
    write_out(file + ": " + number(size) + " bytes\n");
  }

  void on_verdict(const storage::VerifyReport& report) override {
    write_out("verdict: " + report.text + "\n");
  }

 private:
  static std::string origin(const storage::SegmentHeader& header) {
    const std::string from = header.continues == 0
                                 ? std::string(", the first")
                                 : ", continues " + storage::segment_name(header.continues) +
                                       " at byte " + number(header.takes_over_at);
    return from + ", behind " + to_string(header.before.zxid) + " offset " +
           number(header.before.offset) + " digest " + text_of(header.before.digest) +
           ", delivered " + to_string(header.delivered) +
           (header.generation > 0 ? ", generation " + number(header.generation) : "") +
           (header.recycled ? ", recycled" : "");
  }

  // What a start does not use is marked in front.
  static void print(const Place& place, const std::string& text) {
    char front[32];
    std::snprintf(front, sizeof front, "%c %10" PRIu64 "  ", place.in_chain ? ' ' : '-',
                  place.position);
    write_out(front + text + "\n");
  }
};

class JsonDump final : public DumpPrinter {
 public:
  void on_identity(const storage::IdentityFile::Loaded& loaded) override {
    if (const auto* failure = std::get_if<storage::StartFailure>(&loaded)) {
      return print({{"type", "identity"}, {"problem", failure->text}});
    }
    const auto* identity = std::get_if<storage::IdentityRecord>(&loaded);
    if (!identity) return print({{"type", "identity"}, {"problem", "none"}});
    print({{"type", "identity"},
           {"server", static_cast<std::uint32_t>(identity->server)},
           {"voters", identity->voters},
           {"standing", standing_name(identity->standing)},
           {"accepted_epoch", static_cast<std::uint32_t>(identity->accepted)},
           {"current_epoch", static_cast<std::uint32_t>(identity->current)},
           {"cluster", to_string(identity->cluster)},
           {"history", to_string(identity->history)},
           {"incarnation", to_string(identity->incarnation)},
           {"generation", identity->generation}});
  }

  void on_snapshot(const storage::DumpedSnapshot& snapshot) override {
    const bool valid = snapshot.parsed.kind == storage::ParsedSnapshot::Kind::valid;
    Json line{{"type", "snapshot"},
              {"file", snapshot.file},
              {"size", snapshot.size},
              {"used", snapshot.used},
              {"valid", valid}};
    if (valid) {
      const storage::Snapshot& s = snapshot.parsed.snapshot;
      line["generation"] = snapshot.parsed.owner.generation;
      line["at"] = to_string(s.at.zxid);
      line["at_offset"] = s.at.offset;
      line["at_digest"] = text_of(s.at.digest);
      line["at_time"] = s.at.time;
      line["retained"] = to_string(s.retained.zxid);
      line["retained_offset"] = s.retained.offset;
      line["floor"] = to_string(s.floor.zxid);
      line["epochs"] = s.ends.size();
      line["state_bytes"] = s.state.size();
    }
    print(line);
  }

  void on_segment(const storage::DumpedSegment& segment) override {
    Json line{{"type", "segment"},
              {"file", segment.file},
              {"size", segment.size},
              {"in_chain", segment.in_chain},
              {"end", segment.in_chain ? Json(segment.end) : Json()}};
    const bool valid = segment.parsed.kind == storage::ParsedSegmentHeader::Kind::valid;
    line["valid_header"] = valid;
    if (valid) {
      const storage::SegmentHeader& header = segment.parsed.header;
      line["continues"] = header.continues;
      line["takes_over_at"] = header.takes_over_at;
      line["before"] = to_string(header.before.zxid);
      line["before_offset"] = header.before.offset;
      line["before_digest"] = text_of(header.before.digest);
      line["delivered"] = to_string(header.delivered);
      line["generation"] = header.generation;
      line["recycled"] = header.recycled;
    }
    print(line);
  }

  void on_mark(const Place& place, const storage::Mark& mark) override {
    Json line = at(place, "mark");
    line["delivered"] = to_string(mark.delivered);
    print(line);
  }

  void on_record(const Place& place, const RecordHeader& record) override {
    Json line = at(place, "record");
    line["zxid"] = to_string(record.zxid);
    line["kind"] = kind_name(record);
    const bool batch = record.kind == RecordKind::batch;
    line["first_offset"] = batch ? Json(record.base_offset) : Json();
    line["last_offset"] = record.end_offset();
    line["count"] = record.count;
    line["publisher"] = is_none(record.publisher) ? Json() : Json(to_string(record.publisher));
    line["instance"] = record.instance;
    line["first_sequence"] = record.first_sequence;
    line["bytes"] = record.body_size;
    line["time"] = record.time;
    line["digest"] = text_of(record.checksum);
    line["previous"] = text_of(record.previous);
    print(line);
  }

  void on_damage(const Place& place, std::uint64_t size, const std::string& what) override {
    Json line = at(place, "damage");
    line["bytes"] = size;
    line["what"] = what;
    print(line);
  }

  void on_other_file(const std::string& file, std::uint64_t size) override {
    print({{"type", "file"}, {"file", file}, {"size", size}});
  }

  void on_verdict(const storage::VerifyReport& report) override {
    print({{"type", "verdict"}, {"verdict", name_of(report.verdict)}, {"text", report.text}});
  }

 private:
  static Json at(const Place& place, const char* type) {
    return {{"type", type},
            {"file", place.file},
            {"position", place.position},
            {"in_chain", place.in_chain}};
  }
  static void print(const Json& line) { write_out(line.dump() + "\n"); }
};

}  // namespace

std::unique_ptr<DumpPrinter> text_dump() {
  return std::make_unique<TextDump>();
}

std::unique_ptr<DumpPrinter> json_dump() {
  return std::make_unique<JsonDump>();
}

std::string json_line(const storage::VerifyReport& report) {
  const auto known = [](Zxid zxid) { return is_none(zxid) ? Json() : Json(to_string(zxid)); };
  Json line{{"verdict", name_of(report.verdict)},
            {"text", report.text},
            {"file", report.damage ? Json(report.damage->file) : Json()},
            {"position", report.damage ? Json(report.damage->position) : Json()},
            {"segments", report.segments},
            {"snapshots", report.snapshots},
            {"records", report.records},
            {"messages", report.messages},
            {"bytes", report.bytes},
            {"floor", known(report.floor)},
            {"first", known(report.first)},
            {"last", known(report.last)},
            {"delivered", known(report.delivered)}};
  line["first_offset"] = report.first_offset == 0 ? Json() : Json(report.first_offset);
  line["last_offset"] = report.last_offset == 0 ? Json() : Json(report.last_offset);
  return line.dump() + "\n";
}

std::string name_of(storage::VerifyReport::Verdict verdict) {
  using Verdict = storage::VerifyReport::Verdict;
  switch (verdict) {
    case Verdict::clean:
      return "clean";
    case Verdict::torn:
      return "torn";
    case Verdict::corrupt:
      return "corrupt";
    case Verdict::unreadable:
      break;
  }
  return "unreadable";
}

}  // namespace zabmq::cli
