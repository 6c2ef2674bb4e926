// Connection: socket options, frames in and out, and the monitor that tells of the connection's
// end.
#include "client/zmq_connection.hpp"

#include <atomic>
#include <cstring>
#include <utility>

#include "wire/hand_over.hpp"
#include "zabmq/check.hpp"

namespace zabmq::client {
namespace {

constexpr int bye_linger_ms = 100;
constexpr int monitored_events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                                 ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

void set_options(zmq::socket_t& socket, const std::string& endpoint) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::immediate, true);
  socket.set(zmq::sockopt::reconnect_ivl, -1);
  socket.set(zmq::sockopt::connect_timeout, 1000);
  socket.set(zmq::sockopt::handshake_ivl, 2000);
  socket.set(zmq::sockopt::sndhwm, Connection::queue_messages_max);
  socket.set(zmq::sockopt::rcvhwm, Connection::queue_messages_max);
  socket.set(zmq::sockopt::maxmsgsize, Connection::frame_bytes_max);
  // Never ZMTP heartbeats: libzmq (4.3.4, 4.3.5) aborts the process when one comes due on a
  // connection that broke while its input was held up. The sessions have their own.
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 2);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 1);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  socket.set(zmq::sockopt::tcp_maxrt, 3000);
  socket.set(zmq::sockopt::ipv6, endpoint.find('[') != endpoint.npos);
}

zmq::message_t message_of(const SharedBody& body) {
  if (body->size() < Connection::copy_below) return {body->data(), body->size()};
  // ZeroMQ never writes into a message that it sends; its interface only lacks the const.
  void* const data = const_cast<std::byte*>(body->data());
  return {data, body->size(), wire::free_handed_over<SharedBody>, wire::hand_over(body)};
}

Bytes bytes_of(const zmq::message_t& part) {
  return {static_cast<const std::byte*>(part.data()), part.size()};
}

Slice slice_of(zmq::message_t part) {
  auto owner = std::make_shared<zmq::message_t>(std::move(part));
  const Bytes bytes = bytes_of(*owner);
  return {std::move(owner), bytes};
}

}  // namespace

Connection::Connection(std::shared_ptr<zmq::context_t> context) : context_(std::move(context)) {}

Connection::~Connection() {
  close();
}

void Connection::perform(Output output) {
  if (auto* connect = std::get_if<Connect>(&output)) return open(connect->endpoint);
  if (std::holds_alternative<Disconnect>(output)) return close();
  auto& frame = std::get<SendFrame>(output);
  polite_ = std::holds_alternative<wire::Bye>(frame.message);
  outgoing_.push_back({wire::encode(frame.message), std::move(frame.body)});
  flush();
}

void Connection::open(const std::string& endpoint) {
  static std::atomic<std::uint64_t> last_number{0};
  const std::string address = "inproc://zabmq-client-" + std::to_string(++last_number);
  close();
  try {
    socket_.emplace(*context_, zmq::socket_type::dealer);
    set_options(*socket_, endpoint);
    if (zmq_socket_monitor(socket_->handle(), address.c_str(), monitored_events) != 0) {
      throw zmq::error_t();
    }
    monitor_.emplace(*context_, zmq::socket_type::pair);
    monitor_->set(zmq::sockopt::linger, 0);
    monitor_->connect(address);
    socket_->connect(endpoint);
    inbox_ = wire::ZmqInbox(socket_->handle());
    news_ = wire::ZmqInbox(monitor_->handle());
  } catch (const zmq::error_t& error) {
    lose(std::string("cannot connect: ") + error.what());
  }
}

void Connection::close() {
  outgoing_.clear();
  lost_ = established_ = false;
  if (socket_) {
    // Not socket_->set: a destructor comes here, and that throws.
    if (polite_)
      zmq_setsockopt(socket_->handle(), ZMQ_LINGER, &bye_linger_ms, sizeof bye_linger_ms);
    zmq_socket_monitor(socket_->handle(), nullptr, 0);
  }
  polite_ = false;
  inbox_ = news_ = {};
  monitor_.reset();
  socket_.reset();
}

void Connection::lose(const std::string& why) {
  if (lost_) return;
  lost_ = true;
  why_lost_ = why;
  outgoing_.clear();
}

void Connection::flush() {
  while (socket_ && !lost_ && !outgoing_.empty()) {
    if (!send(outgoing_.front())) return;
    outgoing_.pop_front();
  }
}

// The first part decides: without a connection, or with a full queue, it is not taken.
bool Connection::send(Outgoing& outgoing) {
  const int more = outgoing.body ? ZMQ_SNDMORE : 0;
  inbox_.sent();
  zmq::message_t header(outgoing.header.data(), outgoing.header.size());
  if (zmq_msg_send(header.handle(), socket_->handle(), ZMQ_DONTWAIT | more) < 0) return false;
  if (!outgoing.body) return true;
  zmq::message_t body = message_of(outgoing.body);
  if (zmq_msg_send(body.handle(), socket_->handle(), ZMQ_DONTWAIT) < 0) {
    lose("the connection ended inside a frame");
  }
  return true;
}

bool Connection::receive_part(zmq::message_t& part) {
  return inbox_.receive(part.handle());
}

std::optional<Connection::Received> Connection::receive() {
  if (lost_ || !inbox_.may_have()) return std::nullopt;
  zmq::message_t header;
  if (!receive_part(header)) return std::nullopt;
  zmq::message_t body;
  if (header.more() && !receive_part(body)) return malformed("half a frame");
  if (body.more()) return malformed("a frame of more than two parts");
  std::optional<wire::ServerMessage> message = wire::decode_server(bytes_of(header));
  if (!message) return malformed("a malformed frame");
  return Received{std::move(*message), body.empty() ? Slice{} : slice_of(std::move(body))};
}

std::optional<Connection::Received> Connection::malformed(const std::string& what) {
  lose("the server sent " + what);
  return std::nullopt;
}

Connection::Event Connection::take_event() {
  const bool was_established = established_;
  while (!lost_ && news_.may_have() && read_monitor()) {
  }
  if (lost_) return Event::lost;
  return established_ && !was_established ? Event::established : Event::none;
}

// An event is two parts: a 16-bit number with a 32-bit value, and the endpoint.
bool Connection::read_monitor() {
  zmq::message_t event;
  zmq::message_t address;
  if (!news_.receive(event.handle())) return false;
  if (event.more()) news_.receive(address.handle());
  std::uint16_t number = 0;
  ZABMQ_CHECK(event.size() >= sizeof number);
  std::memcpy(&number, event.data(), sizeof number);
  if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
    established_ = true;
  } else {
    lose(established_ ? "the connection was closed" : "cannot be reached");
  }
  return true;
}

Connection::PollItems Connection::poll_items() const {
  if (lost_) return {wire::ZmqInbox().poll_item(), wire::ZmqInbox().poll_item()};
  return {inbox_.poll_item(), news_.poll_item()};
}

void Connection::polled(std::span<const pollfd, 2> items) {
  inbox_.polled(items[0]);
  news_.polled(items[1]);
}

bool Connection::has_input() {
  if (!socket_ || lost_) return false;
  if (inbox_.has_input() || news_.has_input()) return true;
  return !outgoing_.empty() && (inbox_.has_room() || inbox_.may_have());
}

void Connection::look_again() {
  if (!socket_) return;
  inbox_.look_again();
  news_.look_again();
}

}  // namespace zabmq::client
