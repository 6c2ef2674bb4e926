// Samples: made by the code that is measured.
#include "samples.hpp"

#include <algorithm>

#include "wire/batch.hpp"

namespace zabmq::bench {

Buffer sample_body(std::uint32_t count, std::size_t size) {
  const Buffer payload(size, std::byte{'x'});
  Buffer body;
  for (std::uint32_t i = 0; i < count; ++i) {
    wire::append_message(body, {.topic = "bench", .headers = {}, .payload = payload});
  }
  return body;
}

RecordHeader sample_header(const Before& before, Bytes body, std::uint32_t count) {
  RecordHeader header;
  header.kind = RecordKind::batch;
  header.body_size = static_cast<std::uint32_t>(body.size());
  header.count = count;
  header.zxid = is_none(before.zxid) ? Zxid{Epoch{1}, 1} : next(before.zxid);
  header.base_offset = before.offset + 1;
  header.body_checksum = checksum(body);
  header.previous = before.digest;
  return header;
}

Slice sample_record(Before& before, Bytes body, std::uint32_t count) {
  const RecordHeader header = sample_header(before, body, count);
  auto bytes = std::make_shared<Buffer>(record_size(header.body_size));
  const auto front = std::span(*bytes).first<record_header_size>();
  before = {header.zxid, header.end_offset(), encode_header(header, front)};
  std::copy(body.begin(), body.end(), bytes->begin() + record_header_size);
  const Bytes view(*bytes);
  return Slice(std::move(bytes), view);
}

}  // namespace zabmq::bench
