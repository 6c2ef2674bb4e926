// ZmtpClient: speaks just enough ZMTP 3.0 over a plain TCP socket to do what libzmq never does: end
// a connection with a reset, at a chosen moment. Header only.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace zabmq::support {

class ZmtpClient {
 public:
  // To "tcp://127.0.0.1:PORT", as a DEALER of that name; the handshake is done on return.
  ZmtpClient(const std::string& endpoint, const std::string& name)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    say("\xff" + std::string(8, '\0') + "\x7f\x03" + std::string(1, '\0') + "NULL" +
        std::string(48, '\0'));
    say(frame(command,
              "\x05READY" + property("Socket-Type", "DEALER") + property("Identity", name)));
    hear(greeting_size);
    const std::string head = hear(2);
    hear(static_cast<unsigned char>(head[1]));  // its READY
  }
  ~ZmtpClient() { close(fd_); }
  ZmtpClient(const ZmtpClient&) = delete;
  ZmtpClient& operator=(const ZmtpClient&) = delete;

  void send_message(const std::string& text) { say(frame('\0', text)); }

  // Both ends have lost the connection when this returns, or are about to.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd_);
    fd_ = -1;
  }

 private:
  static constexpr char command = '\x04';
  static constexpr std::size_t greeting_size = 64;
  static constexpr int patience_ms = 10000;

  static std::string frame(char flags, const std::string& body) {
    return std::string(1, flags) + static_cast<char>(body.size()) + body;
  }
  static std::string property(const std::string& name, const std::string& value) {
    return static_cast<char>(name.size()) + name + std::string(3, '\0') +
           static_cast<char>(value.size()) + value;
  }
  void say(const std::string& bytes) {
    REQUIRE(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  std::string hear(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t got = 0; got < size;) {
      pollfd polled{fd_, POLLIN, 0};
      REQUIRE(poll(&polled, 1, patience_ms) == 1);
      const ssize_t count = recv(fd_, bytes.data() + got, size - got, 0);
      REQUIRE(count > 0);
      got += static_cast<std::size_t>(count);
    }
    return bytes;
  }

  int fd_;
};

}  // namespace zabmq::support
