// Proxy: one thread, nonblocking sockets, and pieces of bytes with the times when they are due.
#include "nemesis/engine/proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace zabmq::nemesis {

namespace {

constexpr std::size_t piece_size = 64 * 1024;
constexpr std::size_t waiting_max = 8 * 1024 * 1024;  // of a flow; then the sender is not read
constexpr int idle_wait_ms = 50;

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

void set_option(int fd, int level, int name) {
  const int yes = 1;
  setsockopt(fd, level, name, &yes, sizeof yes);
}

// Closed with a reset: the other end learns of it at once, and what is under way is lost.
void close_hard(int fd) {
  if (fd < 0) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EINPROGRESS ||
         errno == ENOTCONN;
}

}  // namespace

ProxyNet::ProxyNet(std::vector<ProxyLink> links, std::uint64_t seed)
    : random_(seed),
      own_space_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (ProxyLink& link : links) links_.emplace_back().at = std::move(link);
  for (Link& link : links_) link.listener = open_socket(link.at, true);
  thread_ = std::thread([this] { run(); });
}

ProxyNet::~ProxyNet() {
  stopping_ = true;
  wake();
  thread_.join();
  for (Link& link : links_) {
    for (auto& connection : link.connections) close_connection(*connection);
    close(link.listener);
  }
  close(own_space_);
  close(wakeup_);
}

void ProxyNet::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wakeup_, &one, sizeof one);
}

ProxyNet::Link* ProxyNet::find(ServerId from, ServerId to) {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) {
    return link.at.from == from && link.at.to == to;
  });
  return found == links_.end() ? nullptr : &*found;
}

void ProxyNet::set(ServerId from, ServerId to, const LinkFault& fault) {
  const std::lock_guard lock(mutex_);
  if (Link* const link = find(from, to)) link->fault = fault;
  wake();
}

void ProxyNet::cut(ServerId from, ServerId to) {
  const std::lock_guard lock(mutex_);
  if (Link* const link = find(from, to)) link->cut = true;
  wake();
}

ProxyEffects ProxyNet::effects() const {
  const std::lock_guard lock(mutex_);
  return effects_;
}

void ProxyNet::heal() {
  const std::lock_guard lock(mutex_);
  for (Link& link : links_) link.fault = {};
  wake();
}

// A socket belongs to the namespace its thread was in when it was made.
int ProxyNet::open_socket(const ProxyLink& link, bool listen_there) {
  const int space = link.space_file.empty() ? -1 : open(link.space_file.c_str(), O_RDONLY);
  if (space >= 0) setns(space, CLONE_NEWNET);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (space >= 0) {
    setns(own_space_, CLONE_NEWNET);
    close(space);
  }
  set_option(fd, IPPROTO_TCP, TCP_NODELAY);
  const sockaddr_in at = address_of(link.host, listen_there ? link.port : link.target_port);
  const auto* address = reinterpret_cast<const sockaddr*>(&at);
  if (!listen_there) {
    if (connect(fd, address, sizeof at) == 0 || would_block()) return fd;
    close(fd);
    return -1;
  }
  set_option(fd, SOL_SOCKET, SO_REUSEADDR);
  if (bind(fd, address, sizeof at) != 0 || listen(fd, 64) != 0) {
    throw std::runtime_error("proxy " + link.host + ":" + std::to_string(link.port) + ": " +
                             std::generic_category().message(errno));
  }
  return fd;
}

// --- the thread ---

void ProxyNet::run() {
  while (!stopping_) {
    wait_for_work();
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t read_count = read(wakeup_, &count, sizeof count);
    const std::lock_guard lock(mutex_);
    for (Link& link : links_) {
      accept_all(link);
      for (auto& connection : link.connections) {
        if (link.cut) ++effects_.resets;
        connection->broken |= link.cut;
        if (!connection->broken) move_bytes(link, *connection);
        if (connection->broken) close_connection(*connection);
      }
      std::erase_if(link.connections, [](const auto& c) { return c->broken; });
      link.cut = false;
    }
  }
}

