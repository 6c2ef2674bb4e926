// Nemesis: plans the faults of a simulated world, and mends what they did. Faults on storage are
// placed so that only a minority of disks is damaged at any time: what the promises allow for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sim/client_network.hpp"
#include "sim/faults.hpp"
#include "sim/invariants.hpp"
#include "sim/parameters.hpp"
#include "sim/peer_network.hpp"
#include "sim/publisher_actor.hpp"
#include "sim/server.hpp"
#include "sim/subscriber_actor.hpp"

namespace zabmq::sim {

using Servers = std::vector<std::unique_ptr<Server>>;

// What it can lay its hands on.
struct Victims {
  Timeline& timeline;
  Trace& trace;
  const Parameters& parameters;
  PeerNetwork& peers;
  ClientNetwork& clients;
  Invariants& invariants;
  Servers& servers;
  std::vector<std::unique_ptr<PublisherActor>>& publishers;
  std::vector<std::unique_ptr<SubscriberActor>>& subscribers;
  HitTable& hits;
};

class Nemesis {
 public:
  Nemesis(const Victims& victims, Random random) : at_(victims), random_(random) {}

  void begin();
  // No more faults; everything is mended and every server of `core` runs and is reachable; the
  // others are dead.
  void heal(const std::vector<bool>& core);
  // After every event. An old copy of a disk is found out only by a leader that knows better; when
  // that leader is lost before, the operator takes the copy away again.
  void watch() {
    if (old_copy_) return watch_old_copy();
    if (!aims_.empty()) watch_aims();
    if (tail_) watch_tail();
    if (deposed_) watch_deposed();
  }
  // Old copies that a leader found out, of those that were put back.
  std::uint64_t old_copies_found() const { return old_copies_found_; }
  // The operator: starts what has stopped, with an empty directory if the old one is damaged.
  void look_after(Server& server);

 private:
  void plan_next();
  void strike();
  void strike(Fault fault);
  void strike_server(Fault fault, Server& server);
  void strike_link(Fault fault);
  void strike_client(Fault fault);
  void strike_disk(Fault fault, Server& server);
  void say(const std::string& text);
  Server& choose_server();
  Server* leader();
  Micros while_();  // how long a fault lasts
  void plan_start(Server& server, Micros delay);
  void partition(Fault fault);
  void separate(Fault fault, const std::vector<std::size_t>& in,
                const std::vector<std::size_t>& out, PeerNetwork::Cut how, Micros until);
  void cut(ServerId from, ServerId to, PeerNetwork::Cut how, Micros until);
  void cut_off(const Server& server, Micros until);
  bool may_damage(const Server& server) const;
  void flip_anywhere(Fault fault, Server& server);
  void flip_snapshot(Server& server);
  void damage_record(Fault fault, Server& server);
  std::optional<std::string> file_at(const Server& server, const Platter::Place& place) const;
  void arm_error(Fault fault, Server& server);
  void wipe(Server& server);
  void fill_disk(Server& server);
  void take_power(Fault fault, Server& server);
  void cut_power(Server* server, bool entries);  // null: all servers'
  void cut_power(Server& server, bool entries, std::optional<Fault> nothing_lost);
  void watch_aims();
  void begin_tail();
  void watch_tail();
  void strike_truncation(Server& server);
  void begin_deposed();
  void watch_deposed();
  void end_deposed();
  bool held_down(const Server& server) const;
  void strike_old_disk(Server& server);
  bool leader_knows_better(const Server& leading, const Server& server) const;
  void watch_old_copy();
  bool excused_without(const Server* lost) const;
  bool may_strike(Fault fault, const Server& server) const;

  const Victims at_;
  Random random_;
  // A copy of a server's directory, made while it was stopped.
  struct Copy {
    MemoryDisk::State disk;
    Uuid incarnation;
    Zxid last;
    Epoch accepted = Epoch::none;
  };
  struct OldCopy {
    Server* server = nullptr;
    Server* leader = nullptr;
    Epoch epoch = Epoch::none;
  };

  // A power failure that waits for something to lose, though not for ever.
  struct Aim {
    bool all = false;        // every server is to lose its power
    Server* only = nullptr;  // null: whichever has something to lose
    bool entries = false;    // of the directory, too
    std::size_t changes = 1;
    std::size_t victims = 1;  // so many servers with something to lose
    std::uint64_t skip = 0;   // so many events at which there was something
    Micros until = 0;
  };

  // A leader that logs what nobody else gets to see, so that it must be cut when it returns.
  struct Tail {
    enum class Stage : std::uint8_t { cut_off, down, back };
    Server* server = nullptr;
    Epoch epoch = Epoch::none;
    Micros until = 0;  // of the stage
    Stage stage = Stage::cut_off;
    std::uint64_t skip = 0;  // so many events of its truncation; then a fault strikes
  };

  // A leader that is cut off and slow: another one leads, and it does not know. First clients reach
  // only the others, and some publishers begin there; then only this one.
  struct Deposed {
    Server* server = nullptr;
    Epoch epoch = Epoch::none;
    Micros until = 0;
    Micros turns_at = 0;  // 0: nobody else has committed yet
    bool turned = false;
  };

  static constexpr std::size_t aims_max = 4;

  Server* victim_of(const Aim& aim);

  bool over_ = false;
  std::vector<Aim> aims_;
  std::optional<Tail> tail_;
  std::optional<Deposed> deposed_;
  std::map<ServerId, Copy> copies_;
  std::optional<OldCopy> old_copy_;  // put back, and not found out yet
  Micros quiet_at_ = 0;              // when the last fault that lasts is over
  // Stops of a damaged directory, by server, since it was damaged.
  std::vector<std::uint64_t> stops_ = std::vector<std::uint64_t>(16);
  std::uint64_t old_copies_found_ = 0;
  std::vector<bool> dead_ = std::vector<bool>(16);  // for good
};

}  // namespace zabmq::sim
