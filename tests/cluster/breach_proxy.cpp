// BreachProxy: a ROUTER for the clients, a DEALER for each of them to the server.
#include "breach_proxy.hpp"

#include <optional>
#include <utility>

#include "cli/conformance/frame.hpp"

namespace zabmq::cluster {

namespace {

constexpr std::chrono::milliseconds turn{20};

bool receive(zmq::socket_t& socket, Parts& parts) {
  parts.clear();
  zmq::message_t part;
  if (!socket.recv(part, zmq::recv_flags::dontwait)) return false;
  parts.push_back(part.to_string());
  while (part.more()) {
    if (!socket.recv(part)) return false;
    parts.push_back(part.to_string());
  }
  return true;
}

void send(zmq::socket_t& socket, const Parts& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool more = i + 1 < parts.size();
    socket.send(zmq::buffer(parts[i]), more ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

// The array of a header, if its first element is `command`.
std::optional<cli::conformance::List> array_of(const std::string& header, std::uint64_t command) {
  if (header.size() < 8) return std::nullopt;
  const auto value = cli::conformance::parse(header.substr(8));
  const auto* list = value ? std::get_if<cli::conformance::List>(&value->is) : nullptr;
  if (!list || list->empty() || list->front() != cli::conformance::Value(command)) {
    return std::nullopt;
  }
  return *list;
}

}  // namespace

BreachProxy::BreachProxy(std::string server, Breach breach)
    : server_(std::move(server)),
      breach_(std::move(breach)),
      clients_(context_, zmq::socket_type::router) {
  clients_.set(zmq::sockopt::linger, 0);
  clients_.bind("tcp://127.0.0.1:*");
  endpoint_ = clients_.get(zmq::sockopt::last_endpoint);
  thread_ = std::thread([this] { run(); });
}

BreachProxy::~BreachProxy() {
  stopping_ = true;
  thread_.join();
}

void BreachProxy::run() {
  while (!stopping_) {
    std::vector<zmq::pollitem_t> items{{clients_.handle(), 0, ZMQ_POLLIN, 0}};
    for (auto& [client, socket] : servers_) items.push_back({socket.handle(), 0, ZMQ_POLLIN, 0});
    zmq::poll(items, turn);
    for (auto& [client, socket] : servers_) from_server(client, socket);
    from_client();
  }
}

void BreachProxy::from_client() {
  Parts parts;
  while (receive(clients_, parts)) {
    const std::string client = parts.front();
    parts.erase(parts.begin());
    if (breach_.to_server(parts)) send(to_server(client), parts);
  }
}

void BreachProxy::from_server(const std::string& client, zmq::socket_t& socket) {
  Parts parts;
  while (receive(socket, parts)) {
    if (!breach_.to_client(parts)) continue;
    parts.insert(parts.begin(), client);
    send(clients_, parts);
  }
}

zmq::socket_t& BreachProxy::to_server(const std::string& client) {
  const auto known = servers_.find(client);
  if (known != servers_.end()) return known->second;
  zmq::socket_t& socket =
      servers_.emplace(client, zmq::socket_t(context_, zmq::socket_type::dealer)).first->second;
  socket.set(zmq::sockopt::linger, 0);
  socket.connect(server_);
  return socket;
}

Change change_frames(std::uint64_t command, std::function<void(cli::conformance::List&)> change) {
  return [command, change = std::move(change)](Parts& parts) {
    if (auto array = array_of(parts.at(0), command)) {
      change(*array);
      parts[0] = cli::conformance::header_of(*array);
    }
    return true;
  };
}

Change lose_frames(std::uint64_t command) {
  return [command](Parts& parts) { return !array_of(parts.at(0), command); };
}

}  // namespace zabmq::cluster
