// LoadSubscriber: one subscriber of the load, with its thread; and the final drain of a server.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "nemesis/engine/cursor_lives.hpp"
#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/retention_watch.hpp"
#include "nemesis/engine/timeline.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::nemesis {

// Writes down what one subscription after the other is given.
class SubscriptionRecorder {
 public:
  SubscriptionRecorder(const std::filesystem::path& directory, const std::string& name,
                       std::uint32_t number);

  void begin(Offset first, const std::vector<std::string>& topics = {});
  void delivered(const Message& message);
  void mark(Offset covered);
  void end();
  // The last one was the final drain of that server, which began with `first`.
  void drained(ServerId server, Offset end, Offset first);
  void close() { writer_.close(); }

 private:
  RecordedEvent event(sim::HistoryEvent::Kind kind) const;

  HistoryWriter writer_;
  std::uint64_t number_;
  std::uint32_t incarnation_ = 0;
};

struct SubscriberLoad {
  std::uint32_t number = 0;
  std::vector<std::string> endpoints;
  std::vector<std::string> topics;  // empty: all
  // True: a subscription at one server, then another where it ended at another one. False: one
  // subscription at all servers for the whole run, which the library moves.
  bool moves = false;
  // Of one that moves: now and then it does nothing for so long that retention may pass it.
  bool rests = false;
  enum class AtGap : std::uint8_t { stop, jump };  // stop: and begin anew where something is kept
  AtGap at_gap = AtGap::jump;
  // Not empty: it resumes from a durable cursor of that name, and is ended and begun again and
  // again.
  std::string cursor;
  std::size_t credit = 65536;
  std::filesystem::path histories;
  std::uint64_t seed = 0;
};

class LoadSubscriber {
 public:
  LoadSubscriber(SubscriberLoad load, Timeline& timeline, RetentionWatch& retention);
  ~LoadSubscriber();
  LoadSubscriber(const LoadSubscriber&) = delete;
  LoadSubscriber& operator=(const LoadSubscriber&) = delete;

  Offset reached() const { return reached_; }  // everything below was there
  void hurry() { hurrying_ = true; }           // it rests no more
  void stop() { stopping_ = true; }
  std::uint64_t cursor_resumes() const { return cursor_resumes_; }

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  std::string name() const { return "subscriber " + std::to_string(load_.number); }
  SubscriberOptions options();
  void subscribe();
  void rest();
  void take(Subscriber& subscriber, Clock::time_point until);
  bool poll(Subscriber& subscriber);
  void on_error(const Subscriber& subscriber, const Error& error);
  void on_gap(const Gap& gap);
  void live_with_cursor();
  void cursor_starts(Offset first);
  void on_cursor_gap(const Gap& gap);
  void acknowledge(Subscriber& subscriber);

  const SubscriberLoad load_;
  Timeline& timeline_;
  RetentionWatch& retention_;
  SubscriptionRecorder recorder_;
  std::mt19937_64 random_;
  Offset next_ = 1;
  bool over_ = false;  // this subscription; begin anew at next_
  CursorLives lives_;
  std::atomic<std::uint64_t> cursor_resumes_{0};
  std::atomic<bool> hurrying_{false};
  std::atomic<Offset> reached_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Everything that a server has from `first` on to what is the end now, written down; from what it
// says it keeps if that is less. False: it did not answer to the end.
bool drain(const std::string& endpoint, Offset first, Millis silence,
           SubscriptionRecorder& recorder);

}  // namespace zabmq::nemesis
