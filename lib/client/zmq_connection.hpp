// Connection: one client connection over ZeroMQ. A DEALER lives for exactly one TCP connection: it
// never reconnects by itself, so that nothing sent before a break can arrive behind it unnoticed.
// Used by one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "client/client_output.hpp"
#include "wire/client_frame.hpp"
#include "wire/zmq_inbox.hpp"
#include "zabmq/slice.hpp"

namespace zabmq::client {

class Connection {
 public:
  static constexpr std::int64_t frame_bytes_max = 64 << 20;  // of a received part
  static constexpr int queue_messages_max = 2048;            // in each direction, inside ZeroMQ
  static constexpr std::size_t copy_below = 16 << 10;  // smaller bodies are copied, not shared

  struct Received {
    wire::ServerMessage message;
    Slice body;  // shares the memory that ZeroMQ received into
  };
  enum class Event : std::uint8_t { none, established, lost };

  explicit Connection(std::shared_ptr<zmq::context_t> context);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void perform(Output output);
  // Sends what waited until the connection was established, or until there was room.
  void flush();
  // All that was to be sent was handed to an established connection.
  bool all_sent() const { return socket_ && !lost_ && outgoing_.empty(); }
  // The next frame. Malformed frames end the connection.
  std::optional<Received> receive();
  // What has become of the connection; to be asked after receive() has nothing more.
  Event take_event();
  const std::string& why_lost() const { return why_lost_; }

  // What poll(2) has to wait for, and what it found. ZeroMQ tells there only what is new since it
  // was last asked: so first has_input(), and when that is true, no wait.
  using PollItems = std::array<pollfd, 2>;
  PollItems poll_items() const;
  void polled(std::span<const pollfd, 2> items);
  bool has_input();
  void look_again();  // one of the descriptors was readable

 private:
  struct Outgoing {
    std::vector<std::byte> header;
    SharedBody body;
  };

  void open(const std::string& endpoint);
  void close();
  void lose(const std::string& why);
  bool send(Outgoing& outgoing);
  bool receive_part(zmq::message_t& part);
  std::optional<Received> malformed(const std::string& what);
  bool read_monitor();

  std::shared_ptr<zmq::context_t> context_;
  std::optional<zmq::socket_t> socket_;
  std::optional<zmq::socket_t> monitor_;
  wire::ZmqInbox inbox_;           // the socket's
  wire::ZmqInbox news_;            // the monitor's
  std::deque<Outgoing> outgoing_;  // bounded by the sessions: batches_max and some small ones
  bool lost_ = false;
  bool established_ = false;
  bool polite_ = false;  // BYE was sent: give it a moment
  std::string why_lost_;
};

}  // namespace zabmq::client
