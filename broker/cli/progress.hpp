// Progress: a line each second, and on a terminal a bar below the lines.
#pragma once

#include <string>

#include "cli/bench_meter.hpp"

namespace zabmq::cli {

// "   3 s     123456 messages/s  p50 1.20 ms  p99 3.40 ms"; latencies only if any were recorded.
std::string interval_line(double second, bool warming_up, const BenchMeter::Interval& interval);

// "[######--------------]  30 %", of `width` places.
std::string bar(double share, std::size_t width);

// Writes to standard error.
class Progress {
 public:
  Progress();
  ~Progress();  // no bar stays behind
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const std::string& line, double share);

 private:
  const bool terminal_;
};

}  // namespace zabmq::cli
