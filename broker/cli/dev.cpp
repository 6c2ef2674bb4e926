// dev: a local cluster in the foreground.
#include <array>
#include <chrono>
#include <cstdio>
#include <set>
#include <string>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/local_cluster.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace zabmq::cli {

namespace {

constexpr Millis start_bound{20000};
constexpr Millis look_interval{1000};

constexpr const char* row_format = "  %-3s %-9s %-22s  %8s  %s\n";

void print_row(const std::string& id, const std::string& role, const std::string& client,
               const std::string& process, const std::string& data) {
  std::array<char, 512> line{};
  std::snprintf(line.data(), line.size(), row_format, id.c_str(), role.c_str(), client.c_str(),
                process.c_str(), data.c_str());
  write_out(line.data());
}

void print_table(const LocalCluster& cluster) {
  const ClusterStatus status = cluster.status();
  print_row("ID", "ROLE", "CLIENT", "PROCESS", "DATA");
  for (const LocalServer& server : cluster.servers()) {
    ServerStatus known;
    for (const ServerStatus& candidate : status.servers) {
      if (candidate.id == server.id) known = candidate;
    }
    print_row(to_string(server.id), role_name(known), cluster.endpoint(server.id),
              std::to_string(cluster.process_id(server.id)), server.data_directory);
  }
}

void print_hints(const LocalCluster& cluster, const DevArguments& arguments, double seconds) {
  char line[128];
  std::snprintf(line, sizeof line, "ready in %.1f s; logs in %s/*.log; Ctrl-C stops all\n", seconds,
                arguments.directory.c_str());
  write_out(line);
  std::string endpoints;
  if (arguments.port != DevArguments{}.port || arguments.servers != DevArguments{}.servers) {
    for (const std::string& endpoint : cluster.endpoints()) {
      endpoints += (endpoints.empty() ? "" : ",") + endpoint;
    }
    write_out("in other terminals first:  export ZABMQ_ENDPOINTS=" + endpoints + "\n");
  }
  write_out(
      "try:  zabmq sub --from first      zabmq pub greetings 'hello world'      zabmq status\n");
  flush_out();
}

// Names each server that has ended, once. False: none is left.
bool tell_ended(LocalCluster& cluster, std::set<ServerId>& told) {
  for (const LocalServer& server : cluster.servers()) {
    if (cluster.running(server.id) || !told.insert(server.id).second) continue;
    std::fprintf(stderr, "zabmq dev: server %s ended: %s\n", to_string(server.id).c_str(),
                 cluster.last_log_line(server.id).c_str());
  }
  return told.size() < cluster.servers().size();
}

// The processes that still run: an ended one would wake every wait.
std::vector<int> watched(LocalCluster& cluster) {
  std::vector<int> fds;
  for (const LocalServer& server : cluster.servers()) {
    if (cluster.running(server.id)) fds.push_back(cluster.ready_fd(server.id));
  }
  return fds;
}

void check_ports(const LocalCluster& cluster, const DevArguments& arguments) {
  const auto taken = cluster.taken_port();
  if (!taken) return;
  throw StartFailed("--port " + std::to_string(arguments.port) + ": port " +
                    std::to_string(*taken) + " on 127.0.0.1 is in use");
}

}  // namespace

ExitCode run(const DevArguments& arguments) {
  StopSignals stop;
  const auto begin = std::chrono::steady_clock::now();
  LocalCluster cluster({.servers = arguments.servers,
                        .directory = arguments.directory,
                        .first_port = arguments.port});
  check_ports(cluster, arguments);
  cluster.start(start_bound, [&stop] { return stop.arrived(); });
  if (stop.arrived()) return ExitCode::done;
  print_table(cluster);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  print_hints(cluster, arguments, taken.count());
  std::set<ServerId> told;
  while (!stop.wait(watched(cluster), look_interval)) {
    if (tell_ended(cluster, told)) continue;
    std::fprintf(stderr, "zabmq dev: no server is left\n");
    return ExitCode::unavailable;
  }
  cluster.stop();
  return ExitCode::done;
}

}  // namespace zabmq::cli
