// Resolve: getaddrinfo(3).
#include "node/resolve.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <memory>

namespace zabmq::node {
namespace {

bool is_address(const std::string& host) {
  in_addr parsed{};
  return host.starts_with('[') || ::inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

std::string numeric(const addrinfo& address) {
  std::array<char, NI_MAXHOST> text{};
  const int error = ::getnameinfo(address.ai_addr, address.ai_addrlen, text.data(),
                                  static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST);
  if (error != 0) return {};
  return address.ai_family == AF_INET6 ? "[" + std::string(text.data()) + "]" : text.data();
}

}  // namespace

std::variant<std::string, Problem> endpoint_to_bind(const std::string& host, std::uint16_t port) {
  const std::string suffix = ":" + std::to_string(port);
  if (is_address(host)) return "tcp://" + host + suffix;

  addrinfo hints{};
  hints.ai_family = AF_INET;  // IPv6 is asked for with brackets
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  if (error != 0) return Problem{"--servers: host '" + host + "': " + ::gai_strerror(error)};
  const std::string address = numeric(*found);
  if (address.empty()) return Problem{"--servers: host '" + host + "' has no address"};
  return "tcp://" + address + suffix;
}

}  // namespace zabmq::node
