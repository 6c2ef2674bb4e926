// Segment reader: buffered reading at start.
#include "storage/segment_reader.hpp"

#include <algorithm>

namespace zabmq::storage {
namespace {

constexpr std::size_t read_bytes = 1 << 20;

}  // namespace

Bytes SegmentReader::at(std::uint64_t position, std::size_t count) {
  if (position >= size_) return {};
  count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - position));
  if (position < begin_ || position + count > begin_ + filled_) fill(position, count);
  const std::size_t offset = static_cast<std::size_t>(position - begin_);
  return Bytes{buffer_.data(), filled_}.subspan(offset, std::min(count, filled_ - offset));
}

void SegmentReader::fill(std::uint64_t position, std::size_t count) {
  const auto wanted = static_cast<std::size_t>(
      std::min<std::uint64_t>(std::max(count, read_bytes), size_ - position));
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  begin_ = position;
  filled_ = 0;
  if (!status_) return;
  status_ = fs_.read_now(file_, position, std::span(buffer_).first(wanted), filled_);
  if (!status_) filled_ = 0;
}

}  // namespace zabmq::storage
