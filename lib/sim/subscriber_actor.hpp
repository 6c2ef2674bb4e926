// SubscriberActor: a program that subscribes, over the real session, and tells the history what it
// was given: fast or slow, restarted, moved to other servers, or one that only drains a server.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/delivery.hpp"
#include "client/subscriber_session.hpp"
#include "sim/client_link.hpp"
#include "sim/cursor_removal.hpp"
#include "sim/history_checker.hpp"
#include "sim/publisher_actor.hpp"

namespace zabmq::sim {

struct DurableCursor {
  std::string name;
  std::optional<Offset> acknowledged = std::nullopt;  // the greatest offset that was ever sent
  std::optional<Offset> confirmed =
      std::nullopt;  // the greatest one that the cluster said is durable
  std::uint64_t confirmations = 0;
  // What was sent before it was removed, and may still arrive late.
  std::optional<Offset> before_removal = std::nullopt;

  Offset sent() const { return std::max(acknowledged.value_or(0), before_removal.value_or(0)); }
};

class SubscriberActor {
 public:
  using NextKey = std::function<SubscriptionKey()>;
  // What was acknowledged to anybody so far: a later start at `new` or an end must lie behind it.
  using Acknowledged = std::function<Place()>;

  SubscriberActor(const ClientSurroundings& around, Random random, NextKey next_key,
                  Acknowledged acknowledged);

  void begin();                 // the program's first start
  void restart();               // the process is killed; it goes on, or begins anew
  void drain(ServerId server);  // everything of one server, up to the cluster's end
  void finish();                // from now on it takes everything at once, and stays
  void stop();                  // no further turns

  SubscriptionKey key() const { return key_; }
  bool complete() const { return session_->complete() && queue_.empty(); }
  Offset consumed_to() const { return next_ == 0 ? 0 : next_ - 1; }
  // It has everything up to `end`; or asked for something behind it, and waits.
  bool satisfied_with(Offset end) const { return next_ > end || (beyond_ && next_ == 0); }
  std::string status() const;
  std::uint64_t cursors_removed() const { return cursors_removed_; }

 private:
  struct Mark {
    Offset up_to = 0;
  };
  using Item = std::variant<client::Delivery, Mark>;

  void start();  // anywhere, by chance
  void remove_cursor();
  void on_cursor_removed(std::uint64_t asked);
  void ask_chain();
  void ask();
  void open_session(client::SubscriberSession::Options options);
  std::vector<std::string> endpoints();
  From choose_start();
  From some_time();
  From some_zxid();
  std::vector<std::string> filters_of_topics();
  void turn_chain(std::uint64_t life);
  void plan_turn();
  void turn();
  void take_input();
  void tell_start();
  void tell_first(Offset first_one);
  void tell_first_in_time(const Message& message);
  void judge_start(Offset first_one);
  void judge_cursor_start(Offset first_one);
  void follow_cursor();
  bool cursor_is_safe() const;
  void judge_time_start(LogTime time, Offset first_one);
  void judge_zxid_start(Zxid zxid, Offset first_one);
  void remember(const Message& message);
  bool consume();
  void on_complete();
  void take(client::Delivery delivery);
  void on_error(const Error& error);
  void on_gap(const Error& error);
  std::uint64_t now_ms() const { return around_.timeline.now() / millisecond; }
  void say(const std::string& text);

  const ClientSurroundings around_;
  Random random_;
  NextKey next_key_;
  Acknowledged acknowledged_;

  // A durable cursor, of this program alone.
  std::optional<DurableCursor> durable_;
  CursorRemoval removal_;
  bool removing_ = false;
  std::uint64_t cursors_removed_ = 0;
  // Retention has passed its cursor: one that only asks for it again is told of the same gap for
  // ever (seed 1795711320167).
  bool cursor_passed_ = false;
  bool with_cursor_ = false;                // this session uses it
  std::optional<Offset> confirmed_before_;  // when it began

  std::uint64_t life_ = 0;
  SubscriptionKey key_{};
  std::unique_ptr<client::SubscriberSession> session_;
  ClientLink<client::SubscriberSession> link_;
  std::optional<client::MessageCursor> cursor_;
  std::vector<std::string> topics_;  // as the history knows them: exact names
  struct Seen {
    LogTime time = 0;
    Zxid zxid;
  };
  std::map<Offset, Seen> seen_;  // some messages, in all of its lives
  From from_ = first();
  std::optional<ServerId> drained_;  // the one server whose whole history is wanted
  bool started_ = false;             // it knows where it begins
  bool told_ = false;                // and the history does
  Offset acknowledged_before_ = 0;
  std::deque<Item> queue_;
  Offset next_ = 0;         // the next offset to consume; 0: not known
  bool until_end_ = false;  // it is over when it has what there was when it began
  bool finishing_ = false;
  // It asks again and again where the cluster ends, whomever it reaches: also a leader that has
  // been deposed and does not know it yet.
  bool curious_ = false;
  bool slow_ = false;
  bool beyond_ = false;  // it asked for what does not exist yet
  bool turn_planned_ = false;
  bool failed_ = false;
};

}  // namespace zabmq::sim
