// status: one row or object a server, leader or not.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/advice.hpp"
#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/output.hpp"
#include "zabmq/admin.hpp"

namespace zabmq::cli {

namespace {

constexpr Millis patience_max{1000};
constexpr std::size_t column_count = 9;
using Row = std::array<std::string, column_count>;

const Row heading{"ID", "CLIENT", "ROLE", "PHASE", "EPOCH", "LOGGED", "COMMITTED", "OFFSET", "LAG"};

Offset end_of(const ClusterStatus& status) {
  Offset end = 0;
  for (const ServerStatus& server : status.servers) {
    if (server.reachable) end = std::max(end, server.last_offset);
  }
  return end;
}

// A server that does not count yet says so.
std::string role_cell(const ServerStatus& server) {
  const bool plain = !server.reachable || server.standing.empty() || server.standing == "voter";
  return role_name(server) + (plain ? "" : " (" + server.standing + ")");
}

Row row_of(const ServerStatus& server, Offset end) {
  const std::string id = server.id == ServerId::none ? "?" : to_string(server.id);
  if (!server.reachable) {
    return {id, server.client, role_cell(server), "-", "-", "-", "-", "-", "-"};
  }
  return {id,
          server.client,
          role_cell(server),
          std::string(to_string(server.phase)),
          to_string(server.epoch),
          to_string(server.last_logged),
          to_string(server.last_committed),
          std::to_string(server.last_offset),
          std::to_string(end - server.last_offset)};
}

std::string table(const ClusterStatus& status) {
  std::vector<Row> rows{heading};
  for (const ServerStatus& server : status.servers) {
    rows.push_back(row_of(server, end_of(status)));
  }
  std::array<std::size_t, column_count> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

// Durability is shown wherever a cluster is shown; a weaker mode must not be overlooked.
std::string durability_line(const ClusterStatus& status) {
  std::vector<std::string> modes;
  for (const ServerStatus& server : status.servers) {
    const bool known = std::find(modes.begin(), modes.end(), server.durability) != modes.end();
    if (server.reachable && !server.durability.empty() && !known)
      modes.push_back(server.durability);
  }
  std::string line;
  for (const std::string& mode : modes) line += (line.empty() ? "durability: " : ", ") + mode;
  return line.empty() ? line : line + "\n";
}

std::string missing_servers(const ClusterStatus& status) {
  std::string list;
  for (const ServerStatus& server : status.servers) {
    if (server.reachable) continue;
    list += list.empty() ? "" : ", ";
    list += server.id == ServerId::none ? server.client : to_string(server.id);
  }
  return list;
}

// A server that is up and yet has no voice: without its name the missing quorum looks complete.
std::string wiped_servers(const ClusterStatus& status) {
  std::string list;
  for (const ServerStatus& server : status.servers) {
    if (!server.reachable || server.standing != "wiped") continue;
    list += list.empty() ? "" : ", ";
    list += to_string(server.id);
  }
  return list;
}

void complain(const ClientOptions& client, const ClusterStatus& status) {
  const std::string missing = missing_servers(status);
  const std::string wiped = wiped_servers(status);
  std::string text = status.leader == ServerId::none ? "no leader" : "";
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (!missing.empty()) add("not reachable: " + missing);
  if (!wiped.empty()) add("wiped, counts in no quorum until the others admit it: " + wiped);
  if (text.empty()) return;
  text += advice_without_cluster(client, status);
  std::fprintf(stderr, "zabmq status: %s\n", text.c_str());
}

}  // namespace

ExitCode run(const StatusArguments& arguments) {
  const Millis patience = std::min(arguments.client.timeout, patience_max);
  const ClusterStatus status = cluster_status(arguments.client, patience);
  write_out(arguments.json ? json_line(status) : table(status) + durability_line(status));
  flush_out();
  complain(arguments.client, status);
  return status.leader == ServerId::none ? ExitCode::unavailable : ExitCode::done;
}

}  // namespace zabmq::cli
