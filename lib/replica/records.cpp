// Records: the two walks, trusting and not.
#include "replica/records.hpp"

#include <cstring>
#include <memory>

#include "zabmq/check.hpp"

namespace zabmq::replica {
namespace {

constexpr std::size_t admit_body_size = 24;
constexpr std::size_t incarnation_at = 8;

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
  const auto bytes = std::make_shared<std::vector<std::byte>>(admit_body_size);
  std::memcpy(bytes->data(), &admit.server, sizeof admit.server);
  std::memcpy(bytes->data() + incarnation_at, admit.incarnation.bytes.data(),
              admit.incarnation.bytes.size());
  return {bytes, *bytes};
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

}  // namespace zabmq::replica
