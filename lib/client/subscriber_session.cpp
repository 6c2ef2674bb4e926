// SubscriberSession: subscribing, checking, resuming.
#include "client/subscriber_session.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::client {

SubscriberSession::SubscriberSession(Options options, std::uint64_t now_ms)
    : options_(std::move(options)),
      route_(options_.endpoints, options_.seed),
      next_try_(route_.first(now_ms)),
      served_ms_(now_ms) {
  if (const auto* from = std::get_if<FromToken>(&options_.from)) {
    cluster_ = from->token.cluster;
    history_ = from->token.history;
    options_.from = FromOffset{from->token.offset};
  }
  if (const auto* from = std::get_if<FromTime>(&options_.from)) since_ = from->time;
  if (options_.cursor) acks_.emplace(*options_.cursor);
}

// --- time ---

void SubscriberSession::tick(std::uint64_t now_ms) {
  if (link_ == Link::none) return;
  if (leaving_) perform_leave(now_ms);
  watch_connection(now_ms);
  if (leaving_) perform_leave(now_ms);
  watch_silence(now_ms);
  grant_credit();
  send_acknowledgement(now_ms);
}

void SubscriberSession::watch_connection(std::uint64_t now_ms) {
  if (link_ == Link::waiting) {
    if (now_ms >= next_try_.at_ms) connect(now_ms);
    return;
  }
  if (link_ == Link::greeting) {
    if (now_ms >= patience_until_ms_) leave("no answer to HELLO");
    return;
  }
  if (link_ == Link::open) served_ms_ = std::max(served_ms_, heard_ms_);
  if (now_ms >= heard_ms_ + silence_max_ms) return leave("the server is silent");
  // With one server there is nowhere else to go: it may take its time.
  if (link_ == Link::subscribing && now_ms >= patience_until_ms_ && route_.endpoints().size() > 1) {
    return leave("no answer to SUBSCRIBE: it may have to catch up");
  }
  if (now_ms >= pinged_ms_ + ping_interval_ms) {
    pinged_ms_ = now_ms;
    send(wire::ClientPing{});
  }
}

// A quiet stream is none of this: its server answers pings.
void SubscriberSession::watch_silence(std::uint64_t now_ms) {
  if (link_ == Link::open || now_ms < served_ms_ + options_.timeout_ms) return;
  served_ms_ = now_ms;  // told once in a timeout
  error_ = Error(Code::unavailable, Outcome::no,
                 "no server has served this subscription for " +
                     std::to_string(options_.timeout_ms) + " ms: " + trouble_);
}

// --- the connection ---

// Servers that are down are tolerated: within the time-out there must be time for all the others.
std::uint64_t SubscriberSession::patience(std::uint64_t at_most_ms) const {
  return std::min(at_most_ms, options_.timeout_ms / (route_.endpoints().size() + 1));
}

void SubscriberSession::connect(std::uint64_t now_ms) {
  link_ = Link::greeting;
  endpoint_ = next_try_.endpoint;
  patience_until_ms_ = now_ms + patience(connect_patience_ms);
  outputs_.emplace_back(Connect{endpoint_});
  wire::Hello hello;
  hello.cluster = cluster_;
  hello.history = history_;
  send(hello);
}

void SubscriberSession::connected(std::uint64_t now_ms) {
  if (link_ == Link::greeting) patience_until_ms_ = now_ms + patience(welcome_patience_ms);
}

void SubscriberSession::lost(const std::string& why) {
  if (link_ != Link::waiting && link_ != Link::none) leave(why);
}

// What else arrives on the connection counts no more: it may not fit what is left out.
void SubscriberSession::leave(const std::string& trouble) {
  if (leaving_) return;
  leaving_ = true;
  trouble_ = endpoint_ + ": " + trouble;
}

void SubscriberSession::perform_leave(std::uint64_t now_ms) {
  leaving_ = false;
  if (link_ == Link::open) served_ms_ = now_ms;
  link_ = Link::waiting;
  if (acks_) acks_->on_lost();
  granted_messages_ = granted_bytes_ = 0;
  next_try_ = route_.after_failure(now_ms);
  outputs_.emplace_back(Disconnect{});
}

