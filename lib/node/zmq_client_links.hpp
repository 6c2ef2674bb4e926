// ZmqClientLinks: the client-facing ROUTER socket. It numbers connections, moves frames, and knows
// nothing of what they say.
//
// One thread. Nothing blocks: a client that does not read is reported as `full`, one that is gone
// as `gone`. Bodies travel without a copy in both directions; from copy_below bytes on, outgoing
// memory is shared with the socket's own thread until it is on the wire.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <zmq.hpp>

#include "replica/replica.hpp"
#include "wire/zmq_inbox.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::node {

class ZmqClientLinks final : public replica::ClientLinks {
 public:
  struct Options {
    std::size_t frame_bytes_max = (2 << 20) + (64 << 10);
    std::size_t connections_max = 10000;
    // Not below the replica's own time-out: a connection forgotten here is unknown there as well.
    std::uint64_t idle_timeout_ms = 15000;
    bool ipv6 = false;
  };

  struct Counters {
    std::uint64_t received = 0, sent = 0;
    std::uint64_t malformed = 0;            // no header frame
    std::uint64_t routing_ids_refused = 0;  // chosen by the client instead of by the socket
    std::uint64_t connections_refused = 0;  // over connections_max
    std::uint64_t full = 0, gone = 0;
  };

  struct Listener {
    virtual ~Listener() = default;
    // `header` is valid during the call; `body` keeps itself alive. A message of more parts than
    // these two comes as an empty header.
    virtual void on_client_frame(replica::ConnectionId from, Bytes header, Slice body) = 0;
  };

  static constexpr std::size_t copy_below = 4096;
  // Per connection. They bound its memory whatever credit it grants. A body goes out while less
  // than send_queue_bytes of shared ones wait; frames without one, and small ones, are only
  // counted.
  static constexpr int send_queue_messages = 64;
  static constexpr std::size_t send_queue_bytes = 8 << 20;  // the credit of our own subscribers
  static constexpr int receive_queue_messages = 16;

  ZmqClientLinks(zmq::context_t& context, const Options& options);

  int bind(const std::string& endpoint);  // 0 or errno
  void close() { socket_.close(); }
  void* handle() { return socket_.handle(); }

  // What poll(2) has to wait for, and what it found.
  pollfd poll_item() const { return inbox_.poll_item(); }
  void polled(const pollfd& item) { inbox_.polled(item); }
  // True: do not wait, there is something that poll may not tell of.
  bool has_input() { return inbox_.has_input(); }

  // Hands waiting messages to `listener`, at most `messages_max` and, but for the last one, less
  // than `bytes_max` of bodies.
  void receive(Listener& listener, std::size_t messages_max, std::size_t bytes_max);
  void tick(std::uint64_t now_ms);

  Sent send(replica::ConnectionId to, const wire::ServerMessage& message, Slice body) override;
  void release(replica::ConnectionId connection) override;

  // True once after a send that found a full queue: somebody should try again soon.
  bool take_blocked() { return std::exchange(blocked_, false); }
  std::size_t connections() const { return by_routing_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  // The socket's own names are 0 and four bytes; only those are served, so that no client can name
  // itself after another one.
  using RoutingId = std::uint32_t;
  static constexpr std::size_t routing_id_size = 5;
  struct Connection {
    replica::ConnectionId id = replica::ConnectionId::none;
    std::uint64_t heard_at = 0;
  };
  using QueuedBytes = std::shared_ptr<std::atomic<std::size_t>>;  // shared with the I/O thread
  struct Link {
    RoutingId routing = 0;
    QueuedBytes queued;
  };
  class QueuedBody;

  bool receive_part(zmq::message_t& part);
  bool receive_message(Listener& listener);
  void drain_parts(const zmq::message_t& last);
  replica::ConnectionId connection_of(const zmq::message_t& routing);
  void answer_stranger(zmq::message_t& routing, const wire::ServerMessage& answer);
  bool send_part(zmq::message_t& part, int flags);
  Sent full();
  static zmq::message_t message_of(Slice body, const QueuedBytes& queued);
  void forget(RoutingId routing, replica::ConnectionId id);
  void forget_idle();

  Options options_;
  zmq::socket_t socket_;
  wire::ZmqInbox inbox_;
  std::unordered_map<RoutingId, Connection> by_routing_;
  std::unordered_map<replica::ConnectionId, Link> by_id_;
  std::uint64_t last_id_ = 0;
  std::uint64_t now_ms_ = 0;
  std::uint64_t swept_at_ = 0;
  bool blocked_ = false;
  std::size_t bytes_received_ = 0;  // bodies, in this call of receive
  Counters counters_;
  zmq::message_t routing_, header_, body_;  // reused: receiving allocates nothing but bodies
};

}  // namespace zabmq::node
