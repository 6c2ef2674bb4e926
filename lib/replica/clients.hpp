// Clients: the connections that have said HELLO, and the answers that wait for their links.
//
// Invariants: 1. answers to one connection leave in order, and before any later DELIVER; 2. at most
// connections_max connections; held answers are bounded in number and bytes for each of them, and
// in bytes for all; a client that lets more gather (of all: the most) is forgotten, and told so by
// RESET when it speaks again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "replica/environment.hpp"
#include "replica/options.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

wire::Refused refused(wire::About about, std::uint64_t id, Code code, Outcome outcome,
                      std::string text);

struct Connection {
  // What the connection's publisher waits for.
  enum class Publishing : std::uint8_t {
    none,     // HELLO named no publisher, or it was answered without opening it
    wanted,   // HELLO named one; the decision waits until this server may take it
    opening,  // its transaction is under way, or the quorum round that confirms it
    open
  };
  Principal principal;
  Uuid publisher;
  Instance instance = 0;  // as HELLO named it, then as it was opened; 0: open a new one
  Instance known = 0;     // the newest one that its processes have had; 0: it is new
  Publishing publishing = Publishing::none;
  std::uint64_t greeting = 0;  // number of its last HELLO: of those to this server, by anybody
  std::uint64_t heard_ms = 0;
  struct Held {
    wire::ServerMessage message;
    std::size_t bytes = 0;
  };
  std::deque<Held> held;  // its link was full
  std::size_t held_bytes = 0;
  bool given_up = false;  // it let too much gather: answered no more, forgotten in the next tick
};

class Clients {
 public:
  using Forgotten = std::function<void(ConnectionId)>;

  Clients(ClientLinks& links, const Options& options, Counters& counters)
      : links_(links), options_(options), counters_(counters) {}

  // Called for each connection that is forgotten, for whatever reason, after it is gone from here.
  void on_forgotten(Forgotten forgotten) { forgotten_ = std::move(forgotten); }

  Connection* find(ConnectionId id);
  void heard(ConnectionId id);  // any frame of it is a sign of life
  // A new connection, or the one that there is; nullptr: connections_max is reached. Those that
  // have missed some heartbeats give way first.
  Connection* add(ConnectionId id);
  void forget(ConnectionId id);
  void leave(ConnectionId id);  // it says BYE
  std::size_t size() const { return connections_.size(); }
  std::size_t most_held() const;  // answers of one connection
  std::size_t most_held_bytes() const;
  std::size_t held_bytes() const { return held_bytes_; }  // of all connections

  // Frames of connections that are not known are answered RESET, within resets_per_second_max.
  void reset(ConnectionId id, const std::string& reason);
  // To a connection that is not kept: once, if its link takes it.
  void answer_stranger(ConnectionId id, const wire::ServerMessage& message);
  // Sent now or as soon as the link takes it. Nothing happens when the connection is gone.
  void answer(ConnectionId id, wire::ServerMessage message);
  // DELIVER and COVERED: sent now or not at all.
  ClientLinks::Sent try_send(ConnectionId id, const wire::ServerMessage& message, Slice body);

  // Resends what was held, and forgets the silent.
  void tick(std::uint64_t now_ms);

  // Connections whose publisher waits for a decision; taken out.
  std::set<ConnectionId> take_wanting() { return std::exchange(wanting_, {}); }
  void add_wanting(ConnectionId id) { wanting_.insert(id); }

 private:
  void hold(Connection& connection, wire::ServerMessage message);
  void give_up(Connection& connection);
  void give_up_slowest();
  void flush_held(ConnectionId id);
  void forget_silent(std::uint64_t silence_ms);
  void make_room();

  ClientLinks& links_;
  const Options& options_;
  Counters& counters_;
  Forgotten forgotten_;
  std::unordered_map<ConnectionId, Connection> connections_;
  std::set<ConnectionId> blocked_;  // those with held answers
  std::size_t held_bytes_ = 0;
  std::set<ConnectionId> wanting_;  // each once, however often it says HELLO
  std::uint64_t now_ms_ = 0;
  std::uint64_t silence_checked_ms_ = 0;
  std::uint64_t room_made_ms_ = 0;
  std::uint64_t reset_second_ = 0;
  std::size_t resets_this_second_ = 0;
};

}  // namespace zabmq::replica
