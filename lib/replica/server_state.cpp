// Server state: taking delivered records in, and its form in a snapshot: a msgpack array that only
// grows at the end.
#include "replica/server_state.hpp"

#include <span>
#include <utility>

#include "replica/records.hpp"
#include "wire/msgpack_reader.hpp"
#include "wire/msgpack_writer.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

constexpr std::uint64_t state_version = 1;
constexpr std::size_t state_fields = 8;

// Publishers' bodies are the users' bytes; those of the other kinds are ours.
bool body_counts(RecordKind kind) {
  return kind == RecordKind::cursor || kind == RecordKind::floor;
}

}  // namespace

void ServerState::on_record(const RecordHeader& header, Bytes body) {
  if (header.zxid <= recovered_up_to_) return deliver(header, body);
  if (!body_counts(header.kind)) body = {};
  waiting_.push_back({header, {body.begin(), body.end()}});
}

void ServerState::on_delivered(Zxid up_to) {
  recovered_up_to_ = std::max(recovered_up_to_, up_to);
  while (!waiting_.empty() && waiting_.front().header.zxid <= recovered_up_to_) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    deliver(next.header, next.body);
  }
}

void ServerState::finish_recovery() {
  waiting_.clear();
  waiting_.shrink_to_fit();
}

void ServerState::deliver(const RecordHeader& header, Bytes body) {
  ZABMQ_CHECK(header.zxid > last_.zxid);
  const bool forget = ZABMQ_MUTANT(dedup_lost_at_restart) && header.zxid <= recovered_up_to_;
  if (!forget || header.kind != RecordKind::batch) publishers_.deliver(header);
  if (header.kind == RecordKind::cursor) {
    if (const auto moved = parse_cursor(body)) {
      if (header.flags & record_flag_close) {
        if (!ZABMQ_MUTANT(removed_cursor_stays)) cursors_.remove(moved->name);
      } else {
        cursors_.acknowledge(moved->name, moved->offset);
      }
    }
  }
  if (header.kind == RecordKind::floor) {
    const auto floor = parse_floor(body);
    if (floor && floor->zxid > retained_.zxid && floor->zxid < header.zxid) retained_ = *floor;
  }
  last_ = {header.zxid, header.end_offset(), header.checksum, header.time};
}

std::vector<std::byte> ServerState::encode() const {
  std::vector<std::byte> bytes;
  wire::MsgpackWriter out(bytes);
  out.array(state_fields);
  out.number(state_version);
  out.number(static_cast<std::uint32_t>(retained_.zxid.epoch));
  out.number(retained_.zxid.counter);
  out.number(retained_.offset);
  out.number(static_cast<std::uint64_t>(retained_.digest));
  out.number(retained_.time);
  out.array(cursors_.size());
  for (const auto& [name, offset] : cursors_.all()) {
    out.array(2);
    out.binary(std::as_bytes(std::span(name)));
    out.number(offset);
  }
  const PublisherTable none(publishers_.limits());
  (ZABMQ_MUTANT(snapshot_without_publishers) ? none : publishers_).encode(out);
  return bytes;
}

bool ServerState::restore(const storage::Snapshot& snapshot) {
  ZABMQ_CHECK(is_none(last_.zxid) && waiting_.empty());
  ServerState restored(publishers_.limits());
  if (!restored.decode(snapshot.state.bytes())) return false;
  if (restored.retained_.zxid != snapshot.retained.zxid) return false;
  restored.last_ = snapshot.at;
  restored.recovered_up_to_ = snapshot.at.zxid;
  *this = std::move(restored);
  return true;
}

bool ServerState::decode(Bytes state) {
  wire::MsgpackReader in(state);
  std::size_t fields = 0;
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
  std::uint64_t digest = 0;
  if (!in.read_array(fields) || fields < state_fields || !in.read(version)) return false;
  if (version != state_version || !in.read(epoch) || epoch > UINT32_MAX) return false;
  if (!in.read(retained_.zxid.counter) || !in.read(retained_.offset) || !in.read(digest) ||
      !in.read(retained_.time)) {
    return false;
  }
  retained_.zxid.epoch = Epoch{static_cast<std::uint32_t>(epoch)};
  retained_.digest = Digest{digest};
  std::size_t cursors = 0;
  if (!in.read_array(cursors)) return false;
  for (std::size_t i = 0; i < cursors; ++i) {
    std::size_t parts = 0;
    Bytes name;
    Offset offset = 0;
    if (!in.read_array(parts) || parts != 2 || !in.read_binary(name) || !in.read(offset)) {
      return false;
    }
    cursors_.acknowledge({reinterpret_cast<const char*>(name.data()), name.size()}, offset);
  }
  if (!publishers_.decode(in)) return false;
  for (; fields > state_fields; --fields) {
    if (!in.skip()) return false;
  }
  return in.at_end();
}

}  // namespace zabmq::replica