void SubscriberSession::leave_for_good() {
  if (link_ == Link::none) return;
  send(wire::Bye{});
  end(std::nullopt);
}

void SubscriberSession::end(std::optional<Error> error) {
  link_ = Link::none;
  leaving_ = false;
  if (error) error_ = std::move(error);
  outputs_.emplace_back(Disconnect{});
}

void SubscriberSession::send(wire::ClientMessage message) {
  outputs_.emplace_back(SendFrame{std::move(message), nullptr});
}

void SubscriberSession::receive(const wire::ServerMessage& message, Slice body,
                                std::uint64_t now_ms) {
  if (link_ == Link::none || link_ == Link::waiting || leaving_) return;
  heard_ms_ = now_ms;
  if (const auto* frame = std::get_if<wire::Deliver>(&message)) {
    return deliver(*frame, std::move(body));
  }
  std::visit([&](const auto& frame) { on(frame, now_ms); }, message);
}

void SubscriberSession::on(const wire::Welcome& welcome, std::uint64_t now_ms) {
  if (link_ != Link::greeting) return;
  // Whatever server comes next, it must have the same history: offsets mean nothing in another.
  cluster_ = welcome.cluster;
  history_ = welcome.history;
  greetings_refused_.clear();
  trouble_ = endpoint_ + ": connected, but it has not answered SUBSCRIBE";
  link_ = complete_ ? Link::open : Link::subscribing;
  pinged_ms_ = now_ms;
  if (complete_) return;
  patience_until_ms_ = now_ms + subscribe_patience_ms;
  subscribe(now_ms);
}

void SubscriberSession::on(const wire::Reset& reset, std::uint64_t) {
  leave("forgot the connection: " + reset.reason);
}

void SubscriberSession::on(const wire::ServerPong&, std::uint64_t) {
  if (link_ == Link::open) route_.succeeded();
}

// --- subscribing ---

void SubscriberSession::subscribe(std::uint64_t) {
  granted_messages_ = std::max<std::int64_t>(
      static_cast<std::int64_t>(options_.credit_messages) - queued_messages_, 0);
  granted_bytes_ =
      std::max<std::int64_t>(static_cast<std::int64_t>(options_.credit_bytes) - queued_bytes_, 0);
  first_batch_ = true;
  wire::Subscribe request;
  request.subscription = ++subscription_;
  request.credit_messages = static_cast<std::uint64_t>(granted_messages_);
  request.credit_bytes = static_cast<std::uint64_t>(granted_bytes_);
  request.topics = options_.topics;
  request.until_end = options_.until_end && !end_;  // the end stays what it was first said to be
  if (next_ == 0) request.cursor = options_.cursor;
  if (next_ != 0) {
    request.start = wire::StartKind::offset;
    request.offset = next_;
  } else if (const auto* offset = std::get_if<FromOffset>(&options_.from)) {
    request.start = wire::StartKind::offset;
    request.offset = offset->offset;
  } else if (const auto* zxid = std::get_if<FromZxidStart>(&options_.from)) {
    request.start = wire::StartKind::zxid;
    request.zxid = zxid->zxid;
  } else if (const auto* since = std::get_if<FromTime>(&options_.from)) {
    request.start = wire::StartKind::time;
    request.time = since->time;
  } else {
    const bool first = std::holds_alternative<FromFirst>(options_.from);
    request.start = first ? wire::StartKind::first : wire::StartKind::fresh;
  }
  send(std::move(request));
}

