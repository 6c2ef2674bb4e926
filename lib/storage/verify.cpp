// Verify: recovery with a visitor that counts.
#include "storage/verify.hpp"

#include <utility>
#include <variant>

#include "storage/identity_file.hpp"
#include "storage/recovery.hpp"

namespace zabmq::storage {
namespace {

class Counter final : public RecoveryVisitor {
 public:
  explicit Counter(VerifyReport& report) : report_(report) {}

  bool on_snapshot(const Snapshot&) override { return true; }
  void on_record(const RecordHeader& header, Bytes) override {
    ++report_.records;
    if (is_none(report_.first)) report_.first = header.zxid;
    report_.last = header.zxid;
    if (header.kind != RecordKind::batch) return;
    report_.messages += header.count;
    if (report_.first_offset == 0) report_.first_offset = header.base_offset;
    report_.last_offset = header.end_offset();
  }
  void on_delivered(Zxid) override {}

 private:
  VerifyReport& report_;
};

void refuse(VerifyReport& report, StartFailure failure) {
  report.verdict = failure.kind == StartFailure::Kind::corrupt ? VerifyReport::Verdict::corrupt
                                                               : VerifyReport::Verdict::unreadable;
  report.text = std::move(failure.text);
  report.damage = std::move(failure.damage);
}

std::string summary(const VerifyReport& report) {
  std::string text = std::to_string(report.segments) + " segments, " +
                     std::to_string(report.records) + " records, " +
                     std::to_string(report.messages) + " messages, " +
                     std::to_string(report.bytes) + " bytes";
  if (report.records > 0)
    text += "; transactions " + to_string(report.first) + " to " + to_string(report.last);
  if (!is_none(report.floor)) text += "; floor " + to_string(report.floor);
  if (report.snapshots > 0) text += "; " + std::to_string(report.snapshots) + " snapshots";
  if (report.messages > 0) {
    text += "; offsets " + std::to_string(report.first_offset) + " to " +
            std::to_string(report.last_offset);
  }
  return text;
}

}  // namespace

VerifyReport verify(FileSystem& fs) {
  if (const IoStatus status = fs.open_directory(); !status) {
    VerifyReport report;
    refuse(report, failed(status));
    return report;
  }
  return verify_opened(fs);
}

VerifyReport verify_opened(FileSystem& fs) {
  VerifyReport report;
  IdentityFile file(fs);
  const IdentityFile::Loaded loaded = file.load();
  if (const auto* failure = std::get_if<StartFailure>(&loaded)) {
    refuse(report, *failure);
    return report;
  }
  const auto* identity = std::get_if<IdentityRecord>(&loaded);
  if (!identity) {
    refuse(report, {StartFailure::Kind::used, "no zabmq data here: no identity record", {}});
    return report;
  }
  RecoveryOptions options;
  options.cluster = identity->cluster;
  options.history = identity->history;
  options.server = identity->server;
  options.generation = identity->generation;
  options.everything = true;
  Counter counter(report);
  RecoveryResult result = recover(fs, options, counter);
  report.segments = result.history.segments;
  report.bytes = result.history.bytes;
  report.delivered = result.history.delivered;
  if (result.failure) {
    refuse(report, std::move(*result.failure));
    return report;
  }
  report.floor = result.history.floor.zxid;
  report.snapshots = result.files.snapshots.size();
  report.text = "clean: " + summary(report);
  if (const auto& torn = result.history.torn) {
    report.verdict = VerifyReport::Verdict::torn;
    report.damage = Damage{torn->file, torn->position, report.last};
    report.text = "clean but for a torn last write in " + torn->file + " at byte " +
                  std::to_string(torn->position) + ": " + summary(report);
  }
  if (const auto& damaged = result.history.unused_snapshots; !damaged.empty()) {
    report.verdict = VerifyReport::Verdict::corrupt;
    report.damage = Damage{damaged.back(), 0, {}};
    report.text = damaged.back() + " is damaged; a start passes it over and uses " +
                  (result.history.snapshot.empty() ? "all records" : result.history.snapshot) +
                  ": " + summary(report);
  }
  return report;
}

}  // namespace zabmq::storage
