// ZmqClientLinks: socket options, frames in, frames out.
#include "node/zmq_client_links.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "wire/hand_over.hpp"
#include "zabmq/check.hpp"

namespace zabmq::node {
namespace {

constexpr std::uint64_t sweep_interval_ms = 1000;

Slice slice_of(zmq::message_t& message) {
  if (message.empty()) return {};
  auto owner = std::make_shared<zmq::message_t>(std::move(message));
  const Bytes bytes{static_cast<const std::byte*>(owner->data()), owner->size()};
  return {std::move(owner), bytes};
}

}  // namespace

// A body in the socket's queue, counted for its connection until its last byte is sent.
class ZmqClientLinks::QueuedBody {
 public:
  QueuedBody(Slice body, QueuedBytes queued) : body_(std::move(body)), queued_(std::move(queued)) {
    *queued_ += body_.size();
  }
  QueuedBody(QueuedBody&&) = default;
  QueuedBody& operator=(QueuedBody&&) = delete;
  ~QueuedBody() {
    if (queued_) *queued_ -= body_.size();
  }

 private:
  Slice body_;
  QueuedBytes queued_;  // null: moved from
};

zmq::message_t ZmqClientLinks::message_of(Slice body, const QueuedBytes& queued) {
  if (body.size() < copy_below) return {body.bytes().data(), body.size()};
  // ZeroMQ never writes into a message that it sends; the interface only lacks the const.
  void* const data = const_cast<std::byte*>(body.bytes().data());
  const std::size_t size = body.size();
  return {data, size, wire::free_handed_over<QueuedBody>,
          wire::hand_over(QueuedBody(std::move(body), queued))};
}

ZmqClientLinks::ZmqClientLinks(zmq::context_t& context, const Options& options)
    : options_(options), socket_(context, zmq::socket_type::router) {
  socket_.set(zmq::sockopt::router_mandatory, true);
  socket_.set(zmq::sockopt::sndhwm, send_queue_messages);
  socket_.set(zmq::sockopt::rcvhwm, receive_queue_messages);
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.frame_bytes_max));
  // Never ZMTP heartbeats: libzmq (4.3.4, 4.3.5) aborts the process when one comes due on a
  // connection that broke while its input was held up.
  socket_.set(zmq::sockopt::tcp_keepalive, 1);
  socket_.set(zmq::sockopt::tcp_keepalive_idle, 2);
  socket_.set(zmq::sockopt::tcp_keepalive_intvl, 1);
  socket_.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  socket_.set(zmq::sockopt::tcp_maxrt, 3000);
  socket_.set(zmq::sockopt::handshake_ivl, 5000);
  socket_.set(zmq::sockopt::linger, 200);
  socket_.set(zmq::sockopt::backlog, 1024);
  socket_.set(zmq::sockopt::ipv6, options.ipv6);
  inbox_ = wire::ZmqInbox(socket_.handle());
}

int ZmqClientLinks::bind(const std::string& endpoint) {
  return zmq_bind(socket_.handle(), endpoint.c_str()) == 0 ? 0 : zmq_errno();
}

void ZmqClientLinks::receive(Listener& listener, std::size_t messages_max, std::size_t bytes_max) {
  bytes_received_ = 0;
  for (std::size_t n = 0; n < messages_max && bytes_received_ < bytes_max; ++n) {
    if (!inbox_.may_have() || !receive_part(routing_)) return;
    if (!receive_message(listener)) ++counters_.malformed;
  }
}

// A message's parts arrive together: only the first one can be missing.
bool ZmqClientLinks::receive_part(zmq::message_t& part) {
  if (inbox_.receive(part.handle())) return true;
  ZABMQ_CHECK(zmq_errno() == EAGAIN || zmq_errno() == EINTR || zmq_errno() == ETERM);
  return false;
}

// False: malformed.
bool ZmqClientLinks::receive_message(Listener& listener) {
  ++counters_.received;
  if (!routing_.more() || !receive_part(header_)) return false;
  body_.rebuild();
  const bool has_body = header_.more();
  if (has_body && !receive_part(body_)) return false;
  if (has_body && body_.more()) {
    drain_parts(body_);
    header_.rebuild();  // no header at all: the listener answers it as any malformed frame
    body_.rebuild();
  }
  bytes_received_ += body_.size();
  const replica::ConnectionId from = connection_of(routing_);
  if (from == replica::ConnectionId::none) return true;
  listener.on_client_frame(from, {static_cast<const std::byte*>(header_.data()), header_.size()},
                           slice_of(body_));
  return true;
}

