// Fakes: the log in memory, and the makers.
#include "fakes.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "zabmq/check.hpp"

namespace zabmq::testing {

using storage::LastRecord;
using storage::ReadResult;

// --- bytes ---

Slice slice_of(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return {owner, Bytes(*owner)};
}

Slice make_body(const std::vector<std::string>& payloads, std::string_view topic) {
  std::vector<std::byte> body;
  for (const std::string& payload : payloads) {
    wire::append_message(body, {topic, {}, std::as_bytes(std::span(payload))});
  }
  return slice_of(std::move(body));
}

std::vector<std::string> payloads_of(Bytes records) {
  std::vector<std::string> payloads;
  while (!records.empty()) {
    const auto header = parse_record(records);
    ZABMQ_CHECK(header);
    if (header->kind == RecordKind::batch) {
      wire::BatchReader reader(records.subspan(record_header_size, header->body_size));
      while (const auto message = reader.next()) {
        payloads.emplace_back(reinterpret_cast<const char*>(message->payload.data()),
                              message->payload.size());
      }
    }
    records = records.subspan(record_size(header->body_size));
  }
  return payloads;
}

Uuid make_uuid(unsigned seed) {
  Uuid id;
  std::memcpy(id.bytes.data(), &seed, sizeof seed);
  id.bytes[15] = std::byte{1};
  return id;
}

Slice make_record(LastRecord& last, Zxid zxid, const Slice& body, std::uint32_t count,
                  const Uuid& publisher, Sequence first_sequence) {
  RecordHeader header;
  header.kind = count > 0 ? RecordKind::batch : RecordKind::no_op;
  header.body_size = static_cast<std::uint32_t>(body.size());
  header.count = count;
  header.zxid = zxid;
  header.base_offset = count > 0 ? last.offset + 1 : last.offset;
  header.time = last.time + 1;
  header.publisher = publisher;
  header.instance = is_none(publisher) ? 0 : 1;
  header.first_sequence = count > 0 ? first_sequence : 0;
  header.body_checksum = checksum(body.bytes());
  header.previous = last.digest;
  std::vector<std::byte> bytes(record_size(header.body_size));
  const Digest digest =
      encode_header(header, std::span<std::byte, record_header_size>(bytes.data(), 128));
  std::copy(body.bytes().begin(), body.bytes().end(), bytes.begin() + record_header_size);
  last = {zxid, header.end_offset(), digest, header.time};
  return slice_of(std::move(bytes));
}

RecordHeader header_of(const Slice& record) {
  const auto header = parse_record(record.bytes());
  ZABMQ_CHECK(header);
  return *header;
}

// --- the log ---

LastRecord FakeLog::last() const {
  if (records_.empty()) return kept_from;
  const RecordHeader& h = records_.back().header;
  return {h.zxid, h.end_offset(), h.checksum, h.time};
}

bool FakeLog::continues(Bytes records) const {
  LastRecord end = last();
  while (!records.empty()) {
    const auto h = parse_header(records);
    ZABMQ_CHECK(h);
    const Offset wanted = h->kind == RecordKind::batch ? end.offset + 1 : end.offset;
    if (!follows(h->zxid, end.zxid) || h->previous != end.digest || h->base_offset != wanted) {
      return false;
    }
    end = {h->zxid, h->end_offset(), h->checksum, h->time};
    records = records.subspan(record_size(h->body_size));
  }
  return true;
}

void FakeLog::append(Slice records) {
  ZABMQ_CHECK(!rewind_ && !draining_);
  ZABMQ_CHECK(continues(records.bytes()));
  ++appends;
  std::size_t at = 0;
  while (at < records.size()) {
    const auto header = parse_record(records.bytes().subspan(at));
    ZABMQ_CHECK(header);
    const std::size_t size = record_size(header->body_size);
    records_.push_back({*header, records.sub(at, size)});
    at += size;
  }
}

void FakeLog::flush() {
  ++flushes;
  if (flushed_ == written_) flushed_ = records_.size();
}

std::size_t FakeLog::unwritten_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = written_; i < records_.size(); ++i) bytes += records_[i].record.size();
  return bytes;
}

bool FakeLog::complete() {
  if (flushed_ > written_) {
    written_ = flushed_;
    durable_ = records_[written_ - 1].header.zxid;
    flushed_ = draining_ ? written_ : records_.size();
    if (listener_) listener_->on_durable(durable_);
    return true;
  }
  if (rewind_) {
    const auto [to, digest] = *std::exchange(rewind_, std::nullopt);
    const auto at = std::find_if(records_.begin(), records_.end(),
                                 [z = to](const Stored& s) { return s.header.zxid == z; });
    const bool matched = is_none(to) ? digest == Digest::none
                                     : at != records_.end() && at->header.checksum == digest;
    if (matched) cut_behind(is_none(to) ? 0 : static_cast<std::size_t>(at - records_.begin()) + 1);
    listener_->on_rewound(matched);
    return true;
  }
  if (!draining_) return false;
  draining_ = false;
  listener_->on_drained(durable_);
  return true;
}

bool FakeLog::complete_reads() {
  if (reads_.empty()) return false;
  for (const auto& read : std::exchange(reads_, {})) read();
  return true;
}

void FakeLog::crash() {
  reads_.clear();
  rewind_.reset();
  draining_ = false;
  cut_behind(written_);
}

