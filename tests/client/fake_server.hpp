// FakeServer: a server's client port on loopback, with the least behind it: one log and one table
// of publishers that several fake servers may share, as if they were a cluster that never
// disagrees.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "wire/client_frame.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client::testing {

struct FakePublisher {
  Instance instance = 0;
  Sequence last = 0;
  std::map<Sequence, wire::Receipt> receipts;
};

struct FakeBatch {
  Slice record;
  Offset base = 0;
  std::uint32_t count = 0;
};

// Guarded by `mutex`.
struct FakeCluster {
  std::mutex mutex;
  std::vector<FakeBatch> log;
  std::map<Uuid, FakePublisher> publishers;
  std::string leader_endpoint;  // empty: no leader
  Offset first_offset = 1;      // what lies below is no longer kept

  Offset last_offset() const { return log.empty() ? 0 : log.back().base + log.back().count - 1; }
  wire::Receipt append(const wire::Publish& publish, const Uuid& publisher, Bytes body);
  std::vector<std::string> payloads();
};

class FakeServer {
 public:
  // Binds to a free port, or to the one of a server that was there before.
  explicit FakeServer(std::shared_ptr<FakeCluster> cluster, const std::string& endpoint = {});
  ~FakeServer();  // as if killed: connections break, nothing is said
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  void lead();

  std::atomic<bool> paused{false};          // frames wait unread
  std::atomic<bool> mute{false};            // frames are read and ignored
  std::atomic<bool> forget_answers{false};  // batches are taken, but no receipt is sent
  std::atomic<bool> garble{false};          // answers are malformed
  std::atomic<std::uint64_t> id{1};

 private:
  struct Connection {
    Uuid publisher;
    std::uint64_t subscription = 0;  // 0: none
    Offset covered = 0;
    std::int64_t credit_messages = 0;
    std::int64_t credit_bytes = 0;
  };

  void run();
  void receive();
  void on_frame(const std::string& from, const wire::ClientMessage& message, Bytes body);
  void on_hello(const std::string& from, const wire::Hello& hello);
  void on_publish(const std::string& from, const wire::Publish& publish, Bytes body);
  void on_subscribe(const std::string& from, const wire::Subscribe& subscribe);
  void on_status(const std::string& from, const wire::StatusQuestion& question);
  void serve();
  void send(const std::string& to, const wire::ServerMessage& message, const Slice& body = {});
  bool leads() const { return cluster_->leader_endpoint == endpoint_; }

  std::shared_ptr<FakeCluster> cluster_;
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::string endpoint_;
  std::map<std::string, Connection> connections_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace zabmq::client::testing
