// Proxy tests: over real sockets, what each fault does to bytes.
#include "nemesis/engine/proxy.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "cli/free_ports.hpp"

namespace zabmq::nemesis {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr ServerId one{1};
constexpr ServerId two{2};
constexpr int bound_ms = 5000;
constexpr int quiet_ms = 150;  // long enough to see that nothing comes

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  void say(const std::string& text) const {
    REQUIRE(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  bool something(int wait_ms) const {
    pollfd polled{fd_, POLLIN, 0};
    return poll(&polled, 1, wait_ms) > 0;
  }
  std::string hear(std::size_t size) const {
    std::string text;
    while (text.size() < size) {
      if (!something(bound_ms)) return text;
      char bytes[1024];
      const ssize_t count = recv(fd_, bytes, sizeof bytes, 0);
      if (count <= 0) return text + "<end>";
      text.append(bytes, static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One link, 1 to 2, with a connection through it.
class Through {
 public:
  Through()
      : ports_(cli::free_ports(2)),
        listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        proxy({{.from = one,
                .to = two,
                .space_file = "",
                .host = "127.0.0.1",
                .port = ports_[0],
                .target_port = ports_[1]}},
              1) {
    const sockaddr_in target = loopback(ports_[1]);
    REQUIRE(bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0);
    REQUIRE(listen(listener_.fd(), 8) == 0);
  }

  Socket connect_sender() const {
    Socket sender(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in at = loopback(ports_[0]);
    REQUIRE(connect(sender.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    return sender;
  }
  Socket accept_receiver() const {
    REQUIRE(Socket(dup(listener_.fd())).something(bound_ms));
    return Socket(accept(listener_.fd(), nullptr, nullptr));
  }

 private:
  std::vector<std::uint16_t> ports_;
  Socket listener_;

 public:
  ProxyNet proxy;
};

}  // namespace

TEST_CASE("proxy: bytes pass both ways") {
  Through link;
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  sender.say("ping");
  CHECK(receiver.hear(4) == "ping");
  receiver.say("pong");
  CHECK(sender.hear(4) == "pong");
}

TEST_CASE("proxy: held one way, the other goes on, and what was held comes when healed") {
  Through link;
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  link.proxy.set(one, two, {.hold = true});
  sender.say("held");
  CHECK_FALSE(receiver.something(quiet_ms));
  CHECK(link.proxy.effects().held == 1);
  receiver.say("free");
  CHECK(sender.hear(4) == "free");
  link.proxy.heal();
  CHECK(receiver.hear(4) == "held");
}

TEST_CASE("proxy: a cut resets the connection, and a new one can be made") {
  Through link;
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  sender.say("x");
  CHECK(receiver.hear(1) == "x");
  link.proxy.cut(one, two);
  CHECK(sender.hear(1) == "<end>");
  CHECK(receiver.hear(1) == "<end>");
  CHECK(link.proxy.effects().resets == 1);
  const Socket again = link.connect_sender();
  const Socket there = link.accept_receiver();
  again.say("new");
  CHECK(there.hear(3) == "new");
}

TEST_CASE("proxy: delayed bytes come late and in order") {
  Through link;
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  link.proxy.set(one, two, {.delay = milliseconds(100), .jitter = milliseconds(50)});
  const auto begin = Clock::now();
  for (const char* word : {"a", "b", "c"}) sender.say(word);
  CHECK(receiver.hear(3) == "abc");
  CHECK(Clock::now() - begin >= milliseconds(100));
  CHECK(link.proxy.effects().delayed >= 1);
}

TEST_CASE("proxy: a corrupting link changes one bit of a piece") {
  Through link;
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  link.proxy.set(one, two, {.corrupt_percent = 100});
  sender.say("same");
  const std::string heard = receiver.hear(4);
  REQUIRE(heard.size() == 4);
  int bits = 0;
  for (std::size_t i = 0; i < 4; ++i) bits += __builtin_popcount(heard[i] ^ "same"[i]);
  CHECK(bits == 1);
  CHECK(link.proxy.effects().corrupted == 1);
}

TEST_CASE("proxy: faults that meet no bytes and no connection have no effect") {
  Through link;
  link.proxy.set(one, two, {.hold = true, .delay = milliseconds(5), .corrupt_percent = 100});
  link.proxy.cut(two, two);  // there is no such link
  const Socket sender = link.connect_sender();
  const Socket receiver = link.accept_receiver();
  CHECK_FALSE(receiver.something(quiet_ms));
  const ProxyEffects effects = link.proxy.effects();
  CHECK(effects.held + effects.delayed + effects.corrupted + effects.resets == 0);
}

TEST_CASE("proxy: nobody at the other end is a reset") {
  const std::vector<std::uint16_t> ports = cli::free_ports(2);
  const ProxyNet proxy({{.from = one,
                         .to = two,
                         .space_file = "",
                         .host = "127.0.0.1",
                         .port = ports[0],
                         .target_port = ports[1]}},
                       1);
  const Socket sender(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in at = loopback(ports[0]);
  REQUIRE(connect(sender.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  CHECK(sender.hear(1) == "<end>");
}

}  // namespace zabmq::nemesis
