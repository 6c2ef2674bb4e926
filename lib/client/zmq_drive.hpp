// ZmqDrive: one turn of a background thread: what the connection brought goes to the session, what
// the session asks for goes to the connection.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "client/zmq_connection.hpp"
#include "client/zmq_wakeup.hpp"

namespace zabmq::client {

inline constexpr int frames_per_turn = 256;  // so that a fast server cannot keep callers waiting

inline std::uint64_t steady_now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// Frames first: they were sent before the connection's end.
template <class Session>
void feed(Session& session, Connection& connection, std::uint64_t now_ms) {
  int frames = 0;
  while (std::optional<Connection::Received> frame = connection.receive()) {
    session.receive(frame->message, std::move(frame->body), now_ms);
    if (++frames == frames_per_turn) return;  // poll returns at once
  }
  switch (connection.take_event()) {
    case Connection::Event::none:
      break;
    case Connection::Event::established:
      session.connected(now_ms);
      break;
    case Connection::Event::lost:
      session.lost(connection.why_lost());
      break;
  }
}

// True: the session asked for something.
template <class Session>
bool perform_outputs(Session& session, Connection& connection) {
  std::vector<Output> outputs = session.take_outputs();
  for (Output& output : outputs) connection.perform(std::move(output));
  connection.flush();
  return !outputs.empty();
}

inline void wait_for_input(Connection& connection, ZmqWakeup& wakeup, std::uint64_t wait_ms) {
  const auto [socket, monitor] = connection.poll_items();
  pollfd items[] = {{wakeup.fd(), POLLIN, 0}, socket, monitor};
  poll(items, std::size(items), connection.has_input() ? 0 : static_cast<int>(wait_ms));
  connection.polled(std::span(items).last<2>());
  if (items[0].revents != 0) wakeup.clear();
}

// The same for several, without a wake-up.
inline void wait_for_input(std::span<Connection* const> connections, std::uint64_t wait_ms) {
  std::vector<pollfd> items;
  for (Connection* connection : connections) {
    const auto [socket, monitor] = connection->poll_items();
    items.insert(items.end(), {socket, monitor});
    if (connection->has_input()) wait_ms = 0;
  }
  poll(items.data(), items.size(), static_cast<int>(wait_ms));
  for (std::size_t i = 0; i < connections.size(); ++i) {
    connections[i]->polled(std::span(items).subspan(2 * i).first<2>());
  }
}

}  // namespace zabmq::client
