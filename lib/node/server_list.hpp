// ServerList: the cluster's members as --servers names them: 1=HOST:PEERPORT:CLIENTPORT,2=...
//
// Invariants: 1 to servers_max entries, sorted by id; ids are unique and not 0; no address and port
// appears twice.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/problem.hpp"
#include "zabmq/types.hpp"

namespace zabmq::node {

struct Server {
  ServerId id = ServerId::none;
  std::string host;  // a name or an address; an IPv6 address in brackets
  std::uint16_t peer_port = 0;
  std::uint16_t client_port = 0;

  std::string peer_endpoint() const;  // "tcp://127.0.0.1:9570"
  std::string client_endpoint() const;
  bool is_ipv6() const { return host.starts_with('['); }
  bool is_loopback() const;  // localhost, 127.0.0.0/8 or [::1]
};

class ServerList {
 public:
  static std::variant<ServerList, Problem> parse(std::string_view text);

  const std::vector<Server>& all() const { return servers_; }
  const Server* find(ServerId id) const;
  std::vector<ServerId> voters() const;
  // Who the voters are, in words: "1,2,3". Addresses are not part of it: servers may move.
  std::string voter_set() const;
  // What handshakes compare: a hash of ids and roles, "1:voter,2:voter,3:voter".
  std::uint64_t voter_set_hash() const;

 private:
  std::vector<Server> servers_;
};

}  // namespace zabmq::node
