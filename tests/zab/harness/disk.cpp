// Disk: group writes, cuts and drains, in the order lib/storage promises.
#include "zab/harness/disk.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::zab::test {

Disk::Disk(Identity identity, Floor floor, std::vector<Record> records, Zxid delivered)
    : identity_(std::move(identity)),
      floor_(floor),
      records_(std::move(records)),
      durable_count_(records_.size()),
      delivered_(delivered),
      marked_(delivered) {}

Zxid Disk::zxid_at(std::size_t count) const {
  return count == 0 ? floor_.zxid : records_[count - 1].zxid;
}

Floor Disk::floor() const {
  return freed_ == 0 ? floor_ : Floor{records_[freed_ - 1].zxid, 0, records_[freed_ - 1].digest};
}

Digest Disk::last_digest() const {
  return records_.empty() ? floor_.digest : records_.back().digest;
}

std::optional<std::size_t> Disk::count_up_to(Zxid z) const {
  if (z == floor_.zxid) return 0;
  const auto at = std::lower_bound(records_.begin(), records_.end(), z,
                                   [](const Record& r, Zxid wanted) { return r.zxid < wanted; });
  if (at == records_.end() || at->zxid != z) return std::nullopt;
  return static_cast<std::size_t>(at - records_.begin()) + 1;
}

std::optional<Digest> Disk::digest_at(Zxid z) const {
  const auto count = count_up_to(z);
  if (!count) return std::nullopt;
  return *count == 0 ? floor_.digest : records_[*count - 1].digest;
}

std::vector<Record> Disk::range(Zxid after, Zxid up_to) const {
  const auto from = count_up_to(after);
  const auto to = count_up_to(up_to);
  ZABMQ_CHECK(from && to);
  ZABMQ_CHECK(*from <= *to);
  const auto at = [this](std::size_t n) {
    return records_.begin() + static_cast<std::ptrdiff_t>(n);
  };
  return {at(*from), at(*to)};
}

bool Disk::continues(const std::vector<Record>& more) const {
  Zxid last = this->last();
  Digest digest = last_digest();
  for (const Record& record : more) {
    if (!follows(record.zxid, last) || record.previous != digest) return false;
    last = record.zxid;
    digest = record.digest;
  }
  return true;
}

void Disk::append(const std::vector<Record>& more) {
  ZABMQ_CHECK(!rewind_);
  ZABMQ_CHECK(!draining_);
  ZABMQ_CHECK(continues(more));
  records_.insert(records_.end(), more.begin(), more.end());
  ++version_;
  if (!writing_) write_next();
}

void Disk::write_next() {
  if (records_.size() == durable_count_) return;
  writing_ = records_.size();
  mark_being_written_ = delivered_;
}

void Disk::rewind(const Rewind& rewind) {
  ZABMQ_CHECK(!log_busy());
  rewind_ = rewind;
}

void Disk::free_up_to(Zxid z) {
  freed_ = std::max(freed_, *count_up_to(z));
  delivered_ = std::max(delivered_, z);  // a snapshot says so
  marked_ = std::max(marked_, z);
  ++version_;
}

void Disk::install(const Install& install, std::vector<Record> past) {
  ZABMQ_CHECK(!log_busy() && !aside_);
  ZABMQ_CHECK(past.empty() || past.back().zxid == install.floor.zxid);
  ZABMQ_CHECK(install.generation == identity_.generation + 1);
  aside_ = Aside{std::exchange(records_, std::move(past)), durable_count_, floor_, freed_, marked_};
  if (records_.empty()) floor_ = install.floor;
  durable_count_ = freed_ = records_.size();
  delivered_ = marked_ = install.floor.zxid;
  installing_ = true;
  adopted_ = false;
  ++version_;
}

// The state is in the snapshot, which is durable with the first segment.
void Disk::adopt(Zxid state) {
  ZABMQ_CHECK(aside_ && !installing_);
  adopted_ = true;
  delivered_ = marked_ = state;
}

void Disk::take_back() {
  const Aside aside = *std::exchange(aside_, std::nullopt);
  records_ = aside.records;
  durable_count_ = aside.durable_count;
  floor_ = aside.floor;
  freed_ = aside.freed;
  delivered_ = marked_ = aside.marked;
  writing_.reset();
  installing_ = false;
  ++version_;
}

void Disk::drain() {
  draining_ = true;
  if (aside_ && !adopted_) take_back();
  records_.resize(writing_.value_or(durable_count_));  // the rest was never begun
  ++version_;
}

void Disk::cut(Zxid last_kept) {
  const auto count = count_up_to(last_kept);
  ZABMQ_CHECK(count);
  records_.resize(*count);
  durable_count_ = *count;
  ++version_;
}

Disk::Completion Disk::complete_log() {
  ZABMQ_CHECK(log_busy());
  if (writing_) {
    durable_count_ = *writing_;
    writing_.reset();
    marked_ = std::max(marked_, mark_being_written_);
    if (!draining_) write_next();
    return Durable{durable_end()};
  }
  if (installing_) {
    installing_ = false;
    return Rewound{true};
  }
  if (rewind_) {
    const Rewind rewind = *std::exchange(rewind_, std::nullopt);
    const bool matched = digest_at(rewind.to) == rewind.digest;
    if (matched) cut(rewind.to);
    return Rewound{matched};
  }
  draining_ = false;
  ++version_;
  return Drained{durable_end()};
}

void Disk::store(const Identity& identity) {
  ZABMQ_CHECK(!storing_);  // never two at once
  storing_ = identity;
}

void Disk::complete_store() {
  ZABMQ_CHECK(storing_);
  identity_ = *std::exchange(storing_, std::nullopt);
  if (adopted_) aside_.reset();
}

void Disk::crash(const CrashChoice& choice) {
  if (writing_) {
    ZABMQ_CHECK(choice.records_kept <= *writing_ - durable_count_);
    durable_count_ += choice.records_kept;
    if (choice.records_kept > 0) marked_ = std::max(marked_, mark_being_written_);
  }
  records_.resize(durable_count_);
  if (rewind_ && choice.rewind_kept && digest_at(rewind_->to) == rewind_->digest) cut(rewind_->to);
  const std::uint32_t old_generation = identity_.generation;
  if (storing_ && choice.identity_kept) identity_ = *storing_;
  if (aside_ && identity_.generation == old_generation) take_back();
  aside_.reset();
  writing_.reset();
  rewind_.reset();
  storing_.reset();
  draining_ = false;
  delivered_ = marked_;
  ++version_;
}

}  // namespace zabmq::zab::test
