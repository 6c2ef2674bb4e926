// SubscriberActor: starting, consuming, resuming.
#include "sim/subscriber_actor.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "zabmq/record.hpp"

namespace zabmq::sim {

SubscriberActor::SubscriberActor(const ClientSurroundings& around, Random random, NextKey next_key,
                                 Acknowledged acknowledged)
    : around_(around),
      random_(random),
      next_key_(std::move(next_key)),
      acknowledged_(std::move(acknowledged)),
      removal_(around.network, around.timeline, random_.fork(), around.parameters.servers),
      link_(around_.network, around_.timeline, [this] {
        take_input();
        plan_turn();
      }) {
  if (random_.chance(350'000)) durable_ = DurableCursor{"c" + std::to_string(random_.next())};
  curious_ = around_.parameters.fault_every > 0 && random_.chance(250'000);
}

void SubscriberActor::say(const std::string& text) {
  if (around_.trace.words()) {
    around_.trace.say("subscriber " + std::to_string(static_cast<std::uint64_t>(key_)) + ": " +
                      text);
  }
}

std::string SubscriberActor::status() const {
  return std::to_string(static_cast<std::uint64_t>(key_)) + (started_ ? "" : ", not started") +
         (removing_ ? ", removes its cursor" : "") + (failed_ ? ", failed" : "") +
         (session_->over() ? ", over" : "") + (slow_ ? ", slow" : "") +
         (until_end_ ? ", until the end" : "") + ", next offset " + std::to_string(next_) + ", " +
         std::to_string(queue_.size()) + " deliveries to consume, trouble: " + session_->trouble();
}

// --- its process ---

std::vector<std::string> SubscriberActor::endpoints() {
  std::vector<std::string> all;
  for (std::uint32_t i = 1; i <= around_.parameters.servers; ++i) {
    all.push_back(ClientNetwork::endpoint_of(ServerId{i}));
  }
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random_.below(i)]);
  return all;
}

From SubscriberActor::choose_start() {
  switch (random_.below(6)) {
    case 0:
      return fresh();
    case 1:
      return at_offset(random_.between(1, acknowledged_().offset + 1));
    case 2:
      return some_zxid();
    case 3:
      return some_time();
    default:
      return first();
  }
}

// Around the time of a message seen before, or any time.
From SubscriberActor::some_time() {
  if (seen_.empty()) return at_time(random_.below(2));
  auto at = seen_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.below(seen_.size())));
  return at_time(at->second.time + random_.below(3) - 1);
}

// The same of zxids: that of a message, or one beside it, which need not exist.
From SubscriberActor::some_zxid() {
  if (seen_.empty() || random_.coin()) {
    return at_zxid({Epoch{static_cast<std::uint32_t>(random_.below(4))}, random_.below(20)});
  }
  auto at = seen_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.below(seen_.size())));
  Zxid zxid = at->second.zxid;
  zxid.counter += random_.below(3) - 1;
  return at_zxid(zxid);
}

// A prefix that stands for one topic, now and then.
std::vector<std::string> SubscriberActor::filters_of_topics() {
  std::vector<std::string> filters = topics_;
  for (std::string& filter : filters) {
    if (random_.coin()) filter += "*";
  }
  return filters;
}

void SubscriberActor::begin() {
  start();
  if (curious_) ask_chain();
}

void SubscriberActor::ask_chain() {
  if (finishing_) return;
  if (!removing_) ask();
  around_.timeline.after(random_.about(300 * millisecond), [this] { ask_chain(); });
}

void SubscriberActor::ask() {
  topics_.clear();
  beyond_ = false;
  client::SubscriberSession::Options options;
  options.from = fresh();
  options.until_end = random_.coin();
  open_session(std::move(options));
}

