// Server: one server of a simulated cluster: the real replica, log, identity file, sessions and
// codecs, composed as lib/node composes them, on a simulated disk, network and clock. Witnesses
// stand between the parts and tell the invariants what passes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/session_links.hpp"
#include "replica/replica.hpp"
#include "sim/client_network.hpp"
#include "sim/faults.hpp"
#include "sim/invariants.hpp"
#include "sim/memory_disk.hpp"
#include "sim/parameters.hpp"
#include "sim/peer_network.hpp"
#include "sim/platter.hpp"
#include "sim/timeline.hpp"
#include "sim/trace.hpp"
#include "storage/identity_file.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::sim {

// What the servers of one world share.
struct Surroundings {
  Timeline& timeline;
  Trace& trace;
  const Parameters& parameters;
  PeerNetwork& peers;
  ClientNetwork& clients;
  Invariants& invariants;
  HitTable& hits;
};

class Server {
 public:
  static constexpr Micros tick_every = 8 * millisecond;

  // Why a process has ended by itself.
  enum class End : std::uint8_t {
    none,
    failed,   // a write or sync failed: fail-stop
    corrupt,  // its directory is damaged; it cannot be started as it is
    fatal     // it stopped for safety
  };

  Server(ServerId id, const Surroundings& around, Random random);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // --- its process ---
  void start();
  void kill();
  // The sectors and changes of the directory that were not synced survive by chance.
  MemoryDisk::Loss lose_power(bool directory_too);
  void pause(Micros until);
  void resume();
  bool up() const { return life_ != nullptr; }
  bool paused() const { return paused_; }
  bool stopped_by_itself() const { return end_ != End::none; }
  End end() const { return end_; }
  const std::string& end_text() const { return end_text_; }
  ServerState state() const;
  void hit(Fault fault) { hit(fault, state()); }  // books it
  void hit(Fault fault, ServerState state);       // the state in which it met the server

  // --- its disk ---
  MemoryDisk& disk() { return disk_; }
  const MemoryDisk& disk() const { return disk_; }
  const Platter& platter() const { return platter_; }
  void flip_bit(const std::string& name, std::uint64_t position);  // one of this byte
  void wipe();                                                     // precondition: !up()
  void replace_disk(MemoryDisk::State state);                      // precondition: !up()
  // So many bytes for everything, until space_returns(). It is booked when it is felt: the log has
  // no space, or a write meets ENOSPC.
  void limit_space(std::uint64_t bytes);
  void space_returns();
  // Steps that begin before `until` take so long; the first of them books the fault.
  void disk_latency(Fault fault, Micros each, Micros until);
  void disk_recovers();  // and what was stuck goes on

  // --- its clock ---
  void set_clock_rate(std::uint32_t per_thousand);
  void set_wall_clock(std::int64_t offset_us) { wall_offset_us_ = offset_us; }

  // --- from the networks ---
  void receive(const PeerFrame& frame);
  void disconnected(ServerId peer);
  void receive(const ClientNetwork::ToServer& frame);

  ServerId id() const { return id_; }
  const replica::Replica* replica() const;  // null: down or recovering
  bool no_space() const;
  std::vector<storage::SegmentSpan> segments() const;  // the closed ones
  // Up to where nothing is wanted by any of its snapshots; nullopt: one of them is damaged, or
  // there is none.
  std::optional<Zxid> unwanted_by_snapshots() const;
  std::uint64_t forwarded() const;  // requests to its leaders, in all of its lives

 private:
  class Life;

  Micros disk_delay(Micros usual);
  void pump_disk();
  void disk_step(bool writer, std::uint64_t generation);
  void wake();
  void turn();
  void tick_chain(std::uint64_t life);
  void act(std::function<void(Life&)> action);  // now, or when the pause is over
  void after_event();
  std::uint64_t now_ms() const;
  LogTime wall_us() const;
  void end_life();
  void meet_error(MemoryDisk::Operation operation, int error);
  void judge_end();
  void feel_low_space();

  const ServerId id_;
  const Surroundings around_;
  Random random_;
  MemoryDisk disk_;
  Platter platter_{disk_};

  std::unique_ptr<Life> life_;
  std::uint64_t lives_ = 0;
  std::uint64_t forwarded_before_ = 0;  // in the lives that are over
  End end_ = End::none;
  std::string end_text_;
  bool error_met_ = false;       // in this life: an operation of the disk failed
  bool read_error_met_ = false;  // the same, a read
  bool paused_ = false;
  std::vector<std::function<void(Life&)>> backlog_;

  bool step_planned_ = false;
  bool writer_planned_ = false;
  bool reader_planned_ = false;
  std::uint64_t disk_generation_ = 0;  // steps planned under an older one do not happen
  Micros slow_until_ = 0;
  Micros slow_each_ = 0;
  std::optional<Fault> slow_fault_;  // not felt yet
  bool space_limit_unfelt_ = false;

  std::uint32_t rate_per_thousand_ = 1000;
  Micros rate_since_ = 0;
  std::uint64_t clock_us_ = 0;  // monotonic, at rate_since_
  std::int64_t wall_offset_us_ = 0;
};

}  // namespace zabmq::sim
