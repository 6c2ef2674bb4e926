// Connection: sending, and receiving with a bound.
#include "cli/conformance/connection.hpp"

#include <chrono>
#include <random>

namespace zabmq::cli::conformance {

namespace {

constexpr int linger_ms = 500;  // what is said last, CLOSE and BYE, is to arrive

std::string nothing_within(Millis timeout) {
  return "nothing within " + std::to_string(timeout.count()) + " ms";
}

}  // namespace

Uuid random_id() {
  static std::random_device device;
  Uuid id;
  for (std::byte& byte : id.bytes) byte = static_cast<std::byte>(device());
  return id;
}

void require(bool holds, const std::string& expected, const std::string& got) {
  if (!holds) throw Broken{expected, got};
}

void require(bool holds, const std::string& expected, const Frame& got) {
  if (!holds) throw Broken{expected, to_text(got)};
}

void require_equal(const std::string& what, std::uint64_t expected, std::uint64_t got) {
  require(expected == got, what + " " + std::to_string(expected), std::to_string(got));
}

Connection::Connection(Context& context, const std::string& endpoint)
    : context_(context), socket_(context.sockets, zmq::socket_type::dealer) {
  socket_.set(zmq::sockopt::linger, linger_ms);
  socket_.set(zmq::sockopt::sndtimeo, static_cast<int>(context.timeout.count()));
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
  socket_.connect(endpoint);
}

void Connection::send_raw(const std::vector<std::string>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool more = i + 1 < parts.size();
    const auto flags = more ? zmq::send_flags::sndmore : zmq::send_flags::none;
    if (!socket_.send(zmq::buffer(parts[i]), flags)) {
      throw Broken{"a server that takes frames", nothing_within(context_.timeout)};
    }
  }
}

Frame Connection::next(const std::string& expected) {
  socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(context_.timeout.count()));
  std::vector<std::string> parts;
  bool more = true;
  while (more) {
    zmq::message_t part;
    if (!socket_.recv(part)) throw Broken{expected, nothing_within(context_.timeout)};
    parts.push_back(part.to_string());
    more = part.more();
  }
  return frame_of(parts);
}

Frame Connection::expect(Command command, const std::string& expected) {
  const auto deadline = std::chrono::steady_clock::now() + context_.timeout;
  while (true) {
    Frame frame = next(expected);
    if (frame.command == command) return frame;
    require(frame.command == Command::covered, expected, frame);
    require(std::chrono::steady_clock::now() < deadline, expected, "COVERED only");
  }
}

Refused Connection::expect_refused(std::uint64_t about, Code code, const std::string& expected) {
  const Frame frame = expect(Command::refused, expected);
  const Refused refused(frame);
  require(refused.about == about && refused.code == code, expected, frame);
  return refused;
}

Welcome Connection::hello(const Uuid& publisher, Instance instance) {
  send({1, 1, 1, Uuid{}, Uuid{}, 0, publisher, instance});
  try {
    return Welcome(expect(Command::welcome, "WELCOME"));
  } catch (const Broken& broken) {
    // (A server without a leader may leave a publisher's HELLO unanswered.)
    const bool silent = broken.got == nothing_within(context_.timeout);
    if (silent && is_none(publisher)) throw NoAnswer{};
    throw;
  }
}

Offset Connection::ping(const std::string& expected) {
  send({6});
  return expect(Command::pong, expected).number(0);
}

}  // namespace zabmq::cli::conformance
