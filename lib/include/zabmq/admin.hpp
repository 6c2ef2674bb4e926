// Admin: questions about the cluster's state, and its durable cursors.
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

struct DurableCursor {
  std::string name;
  Offset acknowledged = 0;  // everything up to here
  Offset behind = 0;        // messages that it has not acknowledged
  Offset lost = 0;          // of these, how many are no longer kept
  friend bool operator==(const DurableCursor&, const DurableCursor&) = default;
};

// All of them, by name, as one server has delivered them; the given servers are tried in turn.
// Waits at most options.timeout. Throws Error: unavailable (no server answered), and what a server
// refuses.
std::vector<DurableCursor> durable_cursors(const ClientOptions& options);

// On return no cursor of that name exists: retention keeps nothing for it any more, and who
// subscribes with it begins anew. One that did not exist is no error. Throws Error: unavailable (no
// server answered in time; outcome maybe when it was asked), protocol (no name of a cursor).
void remove_cursor(const ClientOptions& options, const std::string& name);

}  // namespace zabmq
