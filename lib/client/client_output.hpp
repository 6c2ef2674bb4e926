// ClientOutput: what the pure sessions ask of their socket layer, in order.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "wire/client_frame.hpp"

namespace zabmq::client {

using SharedBody = std::shared_ptr<const std::vector<std::byte>>;

// Drop the connection there is, with all that is queued on it, and open a fresh one.
struct Connect {
  std::string endpoint;
};
// Drop the connection there is.
struct Disconnect {};
// On the connection there is; a frame waits there until it is established.
struct SendFrame {
  wire::ClientMessage message;
  SharedBody body;  // of PUBLISH, else null
};
using Output = std::variant<Connect, Disconnect, SendFrame>;

// Intervals of a connection's life, for publishers and subscribers alike.
inline constexpr std::uint64_t connect_patience_ms = 1500;  // until the connection is established
inline constexpr std::uint64_t welcome_patience_ms = 2500;  // then until WELCOME: a transaction
inline constexpr std::uint64_t ping_interval_ms = 500;
inline constexpr std::uint64_t silence_max_ms = 2000;  // of a server that is sent pings

}  // namespace zabmq::client
