// Publisher table: taking delivered records in, forgetting by log time, its form in a snapshot.
#include "replica/publisher_table.hpp"

#include <algorithm>
#include <cstring>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

constexpr std::size_t table_fields = 2;
constexpr std::size_t publisher_fields = 6;
constexpr std::size_t publisher_fields_without_born = 5;  // as the first snapshots had them

// A receipt in a snapshot, little-endian: u64 first sequence, u64 base offset, u32 epoch, u32
// count, u64 counter. One binary string for each publisher: there may be 1,024 of them.
constexpr std::size_t receipt_size = 32;

void put_receipt(std::byte* at, const BatchReceipt& receipt) {
  std::memcpy(at, &receipt.first_sequence, 8);
  std::memcpy(at + 8, &receipt.base_offset, 8);
  std::memcpy(at + 16, &receipt.zxid.epoch, 4);
  std::memcpy(at + 20, &receipt.count, 4);
  std::memcpy(at + 24, &receipt.zxid.counter, 8);
}

BatchReceipt receipt_at(const std::byte* at) {
  BatchReceipt receipt;
  std::memcpy(&receipt.first_sequence, at, 8);
  std::memcpy(&receipt.base_offset, at + 8, 8);
  std::memcpy(&receipt.zxid.epoch, at + 16, 4);
  std::memcpy(&receipt.count, at + 20, 4);
  std::memcpy(&receipt.zxid.counter, at + 24, 8);
  return receipt;
}

}  // namespace

std::size_t UuidHash::operator()(const Uuid& id) const {
  return static_cast<std::size_t>(checksum(id.bytes));
}

void ReceiptRing::add(const BatchReceipt& receipt, std::size_t max) {
  if (size_ == max) drop_oldest();
  if (size_ == slots_.size()) resize(std::min(max, std::max<std::size_t>(1, 2 * size_)));
  slots_[(oldest_ + size_) % slots_.size()] = receipt;
  ++size_;
}

// Memory follows what is kept: a publisher that was busy once is one of a hundred thousand.
void ReceiptRing::drop_oldest() {
  oldest_ = (oldest_ + 1) % slots_.size();
  --size_;
  if (size_ <= slots_.size() / 4) resize(slots_.size() / 2);
}

void ReceiptRing::resize(std::size_t slots) {
  std::vector<BatchReceipt> moved(slots);
  for (std::size_t i = 0; i < size_; ++i) moved[i] = (*this)[i];
  slots_ = std::move(moved);
  oldest_ = 0;
}

const BatchReceipt& ReceiptRing::operator[](std::size_t i) const {
  return slots_[(oldest_ + i) % slots_.size()];
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

void PublisherTable::deliver(const RecordHeader& header) {
  if (header.kind == RecordKind::batch) deliver_batch(header);
  if (header.kind == RecordKind::publisher) deliver_publisher(header);
  // The record itself counts first: a publisher never expires by its own message.
  expire(header.time);
}

const PublisherState* PublisherTable::find(const Uuid& publisher) const {
  const auto it = entries_.find(publisher);
  return it == entries_.end() ? nullptr : &it->second.state;
}

PublisherTable::Entry& PublisherTable::touch(const Uuid& publisher, Instance instance,
                                             LogTime time) {
  const auto [it, added] = entries_.try_emplace(publisher);
  Entry& entry = it->second;
  if (added) {
    entry.place = order_.insert(order_.end(), publisher);
    entry.state.born = instance;
  } else {
    order_.splice(order_.end(), order_, entry.place);
  }
  entry.state.last_time = time;
  return entry;
}

// Without an entry it is of a leader that did not look at what it had in flight, as the first ones:
// the entry comes back with it, so that every server comes to the same table.
void PublisherTable::deliver_batch(const RecordHeader& header) {
  PublisherState& state = touch(header.publisher, header.instance, header.time).state;
  state.instance = std::max(state.instance, header.instance);
  state.last_sequence = header.first_sequence + header.count - 1;
  keep_receipt(header.publisher, state,
               {header.first_sequence, header.base_offset, header.zxid, header.count});
  while (receipts_ > limits_.receipts_total_max) drop_oldest_receipt();
}

void PublisherTable::keep_receipt(const Uuid& publisher, PublisherState& state,
                                  const BatchReceipt& receipt) {
  constexpr std::size_t slack = 1024;
  receipts_ -= state.receipts.size();
  state.receipts.add(receipt, limits_.receipts_max);
  receipts_ += state.receipts.size();
  by_age_.push_back({publisher, receipt.zxid});
  if (by_age_.size() <= 2 * receipts_ + slack) return;
  std::erase_if(by_age_, [this](const Aged& aged) { return !is_kept(aged); });
}

bool PublisherTable::is_kept(const Aged& receipt) const {
  const PublisherState* state = find(receipt.publisher);
  return state && state->receipts.size() > 0 && state->receipts[0].zxid <= receipt.zxid;
}

void PublisherTable::drop_oldest_receipt() {
  const Aged oldest = by_age_.front();
  by_age_.pop_front();
  if (!is_kept(oldest)) return;
  entries_.at(oldest.publisher).state.receipts.drop_oldest();
  --receipts_;
}

void PublisherTable::deliver_publisher(const RecordHeader& header) {
  if (header.flags & record_flag_close) {
    const auto it = entries_.find(header.publisher);
    if (it != entries_.end() && !ZABMQ_MUTANT(closed_publisher_stays)) free(it);
    return;
  }
  PublisherState& state = touch(header.publisher, header.instance, header.time).state;
  state.instance = std::max(state.instance, header.instance);
}

void PublisherTable::free(std::unordered_map<Uuid, Entry, UuidHash>::iterator it) {
  if (!ZABMQ_MUTANT(instances_begin_anew)) {
    freed_instance_ = std::max(freed_instance_, it->second.state.instance);
  }
  receipts_ -= it->second.state.receipts.size();
  order_.erase(it->second.place);
  entries_.erase(it);
}

void PublisherTable::expire(LogTime now) {
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    if (!expired(oldest->second.state.last_time, now)) return;
    free(oldest);
  }
}

