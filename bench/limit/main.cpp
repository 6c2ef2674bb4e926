// zabmq-limit: what some servers can do on this machine without any protocol: no elections, zxids,
// checksums, recovery or delivery. One leader, followers, groups, a log each; a message is
// acknowledged when a majority has written it. Prints one JSON line.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/free_ports.hpp"
#include "cli/units.hpp"
#include "group_log.hpp"
#include "run.hpp"
#include "sockets.hpp"

namespace {

using namespace zabmq::limit;
using Json = nlohmann::ordered_json;
namespace cli = zabmq::cli;

constexpr Millis end_patience{60000};

const std::map<std::string, LogState> log_states = {{"growing", LogState::growing},
                                                    {"recycled", LogState::recycled},
                                                    {"unsynced", LogState::unsynced},
                                                    {"none", LogState::none}};

struct Arguments {
  Run run;
  std::string log = "growing";
  bool single = false;
};

template <class T, class Parse>
void add(CLI::App& app, const std::string& flag, T& into, Parse parse, const std::string& help) {
  const auto take = [&into, parse, flag](const std::string& text) {
    const auto value = parse(text);
    if (!value) throw CLI::ValidationError(flag, "'" + text + "': not understood");
    into = static_cast<T>(*value);
  };
  app.add_option_function<std::string>(flag, take, help);
}

void add_options(CLI::App& app, Arguments& arguments) {
  Run& run = arguments.run;
  app.add_option("--servers", run.servers, "3 or 5")->check(CLI::IsMember({3, 5}));
  add(app, "--size", run.size, cli::parse_size, "Bytes of a message (default 1KiB)");
  app.add_option("--window", run.window, "Messages outstanding (default 1024)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_flag("--single", arguments.single,
               "A frame for each message (default: packed into frames of 64 KiB)");
  app.add_option("--log", arguments.log, "growing, recycled, unsynced or none (default growing)")
      ->check(CLI::IsMember({"growing", "recycled", "unsynced", "none"}));
  add(app, "--recycled-bytes", run.recycled_bytes, cli::parse_size,
      "Size of a recycled log (default 512MiB)");
  add(app, "--rate", run.rate, cli::parse_rate,
      "Open loop at so many messages in a second, latency from the intended time");
  app.add_option("--sockets", run.sockets,
                 "Client sockets; more than one: each has one message outstanding")
      ->check(CLI::Range(1, 10000));
  app.add_flag("--reader", run.reader, "A reader of everything behind a follower");
  add(app, "--warmup", run.warmup, cli::parse_duration, "Not measured, before (default 1s)");
  add(app, "--duration", run.duration, cli::parse_duration, "How long (default 5s)");
  app.add_option("--dir", run.directory, "Where the logs are written")->required();
}

void choose_endpoints(Run& run) {
  const auto ports = cli::free_ports(run.servers + 1);
  const auto endpoint = [&ports](std::size_t i) {
    return "tcp://127.0.0.1:" + std::to_string(ports[i]);
  };
  run.client_endpoint = endpoint(0);
  run.reader_endpoint = endpoint(1);
  for (std::size_t i = 2; i <= run.servers; ++i) run.follower_endpoints.push_back(endpoint(i));
}

// Lies in memory that all processes of the run share.
struct Accounts {
  Account leader;
  Account followers[8];
  Account reader;
};

Accounts* share_accounts() {
  void* memory =
      mmap(nullptr, sizeof(Accounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return new (memory) Accounts;
}

template <class Work>
pid_t start(Work work) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) std::_Exit(1);
  work();
  std::_Exit(0);
}

// False: one has failed, or did not end in time and was killed.
bool wait_for(const std::vector<pid_t>& children) {
  const auto deadline = Clock::now() + end_patience;
  bool fine = true;
  for (const pid_t child : children) {
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      if (Clock::now() >= deadline) kill(child, SIGKILL);
      std::this_thread::sleep_for(Millis{5});
    }
    fine = fine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return fine;
}

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

Json object_of(const Account& server) {
  const auto syncs = static_cast<double>(server.syncs);
  return {{"user_seconds", rounded(server.user_seconds)},
          {"system_seconds", rounded(server.system_seconds)},
          {"syncs", server.syncs},
          {"sync_us", server.syncs > 0 ? std::round(server.sync_seconds / syncs * 1e6) : 0},
          {"megabytes", std::round(static_cast<double>(server.bytes) / 1e6)}};
}

Json result_object(const Arguments& arguments, const Measured& measured, const Accounts& accounts) {
  const Run& run = arguments.run;
  const double rate = static_cast<double>(measured.messages) / measured.seconds;
  const auto& latency = measured.latency_us;
  Json result{{"program", "limit"},
              {"servers", run.servers},
              {"log", arguments.log},
              {"size", run.size},
              {"window", run.sockets > 1 ? 1 : run.window},
              {"sockets", run.sockets},
              {"packed", run.packed},
              {"rate", run.rate ? Json(*run.rate) : Json()},
              {"reader", run.reader},
              {"messages_per_second", std::llround(rate)},
              {"megabytes_per_second", rounded(rate * static_cast<double>(run.size) / 1e6)},
              {"latency_us",
               {{"p50", latency.percentile(0.5)},
                {"p90", latency.percentile(0.9)},
                {"p99", latency.percentile(0.99)},
                {"p999", latency.percentile(0.999)},
                {"max", latency.max()}}},
              {"messages", measured.messages},
              {"leader", object_of(accounts.leader)},
              {"follower", object_of(accounts.followers[0])}};
  if (run.reader) result["reader_messages"] = accounts.reader.messages;
  return result;
}

int measure(const Arguments& arguments) {
  const Run& run = arguments.run;
  Accounts* accounts = share_accounts();
  std::vector<pid_t> children;
  for (std::size_t i = 0; i + 1 < run.servers; ++i) {
    children.push_back(start([&run, i, accounts] { follow(run, i, accounts->followers[i]); }));
  }
  children.push_back(start([&run, accounts] { lead(run, accounts->leader); }));
  if (run.reader) children.push_back(start([&run, accounts] { read(run, accounts->reader); }));
  const Measured measured = run.sockets > 1 ? publish_from_crowd(run) : publish(run);
  const bool fine = wait_for(children);
  if (!fine || measured.messages == 0) {
    std::fprintf(stderr, "zabmq-limit: %s\n",
                 fine ? "nothing was acknowledged" : "a server failed");
    return 1;
  }
  std::printf("%s\n", result_object(arguments, measured, *accounts).dump().c_str());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  CLI::App app{"The limit of this machine: servers without any protocol", "zabmq-limit"};
  Arguments arguments;
  add_options(app, arguments);
  CLI11_PARSE(app, count, words);
  arguments.run.packed = !arguments.single;
  arguments.run.log = log_states.at(arguments.log);
  std::filesystem::create_directories(arguments.run.directory);
  prepare_logs(arguments.run);
  choose_endpoints(arguments.run);
  return measure(arguments);
}
