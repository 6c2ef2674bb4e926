// Fault tally: names, sums and lines.
#include "nemesis/engine/fault_tally.hpp"

#include <algorithm>
#include <numeric>

namespace zabmq::nemesis {

namespace {

constexpr std::size_t column = 44;

constexpr std::array<std::string_view, fault_count> names{
    "SIGKILL of the leader",
    "SIGKILL of a follower",
    "SIGKILL of a majority",
    "SIGKILL of all servers",
    "SIGSTOP of the leader",
    "SIGSTOP of a follower",
    "partition: leader alone",
    "partition: one pair, not transitive",
    "partition: a server from all and clients",
    "link holds one way",
    "links with delay and jitter",
    "links reset",
    "link corrupts bytes",
    "clients: requests or answers held",
    "clients: connections reset, disks slow",
    "clients: links corrupt bytes",
    "EIO from fdatasync",
    "slow fdatasync",
    "full disk",
    "truncated tail",
    "flipped bit",
    "wiped disk",
};

std::string line(std::string text, const std::string& value) {
  if (text.size() < column) text.resize(column, ' ');
  return text + " " + value;
}

}  // namespace

std::string_view to_string(Fault fault) {
  return names[static_cast<std::size_t>(fault)];
}

std::vector<Fault> all_faults() {
  std::vector<Fault> all;
  for (std::size_t i = 0; i < fault_count; ++i) all.push_back(static_cast<Fault>(i));
  return all;
}

std::uint64_t FaultTally::total() const {
  return std::accumulate(done_.begin(), done_.end(), std::uint64_t{0});
}

std::uint64_t FaultTally::total_not_done() const {
  std::uint64_t total = 0;
  for (const auto& [what, times] : not_done_) total += times;
  return total;
}

std::vector<std::string> FaultTally::lines(const std::vector<Fault>& not_covered) const {
  std::vector<std::string> lines{line("fault", "times")};
  for (const Fault fault : all_faults()) {
    const bool covered =
        std::find(not_covered.begin(), not_covered.end(), fault) == not_covered.end();
    lines.push_back(line(std::string(to_string(fault)),
                         covered ? std::to_string(times(fault)) : "not covered"));
    for (const auto& [what, times] : not_done_) {
      if (what.first != fault) continue;
      lines.push_back(line("  could not be done: " + what.second, std::to_string(times)));
    }
  }
  return lines;
}

}  // namespace zabmq::nemesis
