// Spares: keeping freed segments, and writing files of zeros, chunk by chunk.
#include "storage/spares.hpp"

#include <algorithm>

#include "storage/segment_header.hpp"
#include "zabmq/check.hpp"

namespace zabmq::storage {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;

}  // namespace

Spares::Spares(FileSystem& fs, std::uint64_t size, std::size_t wanted, std::vector<Spare> existing)
    : fs_(fs), size_(size), wanted_(wanted) {
  for (Spare& spare : existing) {
    next_number_ = std::max(next_number_, *parse_spare_name(spare.name) + 1);
    ready_.push_back(std::move(spare));
  }
}

Spares::~Spares() = default;

std::optional<Spare> Spares::take() {
  if (ready_.empty()) return std::nullopt;
  Spare spare = std::move(ready_.front());
  ready_.pop_front();
  return spare;
}

std::optional<std::string> Spares::reserve() {
  if (ready_.size() + reserved_ >= wanted_ + spares_extra_max) return std::nullopt;
  ++reserved_;
  return spare_name(next_number_++);
}

void Spares::add(Spare spare) {
  ZABMQ_CHECK(reserved_ > 0);
  --reserved_;
  ready_.push_back(std::move(spare));
}

void Spares::set_idle(bool idle) {
  idle_ = idle;
  advance();
}

void Spares::advance() {
  if (!idle_ || busy_ || failed_) return;
  if (!unfinished_) {
    if (ready_.size() + reserved_ >= wanted_) {
      zeros_ = {};
      return;
    }
    begin();
  }
  write_chunk();
}

void Spares::begin() {
  if (zeros_.empty()) {
    auto bytes = std::make_shared<std::vector<std::byte>>(chunk_bytes);
    zeros_ = Slice(bytes, *bytes);
  }
  Spare spare{spare_name(next_number_++), FileId::none, 0, false};
  spare.file =
      fs_.create(spare.name, [this, alive = std::weak_ptr(alive_)](const IoStatus& status) {
        if (!alive.expired() && !status) give_up(status);
      });
  unfinished_ = std::move(spare);
}

void Spares::write_chunk() {
  if (!unfinished_) return;
  busy_ = true;
  const std::uint64_t position = unfinished_->size;
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(zeros_.size(), size_ - position));
  unfinished_->size += count;
  fs_.write(unfinished_->file, position, {zeros_.sub(0, count)}, true,
            [this, alive = std::weak_ptr(alive_)](const IoStatus& status) {
              if (!alive.expired()) on_chunk(status);
            });
}

void Spares::on_chunk(const IoStatus& status) {
  busy_ = false;
  if (!status) give_up(status);
  if (unfinished_ && unfinished_->size == size_) {
    ready_.push_back(*std::exchange(unfinished_, std::nullopt));
  }
  advance();
}

// Zeros are a help, not a promise: without them segments are files that grow.
void Spares::give_up(const IoStatus&) {
  failed_ = true;
  if (!unfinished_) return;
  fs_.close(unfinished_->file);
  fs_.remove(unfinished_->name, [](const IoStatus&) {});
  unfinished_.reset();
}

}  // namespace zabmq::storage
