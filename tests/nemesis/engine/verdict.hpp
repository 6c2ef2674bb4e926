// Verdict: the report of a run, and what makes it good, bad or invalid.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nemesis/engine/faults.hpp"
#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/log_comparison.hpp"
#include "nemesis/engine/nemesis.hpp"
#include "nemesis/engine/timeline.hpp"

namespace zabmq::nemesis {

// A run that did less proves nothing.
inline constexpr double acknowledged_per_second_min = 500;  // while there is no fault
inline constexpr double faults_per_minute_min = 10;

struct Results {
  const Options& options;
  const Faults::Report& faults;
  std::vector<Fault> not_covered;
  const Timeline& timeline;
  const Judgement& judgement;
  LogVerdict logs;
};

// Empty: the run counts. Otherwise why it does not.
std::string why_invalid(const Timeline::Summary& summary, std::uint64_t faults);

void print_history(const Judgement& judgement);  // counts, losses and violations
bool print_verdict(const Results& results);      // true: valid, and no violation

}  // namespace zabmq::nemesis