// In the order in which they expire.
void PublisherTable::encode(wire::MsgpackWriter& out) const {
  out.array(table_fields);
  out.number(freed_instance_);
  out.array(order_.size());
  std::vector<std::byte> receipts;
  for (const Uuid& publisher : order_) {
    const PublisherState& state = *find(publisher);
    receipts.resize(state.receipts.size() * receipt_size);
    for (std::size_t i = 0; i < state.receipts.size(); ++i) {
      put_receipt(receipts.data() + i * receipt_size, state.receipts[i]);
    }
    out.array(publisher_fields);
    out.binary(publisher.bytes);
    out.number(state.instance);
    out.number(state.last_sequence);
    out.number(state.last_time);
    out.binary(receipts);
    out.number(state.born);
  }
}

bool PublisherTable::decode(wire::MsgpackReader& in) {
  ZABMQ_CHECK(entries_.empty());
  std::size_t fields = 0;
  std::size_t publishers = 0;
  if (!in.read_array(fields) || fields != table_fields) return false;
  if (!in.read(freed_instance_) || !in.read_array(publishers)) return false;
  for (std::size_t i = 0; i < publishers; ++i) {
    if (!decode_publisher(in)) return false;
  }
  std::sort(by_age_.begin(), by_age_.end(),
            [](const Aged& a, const Aged& b) { return a.zxid < b.zxid; });
  // As delivering the same records would have left it: who wrote it down may have kept more.
  while (receipts_ > limits_.receipts_total_max) drop_oldest_receipt();
  return true;
}

bool PublisherTable::decode_publisher(wire::MsgpackReader& in) {
  std::size_t fields = 0;
  Uuid publisher;
  PublisherState state;
  Bytes receipts;
  if (!in.read_array(fields) || fields < publisher_fields_without_born ||
      fields > publisher_fields || !in.read_binary(publisher.bytes) || !in.read(state.instance) ||
      !in.read(state.last_sequence) || !in.read(state.last_time) || !in.read_binary(receipts) ||
      (fields == publisher_fields && !in.read(state.born))) {
    return false;
  }
  const bool in_order = order_.empty() || find(order_.back())->last_time <= state.last_time;
  const bool whole =
      receipts.size() % receipt_size == 0 && receipts.size() / receipt_size <= limits_.receipts_max;
  if (entries_.contains(publisher) || !in_order || !whole) return false;
  PublisherState& there = touch(publisher, state.born, state.last_time).state;
  there = std::move(state);
  Zxid before;
  for (std::size_t at = 0; at < receipts.size(); at += receipt_size) {
    const BatchReceipt receipt = receipt_at(receipts.data() + at);
    if (receipt.zxid <= before) return false;
    before = receipt.zxid;
    keep_receipt(publisher, there, receipt);
  }
  return true;
}

}  // namespace zabmq::replica
