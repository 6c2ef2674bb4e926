// Server: one replica as a test drives it: time by tick(), the disk by finish(). What is the same
// over any disk is Host; Server keeps its history in a FakeLog.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fakes.hpp"
#include "replica/replica.hpp"

namespace zabmq::testing {

inline constexpr std::uint64_t tick_ms = 10;
inline constexpr LogTime wall_at_start_us = 1'000'000'000;

class Host : public replica::IdentityStore, public replica::EventSink {
 public:
  Host(ServerId id, std::vector<ServerId> voters, replica::Options options, net::PeerLinks& links);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() override;

  virtual void start() = 0;
  virtual void crash() = 0;  // what is not durable is gone
  // One step, then what the disk was given completes, or a part of it; false: nothing had to be
  // done.
  virtual bool finish() = 0;
  bool up() const { return replica != nullptr; }

  void tick(std::uint64_t ms = tick_ms);
  void settle();  // until nothing has to be done
  bool lead();    // a single server: ticks until it leads and has delivered; false: it does not

  // Client frames; the answers are in `clients`.
  void say(ConnectionId from, const wire::ClientMessage& message, Slice body = {});
  void publish(ConnectionId from, Sequence first, const std::vector<std::string>& payloads,
               Instance instance = 1, std::optional<Offset> expect_last_offset = std::nullopt);
  // Says HELLO for a new instance, settles, and returns the answer.
  wire::Welcome open_publisher(ConnectionId from, const Uuid& publisher);
  void subscribe(ConnectionId from, wire::Subscribe request);
  // The payloads delivered to a connection so far, taken out.
  std::vector<std::string> take_delivered(ConnectionId to);

  void on_event(const zab::Event& event) override { events.push_back(event); }
  void on_fatal(const std::string& text) override { fatal = text; }

  const ServerId id;
  FakeClients clients;
  zab::Identity identity;  // the durable one
  bool disk_works = true;  // false: finish() completes nothing that was written
  std::vector<zab::Event> events;
  std::string fatal;
  replica::Options options;
  std::unique_ptr<replica::Replica> replica;
  std::uint64_t now_ms = 0;

 protected:
  replica::ServerState empty_state() const;
  void run(replica::Recovered recovered, storage::HistoryLog& log);
  zab::FreshIds fresh_ids();  // drawn anew by each process

  std::vector<ServerId> voters_;
  net::PeerLinks& links_;

 private:
  unsigned lives_ = 0;
};

class Server final : public Host {
 public:
  using Host::Host;

  void start() override;
  void crash() override;
  void lose_disk();  // of a server that is down: an empty directory
  bool finish() override;
  void store(const zab::Identity& identity) override;

  FakeLog log;
  std::optional<zab::Identity> storing;
};

wire::Subscribe from_first(std::uint64_t name, std::uint64_t messages = 1000,
                           std::uint64_t bytes = 1 << 20);
wire::Subscribe from_offset(std::uint64_t name, Offset offset);

// A cluster of one that leads.
struct Solo {
  explicit Solo(replica::Options options = {});
  replica::Replica& replica() { return *server.replica; }

  FakePeers peers;
  Server server;
};

}  // namespace zabmq::testing
