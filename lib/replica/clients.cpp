// Clients: answers in order, and forgetting connections.
#include "replica/clients.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/mutant.hpp"

namespace zabmq::replica {

using Sent = ClientLinks::Sent;

wire::Refused refused(wire::About about, std::uint64_t id, Code code, Outcome outcome,
                      std::string text) {
  wire::Refused answer;
  answer.about = about;
  answer.id = id;
  answer.code = code;
  answer.outcome = outcome;
  answer.text = std::move(text);
  return answer;
}

Connection* Clients::find(ConnectionId id) {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : &it->second;
}

void Clients::heard(ConnectionId id) {
  if (Connection* connection = find(id)) connection->heard_ms = now_ms_;
}

Connection* Clients::add(ConnectionId id) {
  if (Connection* known = find(id)) {
    if (!known->given_up) return known;
    forget(id);  // a new life, at once
  }
  if (connections_.size() >= options_.connections_max) make_room();
  if (connections_.size() >= options_.connections_max) return nullptr;
  Connection& connection = connections_[id];
  connection.heard_ms = now_ms_;
  return &connection;
}

std::size_t Clients::most_held() const {
  std::size_t most = 0;
  for (ConnectionId id : blocked_) {
    const auto it = connections_.find(id);
    if (it != connections_.end()) most = std::max(most, it->second.held.size());
  }
  return most;
}

std::size_t Clients::most_held_bytes() const {
  std::size_t most = 0;
  for (ConnectionId id : blocked_) {
    const auto it = connections_.find(id);
    if (it != connections_.end()) most = std::max(most, it->second.held_bytes);
  }
  return most;
}

void Clients::forget(ConnectionId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  held_bytes_ -= it->second.held_bytes;
  connections_.erase(it);
  if (forgotten_) forgotten_(id);
}

void Clients::leave(ConnectionId id) {
  forget(id);
  links_.release(id);
}

void Clients::reset(ConnectionId id, const std::string& reason) {
  ++counters_.resets;
  if (now_ms_ / 1000 != reset_second_) {
    reset_second_ = now_ms_ / 1000;
    resets_this_second_ = 0;
  }
  if (++resets_this_second_ > options_.resets_per_second_max) return;
  answer_stranger(id, wire::Reset{reason});
}

void Clients::answer_stranger(ConnectionId id, const wire::ServerMessage& message) {
  static_cast<void>(links_.send(id, message, Slice{}));  // it asks again when the answer is lost
}

void Clients::answer(ConnectionId id, wire::ServerMessage message) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if (connection.given_up) return;
  if (connection.held.empty()) {
    const Sent sent = links_.send(id, message, Slice{});
    if (sent == Sent::ok) return;
    if (sent == Sent::gone) return forget(id);
    blocked_.insert(id);
  }
  hold(connection, std::move(message));
}

void Clients::hold(Connection& connection, wire::ServerMessage message) {
  const std::size_t bytes = sizeof(Connection::Held) + wire::encode(message).size();
  connection.held.push_back({std::move(message), bytes});
  connection.held_bytes += bytes;
  held_bytes_ += bytes;
  const bool too_many = connection.held.size() > options_.answers_max;
  const bool too_large =
      connection.held_bytes > options_.answers_bytes_max && connection.held.size() > 1;
  if (ZABMQ_MUTANT(answers_without_end)) return;
  if (too_many || too_large) give_up(connection);
  if (held_bytes_ > options_.answers_total_bytes_max) give_up_slowest();
}

// In the next tick it is forgotten: whoever answers now may be in the middle of its subscriptions.
void Clients::give_up(Connection& connection) {
  ++counters_.connections_forgotten;
  connection.given_up = true;
  held_bytes_ -= std::exchange(connection.held_bytes, 0);
  connection.held.clear();
}

// Who lets most gather, not who comes last.
void Clients::give_up_slowest() {
  Connection* slowest = nullptr;
  for (ConnectionId id : blocked_) {
    Connection* connection = find(id);
    if (connection && (!slowest || connection->held_bytes > slowest->held_bytes)) {
      slowest = connection;
    }
  }
  if (slowest) give_up(*slowest);
}

Sent Clients::try_send(ConnectionId id, const wire::ServerMessage& message, Slice body) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return Sent::gone;
  if (!it->second.held.empty() || it->second.given_up) return Sent::full;
  const Sent sent = links_.send(id, message, std::move(body));
  if (sent == Sent::gone) forget(id);
  return sent;
}

void Clients::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  for (ConnectionId id : std::exchange(blocked_, {})) flush_held(id);
  if (now_ms_ - silence_checked_ms_ >= 1000) {
    silence_checked_ms_ = now_ms_;
    forget_silent(options_.client_timeout_ms);
  }
}

// A client that was killed says no BYE. Once a second: it is a walk over all of them.
void Clients::make_room() {
  constexpr std::uint64_t heartbeats = 3;
  if (now_ms_ - room_made_ms_ < 1000) return;
  room_made_ms_ = now_ms_;
  forget_silent(heartbeats * options_.client_heartbeat_ms);
}

void Clients::flush_held(ConnectionId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if (connection.given_up) return forget(id);
  while (!connection.held.empty()) {
    const Connection::Held& next = connection.held.front();
    const Sent sent = links_.send(id, next.message, Slice{});
    if (sent == Sent::gone) return forget(id);
    if (sent == Sent::full) {
      blocked_.insert(id);
      return;
    }
    connection.held_bytes -= next.bytes;
    held_bytes_ -= next.bytes;
    connection.held.pop_front();
  }
}

void Clients::forget_silent(std::uint64_t silence_ms) {
  std::vector<ConnectionId> silent;
  for (const auto& [id, connection] : connections_) {
    if (now_ms_ - connection.heard_ms > silence_ms) silent.push_back(id);
  }
  for (ConnectionId id : silent) {
    ++counters_.connections_forgotten;
    leave(id);
  }
}

}  // namespace zabmq::replica
