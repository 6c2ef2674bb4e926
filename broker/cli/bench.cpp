// bench: how many messages a cluster takes, and how long each waits for its acknowledgement.
//
// Every publisher keeps its window full, or with --rate follows a schedule; then a message's
// latency counts from its intended time, so that a stall of the cluster is not hidden by a stall of
// the load (no coordinated omission).
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "zabmq/admin.hpp"
#include "zabmq/publisher.hpp"

namespace zabmq::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis interval{1000};
constexpr Millis busy_pause{1};

std::uint64_t microseconds(Clock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

// One publisher and the thread that feeds it.
class Load {
 public:
  Load(const BenchArguments& arguments, std::size_t number)
      : arguments_(arguments), payload_(arguments.size, 'x'), publisher_(options_for(arguments)) {
    if (!arguments.rate) return;
    const double own = *arguments.rate / static_cast<double>(arguments.publishers);
    gap_ = std::chrono::duration<double>(1 / own);
    phase_ = gap_ * static_cast<double>(number) / static_cast<double>(arguments.publishers);
  }

  // Publishes until `end`, then waits for what is on its way.
  void run(Clock::time_point begin, Clock::time_point end, const std::atomic<bool>& stopped) {
    try {
      for (std::uint64_t n = 0; !stopped && !failed_; ++n) {
        const Clock::time_point intended = wait_for_turn(begin, n);
        if (intended >= end || !publish(intended, end)) break;
      }
      publisher_.flush(arguments_.client.timeout);
    } catch (const Error& error) {
      fail(error);
    }
  }

  void close() {
    try {
      publisher_.close(arguments_.client.timeout);
    } catch (const Error&) {
      // The measurement is over; the cluster forgets the publisher after its time to live.
    }
  }

  std::uint64_t acknowledged() const { return acknowledged_; }
  bool failed() const { return failed_; }

  // Once run() has returned and every message has its outcome.
  Clock::time_point last_at() const {
    const std::lock_guard lock(mutex_);
    return last_at_;
  }
  Histogram latency() const {
    const std::lock_guard lock(mutex_);
    return latency_;
  }
  std::optional<Error> failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  static PublisherOptions options_for(const BenchArguments& arguments) {
    PublisherOptions options;
    static_cast<ClientOptions&>(options) = arguments.client;
    options.window_messages = arguments.window;
    return options;
  }

  // When message `n` should go out: with a rate by the schedule, else as soon as the window allows.
  Clock::time_point wait_for_turn(Clock::time_point begin, std::uint64_t n) {
    if (!arguments_.rate) return wait_for_room();
    const auto after = phase_ + gap_ * static_cast<double>(n);
    const auto due = begin + std::chrono::duration_cast<Clock::duration>(after);
    std::this_thread::sleep_until(due);
    (void)wait_for_room();
    return due;
  }

  Clock::time_point wait_for_room() {
    std::size_t open = in_flight_;
    while (open >= arguments_.window && !failed_) {
      in_flight_.wait(open);
      open = in_flight_;
    }
    return Clock::now();
  }

  bool publish(Clock::time_point intended, Clock::time_point end) {
    ++in_flight_;
    const Bytes bytes = std::as_bytes(std::span(payload_));
    while (true) {
      const auto done = [this, intended](const Result<Receipt>& result) {
        on_done(result, intended);
      };
      const auto taken = publisher_.try_publish(arguments_.topic, bytes, done);
      if (taken) return true;
      if (taken.error().code != Code::busy || Clock::now() >= end) {
        --in_flight_;
        if (taken.error().code != Code::busy) fail(taken.error());
        return false;
      }
      std::this_thread::sleep_for(busy_pause);  // bytes, not messages, have filled the window
    }
  }

  void on_done(const Result<Receipt>& result, Clock::time_point intended) {
    if (result) {
      const auto now = Clock::now();
      const std::lock_guard lock(mutex_);
      latency_.record(microseconds(now - intended));
      last_at_ = now;
      ++acknowledged_;
    } else {
      fail(result.error());
    }
    --in_flight_;
    in_flight_.notify_one();
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
    failed_ = true;
  }

  const BenchArguments& arguments_;
  const std::string payload_;
  std::chrono::duration<double> gap_{0};
  std::chrono::duration<double> phase_{0};
  std::atomic<std::size_t> in_flight_ = 0;
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  Histogram latency_;
  Clock::time_point last_at_{};
  std::optional<Error> failure_;
  Publisher publisher_;  // last: its thread calls back into all of the above
};

std::string durability_of(const ClientOptions& client) {
  const ClusterStatus status = cluster_status(client, std::min(client.timeout, Millis{1000}));
  for (const ServerStatus& server : status.servers) {
    if (server.id == status.leader && server.reachable) return server.durability;
  }
  return "unknown";
}

bool any_failed(const std::vector<std::unique_ptr<Load>>& loads) {
  return std::any_of(loads.begin(), loads.end(), [](const auto& load) { return load->failed(); });
}

std::uint64_t total(const std::vector<std::unique_ptr<Load>>& loads) {
  std::uint64_t sum = 0;
  for (const auto& load : loads) sum += load->acknowledged();
  return sum;
}

// Interval lines until the end, until somebody stops the run, or until a publisher has failed.
void watch(const std::vector<std::unique_ptr<Load>>& loads, Clock::time_point begin,
           Clock::time_point end, StopSignals& stop, std::atomic<bool>& stopped) {
  std::uint64_t before = 0;
  for (auto next = begin + interval; next <= end && !stopped; next += interval) {
    const auto left = std::chrono::ceil<Millis>(next - Clock::now());
    stopped = stop.wait({}, std::max(left, Millis{0})) || any_failed(loads);
    const std::uint64_t now = total(loads);
    std::fprintf(stderr, "%4lld s  %10llu messages/s\n",
                 static_cast<long long>((next - begin) / std::chrono::seconds{1}),
                 static_cast<unsigned long long>(now - before));
    before = now;
  }
}

BenchResult result_of(const std::vector<std::unique_ptr<Load>>& loads, std::size_t size,
                      Clock::time_point begin) {
  BenchResult result;
  Clock::time_point last = begin;
  for (const auto& load : loads) {
    if (const auto failure = load->failure()) throw *failure;
    result.latency_us.merge(load->latency());
    last = std::max(last, load->last_at());
  }
  result.messages = result.latency_us.count();
  result.bytes = result.messages * size;
  result.seconds = std::chrono::duration<double>(last - begin).count();
  return result;
}

std::string summary(const BenchResult& result) {
  char text[512];
  std::snprintf(text, sizeof text,
                "%llu messages in %.2f s: %.0f messages/s, %.2f MB/s, durability %s\n"
                "latency ms: p50 %.2f  p99 %.2f  p999 %.2f  max %.2f\n",
                static_cast<unsigned long long>(result.messages), result.seconds,
                result.messages_per_second(), result.megabytes_per_second(),
                result.durability.c_str(),
                static_cast<double>(result.latency_us.percentile(0.5)) / 1000,
                static_cast<double>(result.latency_us.percentile(0.99)) / 1000,
                static_cast<double>(result.latency_us.percentile(0.999)) / 1000,
                static_cast<double>(result.latency_us.max()) / 1000);
  return text;
}

}  // namespace

ExitCode run(const BenchArguments& arguments) {
  StopSignals stop;  // before the library's threads start
  std::vector<std::unique_ptr<Load>> loads;
  for (std::size_t i = 0; i < arguments.publishers; ++i) {
    loads.push_back(std::make_unique<Load>(arguments, i));
  }
  const std::string durability = durability_of(arguments.client);
  std::atomic<bool> stopped = false;
  const auto begin = Clock::now();
  const auto end = begin + arguments.duration;
  std::vector<std::thread> threads;
  for (const auto& load : loads) {
    threads.emplace_back([&load, begin, end, &stopped] { load->run(begin, end, stopped); });
  }
  watch(loads, begin, end, stop, stopped);
  for (std::thread& thread : threads) thread.join();
  BenchResult result = result_of(loads, arguments.size, begin);
  result.durability = durability;
  for (const auto& load : loads) load->close();
  write_out(arguments.json ? json_line(result) : summary(result));
  flush_out();
  return ExitCode::done;
}

}  // namespace zabmq::cli
