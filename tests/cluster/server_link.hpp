// ServerLink: a client's connection to one server, kept up by the rules of docs/wire.md 4.3: HELLO
// first, PING, and another connection after a pause when it is lost or silent. Everything else is
// up to its owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "client/zmq_connection.hpp"

namespace zabmq::cluster {

class ServerLink {
 public:
  static constexpr std::uint64_t pause_ms = 50;  // before HELLO is said again
  static constexpr std::uint64_t ping_ms = 500;
  static constexpr std::uint64_t welcome_patience_ms = 5000;
  static constexpr std::uint64_t silence_max_ms = 3000;

  ServerLink(std::shared_ptr<zmq::context_t> context, std::string endpoint)
      : connection_(std::move(context)), endpoint_(std::move(endpoint)) {}

  // One turn: says `hello` when it is time to, pings, and returns what arrived.
  std::vector<wire::ServerMessage> turn(const wire::Hello& hello, std::uint64_t now_ms);
  // The owner accepts WELCOME.
  void opened() {
    if (state_ == State::greeting) state_ = State::open;
  }
  // HELLO again after a pause, on the connection there is; answers may still come on it.
  void greet_again(std::uint64_t now_ms);
  // The connection goes, and with it all answers that have not come.
  void drop(std::uint64_t now_ms);
  void send(wire::ClientMessage message, client::SharedBody body = nullptr);

  bool is_open() const { return state_ == State::open; }
  bool is_greeting() const { return state_ == State::greeting; }
  // Its number, from 1; what was sent on an earlier one is answered no more. 0: there is none.
  std::uint64_t connection() const { return state_ == State::none ? 0 : number_; }
  client::Connection& link() { return connection_; }

 private:
  enum class State : std::uint8_t { none, paused, greeting, open };

  client::Connection connection_;
  std::string endpoint_;
  State state_ = State::none;
  std::uint64_t next_ms_ = 0;   // when to say HELLO
  std::uint64_t since_ms_ = 0;  // greeting
  std::uint64_t heard_ms_ = 0;
  std::uint64_t pinged_ms_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace zabmq::cluster