void SubscriberSession::on(const wire::Subscribed& subscribed, std::uint64_t) {
  if (link_ != Link::subscribing || subscribed.subscription != subscription_) return;
  if (subscribed.next == 0) return on_bad_delivery("it would begin with offset 0");
  if (next_ != 0 && subscribed.next != next_) {
    return on_bad_delivery("it would begin with offset " + std::to_string(subscribed.next) +
                           ", not " + std::to_string(next_));
  }
  if (options_.until_end && !end_) {
    if (!subscribed.has_end) return on_bad_delivery("it did not tell the end");
    end_ = subscribed.end;
  }
  if (subscribed.from_cursor) since_ = 0;
  if (acks_ && next_ == 0) acks_->want(subscribed.next - 1);  // so that a new cursor exists
  next_ = subscribed.next;
  link_ = Link::open;
  check_complete();
}

void SubscriberSession::check_complete() {
  if (!end_ || next_ <= *end_) return;
  complete_ = true;
  if (!acks_) {
    send(wire::Bye{});
    return end(std::nullopt);
  }
  send(wire::Unsubscribe{subscription_++});  // acknowledgements are still to come
}

void SubscriberSession::on_greeting_refused(const wire::Refused& refused) {
  const bool final = refused.code == Code::refused || refused.code == Code::protocol ||
                     refused.code == Code::not_authorized;
  leave(refused.text);
  // A subscription under way waits for a server of its own history.
  if (!final || next_ != 0) return;
  // Another server may think otherwise, for instance when one endpoint is of another cluster.
  greetings_refused_.insert(endpoint_);
  const auto& all = route_.endpoints();
  if (std::all_of(all.begin(), all.end(),
                  [this](const std::string& e) { return greetings_refused_.contains(e); })) {
    end(Error(refused.code, Outcome::no, trouble_));
  }
}

void SubscriberSession::on(const wire::Refused& refused, std::uint64_t now_ms) {
  if (refused.about == wire::About::connection) {
    if (link_ == Link::greeting) return on_greeting_refused(refused);
    return leave(refused.text);
  }
  if (refused.about == wire::About::cursor) {
    std::optional<Error> error = acks_ ? acks_->on_refused(refused, now_ms) : std::nullopt;
    if (error) end(std::move(error));
    return;
  }
  const bool ours = refused.about == wire::About::subscribe && refused.id == subscription_;
  if (ours && link_ != Link::greeting) on_subscribe_refused(refused, now_ms);
}

void SubscriberSession::on_subscribe_refused(const wire::Refused& refused, std::uint64_t now_ms) {
  switch (refused.code) {
    case Code::unavailable:
    case Code::busy:
    case Code::unknown_outcome:
    case Code::no_space:
      return leave(refused.text);
    case Code::gap:
      return on_gap(refused.first_offset, refused.text, now_ms);
    default:
      break;
  }
  Error error(refused.code, Outcome::no, endpoint_ + ": " + refused.text);
  if (refused.code == Code::refused) error.first = refused.last_offset;
  end(std::move(error));
}

void SubscriberSession::on(const wire::Gap& gap, std::uint64_t now_ms) {
  if (link_ == Link::greeting || gap.subscription != subscription_) return;
  on_gap(gap.first,
         "what was asked for is no longer kept: the log begins with offset " +
             std::to_string(gap.first),
         now_ms);
}

void SubscriberSession::on_gap(Offset first, const std::string& text, std::uint64_t now_ms) {
  const auto* start = std::get_if<FromOffset>(&options_.from);
  const bool known = start && !options_.cursor;  // a cursor may stand anywhere
  const Offset due = next_ != 0 ? next_ : known ? start->offset : 0;
  if (!options_.jumps_gaps) {
    Error error(Code::gap, Outcome::no, endpoint_ + ": " + text);
    error.first = first;
    return end(std::move(error));
  }
  if (first == 0 || first <= due) return on_bad_delivery("it keeps what it says it does not");
  // At the start: all that is kept is younger, or it was a cursor that lies below.
  if (next_ == 0) since_ = 0;
  deliveries_.push_back({.records = {}, .first = first, .last = first - 1, .gap = Gap{due, first}});
  next_ = first;
  check_complete();
  if (complete_ || link_ == Link::none) return;
  link_ = Link::subscribing;
  patience_until_ms_ = now_ms + subscribe_patience_ms;
  subscribe(now_ms);
}

// --- delivering ---

