// Admin: questions about the cluster's state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "zabmq/client.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq {

struct ServerStatus {
  ServerId id = ServerId::none;
  std::string client;      // its client endpoint
  bool reachable = false;  // false: the fields below mean nothing
  Role role = Role::looking;
  Phase phase = Phase::election;
  Epoch epoch = Epoch::none;
  Zxid last_logged;
  Zxid last_committed;
  Offset first_offset = 0;
  Offset last_offset = 0;  // last committed
  std::string durability;
  std::string standing;               // "voter", "empty", "founding", "wiped"
  std::vector<std::string> counters;  // "name=value"
};

struct ClusterStatus {
  // The server that itself answers leading in broadcast, with the greatest epoch.
  ServerId leader = ServerId::none;
  // Every configured server, by id, also those not in the endpoints.
  std::vector<ServerStatus> servers;
};

// Asks all servers at once, each at most `patience`. Every endpoint given and every server that an
// answer names is asked. Never throws for servers that are down: they are listed as unreachable.
// A server that only its endpoint is known of and that does not answer has id none.
ClusterStatus cluster_status(const ClientOptions& options, Millis patience = Millis{1000});

}  // namespace zabmq
