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

#include "nemesis/engine/history_file.hpp"
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
  void drained(ServerId server, Offset end);  // the last one was the final drain of that server
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
  std::size_t credit = 65536;
  std::filesystem::path histories;
  std::uint64_t seed = 0;
};

class LoadSubscriber {
 public:
  LoadSubscriber(SubscriberLoad load, Timeline& timeline);
  ~LoadSubscriber();
  LoadSubscriber(const LoadSubscriber&) = delete;
  LoadSubscriber& operator=(const LoadSubscriber&) = delete;

  Offset reached() const { return reached_; }  // everything below was there
  void stop() { stopping_ = true; }

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  SubscriberOptions options();
  void subscribe();
  void take(Subscriber& subscriber, Clock::time_point until);

  const SubscriberLoad load_;
  Timeline& timeline_;
  SubscriptionRecorder recorder_;
  std::mt19937_64 random_;
  Offset next_ = 1;
  std::atomic<Offset> reached_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Everything that a server has from `first` on to what is the end now, written down. False: it did
// not answer to the end.
bool drain(const std::string& endpoint, Offset first, Millis silence,
           SubscriptionRecorder& recorder);

}  // namespace zabmq::nemesis
