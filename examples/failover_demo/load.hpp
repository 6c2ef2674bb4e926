// Load: publishes the lines of a file and collects the receipts, on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "failover_demo/verdict.hpp"
#include "zabmq/publisher.hpp"

namespace zabmq::demo {

class Load {
 public:
  // Starts at once, but publishes no line from `hold_at` on before release(): whatever happens in
  // between happens under load, however fast the cluster is.
  Load(Publisher& publisher, const Lines& lines, std::size_t hold_at);
  ~Load();  // publishes no further line, and waits for the outcome of those under way
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void release();

  // Waits until so many lines are acknowledged. False: not within `bound`. Throws the Error of the
  // first line that was not.
  bool wait_for(std::size_t acknowledged, Millis bound);

  std::vector<Receipt> receipts() const;
  // The longest time between two acknowledgements.
  Millis longest_silence() const;

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  bool may_publish(std::size_t line);
  bool publish(std::string_view line);
  void on_done(const Result<Receipt>& result);

  Publisher& publisher_;
  const Lines& lines_;
  const std::size_t hold_at_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  bool stopped_ = false;
  std::size_t under_way_ = 0;
  std::vector<Receipt> receipts_;
  std::optional<Error> failure_;
  std::optional<Clock::time_point> last_at_;
  Clock::duration longest_silence_{0};
  std::thread thread_;
};

}  // namespace zabmq::demo
