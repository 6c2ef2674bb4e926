// zabmq-demo: what `./run demo [FILE]` shows. Exit 0 only if every verdict holds.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "failover_demo/demo.hpp"

namespace {

constexpr int interrupted = 130;

int run(const zabmq::demo::Options& options) {
  zabmq::cli::StopSignals stop;  // before any thread
  try {
    return zabmq::demo::run(options, stop) ? 0 : 1;
  } catch (const zabmq::demo::Interrupted&) {
    return interrupted;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "zabmq-demo: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int count, char** words) {
  CLI::App app{
      "Publishes FILE line by line into three zabmqd processes, kills the leader with SIGKILL "
      "half\n"
      "way, restarts it, and compares what subscribers at all three servers received with FILE.",
      "zabmq-demo"};
  zabmq::demo::Options options;
  options.file = "/var/lib/dpkg/status";
  app.add_option("FILE", options.file, "What to publish (default /var/lib/dpkg/status)");
  app.add_option("--kills", options.kills, "So many leaders in a row, FILE once for each")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  app.add_option("--keep-data", options.keep_data, "Data directories and logs stay in DIR")
      ->type_name("DIR");
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  return run(options);
}
