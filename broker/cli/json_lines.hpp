// JsonLines: the objects that scripts read, each one line with its '\n'. Field names and their
// order are a contract.
#pragma once

#include <string>

#include "cli/histogram.hpp"
#include "zabmq/admin.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cli {

std::string json_line(const Receipt& receipt);
std::string json_line(const Message& message);
std::string json_line(const Gap& gap);
std::string json_line(const ClusterStatus& status);
std::string json_line(const DurableCursor& cursor);

struct BenchResult {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  // of payload
  double seconds = 0;
  Histogram latency_us;
  std::string durability;
  double messages_per_second() const;
  double megabytes_per_second() const;  // 10^6 bytes
};

std::string json_line(const BenchResult& result);

// "leader", "follower", "observer", "looking" or "unreachable".
std::string role_name(const ServerStatus& server);

}  // namespace zabmq::cli
