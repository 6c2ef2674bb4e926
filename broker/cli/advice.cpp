// Advice: the ports of `zabmq dev`, and what is in a directory.
#include "cli/advice.hpp"

#include <netdb.h>

#include <algorithm>
#include <future>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cli/commands.hpp"

namespace zabmq::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* identity = "identity";  // every data directory has this file

bool is_of_dev(const std::string& endpoint) {
  const DevArguments dev;
  for (std::size_t i = 0; i < dev.servers; ++i) {
    if (endpoint == "tcp://127.0.0.1:" + std::to_string(dev.port + 10 * i)) return true;
  }
  return false;
}

// Of tcp://HOST:PORT or tcp://[HOST]:PORT.
std::string host_of(const std::string& endpoint) {
  const std::size_t begin = std::string_view("tcp://").size();
  std::string host = endpoint.substr(begin, endpoint.rfind(':') - begin);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

bool is_known(const std::string& host) {
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (error == 0) freeaddrinfo(found);
  return error != EAI_NONAME && error != EAI_NODATA && error != EAI_AGAIN;
}

struct Entries {
  bool segments = false;
  std::vector<std::string> data_directories;
};

Entries entries_of(const fs::path& directory) {
  Entries found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".seg") found.segments = true;
    std::error_code ignored;
    if (fs::exists(it->path() / identity, ignored)) {
      found.data_directories.push_back(it->path().string());
    }
  }
  std::sort(found.data_directories.begin(), found.data_directories.end());
  return found;
}

}  // namespace

bool asks_dev(const ClientOptions& client) {
  return std::all_of(client.endpoints.begin(), client.endpoints.end(), is_of_dev);
}

std::string advice_without_cluster(const ClientOptions& client, const ClusterStatus& status) {
  const bool answered = std::any_of(status.servers.begin(), status.servers.end(),
                                    [](const ServerStatus& server) { return server.reachable; });
  return asks_dev(client) && !answered ? "; `zabmq dev` starts a cluster there" : "";
}

std::string advice_about_hosts(const ClientOptions& client, Millis patience) {
  // The resolver may take long, and cannot be interrupted: a thread that nobody waits for.
  std::promise<std::string> promise;
  auto unknown = promise.get_future();
  std::thread([promise = std::move(promise), endpoints = client.endpoints]() mutable {
    std::string list;
    for (const std::string& endpoint : endpoints) {
      const std::string host = host_of(endpoint);
      if (is_known(host)) continue;
      list += (list.empty() ? "; unknown host: " : ", ") + host;
    }
    promise.set_value(list);
  }).detach();
  return unknown.wait_for(patience) == std::future_status::ready ? unknown.get() : "";
}

std::string data_directory_problem(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) return "there is no such directory";
  if (!error && !fs::is_directory(status)) return "is no directory";
  if (error || fs::exists(directory / identity, error) || error) return "";
  const Entries found = entries_of(directory);
  if (found.segments) return "";
  const std::string text = "is no server's data directory: it has no file identity";
  if (found.data_directories.empty()) return text + "; give the --data-dir of a server";
  std::string list;
  for (const std::string& one : found.data_directories) list += (list.empty() ? "" : ", ") + one;
  return text + "; data directories in it: " + list;
}

}  // namespace zabmq::cli
