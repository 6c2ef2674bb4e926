// zabmq-sim: whole clusters in simulated worlds, one from each seed. Exit 0: no violation; 1: a
// violation; 2: usage, in one line.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <tuple>

#include "autopsy.hpp"
#include "replay.hpp"
#include "report.hpp"
#include "seed_run.hpp"
#include "sim/exhaustive/exhaustive.hpp"
#include "workers.hpp"
#include "zabmq/mutant_catalogue.hpp"

namespace zabmq::sim::program {
namespace {

struct Arguments {
  std::uint64_t seed = 0;
  std::string seeds;
  double minutes = 0;
  double safety = 0;
  unsigned jobs = 0;
  bool json = false;
  bool trace = false;
  bool list_mutants = false;
  bool exhaustive = false;
  unsigned depth = 0;
  std::string mutant;
  Work work;
};

void list_mutants() {
  for (const mutants::Mutant& mutant : mutants::catalogue) {
    std::printf("%s  %s\n", std::string(mutant.name).c_str(), std::string(mutant.what).c_str());
  }
}

void declare(CLI::App& app, Arguments& arguments) {
  auto* seed = app.add_option("--seed", arguments.seed, "run this seed");
  auto* seeds = app.add_option("--seeds", arguments.seeds, "run the seeds A..B")->excludes(seed);
  app.add_option("--minutes", arguments.minutes, "run fresh seeds for so long")
      ->excludes(seed)
      ->excludes(seeds);
  app.add_option("--safety", arguments.safety, "seconds of the first phase, not as the seed says")
      ->check(CLI::PositiveNumber);
  app.add_option("--jobs", arguments.jobs, "processes (default: one for each core)");
  app.add_flag("--json", arguments.json, "the last line is one JSON object");
  app.add_flag("--trace", arguments.trace, "with --seed: print the last events in any case");
  app.add_flag("--first", arguments.work.stop_at_first, "stop at the first violation");
  app.add_flag("--fault-free", arguments.work.options.fault_free, "the same clusters, no faults");
  app.add_flag("--client-rules", arguments.work.options.client_rules,
               "judge only by what clients see");
  app.add_option("--mutant", arguments.mutant, "a deliberate bug (build `mutants` only)");
  auto* exhaustive = app.add_flag(
      "--exhaustive", arguments.exhaustive,
      "every interleaving of three small servers, breadth first, for --minutes (default 10)");
  app.add_option("--depth", arguments.depth, "with --exhaustive: no deeper than this")
      ->needs(exhaustive);
  app.add_flag("--list-mutants", arguments.list_mutants, "name them, and end");
}

int refuse(const std::string& why) {
  std::fprintf(stderr, "zabmq-sim: %s; see --help\n", why.c_str());
  return 2;
}

// False: nothing to run, or nothing that can be meant.
bool plan(const CLI::App& app, Arguments& arguments) {
  Work& work = arguments.work;
  work.jobs = arguments.jobs != 0 ? arguments.jobs : std::thread::hardware_concurrency();
  if (app.count("--safety") > 0) {
    work.options.safety =
        static_cast<Micros>(std::llround(arguments.safety * static_cast<double>(second)));
  }
  if (app.count("--seeds") > 0) {
    const auto seeds = parse_seeds(arguments.seeds);
    if (!seeds) return false;
    std::tie(work.first, work.last) = *seeds;
    return true;
  }
  if (arguments.minutes > 0) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto fresh = std::chrono::duration_cast<std::chrono::seconds>(now).count() * 1000;
    work.first = static_cast<std::uint64_t>(fresh);
    work.last = ~std::uint64_t{0} - work.jobs;
    work.until = std::chrono::steady_clock::now() +
                 std::chrono::milliseconds(static_cast<std::int64_t>(arguments.minutes * 60'000));
    return true;
  }
  work.first = work.last = arguments.seed;
  work.jobs = 1;
  return app.count("--seed") > 0;
}

// What the search was doing when a check of the product failed.
std::function<std::string()> under_way;

void on_abort(int) {
  if (under_way) std::fprintf(stderr, "%s", under_way().c_str());
  signal(SIGABRT, SIG_DFL);
}

int search(const Arguments& arguments) {
  constexpr double default_minutes = 10;
  const double minutes = arguments.minutes > 0 ? arguments.minutes : default_minutes;
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(static_cast<std::int64_t>(minutes * 60'000));
  signal(SIGABRT, on_abort);
  exhaustive::Options options;
  options.under_way = &under_way;
  if (arguments.depth != 0) options.depth_max = arguments.depth;
  options.out_of_time = [until] { return std::chrono::steady_clock::now() >= until; };
  const exhaustive::Report report =
      exhaustive::explore(options, [](const exhaustive::Progress& progress) {
        std::fprintf(stderr, "%s: depth %u, %llu states\n", progress.start.c_str(), progress.depth,
                     static_cast<unsigned long long>(progress.states));
      });
  std::printf("%s\n", exhaustive::text(report).c_str());
  if (arguments.json) {
    Json json{{"states", report.states}, {"transitions", report.transitions}};
    for (const auto& start : report.starts) json["depths"][start.name] = start.depth;
    json["violations"] = report.violation ? report.violation->what : std::vector<std::string>();
    std::printf("%s\n", json.dump().c_str());
  }
  return report.violation ? 1 : 0;
}

void print_violation(const Violation& violation) {
  std::fprintf(stderr, "seed %llu, event %llu: %s: %s\n",
               static_cast<unsigned long long>(violation.seed),
               static_cast<unsigned long long>(violation.event), violation.check.c_str(),
               violation.text.c_str());
}

int run(Arguments& arguments) {
  const auto started = std::chrono::steady_clock::now();
  const Tally tally = run_all(arguments.work, [](const Tally& seed) {
    if (!seed.violations.empty()) print_violation(seed.violations.front());
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  if (arguments.work.until) {
    std::printf("seeds from %llu\n", static_cast<unsigned long long>(arguments.work.first));
  }
  std::fputs(report_of(tally, took.count(), arguments.work.jobs).c_str(), stdout);
  std::fflush(stdout);
  const bool mutant = !arguments.mutant.empty();
  if (!tally.violations.empty() && !mutant) {
    print_autopsy(tally.violations.front().seed, arguments.work.options, arguments.mutant);
  } else if (arguments.trace) {
    print_autopsy(arguments.work.first, arguments.work.options, arguments.mutant);
  }
  if (arguments.json) {
    Json json = to_json(tally);
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(tally.trace_hash));
    json["trace_hash"] = hash;
    json["seconds"] = took.count();
    std::printf("%s\n", json.dump().c_str());
  }
  return tally.violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace zabmq::sim::program

int main(int argc, char** argv) {
  using namespace zabmq;
  using namespace zabmq::sim::program;
  CLI::App app("whole zabmq clusters in simulated worlds, one from each seed", "zabmq-sim");
  app.footer("\nExit codes: 0 no violation, 1 a violation, 2 usage.");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return refuse(error.what());
  }
  if (arguments.list_mutants) return list_mutants(), 0;
  if (!arguments.mutant.empty() && !mutants::choose(arguments.mutant)) {
    return refuse("no mutant " + arguments.mutant +
                  " in this build (--list-mutants, preset mutants)");
  }
  if (arguments.exhaustive) return search(arguments);
  if (!plan(app, arguments)) {
    return refuse("give --seed N, --seeds A..B (A not above B), --minutes M or --exhaustive");
  }
  return run(arguments);
}
