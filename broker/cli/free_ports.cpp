// FreePorts: found by binding.
#include "cli/free_ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <stdexcept>

namespace zabmq::cli {

namespace {

constexpr int lowest_port = 10000;
constexpr int attempts_max = 10000;

// Binds and listens for as long as it lives.
class Probe {
 public:
  explicit Probe(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;  // as libzmq does: a port in TIME_WAIT is free
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bound_ = bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    // Two sockets with SO_REUSEADDR may share a port until one of them listens.
    bound_ = bound_ && listen(fd_, 1) == 0;
  }
  ~Probe() {
    if (fd_ >= 0) close(fd_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  bool bound() const { return bound_; }

 private:
  int fd_;
  bool bound_ = false;
};

int lowest_local_port() {
  int low = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> low;
  return low > lowest_port + 1000 ? low : 65536;
}

}  // namespace

bool is_port_free(std::uint16_t port) {
  return Probe(port).bound();
}

std::vector<std::uint16_t> free_ports(std::size_t count) {
  std::random_device random;
  std::uniform_int_distribution<int> choose(lowest_port, lowest_local_port() - 1);
  std::vector<std::uint16_t> ports;
  for (int attempt = 0; ports.size() < count; ++attempt) {
    if (attempt == attempts_max) throw std::runtime_error("no free ports on 127.0.0.1");
    const auto port = static_cast<std::uint16_t>(choose(random));
    const bool chosen = std::find(ports.begin(), ports.end(), port) != ports.end();
    if (!chosen && is_port_free(port)) ports.push_back(port);
  }
  return ports;
}

}  // namespace zabmq::cli
