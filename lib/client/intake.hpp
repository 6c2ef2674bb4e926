// Intake: the publisher's front half. Messages are appended to the batch body being filled, each
// copied once; full bodies queue behind it until the session takes them. Bounded by the window.
//
// Invariants: 1. sequences run without holes from the oldest queued message to next_sequence();
// 2. along the queue deadlines never decrease, so that the oldest message's is the first to pass;
// 3. a batch with a condition holds nothing but what the condition was published with.
// Not synchronised: its owner's mutex guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "wire/batch.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

// Messages that go out together. Its body never changes once it was taken from the intake.
struct Batch {
  Sequence first = 0;
  std::uint64_t deadline_ms = 0;  // of its first message
  std::optional<Offset> expect_last_offset;
  std::vector<std::byte> body;
  std::vector<Publisher::Done> done;  // one for each message

  std::uint32_t count() const { return static_cast<std::uint32_t>(done.size()); }
  Sequence last() const { return first + done.size() - 1; }
};
using BatchPtr = std::shared_ptr<Batch>;

class Intake {
 public:
  struct Limits {
    std::size_t window_messages = 65536;
    std::size_t window_bytes = 64u << 20;
    std::size_t body_bytes = 64u << 10;  // a body of this size is full
    wire::BatchLimits batch = {};
  };
  // When the session must be told of new messages.
  enum class WakeOn : std::uint8_t { nothing, full_body, message };

  explicit Intake(const Limits& limits) : limits_(limits) {}

  // Takes a message (topic and headers were validated) or says why not: busy, too_large, or what
  // stop_taking() said. `done` is moved from only when the message was taken.
  Result<Sequence> take(const wire::BatchMessage& message, Publisher::Done& done,
                        std::uint64_t deadline_ms);
  // The same for messages that are one batch of their own, all or nothing; precondition: there is
  // one. `done` is for the first. The result is the sequence of the first.
  Result<Sequence> take_batch(std::span<const wire::BatchMessage> messages, Publisher::Done& done,
                              std::uint64_t deadline_ms,
                              std::optional<Offset> expect_last_offset = std::nullopt);
  // True when the session waits for what take() has just brought; false until it asks again.
  bool take_wake();
  // Whether a message of this encoded size fits into the window now.
  bool has_room(std::size_t size) const;
  // Why nothing is taken at present, if so.
  const std::optional<Error>& stopped() const { return stopped_; }

  // --- for the session ---

  void set_batch_limits(const wire::BatchLimits& limits) { limits_.batch = limits; }
  void wake_on(WakeOn what) { wake_on_ = what; }
  bool empty() const { return full_.empty() && !open_; }
  bool has_full_body() const;
  BatchPtr cut();                     // the oldest batch; precondition: !empty()
  std::uint64_t deadline_ms() const;  // of the oldest message; precondition: !empty()

  Sequence next_sequence() const { return next_sequence_; }
  // What is queued is given up; the next message gets `next`. The caller completes the batches.
  std::vector<BatchPtr> give_up(Sequence next);
  // What is queued, and was never sent, goes on from `next`: what was before it is not taken.
  void renumber(Sequence next);
  // The batches that were cut have their outcome: the window opens.
  void release(const Batch& batch);
  void stop_taking(Error why) { stopped_ = std::move(why); }
  void go_on_taking() { stopped_.reset(); }

 private:
  void append(const wire::BatchMessage& message, Publisher::Done& done, std::uint64_t deadline_ms);
  std::optional<Error> wrong_with(std::span<const wire::BatchMessage> messages,
                                  std::size_t size) const;

  Limits limits_;
  std::deque<BatchPtr> full_;
  BatchPtr open_;  // the body being filled; never empty
  Sequence next_sequence_ = 1;
  std::size_t window_messages_ = 0;  // taken and not released
  std::size_t window_bytes_ = 0;
  std::uint64_t last_deadline_ms_ = 0;
  std::size_t usual_count_ = 16;  // messages in the last body: what to reserve for the next one
  WakeOn wake_on_ = WakeOn::message;
  std::optional<Error> stopped_;
};

}  // namespace zabmq::client
