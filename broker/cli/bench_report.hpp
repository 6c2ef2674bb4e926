// BenchReport: what a measurement found, as a line of JSON and as text for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/commands.hpp"
#include "cli/environment.hpp"
#include "cli/histogram.hpp"

namespace zabmq::cli {

struct BenchResult {
  std::uint64_t messages = 0;  // in the measured time, warm-up excluded
  std::uint64_t bytes = 0;     // of their payloads
  double seconds = 0;
  std::optional<Histogram> latency_us;  // none: nothing was timed

  double messages_per_second() const;
  double megabytes_per_second() const;  // 10^6 bytes
};

// "pub", "sub", "e2e", "latency".
std::string name_of(BenchMode mode);

// One object with its '\n'; field names and their order are a contract.
std::string json_line(const BenchArguments& arguments, const BenchResult& result,
                      const Environment& environment);
// What it has published and cannot take back; of a benchmark that publishes.
std::string left_behind(const BenchArguments& arguments, const BenchResult& result);

std::string summary(const BenchArguments& arguments, const BenchResult& result,
                    const Environment& environment);

}  // namespace zabmq::cli
