// Exhaustive: which start is taken one level further next, and the report.
#include "sim/exhaustive/exhaustive.hpp"

#include <algorithm>
#include <deque>

#include "sim/exhaustive/search.hpp"

namespace zabmq::sim::exhaustive {
namespace {

std::string text(Report::End end) {
  switch (end) {
    case Report::End::depth:
      return "the depth asked for is reached";
    case Report::End::time:
      return "the time is over";
    case Report::End::memory:
      return "the memory allowed is used";
    case Report::End::violation:
      return "VIOLATION";
    case Report::End::all:
      return "there are no other states";
  }
  return "?";
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

class Exploration {
 public:
  Exploration(const Options& options, const std::function<void(const Progress&)>& progress)
      : options_(options), progress_(progress) {
    for (const StartKind& kind : start_kinds()) {
      if (options.only.empty() || options.only == kind.name) {
        searches_.emplace_back(kind, options.limits);
      }
    }
  }

  Report run() {
    Report report;
    report.end = search();
    for (const Search& search : searches_) {
      report.starts.push_back(search.report());
      report.states += report.starts.back().states;
      report.transitions += report.starts.back().transitions;
      if (search.violation()) report.violation = search.violation();
    }
    return report;
  }

 private:
  // The one whose next level will be the cheapest: so all get about the same effort.
  Search* cheapest() {
    Search* best = nullptr;
    for (Search& search : searches_) {
      if (search.all() || search.depth() >= options_.depth_max) continue;
      if (!best || search.cost_of_last_level() < best->cost_of_last_level()) best = &search;
    }
    return best;
  }

  Report::End search() {
    while (Search* search = cheapest()) {
      if (options_.under_way) {
        *options_.under_way = [search] { return joined(search->under_way()); };
      }
      Report::End why = Report::End::time;
      const auto stop = [&] {
        if (options_.out_of_time && options_.out_of_time()) return true;
        why = Report::End::memory;
        if (bytes() > options_.memory_max) return true;
        why = Report::End::time;
        return false;
      };
      const Search::Outcome outcome = search->next_level(stop);
      if (outcome == Search::Outcome::stopped) return why;
      if (outcome == Search::Outcome::violated) return Report::End::violation;
      if (progress_) {
        const Report::Start now = search->report();
        progress_({now.name, now.depth, now.states, now.transitions});
      }
    }
    const bool all = std::all_of(searches_.begin(), searches_.end(),
                                 [](const Search& search) { return search.all(); });
    return all ? Report::End::all : Report::End::depth;
  }

  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Search& search : searches_) sum += search.bytes();
    return sum;
  }

  const Options& options_;
  const std::function<void(const Progress&)>& progress_;
  std::deque<Search> searches_;
};

}  // namespace

std::vector<std::string> start_names() {
  std::vector<std::string> names;
  for (const StartKind& kind : start_kinds()) names.push_back(kind.name);
  return names;
}

Report explore(const Options& options, const std::function<void(const Progress&)>& progress) {
  return Exploration(options, progress).run();
}

std::string text(const Report& report) {
  std::string out;
  const auto line = [&](const std::string& words) { out += words + "\n"; };
  for (const Report::Start& start : report.starts) {
    line(start.name + ": depth " + std::to_string(start.depth) + (start.all ? " (all)" : "") +
         ", " + std::to_string(start.states) + " states, " + std::to_string(start.transitions) +
         " steps, " + std::to_string(start.server_states) + " states of one server");
  }
  line("together: " + std::to_string(report.states) + " states, " +
       std::to_string(report.transitions) + " steps; " + text(report.end));
  if (!report.violation) return out;
  const Report::Violation& violation = *report.violation;
  for (const std::string& what : violation.what) line("VIOLATION: " + what);
  line("from start \"" + violation.start + "\", step " + std::to_string(violation.depth) + ":");
  return out + joined(violation.trace);
}

}  // namespace zabmq::sim::exhaustive
