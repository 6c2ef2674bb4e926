// zabmqd: one server of a cluster. Arguments, signals, log and exit codes; all else is lib/node.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "arguments.hpp"
#include "log.hpp"
#include "node/node.hpp"

namespace {

using namespace zabmq;

constexpr int exit_done = 0;
constexpr int exit_usage = 1;       // what was asked for cannot be done as it stands
constexpr int exit_fail_stop = 70;  // a disk failed under a running server

node::StopSignal* stop_signal = nullptr;

void on_signal(int) {
  stop_signal->raise();
}

void install_signal_handlers(node::StopSignal& stop) {
  stop_signal = &stop;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGXFSZ, &action, nullptr);  // a file limit is an error of the write, like a full disk
}

// A client is a descriptor, and the usual limit is below the usual number of clients.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Problems quote what was given, and that may hold line breaks.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "zabmqd: %s\n", one_line(text).c_str());
  return code;
}

int serve(const node::NodeConfig& config) {
  node::StopSignal stop;
  install_signal_handlers(stop);
  raise_descriptor_limit();
  broker::start_log(config.self, config.options.log_level);

  auto opened = node::Node::open(config, stop, broker::RateLimitedLog{});
  if (const auto* problem = std::get_if<node::Problem>(&opened)) {
    return complain(problem->text, exit_usage);
  }
  const node::Ending ending = std::get<std::unique_ptr<node::Node>>(opened)->run();
  switch (ending.kind) {
    case node::Ending::Kind::stopped:
      return exit_done;
    case node::Ending::Kind::corrupt:
      return complain(ending.text, exit_usage);
    case node::Ending::Kind::failed:
      return complain(ending.text, exit_fail_stop);
  }
  return exit_fail_stop;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto arguments = broker::parse_arguments(argc, argv);
    if (const auto* information = std::get_if<broker::Information>(&arguments)) {
      std::fputs(information->text.c_str(), stdout);
      return exit_done;
    }
    if (const auto* problem = std::get_if<node::Problem>(&arguments)) {
      return complain(problem->text, exit_usage);
    }
    return serve(std::get<node::NodeConfig>(arguments));
  } catch (const std::exception& error) {
    // Out of memory, out of descriptors: the machine's trouble, not the user's.
    return complain(error.what(), exit_fail_stop);
  }
}
