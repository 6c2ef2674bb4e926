// Environment: on what a measurement was made.
#pragma once

#include <cstddef>
#include <string>

#include "zabmq/client.hpp"

namespace zabmq::cli {

struct Environment {
  std::string version;
  std::string commit;  // of the source tree when it was configured; "unknown" outside of git
  std::string cpu;
  std::size_t cores = 0;
  std::string kernel;
  std::size_t servers = 0;
  std::string durability;  // what the leader says
};

// Asks the cluster for what only it knows.
Environment environment_of(const ClientOptions& client);

// "AMD EPYC" of /proc/cpuinfo's text; "unknown" when it does not say.
std::string cpu_model(const std::string& cpu_info);

}  // namespace zabmq::cli
