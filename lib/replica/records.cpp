// Records: the two walks, trusting and not.
#include "replica/records.hpp"

#include <cstring>
#include <memory>

#include "zabmq/check.hpp"

namespace zabmq::replica {
namespace {

constexpr std::size_t admit_body_size = 24;
constexpr std::size_t incarnation_at = 8;
constexpr std::size_t floor_body_size = 40;
constexpr std::size_t cursor_name_at = 8;
constexpr std::size_t cursor_name_max = 200;

struct Body {
  explicit Body(std::size_t size) : bytes(std::make_shared<std::vector<std::byte>>(size)) {}
  void put(std::size_t at, const void* data, std::size_t size) {
    std::memcpy(bytes->data() + at, data, size);
  }
  Slice slice() const { return {bytes, *bytes}; }
  std::shared_ptr<std::vector<std::byte>> bytes;
};

void add_to_runs(std::vector<zab::Run>& runs, Zxid zxid) {
  if (!runs.empty() && runs.back().epoch == zxid.epoch) {
    runs.back().last = zxid.counter;
  } else {
    runs.push_back({zxid.epoch, zxid.counter, zxid.counter});
  }
}

}  // namespace

std::optional<RecordHeader> RecordWalk::next() {
  if (rest_.empty()) return std::nullopt;
  const std::optional<RecordHeader> header = parse_header(rest_);
  ZABMQ_CHECK(header.has_value());
  const std::size_t size = record_size(header->body_size);
  ZABMQ_CHECK(size <= rest_.size());
  body_ = rest_.subspan(record_header_size, header->body_size);
  rest_ = rest_.subspan(size);
  return header;
}

std::vector<zab::Run> runs_of(Bytes records) {
  std::vector<zab::Run> runs;
  RecordWalk walk(records);
  while (const auto header = walk.next()) add_to_runs(runs, header->zxid);
  return runs;
}

std::optional<std::vector<zab::Run>> verify_frame(Bytes records) {
  std::vector<zab::Run> runs;
  std::optional<RecordHeader> previous;
  while (!records.empty()) {
    const std::optional<RecordHeader> header = parse_record(records);
    if (!header || is_none(header->zxid)) return std::nullopt;
    if (previous && !follows(header->zxid, previous->zxid)) return std::nullopt;
    add_to_runs(runs, header->zxid);
    records = records.subspan(record_size(header->body_size));
    previous = header;
  }
  if (runs.empty()) return std::nullopt;
  return runs;
}

Slice admit_body(const zab::Admit& admit) {
  Body body(admit_body_size);
  body.put(0, &admit.server, sizeof admit.server);
  body.put(incarnation_at, admit.incarnation.bytes.data(), admit.incarnation.bytes.size());
  return body.slice();
}

std::optional<zab::Admit> parse_admit(Bytes body) {
  if (body.size() != admit_body_size) return std::nullopt;
  zab::Admit admit;
  std::uint32_t zero = 0;
  std::memcpy(&admit.server, body.data(), sizeof admit.server);
  std::memcpy(&zero, body.data() + sizeof admit.server, sizeof zero);
  std::memcpy(admit.incarnation.bytes.data(), body.data() + incarnation_at,
              admit.incarnation.bytes.size());
  if (zero != 0 || admit.server == ServerId::none) return std::nullopt;
  return admit;
}

Slice floor_body(const storage::LastRecord& floor) {
  Body body(floor_body_size);
  body.put(0, &floor.zxid.epoch, 4);
  body.put(8, &floor.zxid.counter, 8);
  body.put(16, &floor.offset, 8);
  body.put(24, &floor.digest, 8);
  body.put(32, &floor.time, 8);
  return body.slice();
}

std::optional<storage::LastRecord> parse_floor(Bytes body) {
  if (body.size() != floor_body_size) return std::nullopt;
  storage::LastRecord floor;
  std::uint32_t zero = 0;
  std::memcpy(&floor.zxid.epoch, body.data(), 4);
  std::memcpy(&zero, body.data() + 4, 4);
  std::memcpy(&floor.zxid.counter, body.data() + 8, 8);
  std::memcpy(&floor.offset, body.data() + 16, 8);
  std::memcpy(&floor.digest, body.data() + 24, 8);
  std::memcpy(&floor.time, body.data() + 32, 8);
  if (zero != 0 || floor.zxid.epoch == Epoch::none || floor.zxid.counter == 0) return std::nullopt;
  return floor;
}

Slice cursor_body(const CursorMove& move) {
  Body body(cursor_name_at + move.name.size());
  body.put(0, &move.offset, sizeof move.offset);
  body.put(cursor_name_at, move.name.data(), move.name.size());
  return body.slice();
}

std::optional<CursorMove> parse_cursor(Bytes body) {
  if (body.size() <= cursor_name_at || body.size() > cursor_name_at + cursor_name_max) {
    return std::nullopt;
  }
  CursorMove move;
  std::memcpy(&move.offset, body.data(), sizeof move.offset);
  const Bytes name = body.subspan(cursor_name_at);
  move.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  return move;
}

}  // namespace zabmq::replica
