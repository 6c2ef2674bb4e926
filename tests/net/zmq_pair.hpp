// ZmqPair: two servers with real sockets on loopback, driven in turns until a condition holds, and
// an address behind which nobody answers.
#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "net/zmq_peer_links.hpp"
#include "net_support.hpp"

namespace zabmq::net {

inline constexpr auto patience = std::chrono::seconds(20);

// A port below the range that the kernel hands out by itself. Test cases run as processes side by
// side: each begins somewhere else.
inline std::string free_endpoint(zmq::context_t& context) {
  static int next = 21000 + getpid() % 1100 * 8;
  for (int tries = 0; tries < 2000; ++tries, ++next) {
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(next);
    try {
      zmq::socket_t probe(context, zmq::socket_type::router);
      probe.set(zmq::sockopt::linger, 0);
      probe.bind(endpoint);
      probe.unbind(endpoint);
      ++next;
      return endpoint;
    } catch (const zmq::error_t&) {
      continue;
    }
  }
  FAIL("no free port");
  return {};
}

// One server's process: its own context, so that its end is the end of all its sockets.
class Server : public Notes {
 public:
  Server(ServerId self, const std::map<ServerId, std::string>& all, std::uint64_t seed,
         std::function<void(ZmqPeerOptions&)> adjust = {}) {
    ZmqPeerOptions options;
    options.self = self;
    options.bind = all.at(self);
    options.peers = all;
    options.peers.erase(self);
    options.nonces = seeded(seed);
    if (adjust) adjust(options);
    // The port of a process that has just gone may take a moment to be free.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!links_ && std::chrono::steady_clock::now() < deadline) {
      Result<std::unique_ptr<ZmqPeerLinks>> opened = ZmqPeerLinks::open(context_, options);
      if (opened) links_ = std::move(opened.value());
    }
    REQUIRE(links_);
    links_->set_cluster(cluster_a);
  }

  ZmqPeerLinks& links() { return *links_; }
  const PeerCounters& counters() const { return links_->counters(); }
  std::size_t turn() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    if (ticks) links_->tick(static_cast<std::uint64_t>(ms), *this);
    return links_->receive(100, *this);
  }

  bool ticks = false;  // whether it looks for deaf connections

 private:
  zmq::context_t context_;
  std::unique_ptr<ZmqPeerLinks> links_;
};

// Waits until one of the servers has something to do.
inline void wait_for_any(const std::vector<Server*>& servers, int timeout_ms) {
  std::vector<pollfd> items;
  std::vector<std::size_t> ends;
  for (Server* server : servers) {
    server->links().poll_items(items);
    ends.push_back(items.size());
    if (server->links().has_input()) timeout_ms = 0;
  }
  REQUIRE(poll(items.data(), items.size(), timeout_ms) >= 0);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < servers.size(); begin = ends[i++]) {
    servers[i]->links().polled(std::span(items).subspan(begin, ends[i] - begin));
  }
}

// Lets the servers run, asleep while there is nothing to do, until the condition holds.
inline bool run_until(const std::vector<Server*>& servers, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    wait_for_any(servers, 10);
    for (Server* server : servers) server->turn();
  }
  return true;
}

// Server 1 leads, server 2 learns.
struct Pair {
  Pair() {
    zmq::context_t context;
    all = {{one, free_endpoint(context)}, {two, free_endpoint(context)}};
  }

  void start(std::function<void(ZmqPeerOptions&)> adjust = {}) {
    leader = std::make_unique<Server>(one, all, 1, adjust);
    learner = std::make_unique<Server>(two, all, 2, adjust);
    connect();
  }
  void connect() {
    REQUIRE(run([&] { return leader->links().connected(two) && learner->links().connected(one); }));
  }
  void establish() {
    learner->links().open_session(one);
    REQUIRE(learner->links().send(one, zab::CEpoch{}));
    REQUIRE(run([&] { return leader->links().has_session(two); }));
    REQUIRE(leader->links().send(two, zab::NewEpoch{}));
    const std::size_t before = learner->messages.size();
    REQUIRE(run([&] { return learner->messages.size() > before; }));
  }
  bool run(const std::function<bool()>& condition) {
    std::vector<Server*> servers;
    if (leader) servers.push_back(leader.get());
    if (learner) servers.push_back(learner.get());
    return run_until(servers, condition);
  }

  std::map<ServerId, std::string> all;
  std::unique_ptr<Server> leader;
  std::unique_ptr<Server> learner;
};

// An address whose SYNs are dropped: a listener whose backlog is full.
class BlackHole {
 public:
  BlackHole() {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0);
    socklen_t size = sizeof address_;
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
    REQUIRE(listen(listener_, 0) == 0);
    for (int& filler : fillers_) {
      filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      connect(filler, reinterpret_cast<sockaddr*>(&address_), sizeof address_);
    }
  }
  ~BlackHole() {
    for (const int filler : fillers_) close(filler);
    close(listener_);
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;

  std::string endpoint() const {
    return "tcp://127.0.0.1:" + std::to_string(ntohs(address_.sin_port));
  }

 private:
  sockaddr_in address_{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  int listener_ = -1;
  std::array<int, 4> fillers_{};
};

// A program at a server's address that greets as ZeroMQ does, and asks for a mechanism that nobody
// here speaks: to ZeroMQ the same as greetings that were damaged on the way.
class Stranger {
 public:
  explicit Stranger(const std::string& endpoint) {
    const auto port = std::stoul(endpoint.substr(endpoint.rfind(':') + 1));
    const sockaddr_in address{.sin_family = AF_INET,
                              .sin_port = htons(static_cast<std::uint16_t>(port)),
                              .sin_addr = {htonl(INADDR_LOOPBACK)},
                              .sin_zero = {}};
    const int yes = 1;
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    REQUIRE(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener_, 8) == 0);
  }
  ~Stranger() {
    close(peer_);
    close(listener_);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  // Somebody came, was greeted, and has closed the connection.
  bool was_left() {
    if (peer_ < 0) {
      peer_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (peer_ < 0) return false;
      std::array<char, 64> greeting{};
      greeting[0] = '\xff';
      greeting[9] = 0x7f;
      greeting[10] = 3;
      std::memcpy(&greeting[12], "DAMAGED", 7);
      REQUIRE(write(peer_, greeting.data(), greeting.size()) == 64);
    }
    std::array<char, 256> heard{};
    return read(peer_, heard.data(), heard.size()) == 0;
  }

 private:
  int listener_ = -1;
  int peer_ = -1;
};

}  // namespace zabmq::net