void ProxyNet::wait_for_work() {
  std::vector<pollfd> polled{{.fd = wakeup_, .events = POLLIN, .revents = 0}};
  int wait_ms = idle_wait_ms;
  const auto now = Clock::now();
  const auto add = [&](const Flow& flow, bool held) {
    if (!flow.ended && flow.waiting < waiting_max) polled.push_back({flow.from, POLLIN, 0});
    if (flow.pieces.empty() || held) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(flow.pieces.front().due - now);
    if (left.count() <= 0) {
      polled.push_back({flow.to, POLLOUT, 0});
    } else {
      wait_ms = static_cast<int>(std::min<std::int64_t>(wait_ms, left.count()));
    }
  };
  {
    const std::lock_guard lock(mutex_);
    for (const Link& link : links_) {
      polled.push_back({link.listener, POLLIN, 0});
      for (const auto& connection : link.connections) {
        add(connection->forth, link.fault.hold);
        add(connection->back, link.fault.hold_back);
      }
    }
  }
  poll(polled.data(), polled.size(), wait_ms);
}

void ProxyNet::accept_all(Link& link) {
  while (true) {
    const int sender = accept4(link.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sender < 0) return;
    set_option(sender, IPPROTO_TCP, TCP_NODELAY);
    const int receiver = open_socket(link.at, false);
    if (receiver < 0) {
      close_hard(sender);
      continue;
    }
    auto connection = std::make_unique<Connection>();
    connection->forth.from = connection->back.to = sender;
    connection->forth.to = connection->back.from = receiver;
    link.connections.push_back(std::move(connection));
  }
}

void ProxyNet::move_bytes(Link& link, Connection& connection) {
  const bool good = take_in(connection.forth, link.fault, link.fault.hold) &&
                    take_in(connection.back, link.fault, link.fault.hold_back) &&
                    give_out(connection.forth, link.fault.hold) &&
                    give_out(connection.back, link.fault.hold_back);
  const auto over = [](const Flow& flow) { return flow.ended && flow.pieces.empty(); };
  connection.broken = !good || over(connection.forth) || over(connection.back);
}

// False: the connection broke.
bool ProxyNet::take_in(Flow& flow, const LinkFault& fault, bool held) {
  std::string bytes(piece_size, '\0');
  while (!flow.ended && flow.waiting < waiting_max) {
    const ssize_t count = recv(flow.from, bytes.data(), bytes.size(), 0);
    if (count < 0) return would_block();
    if (count == 0) flow.ended = true;
    if (count == 0) return true;
    Piece piece{Clock::now() + fault.delay, bytes.substr(0, static_cast<std::size_t>(count))};
    if (fault.jitter.count() > 0) {
      piece.due += std::chrono::milliseconds(random_() %
                                             static_cast<std::uint64_t>(fault.jitter.count() + 1));
    }
    if (!flow.pieces.empty()) piece.due = std::max(piece.due, flow.pieces.back().due);
    if (random_() % 100 < fault.corrupt_percent) {
      char& byte = piece.bytes[random_() % piece.bytes.size()];
      byte = static_cast<char>(byte ^ (1 << (random_() % 8)));
      ++effects_.corrupted;
    }
    if (held) ++effects_.held;
    if (fault.delay.count() + fault.jitter.count() > 0) ++effects_.delayed;
    flow.waiting += piece.bytes.size();
    flow.pieces.push_back(std::move(piece));
  }
  return true;
}

bool ProxyNet::give_out(Flow& flow, bool held) {
  while (!held && !flow.pieces.empty() && flow.pieces.front().due <= Clock::now()) {
    Piece& piece = flow.pieces.front();
    const ssize_t count = send(flow.to, piece.bytes.data() + piece.sent,
                               piece.bytes.size() - piece.sent, MSG_NOSIGNAL);
    if (count < 0) return would_block();
    piece.sent += static_cast<std::size_t>(count);
    if (piece.sent < piece.bytes.size()) return true;
    flow.waiting -= piece.bytes.size();
    flow.pieces.pop_front();
  }
  return true;
}

void ProxyNet::close_connection(Connection& connection) {
  close_hard(connection.forth.from);
  close_hard(connection.forth.to);
  connection.forth = {};
  connection.back = {};
  connection.broken = true;
}

}  // namespace zabmq::nemesis