void FakeLog::cut_behind(std::size_t count) {
  records_.resize(count);
  written_ = flushed_ = std::min(written_, count);
  durable_ = written_ == 0 ? kept_from.zxid : records_[written_ - 1].header.zxid;
}

zab::History FakeLog::history() const {
  zab::History history;
  history.floor = {kept_from.zxid, kept_from.offset, kept_from.digest};
  for (const Stored& s : records_) {
    if (s.header.zxid <= kept_from.zxid) continue;
    history.append({s.header.zxid.epoch, s.header.zxid.counter, s.header.zxid.counter});
  }
  return history;
}

void FakeLog::for_each_record(
    const std::function<void(const RecordHeader&, Bytes body)>& visit) const {
  for (const Stored& s : records_) {
    visit(s.header, s.record.bytes().subspan(record_header_size, s.header.body_size));
  }
}

storage::LastRecord FakeLog::end_at(Zxid zxid) const {
  const auto at = std::find_if(records_.begin(), records_.end(),
                               [zxid](const Stored& s) { return s.header.zxid == zxid; });
  ZABMQ_CHECK(at != records_.end());
  return {zxid, at->header.end_offset(), at->header.checksum, at->header.time};
}

storage::SnapshotReport FakeLog::snapshot_report() const {
  const Zxid retained = snapshots.empty() ? Zxid{} : snapshots.back().retained.zxid;
  return {retained, snapshots.size(), 0};
}

void FakeLog::save_snapshot(storage::Snapshot snapshot) {
  const bool free = !held || snapshot.retained.zxid <= *held;
  if (free && snapshot.retained.zxid > kept_from.zxid) kept_from = end_at(snapshot.retained.zxid);
  snapshots.push_back(std::move(snapshot));
}

void FakeLog::rewind(Zxid to, Digest digest) {
  ZABMQ_CHECK(!rewind_ && !draining_);
  rewind_ = {to, digest};
  if (flushed_ == written_) flushed_ = records_.size();  // what was taken goes first
}

void FakeLog::drain() {
  ZABMQ_CHECK(!draining_);
  draining_ = true;
  records_.resize(flushed_);
}

void FakeLog::set_delivered(Zxid zxid) {
  ZABMQ_CHECK(zxid <= durable_);
  delivered = std::max(delivered, zxid);
}

ReadResult FakeLog::read(storage::ReadFrom from, Zxid up_to, std::size_t max_bytes) const {
  const auto wanted = [&from](const RecordHeader& h) {
    if (const auto* after = std::get_if<storage::After>(&from)) return h.zxid > after->zxid;
    if (const auto* at = std::get_if<storage::AtOffset>(&from)) {
      return h.kind == RecordKind::batch && h.end_offset() >= at->offset;
    }
    if (const auto* since = std::get_if<storage::FromTime>(&from)) return h.time >= since->time;
    return h.zxid >= std::get<storage::FromZxid>(from).zxid;
  };
  auto at = std::find_if(records_.begin(), records_.end(),
                         [&](const Stored& s) { return wanted(s.header); });
  ReadResult result;
  std::size_t bytes = 0;
  for (; at != records_.end() && at->header.zxid <= up_to; ++at) {
    if (bytes > 0 && bytes + at->record.size() > max_bytes) break;
    bytes += at->record.size();
    const bool joins = !result.slices.empty() &&
                       result.slices.back().owner() == at->record.owner() &&
                       result.slices.back().bytes().data() + result.slices.back().size() ==
                           at->record.bytes().data();
    if (joins) {
      const Bytes before = result.slices.back().bytes();
      const Bytes both(before.data(), before.size() + at->record.size());
      result.slices.back() = Slice(at->record.owner(), both);
    } else {
      result.slices.push_back(at->record);
    }
    result.last = at->header.zxid;
  }
  return result;
}

std::optional<ReadResult> FakeLog::read_hot(storage::ReadFrom from, Zxid up_to,
                                            std::size_t max_bytes) {
  if (cold) return std::nullopt;
  return read(from, up_to, max_bytes);
}

void FakeLog::read_cold(storage::ReadFrom from, Zxid up_to, std::size_t max_bytes, ReadDone done) {
  reads_.push_back([this, from, up_to, max_bytes, done = std::move(done)] {
    done(reads_fail ? ReadResult{} : read(from, up_to, max_bytes));
  });
}

void FakeLog::digest_at(Zxid zxid, DigestDone done) {
  const auto answer = [this, zxid, done = std::move(done)] {
    if (zxid == kept_from.zxid) return done(kept_from.digest);
    const auto at = std::find_if(records_.begin(), records_.end(),
                                 [zxid](const Stored& s) { return s.header.zxid == zxid; });
    done(at == records_.end() ? std::nullopt : std::optional(at->header.checksum));
  };
  if (cold) {
    reads_.push_back(answer);
  } else {
    answer();
  }
}

// --- links ---

bool FakePeers::send(ServerId to, const zab::Message& message) {
  if (fails) return false;
  sent.push_back({to, message, {}});
  return true;
}

bool FakePeers::send_records(ServerId to, const zab::Message& message, Slice records) {
  if (fails) return false;
  sent.push_back({to, message, std::move(records)});
  return true;
}

FakeClients::Sent FakeClients::send(ConnectionId to, const wire::ServerMessage& message,
                                    Slice body) {
  if (const auto at = state.find(to); at != state.end()) {
    ++refusals;
    return at->second;
  }
  frames.push_back({to, message, std::move(body)});
  return Sent::ok;
}

}  // namespace zabmq::testing
