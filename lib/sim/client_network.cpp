// ClientNetwork: connections and their frames.
#include "sim/client_network.hpp"

#include <algorithm>
#include <memory>

#include "wire/client_frame.hpp"
#include "zabmq/check.hpp"

namespace zabmq::sim {
namespace {

constexpr std::string_view scheme = "sim://";

std::optional<ServerId> server_at(const std::string& endpoint) {
  if (!endpoint.starts_with(scheme)) return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : std::string_view(endpoint).substr(scheme.size())) {
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return ServerId{number};
}

template <class T>
std::size_t put(std::vector<T>& slots, std::vector<std::size_t>& free, T value) {
  if (free.empty()) {
    slots.push_back(std::move(value));
    return slots.size() - 1;
  }
  const std::size_t slot = free.back();
  free.pop_back();
  slots[slot] = std::move(value);
  return slot;
}

}  // namespace

std::string ClientNetwork::endpoint_of(ServerId server) {
  return std::string(scheme) + to_string(server);
}

ClientNetwork::ClientNetwork(Timeline& timeline, Trace& trace, Random random,
                             const LinkParameters& parameters, Deliver deliver, IsUp is_up)
    : timeline_(timeline),
      trace_(trace),
      random_(random),
      parameters_({.delay = parameters.delay, .client_queue_max = parameters.client_queue_max}),
      deliver_(std::move(deliver)),
      is_up_(std::move(is_up)) {}

ClientNetwork::Connection* ClientNetwork::find(std::uint64_t number) {
  const auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : &found->second;
}

Micros ClientNetwork::arrival(const Connection& connection, Micros& last) {
  const Micros when = timeline_.now() + random_.about(parameters_.delay);
  last = std::max({when, last, connection.stalled_until, end_of(parted_until_, connection.server)});
  return last;
}

Micros ClientNetwork::end_of(const Times& times, ServerId server) {
  const auto found = times.find(server);
  return found == times.end() ? 0 : found->second;
}

// --- the client's side ---

std::uint64_t ClientNetwork::connect(ClientEnd& client, const std::string& endpoint) {
  const std::optional<ServerId> server = server_at(endpoint);
  ZABMQ_CHECK(server);
  const std::uint64_t number = ++last_number_;
  const Micros usual = timeline_.now() + random_.about(2 * parameters_.delay);
  const Micros when = std::max(usual, end_of(parted_until_, *server));
  connections_[number] = {.client = &client, .server = *server, .last_up = when};
  timeline_.at(when, [this, number] { establish(number); });
  return number;
}

void ClientNetwork::establish(std::uint64_t number) {
  Connection* connection = find(number);
  if (!connection || !connection->client) return;
  const bool shut = timeline_.now() < end_of(shut_until_, connection->server);
  if (shut || !is_up_(connection->server)) return lose(number, "cannot be reached");
  connection->established = true;
  connection->client->on_connected(number);
}

void ClientNetwork::send(std::uint64_t number, const wire::ClientMessage& message,
                         const client::SharedBody& body) {
  Connection* connection = find(number);
  if (!connection || !connection->server_open) return;
  Slice bytes;
  if (body) bytes = Slice(body, *body);
  const std::size_t slot =
      put(up_, up_free_, ToServer{number, connection->server, wire::encode(message), bytes});
  timeline_.at(arrival(*connection, connection->last_up), [this, slot] { arrive_up(slot); });
}

void ClientNetwork::arrive_up(std::size_t slot) {
  const ToServer frame = std::move(up_[slot]);
  up_free_.push_back(slot);
  const Connection* connection = find(frame.connection);
  // A process that ended took its half of the connection with it.
  if (!connection || !connection->server_open) return;
  deliver_(frame);
}

// What was sent before may still arrive; the server learns of the end when that has happened.
void ClientNetwork::close(std::uint64_t number) {
  Connection* connection = find(number);
  if (!connection) return;
  connection->client = nullptr;
  timeline_.at(arrival(*connection, connection->last_up), [this, number] {
    if (Connection* ended = find(number)) ended->server_open = false;
    forget_if_over(number);
  });
}

void ClientNetwork::forget_if_over(std::uint64_t number) {
  const Connection* connection = find(number);
  if (connection && !connection->client && !connection->server_open) connections_.erase(number);
}

// --- the server's side ---

replica::ClientLinks::Sent ClientNetwork::send(ServerId server, replica::ConnectionId to,
                                               const wire::ServerMessage& message, Slice body) {
  const auto number = static_cast<std::uint64_t>(to);
  Connection* connection = find(number);
  if (!connection || connection->server != server || !connection->server_open) {
    return replica::ClientLinks::Sent::gone;
  }
  if (connection->queued_down >= parameters_.client_queue_max) {
    return replica::ClientLinks::Sent::full;
  }
  ++connection->queued_down;
  const std::size_t slot =
      put(down_, down_free_, ToClient{number, wire::encode(message), std::move(body)});
  connection->last_down = std::max(connection->last_down, connection->unread_until);
  timeline_.at(arrival(*connection, connection->last_down), [this, slot] { arrive_down(slot); });
  return replica::ClientLinks::Sent::ok;
}

void ClientNetwork::arrive_down(std::size_t slot) {
  ToClient frame = std::move(down_[slot]);
  down_free_.push_back(slot);
  Connection* connection = find(frame.connection);
  if (!connection) return;
  --connection->queued_down;
  if (!connection->client) return;
  trace_.count_frame(EventKind::client_frame, frame.connection, frame.header, frame.body.bytes());
  const std::optional<wire::ServerMessage> message = wire::decode_server(frame.header);
  ZABMQ_CHECK(message);  // what a server encodes, every client reads
  connection->client->on_frame(frame.connection, *message, std::move(frame.body));
}

void ClientNetwork::lose(std::uint64_t number, const std::string& why) {
  Connection* connection = find(number);
  if (!connection) return;
  connection->server_open = false;
  ClientEnd* const client = std::exchange(connection->client, nullptr);
  forget_if_over(number);
  if (client) client->on_lost(number, why);
}

void ClientNetwork::process_died(ServerId server) {
  for (auto& [number, connection] : connections_) {
    if (connection.server != server || !connection.server_open) continue;
    connection.server_open = false;
    timeline_.at(arrival(connection, connection.last_down),
                 [this, number = number] { lose(number, "the connection was closed"); });
  }
}

// --- faults ---

std::vector<std::uint64_t> ClientNetwork::established() const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    if (connection.established && connection.client && connection.server_open) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

ServerId ClientNetwork::server_of(std::uint64_t number) const {
  return connections_.at(number).server;
}

void ClientNetwork::break_off(std::uint64_t number) {
  connections_.at(number).server_open = false;
  timeline_.after(random_.about(parameters_.delay),
                  [this, number] { lose(number, "the connection was closed"); });
}

void ClientNetwork::shut_out(ServerId server, Micros until) {
  shut_until_[server] = until;
  for (const std::uint64_t number : established()) {
    if (server_of(number) == server) break_off(number);
  }
}

void ClientNetwork::partition(ServerId server, Micros until, bool end_connections) {
  Micros& parted = parted_until_[server];
  parted = std::max(parted, until);
  if (!end_connections) return;
  for (auto& [number, connection] : connections_) {
    if (connection.server != server) continue;
    connection.server_open = false;
    timeline_.at(until, [this, number = number] { lose(number, "the connection was closed"); });
  }
}

void ClientNetwork::stop_reading(std::uint64_t number, Micros until) {
  Connection& connection = connections_.at(number);
  connection.unread_until = std::max(connection.unread_until, until);
}

void ClientNetwork::stall(std::uint64_t number, Micros until) {
  Connection& connection = connections_.at(number);
  connection.stalled_until = std::max(connection.stalled_until, until);
}

}  // namespace zabmq::sim
