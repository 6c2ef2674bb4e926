// zabmq-nemesis: real servers under faults. Exit 0 only when the run was valid and nothing was
// violated.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <exception>
#include <random>

#include "nemesis/engine/nemesis.hpp"

namespace {

std::atomic<bool> interrupted{false};

void on_signal(int) {
  interrupted = true;
}

int run(const zabmq::nemesis::Options& options) {
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  try {
    return zabmq::nemesis::run(options, [] { return interrupted.load(); }) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::printf("nemesis: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int count, char** words) {
  CLI::App app{
      "Starts zabmqd processes, publishes and subscribes, kills, pauses, separates and damages\n"
      "them, and checks what clients saw against the promises.",
      "zabmq-nemesis"};
  zabmq::nemesis::Options options;
  options.seed = std::random_device{}();
  double minutes = 0;
  bool loopback = false;
  auto* seconds = app.add_option("--seconds", options.seconds, "How long there are faults");
  app.add_option("--minutes", minutes, "The same in minutes")->excludes(seconds);
  app.add_option("--servers", options.servers, "How many")->check(CLI::Range(3, 5));
  app.add_option("--seed", options.seed, "Of all choices");
  app.add_option("--dir", options.directory, "For data, logs and history; kept");
  app.add_flag("--loopback", loopback, "No network namespaces, even as root");
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  if (minutes > 0) options.seconds = static_cast<std::uint64_t>(minutes * 60);
  options.separate = !loopback;
  return run(options);
}
