// Faults: what a simulated world can do to its servers, and where it hit them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zabmq::sim {

enum class Fault : std::uint8_t {
  kill,              // the process dies, and nothing is lost by it
  power_loss,        // bytes that were not synced are gone with it, sector by sector
  lost_entry,        // the same with changes of the directory
  kill_all,          // every server at once
  pause,             // SIGSTOP ... SIGCONT
  partition,         // a group is cut off, both ways
  one_way,           // frames from one group to the other are lost or held
  uncommitted_tail,  // a leader dies with proposals that nobody else has, returns to another leader
  deposed_leader,    // one that is cut off leads on, another one leads; clients ask the old one
  bridge,            // two servers cannot see each other, others see both
  clog,              // one link stops for a while; nothing is lost
  lost_frame,        // one frame between servers
  duplicate_frame,   // the same, again
  stale_frame,       // one from long ago
  corrupt_frame,     // a bit in it
  disconnect,        // a connection between servers ends
  deaf_link,         // one stands and carries nothing any more, until it is made anew
  client_disconnect,     // a connection of a client ends
  client_not_reading,    // one takes nothing from its connection, and goes on asking
  client_restart,        // a client's process
  client_partition,      // all clients are cut off from some servers
  clock_rate,            // a server's clock runs faster or slower
  clock_jump,            // its wall clock jumps
  slow_disk,             // syncs take long
  stuck_disk,            // a sync does not return for very long
  write_error,           // EIO
  sync_error,            // EIO, and the page cache forgets what was dirty
  read_error,            // EIO, at the start too
  create_error,          // EIO
  rename_error,          // EIO
  remove_error,          // EIO
  directory_sync_error,  // EIO
  no_space,              // ENOSPC, and low space
  bit_flip,              // in bytes that are known to be synced
  mark_flip,             // a bit in a mark that a later one proves
  header_flip,           // a bit in the header of a segment that has a mark
  identity_flip,         // a bit in the identity record
  snapshot_flip,         // a bit in the newest snapshot
  misdirected_write,     // a record's bytes over others that are known to be synced
  lost_write,            // the same, and the place where they belong was never written
  wipe,                  // an empty directory comes back
  old_disk               // an old copy of the directory comes back
};
inline constexpr std::size_t fault_kinds = static_cast<std::size_t>(Fault::old_disk) + 1;
std::string_view name_of(Fault fault);

// What a server was doing when a fault took effect on it.
enum class ServerState : std::uint8_t {
  down,
  recovering,
  looking,
  discovery_leader,
  discovery_follower,
  sync_leader,
  sync_diff,
  sync_trunc,
  sync_snap,
  broadcast_leader,
  broadcast_follower,
  client  // no server: a client's process
};
inline constexpr std::size_t server_states = static_cast<std::size_t>(ServerState::client) + 1;
std::string_view name_of(ServerState state);

// How often each fault took effect on a server in each state. What was planned and met nothing is
// not in here: an error that no operation met, a power failure that took nothing.
struct HitTable {
  std::array<std::array<std::uint64_t, server_states>, fault_kinds> counts{};

  void add(Fault fault, ServerState state) {
    ++counts[static_cast<std::size_t>(fault)][static_cast<std::size_t>(state)];
  }
  std::uint64_t of(Fault fault) const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts[static_cast<std::size_t>(fault)]) sum += count;
    return sum;
  }
  HitTable& operator+=(const HitTable& other) {
    for (std::size_t f = 0; f < fault_kinds; ++f) {
      for (std::size_t s = 0; s < server_states; ++s) counts[f][s] += other.counts[f][s];
    }
    return *this;
  }
};

}  // namespace zabmq::sim
