// Environment: what a replica needs from outside, as narrow interfaces. One thread calls all of
// them; none blocks; none calls back into the replica from inside the call, unless it says so.
#pragma once

#include <cstdint>
#include <string>

#include "net/peer_links.hpp"
#include "storage/history_log.hpp"
#include "wire/client_frame.hpp"
#include "zab/ready.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// A client's connection, numbered by the composition root; never reused while the process lives.
enum class ConnectionId : std::uint64_t { none = 0 };

// Who asks, for the one place where authorization will be decided.
struct Principal {
  std::string name = "anonymous";
};

// Frames to clients.
class ClientLinks {
 public:
  // full: not sent, try again later; gone: forget the connection.
  enum class Sent : std::uint8_t { ok, full, gone };
  virtual ~ClientLinks() = default;
  // `body` is empty but for DELIVER; it is shared with the socket, not copied.
  virtual Sent send(ConnectionId to, const wire::ServerMessage& message, Slice body) = 0;
  // It has said BYE, or nothing for long: nothing is sent to it any more unless it speaks again,
  // perhaps under another number. Its place may be given to somebody else.
  virtual void release(ConnectionId connection) = 0;
};

// The identity record's file.
class IdentityStore {
 public:
  virtual ~IdentityStore() = default;
  // tmp, fsync, rename, fsync of the directory; then Replica::on_stored. Never two at once.
  virtual void store(const zab::Identity& identity) = 0;
};

// What is worth telling a person. Never used for control.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const zab::Event& event) = 0;
  // Told once; the replica does nothing any more. The text says what happened, to what, what to do.
  virtual void on_fatal(const std::string& text) = 0;
};

struct Environment {
  storage::HistoryLog& log;
  net::PeerLinks& peers;
  ClientLinks& clients;
  IdentityStore& identities;
  EventSink& events;
};

struct ServerAddress {
  ServerId id = ServerId::none;
  std::string client_endpoint;
};

}  // namespace zabmq::replica
