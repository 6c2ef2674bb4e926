// Autopsy: shortening and printing. Each run is a process of its own: it may abort.
#include "autopsy.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "replay.hpp"

namespace zabmq::sim::program {
namespace {

constexpr std::size_t lines_printed = 80;

void print_lines(const std::deque<std::string>& lines) {
  std::vector<const std::string*> chosen;
  for (auto line = lines.rbegin(); line != lines.rend() && chosen.size() < lines_printed; ++line) {
    const bool heartbeat =
        line->find(" PING ") != std::string::npos || line->find(" PONG ") != std::string::npos;
    if (!heartbeat) chosen.push_back(&*line);
  }
  for (auto line = chosen.rbegin(); line != chosen.rend(); ++line) {
    std::fprintf(stderr, "  %s\n", (*line)->c_str());
  }
}

void on_abort(int) {
  if (running.world) print_lines(running.world->lines());
  signal(SIGABRT, SIG_DFL);
}

// What `call` returns, from a process of its own; -1: it aborted.
int in_child(const std::function<int()>& call) {
  std::fflush(nullptr);
  const pid_t process = fork();
  if (process == 0) std::_Exit(call());
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A violation found in the safety phase ends the run where it happens: that prefix is the shortest.
// One found later may need less of the safety phase than the seed says.
bool found_late(const RunResult& result) {
  return !result.findings.empty() && result.findings.front().at > result.safety;
}

bool fails(std::uint64_t seed, RunOptions options, Micros safety) {
  options.safety = safety;
  return in_child([&] { return run_seed(seed, options).findings.empty() ? 0 : 1; }) != 0;
}

int tell(std::uint64_t seed, RunOptions options) {
  signal(SIGABRT, on_abort);
  options.words = true;
  const RunResult result = run_seed(seed, options);
  print_lines({result.trace.begin(), result.trace.end()});
  return 0;
}

}  // namespace

void print_autopsy(std::uint64_t seed, const RunOptions& options, const std::string& mutant) {
  RunOptions shortest = options;
  // Of one that aborted nobody knows when: it is tried.
  const int late = in_child([&] { return found_late(run_seed(seed, options)) ? 1 : 0; });
  if (late != 0) {
    const Micros drawn = draw_parameters(seed, options.fault_free).safety;
    const Micros whole = options.safety.value_or(drawn);
    shortest.safety =
        shortest_safety(whole, [&](Micros safety) { return fails(seed, options, safety); });
    std::fprintf(stderr, "shortest safety phase that still fails: %.1f s of %.1f s\n",
                 static_cast<double>(*shortest.safety) / static_cast<double>(second),
                 static_cast<double>(whole) / static_cast<double>(second));
  }
  std::fprintf(stderr, "%s\nonce more: %s\nthe last events (seconds, number of the event):\n",
               draw_parameters(seed, options.fault_free).text().c_str(),
               command_of(seed, shortest, mutant).c_str());
  in_child([&] { return tell(seed, shortest); });
}

}  // namespace zabmq::sim::program
