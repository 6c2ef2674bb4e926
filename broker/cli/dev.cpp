// dev: a local cluster in the foreground.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/local_cluster.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "storage/identity_file.hpp"
#include "storage/posix_file_system.hpp"

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

std::string quoted(const std::string& word) {
  return word.find_first_of(" \t'\"\\$") == std::string::npos ? word : "'" + word + "'";
}

std::string start_by_hand(const LocalCluster& cluster, ServerId id) {
  std::string line;
  for (const std::string& word : cluster.command_line(id)) {
    line += (line.empty() ? "" : " ") + quoted(word);
  }
  return line;
}

// Names each server that has ended, once. False: none is left.
bool tell_ended(LocalCluster& cluster, std::set<ServerId>& told) {
  for (const LocalServer& server : cluster.servers()) {
    if (cluster.running(server.id) || !told.insert(server.id).second) continue;
    std::fprintf(stderr,
                 "zabmq dev: server %s ended: %s\n"
                 "zabmq dev: it is not started again; to do that: %s\n",
                 to_string(server.id).c_str(), cluster.how_ended(server.id).c_str(),
                 start_by_hand(cluster, server.id).c_str());
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

// The voters that founded what is in a server's directory. nullopt: nothing is there, or nothing
// that can be read; its server will say what is wrong.
std::optional<std::string> founders(const std::filesystem::path& directory) {
  storage::PosixFileSystem files(directory, storage::PosixFileSystem::Access::read_only);
  if (!files.open_directory()) return std::nullopt;
  const storage::IdentityFile::Loaded loaded = storage::IdentityFile(files).load();
  const auto* identity = std::get_if<storage::IdentityRecord>(&loaded);
  return identity ? std::optional(identity->voters) : std::nullopt;
}

std::string first_ids(std::size_t count) {
  std::string list = "1";
  for (std::size_t id = 2; id <= count; ++id) list += "," + std::to_string(id);
  return list;
}

// Who votes is decided once, when a directory is new.
void check_founders(const LocalCluster& cluster, const DevArguments& arguments) {
  const std::string asked = first_ids(arguments.servers);
  for (const LocalServer& server : cluster.servers()) {
    const auto found = founders(server.data_directory);
    if (!found || *found == asked) continue;
    const std::string directory = arguments.directory.string();
    const auto count = static_cast<std::size_t>(std::count(found->begin(), found->end(), ',')) + 1;
    const std::string same =
        *found == first_ids(count) ? "--servers " + std::to_string(count) + ", " : "";
    throw StartFailed("--servers " + std::to_string(arguments.servers) + ": the cluster in " +
                      directory + " was founded by the servers " + *found + ": give " + same +
                      "another --dir, or remove " + directory + " to begin anew");
  }
}

}  // namespace

ExitCode run(const DevArguments& arguments) {
  StopSignals stop;
  const auto begin = std::chrono::steady_clock::now();
  LocalCluster cluster({.servers = arguments.servers,
                        .directory = arguments.directory,
                        .first_port = arguments.port});
  check_founders(cluster, arguments);
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
