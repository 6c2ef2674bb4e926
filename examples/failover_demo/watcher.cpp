// Watcher: the subscribing thread.
#include "failover_demo/watcher.hpp"

#include <utility>

namespace zabmq::demo {

namespace {

constexpr Millis outage_max{60000};  // of the one server that it subscribes at
constexpr Millis stop_interval{50};
constexpr std::size_t deliveries_per_poll = 4096;

SubscriberOptions options_for(const std::string& endpoint, Offset from) {
  SubscriberOptions options;
  options.endpoints = {endpoint};
  options.timeout = outage_max;
  options.from = at_offset(from);
  return options;
}

}  // namespace

Watcher::Watcher(const std::string& endpoint, Offset from)
    : thread_([this, options = options_for(endpoint, from)] { run(options); }) {}

Watcher::~Watcher() {
  stopped_ = true;
  thread_.join();
}

void Watcher::run(const SubscriberOptions& options) {
  try {
    Subscriber subscriber(options);
    const auto remember = [this](const Message& message) {
      const std::lock_guard lock(mutex_);
      deliveries_.push_back({message.offset, message.zxid, std::string(message.text())});
    };
    while (!stopped_) {
      if (subscriber.poll(remember, deliveries_per_poll, stop_interval) > 0) changed_.notify_all();
    }
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    failure_ = error;
    changed_.notify_all();
  }
}

bool Watcher::wait_for(std::size_t deliveries, Millis bound) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, bound, [&] { return failure_ || deliveries_.size() >= deliveries; });
  if (failure_) throw *failure_;
  return deliveries_.size() >= deliveries;
}

Deliveries Watcher::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(deliveries_, {});
}

}  // namespace zabmq::demo
