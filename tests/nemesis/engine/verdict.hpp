// Verdict: the report of a run, and what makes it good, bad or invalid.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nemesis/engine/faults.hpp"
#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/log_comparison.hpp"
#include "nemesis/engine/nemesis.hpp"
#include "nemesis/engine/retention_watch.hpp"
#include "nemesis/engine/timeline.hpp"

namespace zabmq::nemesis {

// A run that did less proves nothing.
inline constexpr double acknowledged_per_second_min = 500;  // while there is no fault
inline constexpr double faults_per_minute_min = 10;
inline constexpr double let_go_per_minute_min = 2;
inline constexpr double cursor_resumes_per_minute_min = 2;

struct Results {
  const Options& options;
  const Faults::Report& faults;
  std::vector<Fault> not_covered;
  const Timeline& timeline;
  const Judgement& judgement;
  LogVerdict logs;
  const RetentionWatch& retention;
  std::uint64_t cursor_resumes = 0;
};

struct Amounts {
  std::uint64_t faults = 0;
  std::uint64_t let_go = 0;  // times that retention let messages go
  std::uint64_t cursor_resumes = 0;
};

// Empty: the run counts. Otherwise why it does not.
std::string why_invalid(const Timeline::Summary& summary, const Amounts& amounts);

void print_history(const Judgement& judgement);  // counts, losses and violations
bool print_verdict(const Results& results);      // true: valid, and no violation

}  // namespace zabmq::nemesis
