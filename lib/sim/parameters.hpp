// Parameters: everything about a simulated world that its seed decides before the world begins, as
// swarm testing does: each seed is another sort of cluster with another sort of trouble.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "replica/options.hpp"
#include "sim/faults.hpp"
#include "sim/random.hpp"
#include "sim/timeline.hpp"
#include "storage/segmented_log.hpp"

namespace zabmq::sim {

struct LinkParameters {
  Micros delay = 300;      // one way, about
  std::uint32_t loss = 0;  // of a frame, in millionths
  std::uint32_t duplicate = 0;
  std::uint32_t stale = 0;
  std::uint32_t corrupt = 0;
  std::uint32_t reorder = 0;          // a frame overtakes those before it
  std::size_t client_queue_max = 40;  // frames held for one client; more: `full`
};

struct DiskParameters {
  Micros write = 50;  // of one step, about
  Micros sync = 500;
  Micros read = 100;
};

struct ClientParameters {
  std::size_t publishers = 2;
  std::size_t subscribers = 2;
  Micros publish_every = 5 * millisecond;  // of each publisher, about
  std::size_t burst_max = 8;               // messages published at once
  std::size_t payload_max = 200;
  std::size_t window_messages = 256;
  bool keep_ids = true;  // some publishers go on with their id after a restart
  std::size_t credit_messages = 1024;
  std::size_t credit_bytes = 1 << 20;
};

struct Parameters {
  std::uint64_t seed = 0;
  std::size_t servers = 3;
  ClientParameters clients;
  LinkParameters links;
  DiskParameters disks;
  replica::Options replica;
  storage::LogOptions log;  // sizes and times; ids are the server's
  Micros turn = 50;         // from a frame to the step that handles it, about

  Micros safety = 30 * second;     // anything may happen
  Micros liveness = 120 * second;  // bound of the time that a healed cluster takes
  Micros fault_every = second;     // about; 0: never
  Micros wall_jump_max = 0;
  std::array<std::uint32_t, fault_kinds> weights{};  // 0: not in this world

  std::string text() const;  // one line for reports
};

// `fault_free`: the same sort of cluster without any trouble.
Parameters draw_parameters(std::uint64_t seed, bool fault_free);

}  // namespace zabmq::sim
