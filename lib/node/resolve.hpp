// Resolve: the address behind a host name, for binding: ZeroMQ binds addresses only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "node/problem.hpp"

namespace zabmq::node {

// "tcp://127.0.0.1:9470" for localhost and 9470. An address, with or without brackets, stays as it
// is. May block for as long as the name service does.
std::variant<std::string, Problem> endpoint_to_bind(const std::string& host, std::uint16_t port);

}  // namespace zabmq::node
