// Cluster: several replicas in one process, with sessions between them that keep Zab's channel
// promise or end, as lib/net's do. Frames travel in one queue, so that every run is the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "disk_server.hpp"
#include "server.hpp"

namespace zabmq::testing {

template <class Kind>  // Server or DiskServer
class ClusterOf {
 public:
  enum class Begin : std::uint8_t { started, stopped };
  explicit ClusterOf(std::size_t servers, replica::Options options = {},
                     Begin begin = Begin::started);
  virtual ~ClusterOf() = default;

  Kind& at(ServerId id) { return *servers_.at(id).server; }
  std::vector<ServerId> all() const;
  void crash(ServerId id);
  void start(ServerId id);
  void isolate(ServerId id, bool isolated);  // no frame to or from it
  // Every disk finishes what it has before the next frame is delivered, instead of one step after
  // all of them were.
  bool disks_first = false;

  // Protocol loops that stand still while their transport lives: frames reach them and wait.
  std::set<ServerId> stuck;

  // One tick for all, then everything that follows from it.
  void tick();
  // Ticks until `condition` holds; false: not within the bound.
  bool wait(const std::function<bool()>& condition, int ticks_max = 1000);
  // The server that accepts publishes; waits for one.
  ServerId wait_for_leader();
  std::vector<ServerId> followers_of(ServerId leader) const;
  void settle();

  // For random schedules: the next frame of a random pair, if any; and time alone.
  void deliver_any(std::mt19937_64& random);
  void tick_only();

  // May change a frame on its way, or swallow it by returning false.
  using Tamper = std::function<bool(ServerId from, ServerId to, zab::Message&, Slice& records)>;
  Tamper tamper;
  // Sees every frame when it is sent.
  std::function<void(ServerId from, ServerId to, const zab::Message&)> witness;

 private:
  struct Frame {
    ServerId from, to;
    std::uint64_t session = 0;  // 0: a datagram
    bool closing = false;
    zab::Message message;
    Slice records;
  };
  // The links of one server. A session has one number on both sides.
  struct Links final : net::PeerLinks {
    ClusterOf* cluster = nullptr;
    ServerId self = ServerId::none;
    std::map<ServerId, std::uint64_t> sessions;

    void set_cluster(const Uuid&) override {}
    void open_session(ServerId leader) override;
    void close_session(ServerId peer) override;
    bool send(ServerId to, const zab::Message& message) override;
    bool send_records(ServerId to, const zab::Message& message, Slice records) override;
    bool post(ServerId to, const zab::Message& message, Slice records);
  };
  struct Place {
    std::unique_ptr<Links> links;
    std::unique_ptr<Kind> server;
  };

  bool deliver_one();
  typename std::deque<Frame>::iterator next_frame();
  bool finish_disks();
  void deliver_at(typename std::deque<Frame>::iterator at);
  void deliver(Frame frame);
  void break_session(const Frame& frame);
  bool cut_off(ServerId from, ServerId to) const;

  std::map<ServerId, Place> servers_;
  std::set<ServerId> isolated_;
  std::set<std::uint64_t> broken_;  // sessions that lost a frame
  std::deque<Frame> frames_;
  std::uint64_t sessions_opened_ = 0;
};

using Cluster = ClusterOf<Server>;
using DiskCluster = ClusterOf<DiskServer>;

}  // namespace zabmq::testing