void ZmqClientLinks::drain_parts(const zmq::message_t& last) {
  bool more = last.more();
  zmq::message_t part;
  while (more && receive_part(part)) more = part.more();
}

replica::ConnectionId ZmqClientLinks::connection_of(const zmq::message_t& routing) {
  const auto* const bytes = static_cast<const std::byte*>(routing.data());
  if (routing.size() != routing_id_size || bytes[0] != std::byte{0}) {
    ++counters_.routing_ids_refused;
    answer_stranger(routing_, wire::Reset{"leave the routing id of the socket empty"});
    return replica::ConnectionId::none;
  }
  RoutingId key = 0;
  std::memcpy(&key, bytes + 1, sizeof key);
  if (const auto known = by_routing_.find(key); known != by_routing_.end()) {
    known->second.heard_at = now_ms_;
    return known->second.id;
  }
  if (by_routing_.size() >= options_.connections_max) {
    ++counters_.connections_refused;
    wire::Refused refused;
    refused.code = Code::busy;
    refused.text = "this server has all the clients it takes";
    answer_stranger(routing_, refused);
    return replica::ConnectionId::none;
  }
  const replica::ConnectionId id{++last_id_};
  by_routing_.emplace(key, Connection{id, now_ms_});
  by_id_.emplace(id, Link{key, std::make_shared<std::atomic<std::size_t>>(0)});
  return id;
}

// Who gets no number is told so once per frame and not remembered: a client's mistake, or a full
// server, should not look like a dead one.
void ZmqClientLinks::answer_stranger(zmq::message_t& routing, const wire::ServerMessage& answer) {
  const auto header = wire::encode(answer);
  zmq::message_t part(header.data(), header.size());
  if (send_part(routing, ZMQ_SNDMORE)) send_part(part, 0);
}

void ZmqClientLinks::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  if (now_ms_ - swept_at_ < sweep_interval_ms) return;
  swept_at_ = now_ms_;
  forget_idle();
}

void ZmqClientLinks::forget_idle() {
  std::erase_if(by_routing_, [this](const auto& entry) {
    const Connection& connection = entry.second;
    if (now_ms_ - connection.heard_at <= options_.idle_timeout_ms) return false;
    by_id_.erase(connection.id);
    return true;
  });
}

void ZmqClientLinks::forget(RoutingId routing, replica::ConnectionId id) {
  by_routing_.erase(routing);
  by_id_.erase(id);
}

// Not while its bodies wait in the socket: under a new number they would not count any more.
void ZmqClientLinks::release(replica::ConnectionId connection) {
  const auto known = by_id_.find(connection);
  if (known != by_id_.end() && *known->second.queued == 0)
    forget(known->second.routing, connection);
}

// With ROUTER_MANDATORY the first part decides: a full queue or an unknown name shows there, and
// the parts behind it are taken or dropped with the connection.
ZmqClientLinks::Sent ZmqClientLinks::send(replica::ConnectionId to,
                                          const wire::ServerMessage& message, Slice body) {
  const auto known = by_id_.find(to);
  if (known == by_id_.end()) return Sent::gone;

  const Link& link = known->second;
  if (body.size() >= copy_below && *link.queued >= send_queue_bytes) return full();

  std::array<std::byte, routing_id_size> name{};
  std::memcpy(name.data() + 1, &link.routing, sizeof(RoutingId));
  zmq::message_t routing(name.data(), name.size());
  if (!send_part(routing, ZMQ_SNDMORE)) {
    if (zmq_errno() == EAGAIN) return full();
    ++counters_.gone;
    forget(link.routing, to);
    return Sent::gone;
  }
  const auto header = wire::encode(message);
  zmq::message_t first(header.data(), header.size());
  const bool has_body = !body.empty();
  send_part(first, has_body ? ZMQ_SNDMORE : 0);
  if (has_body) {
    zmq::message_t second = message_of(std::move(body), link.queued);
    send_part(second, 0);
  }
  ++counters_.sent;
  return Sent::ok;
}

ZmqClientLinks::Sent ZmqClientLinks::full() {
  ++counters_.full;
  blocked_ = true;
  return Sent::full;
}

bool ZmqClientLinks::send_part(zmq::message_t& part, int flags) {
  inbox_.sent();
  return zmq_msg_send(part.handle(), socket_.handle(), flags | ZMQ_DONTWAIT) >= 0;
}

}  // namespace zabmq::node
