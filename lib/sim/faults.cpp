// Faults: their names.
#include "sim/faults.hpp"

namespace zabmq::sim {

std::string_view name_of(Fault fault) {
  static constexpr std::array<std::string_view, fault_kinds> names = {"kill",
                                                                      "power_loss",
                                                                      "lost_entry",
                                                                      "kill_all",
                                                                      "pause",
                                                                      "partition",
                                                                      "one_way",
                                                                      "uncommitted_tail",
                                                                      "deposed_leader",
                                                                      "bridge",
                                                                      "clog",
                                                                      "lost_frame",
                                                                      "duplicate_frame",
                                                                      "stale_frame",
                                                                      "corrupt_frame",
                                                                      "disconnect",
                                                                      "deaf_link",
                                                                      "client_disconnect",
                                                                      "client_not_reading",
                                                                      "client_restart",
                                                                      "client_partition",
                                                                      "clock_rate",
                                                                      "clock_jump",
                                                                      "slow_disk",
                                                                      "stuck_disk",
                                                                      "write_error",
                                                                      "sync_error",
                                                                      "read_error",
                                                                      "create_error",
                                                                      "rename_error",
                                                                      "remove_error",
                                                                      "directory_sync_error",
                                                                      "no_space",
                                                                      "bit_flip",
                                                                      "mark_flip",
                                                                      "header_flip",
                                                                      "identity_flip",
                                                                      "snapshot_flip",
                                                                      "misdirected_write",
                                                                      "lost_write",
                                                                      "wipe",
                                                                      "old_disk"};
  return names[static_cast<std::size_t>(fault)];
}

std::string_view name_of(ServerState state) {
  static constexpr std::array<std::string_view, server_states> names = {
      "down", "start", "look", "disc-L", "disc-F", "sync-L",
      "DIFF", "TRUNC", "SNAP", "lead",   "follow", "client"};
  return names[static_cast<std::size_t>(state)];
}

}  // namespace zabmq::sim
