// Subscriber: the cluster's one sequence of messages, complete and in order, from a chosen start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "zabmq/client.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq {

// Views into the subscriber's buffer; valid until the next message is taken.
struct Message {
  Offset offset = 0;
  Zxid zxid;
  LogTime time = 0;  // leader's log time, microseconds since 1970
  std::string_view topic;
  Bytes payload;
  Bytes headers;  // msgpack map, or empty; see decode_headers
  std::string_view text() const {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
  }
};

Headers decode_headers(Bytes headers);  // throws Error(protocol) on malformed bytes

// Where a subscription begins; inclusive.
struct FromFirst {};
struct FromNew {};  // behind everything acknowledged to anyone before
struct FromOffset {
  Offset offset = 1;
};
struct FromZxidStart {
  Zxid zxid;
};  // first message of the first transaction >= zxid
struct FromTime {
  LogTime time = 0;
};  // first message with a log time >= time (microseconds since 1970); may lie ahead
// Where a subscription goes on. An offset means something in one history only: servers of another
// cluster or history refuse the token by name.
struct ResumeToken {
  Uuid cluster;
  Uuid history;
  Offset offset = 1;  // the next one
  friend bool operator==(const ResumeToken&, const ResumeToken&) = default;
};
std::string to_string(const ResumeToken& token);  // CLUSTER.HISTORY.OFFSET
std::optional<ResumeToken> parse_resume_token(std::string_view text);

struct FromToken {
  ResumeToken token;
};
using From = std::variant<FromFirst, FromNew, FromOffset, FromZxidStart, FromTime, FromToken>;

inline From first() {
  return FromFirst{};
}
inline From fresh() {
  return FromNew{};
}
inline From at_offset(Offset offset) {
  return FromOffset{offset};
}
inline From at_zxid(Zxid zxid) {
  return FromZxidStart{zxid};
}
inline From at_time(LogTime time) {
  return FromTime{time};
}
inline From at_token(const ResumeToken& token) {
  return FromToken{token};
}

// What is no longer kept, and so cannot be delivered.
struct Gap {
  Offset from = 0;             // the offset that was due; 0: not known (a zxid, a time, a cursor)
  Offset first_available = 0;  // the subscription goes on with this one
};

struct SubscriberOptions : ClientOptions {
  // Exact names, and prefixes with a '*' behind them ("orders/*"); empty: all. What is left out
  // still moves the resume point, and is still checked for gaps.
  std::vector<std::string> topics;
  From from = fresh();
  // A durable cursor, kept by the cluster under this name (by the rules of a topic): a subscriber
  // begins behind what was acknowledged to it, or at `from` if it is new, and then it exists.
  // Retention keeps what it has not acknowledged, up to storage.retain_max_bytes. For one
  // subscriber at a time: two both get everything, and the cursor is where the one ahead is.
  std::optional<std::string> cursor = std::nullopt;
  bool until_end = false;  // stop at what was the end when subscribing
  // What to do when the offset that is due is no longer kept. None: end with the error `gap`. Else
  // the subscription jumps to what is kept, and this is told before the first message of it is
  // given out: by poll or next, on the caller's thread.
  std::function<void(const Gap&)> on_gap = {};
  std::size_t credit_messages = 65536;
  std::size_t credit_bytes = 8u << 20;
};

// One thread at a time. A background thread owns the socket, fails over to another given server,
// and resumes from the next offset: no gap, no duplicate, no reordering.
//
// Errors, thrown by poll and next (and by value() of try_ functions): unavailable (all given
// servers silent for `timeout`, or until_end without quorum), gap (the start, or the resume point,
// is no longer kept, and there is no on_gap; `first` says where the log begins), refused (start
// beyond the end, `first` is the last offset; or a token of another cluster or history), protocol.
class Subscriber {
 public:
  explicit Subscriber(SubscriberOptions options);  // does not wait
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // The next message; nullptr after `timeout` without one (forever without), or at the end of an
  // until_end subscription (see at_end()).
  const Message* next(std::optional<Millis> timeout = std::nullopt);

  // Push on top of pull: calls `handler` for up to `limit` messages, waiting up to `timeout` for
  // the first. Returns how many. Handlers run on the thread that polls, and nowhere else; a program
  // that wants them pushed gives a thread of its own to a loop around poll, which decides what an
  // error or a slow handler means, and when to stop:
  //   while (running) subscriber.poll(handle, 1000, Millis{100});
  std::size_t poll(const std::function<void(const Message&)>& handler, std::size_t limit,
                   Millis timeout);

  // Tells the cluster that everything up to `up_to`, one of the offsets taken, was handled: the
  // next subscriber with this cursor begins behind it. Does not wait: it is sent at once, and again
  // until it is durable; of several the newest counts. What is not durable when this object ends is
  // delivered again. Throws refused: no cursor was given, or `up_to` was not taken yet. That the
  // cluster refuses it (limits.max_cursors) is thrown by next and poll.
  void ack(Offset up_to);
  // The same, and waits until it is durable. Throws as well: unavailable (not known within
  // `timeout`, it is still being tried), and what next would throw.
  void ack_sync(Offset up_to, Millis timeout);
  // What is durable of what was acknowledged by this object; none: nothing yet.
  std::optional<Offset> acknowledged() const;

  bool at_end() const;         // until_end: everything has been taken
  Offset next_offset() const;  // where a new subscription would go on; 0: not known yet
  // The same for another process, or another day; none: not known yet.
  std::optional<ResumeToken> resume_token() const;

  // for (const Message& m : subscriber): blocks for each; ends at the end of until_end.
  class Iterator {
   public:
    explicit Iterator(Subscriber* subscriber) : subscriber_(subscriber) { ++*this; }
    Iterator() = default;
    const Message& operator*() const { return *message_; }
    Iterator& operator++() {
      message_ = subscriber_->next();
      if (!message_) subscriber_ = nullptr;
      return *this;
    }
    bool operator==(const Iterator& other) const { return subscriber_ == other.subscriber_; }

   private:
    Subscriber* subscriber_ = nullptr;
    const Message* message_ = nullptr;
  };
  Iterator begin() { return Iterator(this); }
  Iterator end() { return Iterator(); }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zabmq
