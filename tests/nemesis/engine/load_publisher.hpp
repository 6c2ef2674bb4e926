// LoadPublisher: one publisher of the load, with its thread. It never gives up on an open outcome:
// it asks again, or opens its session anew, until it knows.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "nemesis/engine/attempts.hpp"
#include "nemesis/engine/timeline.hpp"
#include "zabmq/publisher.hpp"

namespace zabmq::nemesis {

struct PublisherLoad {
  enum class Style : std::uint8_t {
    stream,  // many under way; asks again for open outcomes
    single,  // one at a time
    session  // a session file; killed, or overtaken by a copy of itself, now and then
  };
  Style style = Style::stream;
  sim::PublisherKey key{};
  std::vector<std::string> endpoints;
  std::vector<std::string> topics;
  std::filesystem::path histories;
  std::filesystem::path sessions;
  unsigned burst_max = 8;
  std::chrono::milliseconds pause{10};  // between bursts
  std::uint64_t seed = 0;
};

class LoadPublisher {
 public:
  LoadPublisher(PublisherLoad load, Timeline& timeline);
  ~LoadPublisher();
  LoadPublisher(const LoadPublisher&) = delete;
  LoadPublisher& operator=(const LoadPublisher&) = delete;

  void stop();  // no new messages
  // After stop(): waits until every outcome is known and the thread has ended.
  bool wait_for_end(Millis bound);
  std::string name() const;

 private:
  void run();
  bool rest(std::chrono::milliseconds span);  // false: stopped
  bool open();
  void burst();
  void publish_one();
  void recover();
  void ask_again();
  void reopen();
  void overtake();
  std::filesystem::path session_file() const;

  const PublisherLoad load_;
  Timeline& timeline_;
  Attempts attempts_;
  std::mt19937_64 random_;
  std::unique_ptr<Publisher> publisher_;
  std::uint64_t ticket_ = 0;
  std::uint64_t copies_ = 0;      // of the session file
  std::uint64_t next_crash_ = 0;  // of a session: the ticket at which it ends
  std::uint64_t refusals_ = 0;    // in a row, by try_publish
  std::uint64_t locked_ = 0;      // tries to open its session file, in a row

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> abandoned_{false};  // outcomes do not matter any more
  bool over_ = false;
  std::thread thread_;
};

}  // namespace zabmq::nemesis
