// HistoryEvent: one line of a recorded history, and how it is told to the checker.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/history_checker.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

struct HistoryEvent {
  enum class Kind : std::uint8_t {
    invoke = 1,
    acknowledge,
    confirm,
    refuse,
    subscribe,
    deliver,
    mark,
    end,
    drain  // says which subscription was the final drain of a server, and what it had to reach
  };
  Kind kind = Kind::invoke;
  std::uint64_t time = 0;
  PublisherKey publisher{};
  Sequence sequence = 0;
  SubscriptionKey subscription{};
  ServerId server = ServerId::none;
  Offset offset = 0;  // of a message; first of a subscription; covered by a mark; a drain's end
  Offset first = 1;   // of a drain: below, retention has let messages go
  Zxid zxid = {};
  std::uint64_t payload_hash = 0;
  std::string topic = {};
  std::vector<std::string> topics = {};  // of a subscription; empty: all
};

HistoryChecker::Drain drain_of(const HistoryEvent& event);

// Everything but a drain, which is for finish().
void tell(HistoryChecker& checker, const HistoryEvent& event);

// Tells a whole history and finishes it.
HistoryChecker checked(std::span<const HistoryEvent> history);

}  // namespace zabmq::sim
