// PublisherCrowd: many publishers of one process, each with an id, a session and a connection of
// its own, all on the caller's thread. For load generators: a Publisher has a thread, and a
// thousand threads measure the scheduler.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "zabmq/client.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

class PublisherCrowd {
 public:
  // Told on the caller's thread, inside turn(); may publish.
  using Done = std::function<void(std::size_t publisher, const Result<Receipt>& result)>;

  PublisherCrowd(const ClientOptions& options, std::size_t count, Done done);
  ~PublisherCrowd();
  PublisherCrowd(const PublisherCrowd&) = delete;
  PublisherCrowd& operator=(const PublisherCrowd&) = delete;

  // Connects all, a few at a time. Throws Error when one is not open in time.
  void open();
  // Never blocks; what was taken leaves with the next turn().
  Result<Sequence> try_publish(std::size_t publisher, std::string_view topic, Bytes payload);
  // Waits up to `wait` for something to arrive, and handles all that has.
  void turn(std::chrono::nanoseconds wait);
  // Frees the publishers' entries in the cluster. Best effort, at most the options' timeout.
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zabmq::client
