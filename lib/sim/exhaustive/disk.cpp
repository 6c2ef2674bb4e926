// Disk: the log's arithmetic.
#include "sim/exhaustive/disk.hpp"

#include <algorithm>
#include <utility>

#include "sim/exhaustive/hasher.hpp"
#include "zabmq/check.hpp"

namespace zabmq::sim::exhaustive {

Record make_record(Zxid zxid, Digest previous, ServerId proposer,
                   const std::optional<zab::Admit>& admit) {
  Hasher hasher;
  hasher.add(zxid);
  hasher.add(previous);
  hasher.add(proposer);
  hasher.add(admit.has_value());
  if (admit) {
    hasher.add(admit->server);
    hasher.add(admit->incarnation);
  }
  return {zxid, previous, Digest{hasher.hash()}, admit};
}

std::optional<std::size_t> Disk::count_up_to(Zxid z) const {
  if (is_none(z)) return 0;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (log[i].zxid == z) return i + 1;
  }
  return std::nullopt;
}

std::optional<Digest> Disk::digest_at(Zxid z) const {
  const auto count = count_up_to(z);
  if (!count) return std::nullopt;
  return *count == 0 ? Digest::none : log[*count - 1].digest;
}

bool Disk::continues(const std::vector<Record>& more) const {
  Zxid end = last();
  Digest digest = last_digest();
  for (const Record& record : more) {
    if (!follows(record.zxid, end) || record.previous != digest) return false;
    end = record.zxid;
    digest = record.digest;
  }
  return true;
}

zab::History Disk::history() const {
  zab::History history;
  for (const zab::Run& run : runs_of(log)) history.ends.push_back({run.epoch, run.last});
  return history;
}

bool Disk::finish_rewind() {
  ZABMQ_CHECK(rewind);
  const zab::Rewind asked = *std::exchange(rewind, std::nullopt);
  if (digest_at(asked.to) != asked.digest) return false;
  log.resize(*count_up_to(asked.to));
  durable = std::min(durable, log.size());
  return true;
}

void Disk::keep(std::size_t unsynced_kept) {
  ZABMQ_CHECK(unsynced_kept <= unsynced());
  durable += unsynced_kept;
  log.resize(durable);
}

std::vector<zab::Run> runs_of(const std::vector<Record>& records) {
  std::vector<zab::Run> runs;
  for (const Record& record : records) {
    if (!runs.empty() && runs.back().epoch == record.zxid.epoch) {
      runs.back().last = record.zxid.counter;
    } else {
      runs.push_back({record.zxid.epoch, record.zxid.counter, record.zxid.counter});
    }
  }
  return runs;
}

}  // namespace zabmq::sim::exhaustive
