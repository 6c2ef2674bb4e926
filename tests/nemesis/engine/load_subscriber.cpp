// Load subscriber: subscriptions one after the other, and what a refusal means.
#include "nemesis/engine/load_subscriber.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "nemesis/engine/payload.hpp"

namespace zabmq::nemesis {

namespace {

using Kind = sim::HistoryEvent::Kind;

constexpr Millis silence{2000};
constexpr Millis poll_time{50};
constexpr std::size_t poll_messages = 500;
constexpr std::uint64_t stay_ms_max = 5000;  // of one that moves, at one server
constexpr std::chrono::seconds rest_min{10};
constexpr std::uint64_t rest_ms_more = 15000;
constexpr unsigned rest_of = 4;         // stays, on average, it rests
constexpr unsigned acknowledge_of = 3;  // polls, on average
constexpr Millis ack_patience{500};
constexpr int drain_jumps_max = 10;
constexpr sim::PublisherKey nobody{0xffff'ffff};

}  // namespace

// --- recording ---

SubscriptionRecorder::SubscriptionRecorder(const std::filesystem::path& directory,
                                           const std::string& name, std::uint32_t number)
    : writer_(directory / ("3-" + name + history_suffix)), number_(number) {}

RecordedEvent SubscriptionRecorder::event(Kind kind) const {
  RecordedEvent event;
  event.kind = kind;
  event.time = now_ns();
  event.subscription = sim::SubscriptionKey{number_ << 32 | incarnation_};
  return event;
}

void SubscriptionRecorder::begin(Offset first, const std::vector<std::string>& topics) {
  ++incarnation_;
  RecordedEvent begun = event(Kind::subscribe);
  begun.offset = first;
  begun.topics = topics;
  writer_.add(begun);
}

void SubscriptionRecorder::delivered(const Message& message) {
  const Identity identity = identity_of(message.payload).value_or(Identity{nobody, 0});
  RecordedEvent delivery = event(Kind::deliver);
  delivery.offset = message.offset;
  delivery.zxid = message.zxid;
  delivery.publisher = identity.publisher;
  delivery.ticket = identity.ticket;
  delivery.topic = message.topic;
  delivery.payload_hash = payload_hash(message.payload);
  writer_.add(delivery);
}

void SubscriptionRecorder::mark(Offset covered) {
  RecordedEvent mark = event(Kind::mark);
  mark.offset = covered;
  writer_.add(mark);
}

void SubscriptionRecorder::end() {
  writer_.add(event(Kind::end));
}

void SubscriptionRecorder::drained(ServerId server, Offset end, Offset first) {
  RecordedEvent drain = event(Kind::drain);
  drain.server = server;
  drain.offset = end;
  drain.first = first;
  writer_.add(drain);
}

// --- the load ---

LoadSubscriber::LoadSubscriber(SubscriberLoad load, Timeline& timeline, RetentionWatch& retention)
    : load_(std::move(load)),
      timeline_(timeline),
      retention_(retention),
      recorder_(load_.histories, "subscriber-" + std::to_string(load_.number), load_.number),
      random_(load_.seed) {
  thread_ = std::thread([this] { run(); });
}

LoadSubscriber::~LoadSubscriber() {
  stop();
  thread_.join();
}

void LoadSubscriber::run() {
  while (!stopping_) {
    load_.cursor.empty() ? subscribe() : live_with_cursor();
    if (load_.rests && random_() % rest_of == 0) rest();
  }
  recorder_.close();
}

void LoadSubscriber::rest() {
  const auto span = rest_min + std::chrono::milliseconds(random_() % rest_ms_more);
  for (const auto end = Clock::now() + span; Clock::now() < end && !stopping_ && !hurrying_;) {
    ::poll(nullptr, 0, static_cast<int>(poll_time.count()));
  }
}

SubscriberOptions LoadSubscriber::options() {
  SubscriberOptions options;
  options.endpoints = load_.endpoints;
  if (load_.moves) options.endpoints = {load_.endpoints[random_() % load_.endpoints.size()]};
  options.timeout = silence;
  options.topics = load_.topics;
  options.credit_messages = load_.credit;
  if (!load_.cursor.empty()) {
    options.from = first();
    options.cursor = load_.cursor;
    options.on_gap = [this](const Gap& gap) { on_cursor_gap(gap); };
    return options;
  }
  options.from = at_offset(next_);
  if (load_.at_gap == SubscriberLoad::AtGap::jump) {
    options.on_gap = [this](const Gap& gap) { on_gap(gap); };
  }
  return options;
}

void LoadSubscriber::subscribe() {
  recorder_.begin(next_, load_.topics);
  over_ = false;
  Subscriber subscriber(options());
  const auto stay = std::chrono::milliseconds(random_() % stay_ms_max);
  take(subscriber, load_.moves ? Clock::now() + stay : Clock::time_point::max());
  // Where a new subscription goes on: everything below has been delivered, or was not asked for.
  if (!over_ && subscriber.next_offset() > next_) {
    next_ = subscriber.next_offset();
    recorder_.mark(next_ - 1);
  }
  recorder_.end();
  reached_ = next_;
}

void LoadSubscriber::take(Subscriber& subscriber, Clock::time_point until) {
  while (!stopping_ && !over_ && Clock::now() < until) {
    const bool answers = poll(subscriber);
    // Nothing before a server has answered SUBSCRIBE: it stays where the last subscription was.
    if (!over_) reached_ = std::max(subscriber.next_offset(), next_);
    if (!answers && load_.moves) return;
  }
}

// False: it is not served now.
bool LoadSubscriber::poll(Subscriber& subscriber) {
  try {
    subscriber.poll(
        [this](const Message& message) {
          if (!load_.cursor.empty() && !lives_.started()) cursor_starts(message.offset);
          recorder_.delivered(message);
        },
        poll_messages, poll_time);
    return true;
  } catch (const Error& error) {
    if (error.code != Code::unavailable) on_error(subscriber, error);
    return false;
  }
}

// Only a gap may end it, and only if it did not ask to be told of it.
void LoadSubscriber::on_error(const Subscriber& subscriber, const Error& error) {
  const bool stops = load_.cursor.empty() && load_.at_gap == SubscriberLoad::AtGap::stop;
  if (error.code == Code::gap && stops && error.first) {
    const Offset due = std::max(subscriber.next_offset(), next_);
    if (due > next_) recorder_.mark(due - 1);
    retention_.gap(now_ns(), {name(), due, *error.first});
    next_ = std::max(*error.first, due);
    over_ = true;
    return;
  }
  timeline_.violation(name() + " from offset " + std::to_string(next_) + ": " + error.what());
  stopping_ = true;
}

// What goes on behind a gap is another subscription.
void LoadSubscriber::on_gap(const Gap& gap) {
  retention_.gap(now_ns(), {name(), gap.from, gap.first_available});
  if (gap.from > next_) recorder_.mark(gap.from - 1);
  recorder_.end();
  next_ = gap.first_available;
  recorder_.begin(next_, load_.topics);
}

// --- with a durable cursor ---

// A life: it begins where the cluster says, acknowledges, and ends at any moment, as if the process
// were killed.
void LoadSubscriber::live_with_cursor() {
  lives_.begin();
  Subscriber subscriber(options());
  const auto until = Clock::now() + std::chrono::milliseconds(random_() % stay_ms_max);
  while (!stopping_ && (hurrying_ || Clock::now() < until)) {
    const bool answers = poll(subscriber);
    if (lives_.started()) {
      reached_ = subscriber.next_offset();
      acknowledge(subscriber);
    }
    if (!answers && load_.moves) break;
  }
  lives_.confirmed(subscriber.acknowledged());
  cursor_resumes_ = lives_.resumes();
  if (lives_.started()) recorder_.end();
}

void LoadSubscriber::cursor_starts(Offset first) {
  if (const std::optional<std::string> wrong = lives_.starts_at(first)) {
    timeline_.violation(name() + " with cursor " + load_.cursor + " " + *wrong);
  }
  recorder_.begin(first);
}

void LoadSubscriber::on_cursor_gap(const Gap& gap) {
  retention_.gap(now_ns(),
                 {name() + " with a durable cursor", gap.from, gap.first_available, true});
  if (!lives_.started()) return lives_.overtaken();
  recorder_.end();
  recorder_.begin(gap.first_available);
}

void LoadSubscriber::acknowledge(Subscriber& subscriber) {
  if (!hurrying_ && random_() % acknowledge_of != 0) return;
  const Offset up_to = subscriber.next_offset() - 1;
  lives_.acknowledged(up_to);
  try {
    if (random_() % 4 == 0) {
      subscriber.ack_sync(up_to, ack_patience);
      lives_.confirmed(up_to);
    } else {
      subscriber.ack(up_to);
    }
  } catch (const Error& error) {
    if (error.code != Code::unavailable) on_error(subscriber, error);
  }
}

// --- draining ---

bool drain(const std::string& endpoint, Offset first, Millis silence_bound,
           SubscriptionRecorder& recorder) {
  SubscriberOptions options;
  options.endpoints = {endpoint};
  options.timeout = silence_bound;
  options.until_end = true;
  for (int i = 0; i < drain_jumps_max; ++i) {
    recorder.begin(first);
    options.from = at_offset(first);
    try {
      Subscriber subscriber(options);
      for (const Message& message : subscriber) recorder.delivered(message);
      if (subscriber.next_offset() > first) recorder.mark(subscriber.next_offset() - 1);
      recorder.end();
      return true;
    } catch (const Error& error) {
      recorder.end();
      if (error.code != Code::gap || error.first.value_or(0) <= first) return false;
      first = *error.first;
    }
  }
  return false;
}

}  // namespace zabmq::nemesis
