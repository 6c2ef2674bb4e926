// SubscriberSession: a subscriber's side of the conversation, without sockets, clock or threads.
// Frames, ticks and consumption in; frames, connections and verified deliveries out.
//
// Invariants: 1. deliveries hold every offset from the first one on, each once, in order, but for
// the gaps that they tell: whatever does not fit ends the connection, and the next one subscribes
// from next_offset(); 2. from the
// first SUBSCRIBED on the word it began with is never used again; 3. what the servers may send and
// what the subscriber has not taken stay within the credit, but for one batch.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/client_output.hpp"
#include "client/cursor_acks.hpp"
#include "client/delivery.hpp"
#include "client/route.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/result.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::client {

class SubscriberSession {
 public:
  // Until SUBSCRIBED, before another server is tried: a question to the leader, or a server that
  // has to catch up first.
  static constexpr std::uint64_t subscribe_patience_ms = 3000;
  // In a row, from whatever server, before the subscription ends as `protocol`.
  static constexpr unsigned bad_deliveries_max = 8;

  struct Options {
    std::vector<std::string> endpoints;
    std::uint64_t timeout_ms = 5000;  // silence of all servers
    From from = fresh();
    bool until_end = false;
    bool jumps_gaps = false;  // goes on with what is kept, and says so
    std::vector<std::string> topics = {};
    std::optional<std::string> cursor = std::nullopt;  // where it goes on; `from` if it is new
    std::uint64_t credit_messages = 65536;
    std::uint64_t credit_bytes = 8u << 20;
    std::uint64_t seed = 0;  // of the pauses' jitter
  };

  SubscriberSession(Options options, std::uint64_t now_ms);

  // --- inputs ---

  void tick(std::uint64_t now_ms);       // at least every 50 ms, and after the frames at hand
  void connected(std::uint64_t now_ms);  // the connection asked for last is established
  void lost(const std::string& why);     // it ended, or a frame on it was malformed
  void receive(const wire::ServerMessage& message, Slice body, std::uint64_t now_ms);
  void consumed(std::uint64_t messages, std::uint64_t bytes);  // credit of deliveries taken
  void acknowledge(Offset up_to);  // to the cursor: everything up to here was handled
  void leave_for_good();           // says BYE

  // --- outputs ---

  std::vector<Output> take_outputs() { return std::exchange(outputs_, {}); }
  std::vector<Delivery> take_deliveries() { return std::exchange(deliveries_, {}); }
  // What the subscriber must be told behind the deliveries so far. `unavailable` is told again and
  // again while it lasts, the others end the subscription.
  std::optional<Error> take_error() { return std::exchange(error_, std::nullopt); }

  bool complete() const { return complete_; }   // until_end: everything was delivered
  Offset next_offset() const { return next_; }  // 0: not known yet
  // What the cluster has made durable of what was acknowledged; nullopt: nothing yet.
  std::optional<Offset> acknowledged() const;
  bool acknowledgements_settled() const { return !acks_ || acks_->settled(); }
  const Uuid& cluster() const { return cluster_; }
  const Uuid& history() const { return history_; }
  bool over() const { return link_ == Link::none; }
  const std::string& trouble() const { return trouble_; }
  // In a row: answers and deliveries that a correct server does not give.
  unsigned bad_deliveries() const { return bad_deliveries_; }

 private:
  enum class Link : std::uint8_t { waiting, greeting, subscribing, open, none };

  std::uint64_t patience(std::uint64_t at_most_ms) const;
  void connect(std::uint64_t now_ms);
  void leave(const std::string& trouble);
  void perform_leave(std::uint64_t now_ms);
  void watch_connection(std::uint64_t now_ms);
  void watch_silence(std::uint64_t now_ms);
  void subscribe(std::uint64_t now_ms);
  void grant_credit();
  void send_acknowledgement(std::uint64_t now_ms);
  void deliver(const wire::Deliver& frame, Slice body);
  void on_bad_delivery(const std::string& what);
  void check_complete();
  void end(std::optional<Error> error);
  void send(wire::ClientMessage message);

  void on(const wire::Welcome& welcome, std::uint64_t now_ms);
  void on(const wire::Subscribed& subscribed, std::uint64_t now_ms);
  void on(const wire::Covered& covered, std::uint64_t now_ms);
  void on(const wire::Gap& gap, std::uint64_t now_ms);
  void on(const wire::Refused& refused, std::uint64_t now_ms);
  void on(const wire::Reset& reset, std::uint64_t now_ms);
  void on(const wire::ServerPong& pong, std::uint64_t now_ms);
  void on(const wire::CursorMoved& moved, std::uint64_t now_ms);
  template <class Other>
  void on(const Other&, std::uint64_t) {}  // frames of publishers and questions: not ours
  void on_greeting_refused(const wire::Refused& refused);
  void on_subscribe_refused(const wire::Refused& refused, std::uint64_t now_ms);
  void on_gap(Offset first, const std::string& text, std::uint64_t now_ms);

  Options options_;
  Route route_;
  Link link_ = Link::waiting;
  Route::Next next_try_;
  std::string endpoint_;
  std::uint64_t patience_until_ms_ = 0;
  std::uint64_t heard_ms_ = 0;
  std::uint64_t pinged_ms_ = 0;
  bool leaving_ = false;
  std::string trouble_ = "no server was reached yet";
  std::set<std::string> greetings_refused_;  // by these endpoints, since one greeted us
  Uuid cluster_;
  Uuid history_;

  std::uint64_t subscription_ = 0;  // of the newest SUBSCRIBE
  Offset next_ = 0;                 // 0: the first SUBSCRIBED will tell
  std::optional<Offset> end_;       // until_end
  LogTime since_ = 0;               // a start at a time: what is older is left out
  bool first_batch_ = true;         // since SUBSCRIBED: it may begin below next_
  bool complete_ = false;
  std::uint64_t served_ms_ = 0;  // when a server was last known to serve us
  unsigned bad_deliveries_ = 0;

  std::optional<CursorAcks> acks_;

  std::int64_t granted_messages_ = 0;  // that the server may still send
  std::int64_t granted_bytes_ = 0;
  std::int64_t queued_messages_ = 0;  // delivered and not yet consumed
  std::int64_t queued_bytes_ = 0;

  std::vector<Output> outputs_;
  std::vector<Delivery> deliveries_;
  std::optional<Error> error_;
};

}  // namespace zabmq::client
