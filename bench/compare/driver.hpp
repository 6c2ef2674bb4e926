// Driver: what the drivers of all neighbours share: arguments, times and the JSON line at the end.
//
// All are closed loops: so many messages outstanding in all, the next one sent when one is
// acknowledged; what was sent during the warm-up is not counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cli/histogram.hpp"

namespace zabmq::compare {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string host = "127.0.0.1";
  int port = 0;
  std::size_t size = 0;
  std::size_t window = 0;    // of all connections together
  std::size_t sessions = 0;  // connections
  double warmup = 0;         // seconds
  double duration = 0;
};

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "driver: %s\n", what.c_str());
  std::_Exit(1);
}

// PORT SIZE WINDOW SESSIONS WARMUP DURATION
inline Arguments arguments_of(int count, char** words) {
  if (count != 7) die("PORT SIZE WINDOW SESSIONS WARMUP DURATION expected");
  return {.port = std::atoi(words[1]),
          .size = std::strtoull(words[2], nullptr, 10),
          .window = std::strtoull(words[3], nullptr, 10),
          .sessions = std::strtoull(words[4], nullptr, 10),
          .warmup = std::atof(words[5]),
          .duration = std::atof(words[6])};
}

// What one thread of a driver has seen.
class Meter {
 public:
  explicit Meter(const Arguments& arguments)
      : warm_(Clock::now() + seconds(arguments.warmup)),
        end_(warm_ + seconds(arguments.duration)) {}

  void record(Clock::time_point sent, Clock::time_point done) {
    if (done < warm_ || done >= end_) return;
    ++messages_;
    if (sent < warm_) return;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(done - sent).count();
    latency_us_.record(static_cast<std::uint64_t>(us));
  }
  void merge(const Meter& other) {
    messages_ += other.messages_;
    latency_us_.merge(other.latency_us_);
  }
  bool over() const { return Clock::now() >= end_; }
  Clock::time_point end() const { return end_; }

  void print(const char* program, const Arguments& arguments) const {
    if (messages_ == 0) die("nothing was acknowledged");
    const double rate = static_cast<double>(messages_) / arguments.duration;
    std::printf(
        "{\"program\":\"%s\",\"messages_per_second\":%.0f,\"latency_us\":{\"p50\":%llu,"
        "\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu},\"messages\":%llu}\n",
        program, rate, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
        percentile(1), static_cast<unsigned long long>(messages_));
  }

 private:
  static Clock::duration seconds(double count) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
  }
  unsigned long long percentile(double share) const { return latency_us_.percentile(share); }

  Clock::time_point warm_;
  Clock::time_point end_;
  std::uint64_t messages_ = 0;
  cli::Histogram latency_us_;
};

}  // namespace zabmq::compare
