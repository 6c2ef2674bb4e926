// Verdict: numbers and words on standard output.
#include "nemesis/engine/verdict.hpp"

#include <cstdarg>
#include <cstdio>

namespace zabmq::nemesis {

namespace {

constexpr std::size_t violations_shown = 40;

unsigned long long number(std::uint64_t n) {
  return n;
}

std::string text(const char* format, double a, double b) {
  char out[200];
  std::snprintf(out, sizeof out, format, a, b);
  return out;
}

void print_faults(const Results& results) {
  for (const std::string& line : results.faults.tally.lines(results.not_covered)) {
    std::printf("%s\n", line.c_str());
  }
  for (const auto& [what, times] : results.faults.findings) {
    std::printf("  %-42s %llu\n", what.c_str(), number(times));
  }
}

void print_retention(const Results& results) {
  const RetentionWatch::Counts counts = results.retention.counts();
  std::printf(
      "retention: messages let go %llu times, below offset %llu at the end; %llu snapshots "
      "installed, %llu gaps told, %llu resumes from durable cursors (%llu cursors overtaken)\n",
      number(counts.let_go), number(counts.first_offset), number(counts.installed),
      number(counts.gaps), number(results.cursor_resumes), number(counts.overtaken));
}

}  // namespace

std::string why_invalid(const Timeline::Summary& summary, const Amounts& amounts) {
  if (summary.per_fault_free_second < acknowledged_per_second_min) {
    return text("%.0f messages acknowledged per fault-free second, fewer than %.0f",
                summary.per_fault_free_second, acknowledged_per_second_min);
  }
  const auto a_minute = [&](std::uint64_t times) {
    return summary.seconds > 0 ? static_cast<double>(times) * 60 / summary.seconds : 0;
  };
  const double faults = a_minute(amounts.faults);
  if (faults < faults_per_minute_min) {
    return text("%.1f faults a minute, fewer than %.0f", faults, faults_per_minute_min);
  }
  const double let_go = a_minute(amounts.let_go);
  if (let_go < let_go_per_minute_min) {
    return text("messages were let go %.1f times a minute, fewer than %.0f", let_go,
                let_go_per_minute_min);
  }
  const double resumes = a_minute(amounts.cursor_resumes);
  if (resumes < cursor_resumes_per_minute_min) {
    return text("%.1f resumes from durable cursors a minute, fewer than %.0f", resumes,
                cursor_resumes_per_minute_min);
  }
  return "";
}

void print_history(const Judgement& judgement) {
  const auto& counts = judgement.checker.counts();
  std::printf(
      "history: %zu files, %llu events, %llu invoked, %llu acknowledged, %llu refused, "
      "%llu delivered, %llu unknown\n",
      judgement.files, number(judgement.events), number(counts.invoked),
      number(counts.acknowledged), number(counts.refused), number(counts.delivered),
      number(counts.unknown));
  std::printf("acknowledged %llu, lost %llu, duplicated %llu, misordered %llu\n",
              number(counts.acknowledged), number(counts.lost), number(counts.duplicated),
              number(counts.misordered));
  for (const auto& loss : judgement.checker.losses()) {
    if (loss.prefix + loss.middle + loss.postfix == 0) continue;
    std::printf("server %s lost: prefix %llu, middle %llu, postfix %llu\n",
                to_string(loss.server).c_str(), number(loss.prefix), number(loss.middle),
                number(loss.postfix));
  }
  std::size_t shown = 0;
  for (const sim::Violation& violation : judgement.checker.violations()) {
    if (++shown > violations_shown) break;
    std::printf("violation %s at %llu: %s\n", std::string(to_string(violation.rule)).c_str(),
                number(violation.time), violation.text.c_str());
  }
}

bool print_verdict(const Results& results) {
  const Timeline::Summary summary = results.timeline.summary();
  print_faults(results);
  print_history(results.judgement);
  std::printf("%.0f acknowledged per fault-free second (%.1f of %.1f s were free of faults)\n",
              summary.per_fault_free_second, summary.fault_free_seconds, summary.seconds);
  std::printf("without acknowledgements: longest %.2f s, in total %.1f s of %.1f s\n",
              summary.longest_silence, summary.total_silence, summary.seconds);
  std::printf("longest from healed to acknowledging: %.2f s\n",
              static_cast<double>(results.faults.longest_recovery.count()) / 1000);
  std::printf("logs: %llu transactions in %llu epochs, the same on all servers%s\n",
              number(results.logs.compared), number(results.logs.epochs),
              results.logs.violations.empty() ? "" : ": NO, see below");
  print_retention(results);
  std::vector<std::string> others = results.timeline.violations();
  const std::vector<std::string> gaps = results.retention.violations(true);
  others.insert(others.end(), gaps.begin(), gaps.end());
  others.insert(others.end(), results.logs.violations.begin(), results.logs.violations.end());
  for (const std::string& violation : others) std::printf("violation: %s\n", violation.c_str());
  const std::uint64_t violations = results.judgement.checker.counts().violations + others.size();
  const std::string invalid = why_invalid(
      summary,
      {results.faults.tally.total(), results.retention.counts().let_go, results.cursor_resumes});
  if (violations > 0) {
    std::printf("nemesis: %llu violations (seed %llu)\n", number(violations),
                number(results.options.seed));
  } else if (!invalid.empty()) {
    std::printf("nemesis: invalid: %s (seed %llu)\n", invalid.c_str(),
                number(results.options.seed));
  } else {
    std::printf(
        "nemesis: the promises hold: %llu faults (%zu kinds not covered, %llu times not done), "
        "%llu acknowledged (seed %llu)\n",
        number(results.faults.tally.total()), results.not_covered.size(),
        number(results.faults.tally.total_not_done()),
        number(results.judgement.checker.counts().acknowledged), number(results.options.seed));
  }
  return violations == 0 && invalid.empty();
}

}  // namespace zabmq::nemesis
