// Report: counts, speed, and the table of faults by the state in which they hit.
#include "report.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>

namespace zabmq::sim::program {
namespace {

constexpr int name_width = 21;

std::string format(const char* text, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, text);
  std::vsnprintf(line, sizeof line, text, arguments);
  va_end(arguments);
  return line;
}

std::uint64_t of_state(const HitTable& hits, std::size_t state) {
  std::uint64_t sum = 0;
  for (const auto& row : hits.counts) sum += row[state];
  return sum;
}

// Only faults that took effect: what is not there has not happened.
std::string table_of(const HitTable& hits) {
  std::array<int, server_states> widths{};
  std::string text = format("%-*s", name_width, "fault while");
  for (std::size_t s = 0; s < server_states; ++s) {
    const std::string name(name_of(static_cast<ServerState>(s)));
    const std::string most = std::to_string(of_state(hits, s));
    widths[s] = static_cast<int>(std::max(name.size(), most.size())) + 2;
    text += format("%*s", widths[s], name.c_str());
  }
  text += "\n";
  for (std::size_t f = 0; f < fault_kinds; ++f) {
    if (hits.of(static_cast<Fault>(f)) == 0) continue;
    text += format("%-*s", name_width, name_of(static_cast<Fault>(f)).data());
    for (std::size_t s = 0; s < server_states; ++s) {
      const std::uint64_t count = hits.counts[f][s];
      text += format("%*s", widths[s], count == 0 ? "." : std::to_string(count).c_str());
    }
    text += "\n";
  }
  return text +
         "(what the server was doing: start: recovery; disc, sync: discovery and synchronization "
         "of\n"
         " a Leader, a Follower; DIFF, TRUNC, SNAP: a learner's; lead, follow: broadcast)\n";
}

}  // namespace

std::string report_of(const Tally& tally, double seconds, unsigned jobs) {
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const double core_seconds = seconds * jobs;
  const auto per_hour = [](double hours, double cpu) { return cpu > 0 ? hours * 3600 / cpu : 0; };
  std::string text = table_of(tally.hits);
  text += format("%llu seeds, %llu events, %.2f simulated cluster-hours (%.2f under load)\n",
                 n(tally.seeds), n(tally.events), tally.hours, tally.hours_under_load);
  text += format(
      "%llu messages published, %llu acknowledged, %llu deliveries, %llu transactions, "
      "%llu epochs established\n",
      n(tally.published), n(tally.acknowledged), n(tally.delivered), n(tally.transactions),
      n(tally.epochs));
  const PublisherCounts& p = tally.publishers;
  text += format(
      "%llu batches of %llu messages; conditions: %llu met, %llu refused, %llu messages renumbered "
      "behind them\n",
      n(p.batches), n(p.batch_messages), n(p.conditions_met), n(p.conditions_refused),
      n(p.renumbered));
  text += format("publishers that stay at followers: %llu messages; %llu requests forwarded\n",
                 n(p.staying), n(tally.forwarded));
  text += format("%llu publishers closed in order; %llu durable cursors removed\n", n(p.closed),
                 n(tally.cursors_removed));
  text +=
      format("old copies of disks: %llu put back, %llu found out (the others were taken away)\n",
             n(tally.hits.of(Fault::old_disk)), n(tally.old_copies_found));
  text += format("longest time from healed to converged: %.1f s\n", tally.liveness_seconds);
  text += format("%.1f s on %u processes: %.0f events/s and %.0f simulated hours/hour each\n",
                 seconds, jobs, static_cast<double>(tally.events) / core_seconds,
                 tally.hours * 3600 / core_seconds);
  text += format(
      "a core-hour of CPU: %.0f simulated hours, %.0f of the seeds under load; "
      "slowest seed: %llu, %.2f s\n",
      per_hour(tally.hours, tally.cpu_seconds),
      per_hour(tally.hours_under_load, tally.cpu_under_load), n(tally.slowest),
      tally.slowest_seconds);
  text += format("trace hash %016llx\n", n(tally.trace_hash));
  if (tally.violations.empty()) {
    text += format("no violations in %llu seeds\n", n(tally.seeds));
  } else {
    text += format("%zu VIOLATIONS\n", tally.violations.size());
  }
  return text;
}

}  // namespace zabmq::sim::program
