// Context: what all rules share: the server under test, how long to wait for it, and names that
// nobody else has, so that a cluster in use can be checked.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <zmq.hpp>

#include "cli/conformance/frame.hpp"
#include "zabmq/client.hpp"

namespace zabmq::cli::conformance {

// A rule that cannot be seen here and now.
struct Skip {
  std::string why;
};

// HELLO had no answer: no other rule can be checked.
struct NoAnswer {};

Uuid random_id();

struct Context {
  Context(std::string endpoint_, Millis timeout_)
      : endpoint(std::move(endpoint_)),
        timeout(timeout_),
        topic("zabmq.conformance/" + to_string(random_id())) {}

  const std::string endpoint;
  const Millis timeout;     // of every wait for a frame
  const std::string topic;  // of all that is published, or its beginning
  zmq::context_t sockets;
  // Where a publisher could be opened: here, or at the leader that this server names.
  std::optional<std::string> publishing;
};

// Throws Broken unless it holds.
void require(bool holds, const std::string& expected, const std::string& got);
void require(bool holds, const std::string& expected, const Frame& got);
void require_equal(const std::string& what, std::uint64_t expected, std::uint64_t got);

}  // namespace zabmq::cli::conformance
