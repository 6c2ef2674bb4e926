// Tail cache: reading and trimming of the newest records.
#include "storage/tail_cache.hpp"

#include <algorithm>

#include "storage/link.hpp"
#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

// Where the first record that reaches `from` begins; the size of `records` when none does.
std::size_t find_start(Bytes records, const ReadFrom& from) {
  std::size_t at = 0;
  while (at < records.size()) {
    const Link link = link_at(records.data() + at);
    if (reaches(link.end(), from)) break;
    at += link.size;
  }
  return at;
}

}  // namespace

void TailCache::push(Slice records, const LastRecord& end) {
  ZABMQ_CHECK(!records.empty());
  bytes_ += records.size();
  entries_.push_back({std::move(records), end});
}

void TailCache::evict(std::size_t bytes_max, Zxid durable) {
  while (bytes_ > bytes_max && entries_.front().end.zxid <= durable) {
    before_ = entries_.front().end;
    bytes_ -= entries_.front().records.size();
    entries_.pop_front();
  }
}

void TailCache::truncate_after(const LastRecord& kept) {
  while (!entries_.empty() && entries_.back().end.zxid > kept.zxid) {
    Entry last = std::move(entries_.back());
    entries_.pop_back();
    bytes_ -= last.records.size();
    const std::size_t size = find_start(last.records.bytes(), After{kept.zxid});
    if (size > 0) push(last.records.sub(0, size), kept);
  }
  if (entries_.empty()) before_ = kept;
  ZABMQ_CHECK(end().zxid == kept.zxid);
}

TailCache::Entries::const_iterator TailCache::first_reaching(const ReadFrom& from) const {
  return std::partition_point(entries_.begin(), entries_.end(),
                              [&](const Entry& e) { return !reaches(e.end, from); });
}

std::optional<ReadResult> TailCache::read(const ReadFrom& from, Zxid up_to,
                                          std::size_t max_bytes) const {
  if (!is_none(before_.zxid) && reaches(before_, from)) return std::nullopt;
  ReadResult result;
  std::size_t taken = 0;
  for (auto entry = first_reaching(from); entry != entries_.end(); ++entry) {
    const Bytes bytes = entry->records.bytes();
    const std::size_t begin = taken == 0 ? find_start(bytes, from) : 0;
    std::size_t end = begin;
    if (entry->end.zxid <= up_to && taken + (bytes.size() - begin) <= max_bytes) {
      end = bytes.size();
      result.last = entry->end.zxid;
    }
    while (end < bytes.size()) {
      const Link link = link_at(bytes.data() + end);
      const std::size_t with_it = taken + (end - begin) + link.size;
      if (link.zxid > up_to || (with_it > max_bytes && with_it > link.size)) break;
      end += link.size;
      result.last = link.zxid;
    }
    if (end > begin) result.slices.push_back(entry->records.sub(begin, end - begin));
    taken += end - begin;
    if (end < bytes.size()) break;
  }
  return result;
}

std::optional<LastRecord> TailCache::find(Zxid zxid) const {
  if (zxid == before_.zxid) return before_;
  const auto entry = first_reaching(FromZxid{zxid});
  if (entry == entries_.end() || zxid < before_.zxid) return std::nullopt;
  if (entry->end.zxid == zxid) return entry->end;
  const std::size_t at = find_start(entry->records.bytes(), FromZxid{zxid});
  const Link link = link_at(entry->records.bytes().data() + at);
  if (link.zxid != zxid) return std::nullopt;
  return link.end();
}

}  // namespace zabmq::storage
