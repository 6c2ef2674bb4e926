// Progress: lines for everybody, a bar for people.
#include "cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace zabmq::cli {

namespace {

constexpr std::size_t bar_width = 40;
constexpr const char* clear_line = "\r\033[K";

double milliseconds(std::uint64_t microseconds) {
  return static_cast<double>(microseconds) / 1000;
}

}  // namespace

std::string interval_line(double second, bool warming_up, const BenchMeter::Interval& interval) {
  char text[160];
  std::snprintf(text, sizeof text, "%4.0f s  %10llu messages/s", second,
                static_cast<unsigned long long>(interval.messages));
  std::string line = text;
  if (interval.latency_us.count() > 0) {
    std::snprintf(text, sizeof text, "  p50 %.2f ms  p99 %.2f ms",
                  milliseconds(interval.latency_us.percentile(0.5)),
                  milliseconds(interval.latency_us.percentile(0.99)));
    line += text;
  }
  return line + (warming_up ? "  (warm-up)" : "");
}

std::string bar(double share, std::size_t width) {
  const double whole = std::clamp(share, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(whole * static_cast<double>(width));
  char percent[16];
  std::snprintf(percent, sizeof percent, "] %3.0f %%", whole * 100);
  return "[" + std::string(full, '#') + std::string(width - full, '-') + percent;
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (terminal_) std::fputs(clear_line, stderr);
}

void Progress::show(const std::string& line, double share) {
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
  } else {
    std::fprintf(stderr, "%s%s\n%s", clear_line, line.c_str(), bar(share, bar_width).c_str());
  }
  std::fflush(stderr);
}

}  // namespace zabmq::cli
