// Publisher table: taking delivered records in, and forgetting by log time.
#include "replica/publisher_table.hpp"

#include <algorithm>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

std::size_t UuidHash::operator()(const Uuid& id) const {
  return static_cast<std::size_t>(checksum(id.bytes));
}

void ReceiptRing::add(const BatchReceipt& receipt, std::size_t max) {
  if (receipts_.size() < max) {
    receipts_.push_back(receipt);
    return;
  }
  receipts_[oldest_] = receipt;
  oldest_ = (oldest_ + 1) % receipts_.size();
}

const BatchReceipt& ReceiptRing::operator[](std::size_t i) const {
  return receipts_[(oldest_ + i) % receipts_.size()];
}

bool ReceiptRing::operator==(const ReceiptRing& other) const {
  for (std::size_t i = 0; i < std::min(size(), other.size()); ++i) {
    if ((*this)[i] != other[i]) return false;
  }
  return size() == other.size();
}

const BatchReceipt* ReceiptRing::find(Sequence sequence) const {
  std::size_t low = 0;
  std::size_t high =
      size();  // the answer, if any, is the last one in [low, high) that begins by then
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if ((*this)[middle].first_sequence <= sequence) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return nullptr;
  const BatchReceipt& candidate = (*this)[low - 1];
  return sequence <= candidate.last_sequence() ? &candidate : nullptr;
}

void PublisherTable::on_record(const RecordHeader& header) {
  if (header.zxid <= recovered_up_to_) {
    deliver(header);
  } else {
    waiting_.push_back(header);
  }
}

void PublisherTable::on_delivered(Zxid up_to) {
  recovered_up_to_ = std::max(recovered_up_to_, up_to);
  while (!waiting_.empty() && waiting_.front().zxid <= recovered_up_to_) {
    deliver(waiting_.front());
    waiting_.pop_front();
  }
}

void PublisherTable::finish_recovery() {
  waiting_.clear();
  waiting_.shrink_to_fit();
}

void PublisherTable::start_at(const Floor& floor) {
  ZABMQ_CHECK(entries_.empty() && is_none(delivered_));
  delivered_ = floor.zxid;
  delivered_offset_ = floor.offset;
}

void PublisherTable::deliver(const RecordHeader& header) {
  ZABMQ_CHECK(header.zxid > delivered_);
  const bool forget = ZABMQ_MUTANT(dedup_lost_at_restart) && header.zxid <= recovered_up_to_;
  if (header.kind == RecordKind::batch && !forget) deliver_batch(header);
  if (header.kind == RecordKind::publisher) deliver_publisher(header);
  delivered_ = header.zxid;
  delivered_offset_ = header.end_offset();
  delivered_time_ = header.time;
  // The record itself counts first: a publisher never expires by its own message.
  expire(header.time);
}

const PublisherState* PublisherTable::find(const Uuid& publisher) const {
  const auto it = entries_.find(publisher);
  return it == entries_.end() ? nullptr : &it->second.state;
}

PublisherTable::Entry& PublisherTable::touch(const Uuid& publisher, LogTime time) {
  const auto [it, added] = entries_.try_emplace(publisher);
  Entry& entry = it->second;
  if (added) {
    entry.place = order_.insert(order_.end(), publisher);
  } else {
    order_.splice(order_.end(), order_, entry.place);
  }
  entry.state.last_time = time;
  return entry;
}

// An entry that expired while the batch was in flight comes back with it: the leader had decided by
// what it knew when it proposed, and every server must come to the same table.
void PublisherTable::deliver_batch(const RecordHeader& header) {
  PublisherState& state = touch(header.publisher, header.time).state;
  state.instance = std::max(state.instance, header.instance);
  state.last_sequence = header.first_sequence + header.count - 1;
  state.receipts.add({header.first_sequence, header.base_offset, header.zxid, header.count},
                     limits_.receipts_max);
}

void PublisherTable::deliver_publisher(const RecordHeader& header) {
  if (header.flags & record_flag_close) {
    const auto it = entries_.find(header.publisher);
    if (it != entries_.end()) free(it);
    return;
  }
  PublisherState& state = touch(header.publisher, header.time).state;
  state.instance = std::max(state.instance, header.instance);
}

void PublisherTable::free(std::unordered_map<Uuid, Entry, UuidHash>::iterator it) {
  freed_instance_ = std::max(freed_instance_, it->second.state.instance);
  order_.erase(it->second.place);
  entries_.erase(it);
}

void PublisherTable::expire(LogTime now) {
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    if (!expired(oldest->second.state, now)) return;
    free(oldest);
  }
}

}  // namespace zabmq::replica
