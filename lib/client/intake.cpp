// Intake: appending to the body being filled, and handing bodies over.
#include "client/intake.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::client {

Result<Sequence> Intake::take(const wire::BatchMessage& message, Publisher::Done& done,
                              std::uint64_t deadline_ms) {
  const std::size_t size = wire::encoded_size(message);
  if (auto error = wrong_with({&message, 1}, size)) return *error;
  const bool fits = open_ && open_->body.size() < limits_.body_bytes &&
                    open_->body.size() + size <= limits_.batch.batch_max &&
                    open_->count() < wire::batch_count_max;
  if (open_ && !fits) full_.push_back(std::exchange(open_, nullptr));
  append(message, done, deadline_ms);
  return next_sequence_++;
}

Result<Sequence> Intake::take_batch(std::span<const wire::BatchMessage> messages,
                                    Publisher::Done& done, std::uint64_t deadline_ms,
                                    std::optional<Offset> expect_last_offset) {
  ZABMQ_CHECK(!messages.empty());
  if (auto error = wrong_with(messages, wire::encoded_size(messages))) return *error;
  if (open_) full_.push_back(std::exchange(open_, nullptr));
  const Sequence first = next_sequence_;
  for (const wire::BatchMessage& message : messages) {
    Publisher::Done none;
    append(message, next_sequence_ == first ? done : none, deadline_ms);
    ++next_sequence_;
  }
  open_->expect_last_offset = expect_last_offset;
  full_.push_back(std::exchange(open_, nullptr));
  return first;
}

// Why the messages cannot be taken together now; `size` is theirs.
std::optional<Error> Intake::wrong_with(std::span<const wire::BatchMessage> messages,
                                        std::size_t size) const {
  if (stopped_) return stopped_;
  for (const wire::BatchMessage& message : messages) {
    if (message.payload.size() <= limits_.batch.payload_max) continue;
    return Error(Code::too_large, Outcome::no,
                 "a payload of " + std::to_string(message.payload.size()) +
                     " bytes, the cluster takes " + std::to_string(limits_.batch.payload_max) +
                     ": send it in parts");
  }
  if (size > limits_.batch.batch_max || messages.size() > wire::batch_count_max) {
    return Error(Code::too_large, Outcome::no,
                 "a batch of " + std::to_string(messages.size()) + " messages and " +
                     std::to_string(size) + " bytes, the cluster takes " +
                     std::to_string(wire::batch_count_max) + " and " +
                     std::to_string(limits_.batch.batch_max) + ": make it smaller");
  }
  if (has_room(size)) return std::nullopt;
  return Error(Code::busy, Outcome::no,
               "the publisher's window is full (" + std::to_string(window_messages_) +
                   " messages, " + std::to_string(window_bytes_) +
                   " bytes are not acknowledged): try again when some are");
}

void Intake::append(const wire::BatchMessage& message, Publisher::Done& done,
                    std::uint64_t deadline_ms) {
  // One that is published later may not be given up earlier: deadlines never decrease.
  last_deadline_ms_ =
      window_messages_ == 0 ? deadline_ms : std::max(deadline_ms, last_deadline_ms_);
  const std::size_t size = wire::encoded_size(message);
  if (!open_) {
    open_ = std::make_shared<Batch>();
    open_->first = next_sequence_;
    open_->deadline_ms = last_deadline_ms_;
    open_->body.reserve(std::min(usual_count_ * size, limits_.body_bytes) + size);
    open_->done.reserve(usual_count_);
  }
  wire::append_message(open_->body, message);
  open_->done.push_back(std::move(done));
  ++window_messages_;
  window_bytes_ += size;
}

bool Intake::has_room(std::size_t size) const {
  if (window_messages_ == 0) return true;  // else a message larger than the window could never go
  return window_messages_ < limits_.window_messages && window_bytes_ + size <= limits_.window_bytes;
}

bool Intake::has_full_body() const {
  return !full_.empty() || (open_ && open_->body.size() >= limits_.body_bytes);
}

bool Intake::take_wake() {
  const bool wake =
      wake_on_ == WakeOn::message || (wake_on_ == WakeOn::full_body && has_full_body());
  if (wake) wake_on_ = WakeOn::nothing;
  return wake;
}

BatchPtr Intake::cut() {
  ZABMQ_CHECK(!empty());
  if (full_.empty()) {
    usual_count_ = std::max<std::size_t>(open_->count(), 16);
    return std::exchange(open_, nullptr);
  }
  BatchPtr oldest = std::move(full_.front());
  full_.pop_front();
  usual_count_ = std::max<std::size_t>(oldest->count(), 16);
  return oldest;
}

std::uint64_t Intake::deadline_ms() const {
  ZABMQ_CHECK(!empty());
  return full_.empty() ? open_->deadline_ms : full_.front()->deadline_ms;
}

std::vector<BatchPtr> Intake::give_up(Sequence next) {
  std::vector<BatchPtr> batches;
  while (!empty()) batches.push_back(cut());
  for (const BatchPtr& batch : batches) release(*batch);
  next_sequence_ = next;
  return batches;
}

void Intake::renumber(Sequence next) {
  for (const BatchPtr& batch : full_) {
    batch->first = next;
    next += batch->count();
  }
  if (open_) {
    open_->first = next;
    next += open_->count();
  }
  next_sequence_ = next;
}

void Intake::release(const Batch& batch) {
  ZABMQ_CHECK(window_messages_ >= batch.count() && window_bytes_ >= batch.body.size());
  window_messages_ -= batch.count();
  window_bytes_ -= batch.body.size();
}

}  // namespace zabmq::client
