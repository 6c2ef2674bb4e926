// ClientNetwork: connections between clients and servers. TCP: nothing is lost inside a connection,
// but it may end at any time, and what was sent on it may arrive after its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/client_output.hpp"
#include "replica/environment.hpp"
#include "sim/parameters.hpp"
#include "sim/random.hpp"
#include "sim/timeline.hpp"
#include "sim/trace.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

// The far end of a connection, as the network calls it.
class ClientEnd {
 public:
  virtual ~ClientEnd() = default;
  virtual void on_connected(std::uint64_t connection) = 0;
  virtual void on_lost(std::uint64_t connection, const std::string& why) = 0;
  virtual void on_frame(std::uint64_t connection, const wire::ServerMessage& message,
                        Slice body) = 0;
};

class ClientNetwork {
 public:
  struct ToServer {
    std::uint64_t connection = 0;
    ServerId server = ServerId::none;
    std::vector<std::byte> header;
    Slice body;
  };
  using Deliver = std::function<void(const ToServer&)>;
  using IsUp = std::function<bool(ServerId)>;

  ClientNetwork(Timeline& timeline, Trace& trace, Random random, const LinkParameters& parameters,
                Deliver deliver, IsUp is_up);

  // --- the client's side ---
  std::uint64_t connect(ClientEnd& client, const std::string& endpoint);
  void send(std::uint64_t connection, const wire::ClientMessage& message,
            const client::SharedBody& body);
  void close(std::uint64_t connection);  // also for a client that is gone

  // --- the server's side ---
  replica::ClientLinks::Sent send(ServerId server, replica::ConnectionId to,
                                  const wire::ServerMessage& message, Slice body);
  void process_died(ServerId server);

  // --- faults ---
  std::vector<std::uint64_t> established() const;
  ServerId server_of(std::uint64_t connection) const;
  void break_off(std::uint64_t connection);
  void stall(std::uint64_t connection, Micros until);
  // The client takes nothing from it; what it sends goes on.
  void stop_reading(std::uint64_t connection, Micros until);
  // No client reaches this server; connections that end do so in silence.
  void partition(ServerId server, Micros until, bool end_connections);
  // The same, noticed at once: its connections end, and others are refused.
  void shut_out(ServerId server, Micros until);
  void let_in(ServerId server) { shut_until_.erase(server); }
  void heal() {
    parted_until_.clear();
    shut_until_.clear();
  }

  static std::string endpoint_of(ServerId server);

 private:
  struct Connection {
    ClientEnd* client = nullptr;  // null: closed at this end
    ServerId server = ServerId::none;
    bool established = false;
    bool server_open = true;
    Micros stalled_until = 0;
    Micros unread_until = 0;
    Micros last_up = 0;  // arrival at the server of the newest frame
    Micros last_down = 0;
    std::size_t queued_down = 0;
  };
  struct ToClient {
    std::uint64_t connection = 0;
    std::vector<std::byte> header;
    Slice body;
  };
  using Times = std::map<ServerId, Micros>;
  Connection* find(std::uint64_t number);
  Micros arrival(const Connection& connection, Micros& last);
  static Micros end_of(const Times& times, ServerId server);
  void establish(std::uint64_t number);
  void lose(std::uint64_t number, const std::string& why);
  void arrive_up(std::size_t slot);
  void arrive_down(std::size_t slot);
  void forget_if_over(std::uint64_t number);

  Timeline& timeline_;
  Trace& trace_;
  Random random_;
  LinkParameters parameters_;
  Deliver deliver_;
  IsUp is_up_;
  std::uint64_t last_number_ = 0;
  Times parted_until_;
  Times shut_until_;
  std::map<std::uint64_t, Connection> connections_;
  std::vector<ToServer> up_;
  std::vector<std::size_t> up_free_;
  std::vector<ToClient> down_;
  std::vector<std::size_t> down_free_;
};

}  // namespace zabmq::sim
