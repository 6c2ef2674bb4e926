// CursorAcks: acknowledgements to a durable cursor, on their way to the cluster. The newest counts:
// one is under way at a time, and what was acknowledged meanwhile goes with the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "wire/client_frame.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

class CursorAcks {
 public:
  static constexpr std::uint64_t pause_ms = 100;  // after a refusal that may pass

  explicit CursorAcks(std::string cursor) : cursor_(std::move(cursor)) {}

  const std::string& cursor() const { return cursor_; }
  // Everything up to here was handled. Less than before: nothing.
  void want(Offset up_to) { wanted_ = std::max(wanted_.value_or(0), up_to); }
  // What the cluster has made durable; nullopt: nothing yet, the cursor need not exist.
  std::optional<Offset> confirmed() const { return confirmed_; }
  bool settled() const { return !wanted_ || (confirmed_ && *confirmed_ >= *wanted_); }

  // What is to be sent now, if anything.
  std::optional<wire::MoveCursor> next(std::uint64_t now_ms) {
    if (settled() || under_way_ || now_ms < not_before_ms_) return std::nullopt;
    under_way_ = true;
    return wire::MoveCursor{++request_, cursor_, *wanted_, false};
  }
  void on_moved(const wire::CursorMoved& moved) {
    if (!under_way_ || moved.request != request_) return;
    under_way_ = false;
    confirmed_ = std::max(confirmed_.value_or(0), moved.offset);
  }
  // An error: trying again would be in vain.
  std::optional<Error> on_refused(const wire::Refused& refused, std::uint64_t now_ms) {
    if (!under_way_ || refused.id != request_) return std::nullopt;
    under_way_ = false;
    not_before_ms_ = now_ms + pause_ms;
    const bool passes = refused.code == Code::unavailable || refused.code == Code::busy ||
                        refused.code == Code::no_space || refused.code == Code::unknown_outcome;
    if (passes) return std::nullopt;
    return Error(refused.code, refused.outcome, "cursor " + cursor_ + ": " + refused.text);
  }
  // Its answer will not come: it is sent again on the next connection.
  void on_lost() { under_way_ = false; }

 private:
  std::string cursor_;
  std::optional<Offset> wanted_;
  std::optional<Offset> confirmed_;
  bool under_way_ = false;
  std::uint64_t request_ = 0;
  std::uint64_t not_before_ms_ = 0;
};

}  // namespace zabmq::client
