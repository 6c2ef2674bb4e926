// Load subscriber: subscriptions one after the other, and what a refusal means.
#include "nemesis/engine/load_subscriber.hpp"

#include <algorithm>

#include "nemesis/engine/payload.hpp"

namespace zabmq::nemesis {

namespace {

using Kind = sim::HistoryEvent::Kind;

constexpr Millis silence{2000};
constexpr Millis poll_time{50};
constexpr std::size_t poll_messages = 500;
constexpr std::uint64_t stay_ms_max = 5000;  // of one that moves, at one server
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

void SubscriptionRecorder::drained(ServerId server, Offset end) {
  RecordedEvent drain = event(Kind::drain);
  drain.server = server;
  drain.offset = end;
  writer_.add(drain);
}

// --- the load ---

LoadSubscriber::LoadSubscriber(SubscriberLoad load, Timeline& timeline)
    : load_(std::move(load)),
      timeline_(timeline),
      recorder_(load_.histories, "subscriber-" + std::to_string(load_.number), load_.number),
      random_(load_.seed) {
  thread_ = std::thread([this] { run(); });
}

LoadSubscriber::~LoadSubscriber() {
  stop();
  thread_.join();
}

void LoadSubscriber::run() {
  while (!stopping_) subscribe();
  recorder_.close();
}

SubscriberOptions LoadSubscriber::options() {
  SubscriberOptions options;
  options.endpoints = load_.endpoints;
  if (load_.moves) options.endpoints = {load_.endpoints[random_() % load_.endpoints.size()]};
  options.timeout = silence;
  options.topics = load_.topics;
  options.from = at_offset(next_);
  options.credit_messages = load_.credit;
  return options;
}

void LoadSubscriber::subscribe() {
  recorder_.begin(next_, load_.topics);
  Subscriber subscriber(options());
  const auto stay = std::chrono::milliseconds(random_() % stay_ms_max);
  take(subscriber, load_.moves ? Clock::now() + stay : Clock::time_point::max());
  // Where a new subscription goes on: everything below has been delivered, or was not asked for.
  if (subscriber.next_offset() > next_) {
    next_ = subscriber.next_offset();
    recorder_.mark(next_ - 1);
  }
  recorder_.end();
  reached_ = next_;
}

void LoadSubscriber::take(Subscriber& subscriber, Clock::time_point until) {
  while (!stopping_ && Clock::now() < until) {
    try {
      subscriber.poll([this](const Message& message) { recorder_.delivered(message); },
                      poll_messages, poll_time);
      // Nothing before a server has answered SUBSCRIBE: it stays where the last subscription was.
      reached_ = std::max(subscriber.next_offset(), next_);
    } catch (const Error& error) {
      if (error.code != Code::unavailable) {
        // What was delivered must be there, so a resume can be neither refused nor below the floor.
        timeline_.violation("subscriber " + std::to_string(load_.number) + " from offset " +
                            std::to_string(next_) + ": " + error.what());
        stopping_ = true;
      }
      if (load_.moves) return;
    }
  }
}

bool drain(const std::string& endpoint, Offset first, Millis silence_bound,
           SubscriptionRecorder& recorder) {
  recorder.begin(first);
  SubscriberOptions options;
  options.endpoints = {endpoint};
  options.timeout = silence_bound;
  options.from = at_offset(first);
  options.until_end = true;
  try {
    Subscriber subscriber(options);
    for (const Message& message : subscriber) recorder.delivered(message);
    if (subscriber.next_offset() > first) recorder.mark(subscriber.next_offset() - 1);
    recorder.end();
    return true;
  } catch (const Error&) {
    recorder.end();
    return false;
  }
}

}  // namespace zabmq::nemesis
