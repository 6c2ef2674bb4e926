// TestCluster: start and questions.
#include "test_cluster.hpp"

#include <doctest/doctest.h>

namespace zabmq::cluster {

namespace {

constexpr Millis leader_bound{15000};

}  // namespace

TestCluster::TestCluster(std::size_t servers, Words arguments)
    : cluster_({.servers = servers,
                .directory = directory_.path() / "data",
                .arguments = std::move(arguments)}) {
  REQUIRE(cluster_.start(leader_bound));
}

std::string TestCluster::endpoints() const {
  std::string list;
  for (const std::string& endpoint : cluster_.endpoints()) {
    list += (list.empty() ? "" : ",") + endpoint;
  }
  return list;
}

Ended TestCluster::tool(Words arguments, std::string_view input) const {
  arguments.insert(arguments.end(), {"--endpoints", endpoints()});
  return zabmq_tool(arguments, input);
}

std::string TestCluster::everything_at(int id) const {
  const Ended sub =
      zabmq_tool({"sub", "--from", "first", "--until-end", "--endpoints", endpoint(id)});
  INFO(sub.err);
  CHECK(sub.code == 0);
  return sub.out;
}

ServerId TestCluster::leader() {
  const auto leader = cluster_.wait_for_leader(leader_bound);
  REQUIRE(leader);
  return *leader;
}

ServerId TestCluster::follower() {
  const ServerId leads = leader();
  for (const cli::LocalServer& server : cluster_.servers()) {
    if (server.id != leads && cluster_.running(server.id)) return server.id;
  }
  FAIL("no follower runs");
  return ServerId::none;
}

ServerStatus TestCluster::status_of(ServerId id) const {
  for (const ServerStatus& server : cluster_.status().servers) {
    if (server.id == id) return server;
  }
  return {};
}

bool TestCluster::even() {
  return eventually([this] {
    const ClusterStatus status = cluster_.status();
    if (status.leader == ServerId::none) return false;
    Offset end = 0;
    for (const ServerStatus& server : status.servers) {
      if (server.id == status.leader) end = server.last_offset;
    }
    for (const ServerStatus& server : status.servers) {
      if (server.reachable && server.last_offset != end) return false;
    }
    return true;
  });
}

}  // namespace zabmq::cluster
