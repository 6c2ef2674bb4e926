// Leader: a cluster of one with an open publisher.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "server.hpp"

namespace zabmq::testing {

inline constexpr ConnectionId alice{1};
inline constexpr ConnectionId bob{2};
inline const Uuid publisher = make_uuid(7);

struct Leader : Solo {
  explicit Leader(replica::Options options = {}) : Solo(options) {
    CHECK(server.open_publisher(alice, publisher).publisher_open);
  }
  std::vector<wire::Receipt> receipts(ConnectionId from = alice) {
    server.settle();
    return server.clients.take<wire::Receipt>(from);
  }
  wire::Refused refusal(ConnectionId from = alice) {
    server.settle();
    const auto refusals = server.clients.take<wire::Refused>(from);
    REQUIRE(refusals.size() == 1);
    return refusals.front();
  }
};

}  // namespace zabmq::testing
