// FaultTally: the faults there are, how often each was done, and what could not be done and why.
// An attempt that did nothing is no fault.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zabmq::nemesis {

enum class Fault : std::uint8_t {
  kill_leader,
  kill_follower,
  kill_majority,
  kill_all,
  pause_leader,
  pause_follower,
  partition_leader,
  partition_pair,
  partition_with_clients,
  hold_one_way,
  delay,
  cut,
  corrupt,
  clients_held,
  clients_cut,
  clients_corrupt,
  sync_error,
  sync_delay,
  full_disk,
  truncated_tail,
  flipped_bit,
  wiped_disk,
};
inline constexpr std::size_t fault_count = 22;

std::string_view to_string(Fault);
std::vector<Fault> all_faults();

class FaultTally {
 public:
  void done(Fault fault) { ++done_[static_cast<std::size_t>(fault)]; }
  void not_done(Fault fault, const std::string& why) { ++not_done_[{fault, why}]; }

  std::uint64_t times(Fault fault) const { return done_[static_cast<std::size_t>(fault)]; }
  std::uint64_t total() const;  // done
  std::uint64_t total_not_done() const;

  // The table of a report: each fault, and below it what could not be done.
  std::vector<std::string> lines(const std::vector<Fault>& not_covered) const;

 private:
  std::array<std::uint64_t, fault_count> done_{};
  std::map<std::pair<Fault, std::string>, std::uint64_t> not_done_;
};

}  // namespace zabmq::nemesis
