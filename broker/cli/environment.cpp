// Environment: from /proc, uname, the build and the cluster.
#include "cli/environment.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include "zabmq/admin.hpp"

namespace zabmq::cli {

namespace {

constexpr const char* unknown = "unknown";
constexpr Millis patience_max{1000};

std::string content_of(const char* file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string kernel_release() {
  utsname names{};
  return uname(&names) == 0 ? std::string(names.sysname) + " " + names.release : unknown;
}

}  // namespace

std::string cpu_model(const std::string& cpu_info) {
  const std::size_t name = cpu_info.find("model name");
  const std::size_t colon = cpu_info.find(": ", name == cpu_info.npos ? cpu_info.size() : name);
  if (colon == cpu_info.npos) return unknown;
  const std::size_t begin = colon + 2;
  return cpu_info.substr(begin, cpu_info.find('\n', begin) - begin);
}

Environment environment_of(const ClientOptions& client) {
  Environment environment{.version = ZABMQ_VERSION,
                          .commit = ZABMQ_COMMIT,
                          .cpu = cpu_model(content_of("/proc/cpuinfo")),
                          .cores = std::thread::hardware_concurrency(),
                          .kernel = kernel_release(),
                          .durability = unknown};
  const ClusterStatus status = cluster_status(client, std::min(client.timeout, patience_max));
  environment.servers = status.servers.size();
  for (const ServerStatus& server : status.servers) {
    if (server.id == status.leader && server.reachable) environment.durability = server.durability;
  }
  return environment;
}

}  // namespace zabmq::cli
