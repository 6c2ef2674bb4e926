// Watcher: a subscriber at one server, on a thread of its own, that remembers what it receives.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "failover_demo/verdict.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::demo {

class Watcher {
 public:
  // Uses this server only, and outlasts its restart.
  Watcher(const std::string& endpoint, Offset from);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // False: fewer within `bound`. Throws the subscriber's Error.
  bool wait_for(std::size_t deliveries, Millis bound);

  // Everything received since the last call.
  Deliveries take();

 private:
  void run(const SubscriberOptions& options);

  std::mutex mutex_;
  std::condition_variable changed_;
  Deliveries deliveries_;
  std::optional<Error> failure_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace zabmq::demo
