// JsonLines: the objects that scripts read, each one line with its '\n'. Field names and their
// order are a contract.
#pragma once

#include <string>

#include "zabmq/admin.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cli {

std::string json_line(const Receipt& receipt);
std::string json_line(const Message& message);
std::string json_line(const Gap& gap);
std::string json_line(const ClusterStatus& status);
std::string json_line(const DurableCursor& cursor);

// "leader", "follower", "observer", "looking" or "unreachable".
std::string role_name(const ServerStatus& server);

}  // namespace zabmq::cli
