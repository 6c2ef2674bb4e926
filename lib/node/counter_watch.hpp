// CounterWatch: turns counters that only move when something is wrong into notices, once a second.
#pragma once

#include <cstdint>

#include "net/peer_counters.hpp"
#include "node/notice.hpp"
#include "node/zmq_client_links.hpp"
#include "replica/options.hpp"

namespace zabmq::node {

class CounterWatch {
 public:
  static constexpr std::uint64_t interval_ms = 1000;

  void look(std::uint64_t now_ms, const net::PeerCounters& peers,
            const ZmqClientLinks::Counters& clients, const replica::Counters& replica,
            const Observer& observer);

 private:
  std::uint64_t looked_at_ = 0;
  net::PeerCounters peers_;
  ZmqClientLinks::Counters clients_;
  replica::Counters replica_;
};

}  // namespace zabmq::node