void SubscriberSession::deliver(const wire::Deliver& frame, Slice body) {
  if (link_ != Link::open || frame.subscription != subscription_) return;
  if (frame.after + 1 != next_ || frame.up_to < frame.after) {
    return on_bad_delivery("a frame behind offset " + std::to_string(frame.after) + " came where " +
                           std::to_string(next_) + " was due");
  }
  if (auto wrong = wrong_with_records(body.bytes(), next_, frame.up_to, first_batch_)) {
    return on_bad_delivery(*wrong);
  }
  bad_deliveries_ = 0;
  route_.succeeded();
  const auto messages = static_cast<std::int64_t>(frame.up_to - frame.after);
  const auto bytes = static_cast<std::int64_t>(body.size());
  granted_messages_ -= messages;
  granted_bytes_ -= bytes;
  queued_messages_ += messages;
  queued_bytes_ += bytes;
  if (messages > 0) first_batch_ = false;
  deliveries_.push_back({.records = std::move(body),
                         .first = next_,
                         .last = std::min(frame.up_to, end_.value_or(frame.up_to)),
                         .since = since_,
                         .credit_messages = static_cast<std::uint64_t>(messages),
                         .credit_bytes = static_cast<std::uint64_t>(bytes)});
  next_ = frame.up_to + 1;
  check_complete();
}

// Subscribing again from next_ at another server repairs lost frames. What no server gets right is
// told, not skipped.
void SubscriberSession::on_bad_delivery(const std::string& what) {
  leave(what);
  if (++bad_deliveries_ >= bad_deliveries_max) end(Error(Code::protocol, Outcome::no, trouble_));
}

void SubscriberSession::on(const wire::Covered& covered, std::uint64_t) {
  if (link_ != Link::open || covered.subscription != subscription_) return;
  if (covered.up_to < next_) return;
  on_bad_delivery("it says it has sent up to offset " + std::to_string(covered.up_to) + ", but " +
                  std::to_string(next_) + " did not come");
}

// --- the durable cursor ---

void SubscriberSession::acknowledge(Offset up_to) {
  ZABMQ_CHECK(acks_);
  acks_->want(up_to);
}

std::optional<Offset> SubscriberSession::acknowledged() const {
  return acks_ ? acks_->confirmed() : std::nullopt;
}

void SubscriberSession::send_acknowledgement(std::uint64_t now_ms) {
  if (!acks_ || link_ != Link::open || leaving_) return;
  if (auto move = acks_->next(now_ms)) send(*std::move(move));
}

void SubscriberSession::on(const wire::CursorMoved& moved, std::uint64_t) {
  if (acks_) acks_->on_moved(moved);
}

// --- credit ---

void SubscriberSession::consumed(std::uint64_t messages, std::uint64_t bytes) {
  queued_messages_ -= static_cast<std::int64_t>(messages);
  queued_bytes_ -= static_cast<std::int64_t>(bytes);
  ZABMQ_CHECK(queued_messages_ >= 0 && queued_bytes_ >= 0);
}

// Given by halves: a frame for each message would cost more than the message.
void SubscriberSession::grant_credit() {
  if (link_ != Link::open || leaving_) return;
  const auto window_messages = static_cast<std::int64_t>(options_.credit_messages);
  const auto window_bytes = static_cast<std::int64_t>(options_.credit_bytes);
  const std::int64_t messages = window_messages - granted_messages_ - queued_messages_;
  const std::int64_t bytes = window_bytes - granted_bytes_ - queued_bytes_;
  if (messages < (window_messages + 1) / 2 && bytes < (window_bytes + 1) / 2) return;
  if (messages <= 0 && bytes <= 0) return;
  wire::Credit credit;
  credit.subscription = subscription_;
  credit.messages = static_cast<std::uint64_t>(std::max<std::int64_t>(messages, 0));
  credit.bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0));
  granted_messages_ += static_cast<std::int64_t>(credit.messages);
  granted_bytes_ += static_cast<std::int64_t>(credit.bytes);
  send(credit);
}

}  // namespace zabmq::client
