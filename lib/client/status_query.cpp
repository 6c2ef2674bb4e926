// StatusQuery: who is to be asked, and one table from many answers.
#include "client/status_query.hpp"

#include <algorithm>

namespace zabmq::client {
namespace {

ServerStatus unreachable(ServerId id, const std::string& endpoint) {
  ServerStatus server;
  server.id = id;
  server.client = endpoint;
  return server;
}

ServerStatus status_of(const std::string& endpoint, const wire::StatusAnswer& answer) {
  ServerStatus server = unreachable(answer.server, endpoint);
  server.reachable = true;
  server.role = answer.role;
  server.phase = answer.phase;
  server.epoch = answer.epoch;
  server.last_logged = answer.last_logged;
  server.last_committed = answer.last_committed;
  server.first_offset = answer.first_offset;
  server.last_offset = answer.last_offset;
  server.durability = answer.durability;
  server.standing = answer.standing;
  server.counters = answer.counters;
  return server;
}

}  // namespace

StatusQuery::StatusQuery(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) add(endpoint);
}

void StatusQuery::add(const std::string& endpoint) {
  if (endpoint.empty() || asked_.size() >= endpoints_max) return;
  if (asked_.try_emplace(endpoint).second) order_.push_back(endpoint);
}

std::vector<std::string> StatusQuery::take_new_endpoints() {
  const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(handed_out_);
  handed_out_ = order_.size();
  return {begin, order_.end()};
}

void StatusQuery::on_answer(const std::string& endpoint, const wire::StatusAnswer& answer) {
  const auto asked = asked_.find(endpoint);
  if (asked == asked_.end()) return;
  asked->second = {.answered = true, .answer = answer};
  for (const wire::ServerAddress& server : answer.servers) {
    named_.emplace(server.id, server.client_endpoint);
    add(server.client_endpoint);
  }
}

ClusterStatus StatusQuery::result() const {
  std::map<ServerId, ServerStatus> known;
  for (const auto& [id, endpoint] : named_) known.emplace(id, unreachable(id, endpoint));
  ClusterStatus cluster;
  Epoch newest = Epoch::none;
  std::vector<ServerStatus> nameless;
  for (const std::string& endpoint : order_) {
    const Asked& asked = asked_.at(endpoint);
    const auto is_there = [&](const auto& entry) { return entry.second.client == endpoint; };
    if (!asked.answered) {
      if (std::none_of(known.begin(), known.end(), is_there)) {
        nameless.push_back(unreachable(ServerId::none, endpoint));
      }
      continue;
    }
    const ServerStatus server = status_of(endpoint, asked.answer);
    known[server.id] = server;
    const bool leads = server.role == Role::leading && server.phase == Phase::broadcast;
    if (leads && server.epoch > newest) {
      newest = server.epoch;
      cluster.leader = server.id;
    }
  }
  for (const auto& [id, server] : known) cluster.servers.push_back(server);
  cluster.servers.insert(cluster.servers.end(), nameless.begin(), nameless.end());
  return cluster;
}

}  // namespace zabmq::client
