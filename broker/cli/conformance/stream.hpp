// Stream: one subscription, each of its frames checked as section 4.5 has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/conformance/connection.hpp"

namespace zabmq::cli::conformance {

struct Start {
  std::uint64_t kind = 0;
  Offset offset = 0;
  Zxid zxid = {};
  LogTime time = 0;
};
inline Start from_first() {
  return {.kind = 0};
}
inline Start from_new() {
  return {.kind = 1};
}
inline Start from_offset(Offset offset) {
  return {.kind = 2, .offset = offset};
}
inline Start from_zxid(Zxid zxid) {
  return {.kind = 3, .zxid = zxid};
}
inline Start from_time(LogTime time) {
  return {.kind = 4, .time = time};
}

struct Wanted {
  std::uint64_t messages = 1;  // credit
  std::uint64_t bytes = 1 << 20;
  std::vector<std::string> topics = {};
  bool until_end = false;
  std::string cursor = {};    // its name
  bool among_others = false;  // the heartbeats of other subscriptions may come
};

// The frame; its answer is whoever asks it.
List subscribe_frame(std::uint64_t subscription, const Start& start, const Wanted& wanted = {});

struct Delivery {
  Offset after = 0;
  Offset up_to = 0;
  std::size_t bytes = 0;
  std::vector<Record> records;
  std::vector<Record> batches;  // of them
};

class Stream {
 public:
  // SUBSCRIBE; SUBSCRIBED.
  Stream(Connection& link, const Start& start, const Wanted& wanted = {}, std::uint64_t number = 1);

  Offset next() const { return next_; }        // as SUBSCRIBED told
  Offset covered() const { return covered_; }  // up to here
  std::optional<Offset> end() const { return end_; }

  // The next DELIVER. Throws Broken when it does not continue what has come so far.
  Delivery take(const std::string& expected = "DELIVER");
  // Waits for COVERED, the heartbeat of a subscription that has nothing to send or may not.
  void expect_idle(const std::string& expected);
  void credit(std::uint64_t messages, std::uint64_t bytes);
  // Takes deliveries until that batch has come, giving credit for each.
  Record find(const Uuid& publisher, Sequence first, const std::string& expected);

 private:
  Frame next_of_mine(const std::string& expected);
  Delivery delivery_of(const Frame& frame) const;

  Connection& link_;
  std::uint64_t number_;
  bool alone_;
  Offset next_ = 0;
  Offset covered_ = 0;
  bool begun_ = false;
  std::optional<Offset> end_;
};

}  // namespace zabmq::cli::conformance
