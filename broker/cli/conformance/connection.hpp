// Connection: one DEALER socket to a server, for what is right and what is wrong.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/conformance/context.hpp"

namespace zabmq::cli::conformance {

class Connection {
 public:
  explicit Connection(Context& context) : Connection(context, context.endpoint) {}
  Connection(Context& context, const std::string& endpoint);

  void send(const List& array) { send_raw({header_of(array)}); }
  void send(const List& array, const std::string& body) { send_raw({header_of(array), body}); }
  void send_raw(const std::vector<std::string>& parts);

  // The next frame. Throws Broken: none came within the timeout, or it is malformed.
  Frame next(const std::string& expected);
  // The next one of this command; COVERED, the heartbeat, may come before it, nothing else.
  Frame expect(Command command, const std::string& expected);
  Refused expect_refused(std::uint64_t about, Code code, const std::string& expected);

  // HELLO; WELCOME. Throws NoAnswer when there is none at all.
  Welcome hello(const Uuid& publisher = {}, Instance instance = 0);
  // PING; PONG, and nothing before it.
  Offset ping(const std::string& expected = "PONG");

 private:
  Context& context_;
  zmq::socket_t socket_;
};

}  // namespace zabmq::cli::conformance
