// Servers: addresses, command lines, processes.
#include "nemesis/engine/servers.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "cli/free_ports.hpp"
#include "cli/local_cluster.hpp"
#include "zabmq/check.hpp"

namespace zabmq::nemesis {

namespace {

constexpr Millis stop_patience{10000};
constexpr std::streamoff log_tail_bytes = 4096;

// Small files, so that segments begin and end all the time; little is retained, so that they are
// let go, freed and recycled, and who comes back empty is given a snapshot; and time-outs that a
// pause can outlast. What a durable cursor needs is kept for longer than its readers are away.
constexpr std::array settings = {
    "storage.segment_size=2MiB",      "limits.max_batch=256KiB",   "limits.max_payload=64KiB",
    "limits.tail_cache=4MiB",         "snapshot.every_bytes=4MiB", "storage.retain_bytes=4MiB",
    "storage.retain_max_bytes=24MiB", "storage.retain_min=3s",     "storage.retain_hold=2s"};
constexpr std::array time_outs = {"timing.sync_timeout", "timing.disk_stuck_timeout",
                                  "timing.client_timeout"};

}  // namespace

Servers::Servers(std::size_t count, const Network& network, std::filesystem::path directory)
    : network_(network), directory_(std::move(directory)) {
  std::vector<std::uint16_t> ports = cli::free_ports(count * (count + 2));
  const auto take_port = [&ports] {
    const std::uint16_t port = ports.back();
    ports.pop_back();
    return port;
  };
  for (std::size_t i = 1; i <= count; ++i) {
    Server& server = servers_.emplace_back();
    server.id = ServerId{static_cast<std::uint32_t>(i)};
    server.host = network.host(server.id);
    server.client_port = take_port();
    server.client_proxy = take_port();
    server.peer_port = take_port();
    for (std::size_t other = 1; other <= count; ++other) {
      if (other != i) server.proxies[ServerId{static_cast<std::uint32_t>(other)}] = take_port();
    }
  }
}

Servers::Server& Servers::at(ServerId id) {
  return servers_.at(static_cast<std::uint32_t>(id) - 1);
}
const Servers::Server& Servers::at(ServerId id) const {
  return servers_.at(static_cast<std::uint32_t>(id) - 1);
}

std::vector<ServerId> Servers::ids() const {
  std::vector<ServerId> all;
  for (const Server& server : servers_) all.push_back(server.id);
  return all;
}

std::vector<ProxyLink> Servers::links() const {
  std::vector<ProxyLink> all;
  for (const Server& to : servers_) {
    for (const auto& [from, port] : to.proxies) {
      all.push_back({.from = from,
                     .to = to.id,
                     .space_file = network_.space_file(to.id),
                     .host = to.host,
                     .port = port,
                     .target_port = to.peer_port});
    }
  }
  return all;
}

std::vector<ProxyLink> Servers::client_links() const {
  std::vector<ProxyLink> all;
  for (const Server& to : servers_) {
    all.push_back({.from = clients,
                   .to = to.id,
                   .space_file = network_.space_file(to.id),
                   .host = to.host,
                   .port = to.client_proxy,
                   .target_port = to.client_port});
  }
  return all;
}

// Every server has a list of its own, in which the others' ports are proxies.
std::string Servers::server_list(ServerId for_whom) const {
  std::string list;
  for (const Server& server : servers_) {
    const bool own = server.id == for_whom;
    const std::uint16_t peer_port = own ? server.peer_port : server.proxies.at(for_whom);
    const std::uint16_t client_port = own ? server.client_port : server.client_proxy;
    list += (list.empty() ? "" : ",") + to_string(server.id) + "=" + server.host + ":" +
            std::to_string(peer_port) + ":" + std::to_string(client_port);
  }
  return list;
}

std::vector<std::string> Servers::command_line(ServerId id) const {
  std::vector<std::string> words = network_.entering(id);
  words.insert(words.end(), {cli::sibling_program("zabmqd").string(), "--id", to_string(id),
                             "--servers", server_list(id), "--data-dir", data_directory(id)});
  const std::string longest = std::to_string(longest_time_out.count()) + "s";
  for (const char* setting : settings) words.insert(words.end(), {"--set", setting});
  for (const char* time_out : time_outs) {
    words.insert(words.end(), {"--set", std::string(time_out) + "=" + longest});
  }
  if (network_.separate()) words.emplace_back("--insecure-allow-plaintext");
  return words;
}

void Servers::launch(ServerId id) {
  ZABMQ_CHECK(!running(id));
  const int log = open(log_file(id).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  at(id).process = std::make_unique<cli::ChildProcess>(
      command_line(id), cli::ChildStreams{.in = -1, .out = log, .err = log});
  close(log);
}

void Servers::launch_all() {
  for (const Server& server : servers_) {
    if (!running(server.id)) launch(server.id);
  }
}

void Servers::signal(ServerId id, int number) {
  if (at(id).process) at(id).process->signal(number);
}

void Servers::kill(ServerId id) {
  signal(id, SIGKILL);
  if (at(id).process) (void)at(id).process->wait_for(stop_patience);
}

void Servers::stop_all() {
  for (const ServerId id : ids()) signal(id, SIGTERM);
  for (const ServerId id : ids()) {
    if (at(id).process && !at(id).process->wait_for(stop_patience)) kill(id);
  }
}

bool Servers::running(ServerId id) {
  return at(id).process && at(id).process->running();
}

// The state stands behind the program's name, which is in parentheses.
bool Servers::stands_still(ServerId id) const {
  std::ifstream file("/proc/" + std::to_string(process_id(id)) + "/stat");
  std::string text;
  std::getline(file, text);
  return text.find(") T ") != text.npos;
}

pid_t Servers::process_id(ServerId id) const {
  return at(id).process ? at(id).process->pid() : -1;
}

std::optional<int> Servers::wait_for_end(ServerId id, Millis bound) {
  return at(id).process ? at(id).process->wait_for(bound) : std::nullopt;
}

ClusterStatus Servers::status(Millis patience) const {
  ClientOptions client;
  client.endpoints = own_endpoints();
  return cluster_status(client, patience);
}

ServerStatus Servers::status_of(ServerId id) const {
  for (const ServerStatus& server : status().servers) {
    if (server.id == id) return server;
  }
  return {};
}

std::vector<std::string> Servers::own_endpoints() const {
  std::vector<std::string> all;
  for (const Server& server : servers_) all.push_back(own_endpoint(server.id));
  return all;
}

std::optional<ServerId> Servers::leader() const {
  const ServerId leader = status().leader;
  if (leader == ServerId::none) return std::nullopt;
  return leader;
}

std::filesystem::path Servers::data_directory(ServerId id) const {
  return directory_ / to_string(id) / "data";
}

std::filesystem::path Servers::log_file(ServerId id) const {
  return directory_ / (to_string(id) + ".log");
}

std::string Servers::last_words(ServerId id) const {
  std::ifstream file(log_file(id), std::ios::ate);
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(size - log_tail_bytes, 0));
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

std::string Servers::endpoint(ServerId id) const {
  return "tcp://" + at(id).host + ":" + std::to_string(at(id).client_proxy);
}

std::string Servers::own_endpoint(ServerId id) const {
  return "tcp://" + at(id).host + ":" + std::to_string(at(id).client_port);
}

std::vector<std::string> Servers::endpoints() const {
  std::vector<std::string> all;
  for (const Server& server : servers_) all.push_back(endpoint(server.id));
  return all;
}

}  // namespace zabmq::nemesis