void SubscriberActor::start() {
  const bool may_remove = durable_ && durable_->confirmed && !finishing_;
  if (may_remove && around_.parameters.fault_every > 0 && random_.chance(200'000)) {
    return remove_cursor();
  }
  topics_.clear();
  if (random_.chance(300'000)) topics_ = {"t" + std::to_string(random_.below(3))};
  slow_ = !finishing_ && random_.chance(300'000);
  client::SubscriberSession::Options options;
  options.from = choose_start();
  const auto* zxid = std::get_if<FromZxidStart>(&options.from);
  beyond_ = zxid && zxid->zxid > acknowledged_().zxid;
  // Without faults nobody asks for what there cannot be.
  if (around_.parameters.fault_every > 0 && random_.chance(50'000)) {
    beyond_ = true;
    options.from = at_offset(acknowledged_().offset + 100'000);
  }
  options.topics = filters_of_topics();
  const bool passed = std::exchange(cursor_passed_, false);
  const bool again = durable_ && !passed && (durable_->before_removal || random_.coin());
  if (again && !beyond_) options.cursor = durable_->name;
  options.until_end = !beyond_ && !finishing_ && random_.chance(500'000);
  open_session(std::move(options));
}

void SubscriberActor::finish() {
  finishing_ = true;
  slow_ = false;
}

void SubscriberActor::restart() {
  if (drained_) return drain(*drained_);
  if (removing_) return;
  if (next_ == 0 || random_.chance(200'000)) return start();
  client::SubscriberSession::Options options;
  options.from = at_offset(next_);
  if (with_cursor_ && random_.coin()) options.cursor = durable_->name;
  beyond_ = false;
  options.topics = filters_of_topics();
  open_session(std::move(options));
}

// What it had acknowledged without an answer may still come, and make the cursor anew.
void SubscriberActor::remove_cursor() {
  say("removes its cursor");
  stop();
  link_.serve(nullptr);
  removing_ = true;
  removal_.remove(durable_->name, [this](std::uint64_t asked) { on_cursor_removed(asked); });
}

// The next one of that name begins as any other does. Where another question may still remove that
// as well, the name is not used again.
void SubscriberActor::on_cursor_removed(std::uint64_t asked) {
  removing_ = false;
  ++cursors_removed_;
  say("its cursor is removed");
  if (asked > 1) {
    durable_ = DurableCursor{"c" + std::to_string(random_.next())};
  } else {
    durable_ = DurableCursor{.name = durable_->name, .before_removal = durable_->sent()};
  }
  start();
}

void SubscriberActor::stop() {
  ++life_;
  failed_ = true;
}

void SubscriberActor::drain(ServerId server) {
  drained_ = server;
  topics_.clear();
  client::SubscriberSession::Options options;
  options.endpoints = {ClientNetwork::endpoint_of(server)};
  options.from = first();
  options.until_end = true;
  options.credit_messages = 100'000;
  open_session(std::move(options));
}

void SubscriberActor::open_session(client::SubscriberSession::Options options) {
  ++life_;
  if (told_) around_.history.end(around_.timeline.now(), key_);
  key_ = next_key_();
  if (options.endpoints.empty()) {
    options.endpoints = endpoints();
    options.credit_messages = around_.parameters.clients.credit_messages;
    options.credit_bytes = around_.parameters.clients.credit_bytes;
  }
  options.seed = random_.next();
  from_ = options.from;
  with_cursor_ = options.cursor.has_value();
  if (durable_) confirmed_before_ = durable_->confirmed;
  until_end_ = options.until_end;
  started_ = told_ = failed_ = false;
  queue_.clear();
  next_ = 0;
  acknowledged_before_ = acknowledged_().offset;
  cursor_.emplace(options.topics);
  session_ = std::make_unique<client::SubscriberSession>(std::move(options), now_ms());
  link_.serve(session_.get());
  turn_chain(life_);
}

// --- its loop ---

void SubscriberActor::turn_chain(std::uint64_t life) {
  if (life != life_) return;
  turn();
  around_.timeline.after(20 * millisecond, [this, life] { turn_chain(life); });
}

void SubscriberActor::plan_turn() {
  if (turn_planned_) return;
  turn_planned_ = true;
  around_.timeline.after(random_.below(200), [this] {
    turn_planned_ = false;
    turn();
  });
}

void SubscriberActor::turn() {
  if (failed_) return;
  take_input();
  if (consume()) plan_turn();
  if (with_cursor_) follow_cursor();
  session_->tick(now_ms());
  link_.perform_outputs();
  take_input();
  if (const std::optional<Error> error = session_->take_error()) return on_error(*error);
  if (until_end_ && complete()) on_complete();
}

// Deliveries and marks in the order in which they came.
void SubscriberActor::take_input() {
  if (!started_ && session_->next_offset() != 0) tell_start();
  for (client::Delivery& delivery : session_->take_deliveries()) {
    queue_.push_back(std::move(delivery));
  }
  if (session_->bad_deliveries() > 0) around_.suspect("delivery", session_->trouble());
  const wire::ServerMessage* frame = link_.last_frame();
  const auto* covered = frame ? std::get_if<wire::Covered>(frame) : nullptr;
  // Whoever has all it wanted takes no more deliveries: what is marked behind them is none of it.
  const bool wanted = started_ && !session_->complete();
  if (covered && wanted) queue_.push_back(Mark{covered->up_to});
}

void SubscriberActor::tell_start() {
  const Offset first_one = session_->next_offset();
  started_ = true;
  next_ = first_one;
  say("starts at " + std::to_string(first_one));
  const bool made_anew = with_cursor_ && !durable_->acknowledged && durable_->before_removal &&
                         around_.cursor(durable_->name);
  if (made_anew || (with_cursor_ && durable_->acknowledged)) {
    judge_cursor_start(first_one);
  } else {
    judge_start(first_one);
  }
  if (with_cursor_) {  // the session creates it there
    durable_->acknowledged = std::max(durable_->acknowledged.value_or(0), first_one - 1);
  }
  // A time that lies ahead leaves messages out: which is the first one shows when it comes.
  const bool may_exclude =
      std::holds_alternative<FromTime>(from_) && !(with_cursor_ && confirmed_before_);
  if (!may_exclude) tell_first(first_one);
}

void SubscriberActor::tell_first(Offset first_one) {
  told_ = true;
  around_.history.subscribe(around_.timeline.now(), key_, first_one, topics_);
}

// The first message of a start at a time: whatever lies before it is older, or of other topics.
void SubscriberActor::tell_first_in_time(const Message& message) {
  const LogTime since = std::get<FromTime>(from_).time;
  if (!with_cursor_ && message.time < since) {
    around_.report("start", "time " + std::to_string(since) + " gave offset " +
                                std::to_string(message.offset) + ", which is older: it is of " +
                                std::to_string(message.time));
  }
  if (!with_cursor_ && topics_.empty()) judge_time_start(since, message.offset);
  tell_first(with_cursor_ ? message.offset : around_.first_since(since));
}

// It exists, if it was confirmed, and stands somewhere between that and what was ever sent.
void SubscriberActor::judge_cursor_start(Offset first_one) {
  if (!confirmed_before_) return;  // it may exist, or not
  if (first_one > *confirmed_before_ && first_one <= durable_->sent() + 1) return;
  around_.report("start", "cursor " + durable_->name + " began at " + std::to_string(first_one) +
                              ", where " + std::to_string(*confirmed_before_) +
                              " was confirmed, and nothing above " +
                              std::to_string(durable_->sent()) + " was acknowledged");
}

void SubscriberActor::judge_start(Offset first_one) {
  if (std::holds_alternative<FromFirst>(from_) && first_one > around_.retained() + 1) {
    around_.report("start", "`first` began at " + std::to_string(first_one));
  }
  if (const auto* at = std::get_if<FromOffset>(&from_); at && at->offset != first_one) {
    around_.report(
        "start", "offset " + std::to_string(at->offset) + " began at " + std::to_string(first_one));
  }
  if (std::holds_alternative<FromNew>(from_) && first_one <= acknowledged_before_) {
    around_.report("start", "`new` began at " + std::to_string(first_one) + ", where " +
                                std::to_string(acknowledged_before_) +
                                " had been acknowledged before");
  }
  if (const auto* since = std::get_if<FromTime>(&from_)) judge_time_start(since->time, first_one);
  if (const auto* at = std::get_if<FromZxidStart>(&from_)) judge_zxid_start(at->zxid, first_one);
}

// Everything before the start is older, and nothing behind it.
void SubscriberActor::judge_time_start(LogTime time, Offset first_one) {
  for (const auto& [offset, seen] : seen_) {
    if ((seen.time >= time) == (offset >= first_one)) continue;
    around_.report("start", "time " + std::to_string(time) + " began at " +
                                std::to_string(first_one) + ", where offset " +
                                std::to_string(offset) + " is of " + std::to_string(seen.time));
  }
}

// The same with zxids: with the first message of the first transaction that is not below it.
void SubscriberActor::judge_zxid_start(Zxid zxid, Offset first_one) {
  for (const auto& [offset, seen] : seen_) {
    if ((seen.zxid >= zxid) == (offset >= first_one)) continue;
    around_.report("start", "zxid " + to_string(zxid) + " began at " + std::to_string(first_one) +
                                ", where offset " + std::to_string(offset) + " is " +
                                to_string(seen.zxid));
  }
}

void SubscriberActor::remember(const Message& message) {
  constexpr std::size_t seen_max = 32;
  if (seen_.size() >= seen_max) {
    if (!random_.chance(20'000)) return;
    seen_.erase(seen_.begin());
  }
  seen_.emplace(message.offset, Seen{message.time, message.zxid});
}

// True: there was something.
bool SubscriberActor::consume() {
  const bool some = !queue_.empty();
  std::size_t items = slow_ ? random_.below(2) : queue_.size();
  while (items-- > 0 && !queue_.empty()) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (const auto* mark = std::get_if<Mark>(&item)) {
      if (told_) around_.history.mark(around_.timeline.now(), key_, mark->up_to);
      next_ = std::max(next_, mark->up_to + 1);
    } else {
      take(std::get<client::Delivery>(std::move(item)));
    }
  }
  return some;
}

// `until_end`: everything acknowledged to anybody before it began is there.
void SubscriberActor::on_complete() {
  if (next_ <= acknowledged_before_) {
    around_.report("end", "an end at " + std::to_string(next_ - 1) + ", where " +
                              std::to_string(acknowledged_before_) +
                              " had been acknowledged before");
  }
  until_end_ = false;
  if (drained_) return;
  around_.timeline.after(random_.about(300 * millisecond), [this, life = life_] {
    if (life == life_) start();
  });
}

void SubscriberActor::take(client::Delivery delivery) {
  const std::uint64_t messages = delivery.credit_messages;
  const std::uint64_t bytes = delivery.credit_bytes;
  cursor_->start(std::move(delivery));
  while (const Message* message = cursor_->next()) {
    const MessageName name = name_of(message->payload);
    if (!told_) tell_first_in_time(*message);
    remember(*message);
    around_.history.deliver(around_.timeline.now(), key_, message->offset, message->zxid,
                            name.publisher, around_.names.sequence_of(name), message->topic,
                            static_cast<std::uint64_t>(checksum(message->payload)));
  }
  if (cursor_->malformed()) around_.report("delivery", "a malformed batch was delivered");
  next_ = std::max(next_, cursor_->next_offset());
  session_->consumed(messages, bytes);
}

// Now and then it acknowledges what it has consumed.
void SubscriberActor::follow_cursor() {
  if (const std::optional<Offset> confirmed = session_->acknowledged()) {
    if (confirmed > durable_->confirmed) {
      durable_->confirmed = confirmed;
      const bool overtaken = *confirmed < around_.retained();  // by what was decided before it
      durable_->confirmations = overtaken ? 0 : durable_->confirmations + 1;
    }
    if (*confirmed > durable_->sent()) {
      around_.report("cursor", "cursor " + durable_->name + " stands at " +
                                   std::to_string(*confirmed) + ", which nobody acknowledged");
    }
  }
  if (!started_ || next_ == 0 || !random_.chance(100'000)) return;
  durable_->acknowledged = std::max(durable_->acknowledged.value_or(0), next_ - 1);
  session_->acknowledge(next_ - 1);
}

// Retention must not pass what it has not acknowledged, so nothing that its reader is still to get:
// it existed before its newest place was decided, and the hard bound is out of reach.
bool SubscriberActor::cursor_is_safe() const {
  constexpr std::uint64_t out_of_reach = 500;
  const replica::RetentionLimits& limits = around_.parameters.replica.retention;
  return with_cursor_ && durable_->confirmations > 1 &&
         limits.bytes_max > limits.bytes + out_of_reach * around_.parameters.log.segment_size;
}

// Never silent, and never told of what is retained.
void SubscriberActor::on_gap(const Error& error) {
  const auto* offset = std::get_if<FromOffset>(&from_);
  const Offset unstarted = offset && !with_cursor_ ? offset->offset : 1;
  const Offset wanted = started_ ? next_ : unstarted;
  if (wanted > around_.retained() || error.first.value_or(0) > around_.retained() + 1) {
    around_.report("gap", "offset " + std::to_string(wanted) +
                              " is told to be gone, the first is " +
                              std::to_string(error.first.value_or(0)) +
                              "; let go are those up to " + std::to_string(around_.retained()));
  }
  if (cursor_is_safe()) {
    around_.report("gap", "cursor " + durable_->name + ", confirmed at " +
                              std::to_string(*durable_->confirmed) + ", is told of a gap up to " +
                              std::to_string(error.first.value_or(0)));
  }
  if (drained_) return drain(*drained_);
  cursor_passed_ = with_cursor_;
  start();
}

// `unavailable` is told again and again while it lasts. What a healthy cluster refuses is what does
// not exist.
void SubscriberActor::on_error(const Error& error) {
  if (!session_->over()) return;
  say(std::string("ended: ") + error.what());
  if (error.code == Code::unavailable) return restart();
  if (error.code == Code::gap) return on_gap(error);
  if (beyond_ && error.code == Code::refused) return start();
  if (with_cursor_ && started_ && error.code == Code::refused) {
    around_.suspect("cursor",
                    std::string("what was delivered is acknowledged, and: ") + error.what());
    return start();
  }
  failed_ = true;
  around_.report("subscriber", std::string("a subscription ended: ") + error.what());
}

}  // namespace zabmq::sim
