// Records: made for tests.
#include "records.hpp"

#include <algorithm>
#include <memory>

#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

Slice slice_of(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {owner, *owner};
}

}  // namespace

void RecordMaker::append_record(RecordHeader header, std::uint32_t body_size,
                                std::vector<std::byte>& to) {
  const Epoch epoch = std::max(epoch_, last_.zxid.epoch);
  const std::uint64_t counter = epoch == last_.zxid.epoch ? last_.zxid.counter + 1 : 1;
  std::vector<std::byte> bytes(record_size(body_size));
  for (std::uint32_t i = 0; i < body_size; ++i) {
    filler_ = filler_ * 6364136223846793005u + 1442695040888963407u;
    bytes[record_header_size + i] = static_cast<std::byte>(filler_ >> 56);
  }
  header.body_size = body_size;
  header.zxid = {epoch, counter};
  header.base_offset = header.kind == RecordKind::batch ? last_.offset + 1 : last_.offset;
  header.time = last_.time + 1;
  header.body_checksum = checksum(Bytes{bytes}.subspan(record_header_size, body_size));
  header.previous = last_.digest;
  const Digest digest = encode_header(header, std::span(bytes).first<record_header_size>());
  last_ = {header.zxid, header.end_offset(), digest, header.time};
  to.insert(to.end(), bytes.begin(), bytes.end());
}

Slice RecordMaker::batch(std::uint32_t body_size, std::uint32_t count) {
  RecordHeader header;
  header.kind = RecordKind::batch;
  header.count = count;
  std::vector<std::byte> bytes;
  append_record(header, body_size, bytes);
  return slice_of(std::move(bytes));
}

Slice RecordMaker::no_op() {
  std::vector<std::byte> bytes;
  append_record({}, 0, bytes);
  return slice_of(std::move(bytes));
}

Slice RecordMaker::floor() {
  std::vector<std::byte> bytes;
  RecordHeader header;
  header.kind = RecordKind::floor;
  append_record(header, 0, bytes);
  return slice_of(std::move(bytes));
}

Slice RecordMaker::group(const std::vector<std::uint32_t>& body_sizes) {
  std::vector<std::byte> bytes;
  for (const std::uint32_t size : body_sizes) {
    RecordHeader header;
    header.kind = RecordKind::batch;
    header.count = 1;
    append_record(header, size, bytes);
  }
  return slice_of(std::move(bytes));
}

std::vector<RecordHeader> headers_of(Bytes records) {
  std::vector<RecordHeader> headers;
  while (!records.empty()) {
    const auto header = parse_record(records);
    ZABMQ_CHECK(header);
    headers.push_back(*header);
    records = records.subspan(record_size(header->body_size));
  }
  return headers;
}

std::vector<RecordHeader> headers_of(const ReadResult& result) {
  std::vector<RecordHeader> headers;
  for (const Slice& slice : result.slices) {
    for (const RecordHeader& header : headers_of(slice.bytes())) headers.push_back(header);
  }
  return headers;
}

Slice joined(const std::vector<Slice>& slices) {
  std::vector<std::byte> bytes;
  for (const Slice& slice : slices)
    bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
  return slice_of(std::move(bytes));
}

std::vector<Digest> digests_of(const std::vector<RecordHeader>& headers) {
  std::vector<Digest> digests;
  for (const RecordHeader& header : headers) digests.push_back(header.checksum);
  return digests;
}

}  // namespace zabmq::storage
