// ProxyNet: a TCP proxy for each directed link between servers, and for each server's clients. It
// ends both connections itself, so what it holds in one direction does not hold up the other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::nemesis {

// What a link does to bytes. Between servers frames go forth only; clients are answered back.
struct LinkFault {
  bool hold = false;  // nothing goes forth; it comes later, if it is not cut
  bool hold_back = false;
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds jitter{0};
  unsigned corrupt_percent = 0;  // of the pieces read: a bit of one of their bytes is flipped
};

// What faults have done so far, in pieces of bytes and in connections. One that met none did
// nothing.
struct ProxyEffects {
  std::uint64_t held = 0;
  std::uint64_t delayed = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t resets = 0;
};

inline constexpr ServerId clients = ServerId::none;  // where the clients' links come from

struct ProxyLink {
  ServerId from = ServerId::none;
  ServerId to = ServerId::none;
  std::string space_file;  // network namespace of its sockets; empty: ours
  std::string host;
  std::uint16_t port = 0;         // where the sender connects
  std::uint16_t target_port = 0;  // of the receiver, on the same host
};

class ProxyNet {
 public:
  ProxyNet(std::vector<ProxyLink> links, std::uint64_t seed);
  ~ProxyNet();
  ProxyNet(const ProxyNet&) = delete;
  ProxyNet& operator=(const ProxyNet&) = delete;

  void set(ServerId from, ServerId to, const LinkFault& fault);
  void cut(ServerId from, ServerId to);  // resets the connections there are
  void heal();                           // no faults; what was held flows on
  ProxyEffects effects() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Piece {
    Clock::time_point due;
    std::string bytes;
    std::size_t sent = 0;
  };
  struct Flow {  // one direction of a connection
    int from = -1;
    int to = -1;
    std::deque<Piece> pieces;
    std::size_t waiting = 0;  // bytes
    bool ended = false;       // nothing more comes from `from`
  };
  struct Connection {
    Flow forth;  // what the link is named after
    Flow back;
    bool broken = false;
  };
  struct Link {
    ProxyLink at;
    int listener = -1;
    LinkFault fault;
    bool cut = false;
    std::vector<std::unique_ptr<Connection>> connections;
  };

  void run();
  void wait_for_work();
  int open_socket(const ProxyLink& link, bool listen_there);
  void accept_all(Link& link);
  void move_bytes(Link& link, Connection& connection);
  bool take_in(Flow& flow, const LinkFault& fault, bool held);
  bool give_out(Flow& flow, bool held);
  void close_connection(Connection& connection);
  Link* find(ServerId from, ServerId to);
  void wake();

  mutable std::mutex mutex_;  // guards the links' faults and `cut`, and effects_
  std::vector<Link> links_;
  std::mt19937_64 random_;
  ProxyEffects effects_;
  std::atomic<bool> stopping_{false};
  int own_space_ = -1;
  int wakeup_ = -1;
  std::thread thread_;
};

}  // namespace zabmq::nemesis
