// RetentionWatch: what the servers say of retention while a run goes on, and what subscribers are
// told of it. A gap must be true: what is told to be gone is below the first offset of a server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "nemesis/engine/timeline.hpp"
#include "zabmq/admin.hpp"

namespace zabmq::nemesis {

// May be used from any thread.
class RetentionWatch {
 public:
  // So many looks at a whole cluster that does not show what was told make it a lie: a server may
  // know of the newest floor before the others do.
  static constexpr int looks_max = 5;

  struct Gap {
    std::string who;
    Offset from = 0;   // that was due; 0: not known
    Offset first = 0;  // that is kept
    bool of_cursor = false;
  };
  struct Counts {
    std::uint64_t let_go = 0;     // times that the first offset was seen to rise
    Offset first_offset = 0;      // the greatest that was seen
    std::uint64_t installed = 0;  // snapshots: those that were seen before the process ended
    std::uint64_t overtaken = 0;  // durable cursors, the same
    std::uint64_t gaps = 0;       // told to subscribers
  };

  explicit RetentionWatch(std::size_t servers) : servers_(servers) {}

  void gap(Nanos now, const Gap& gap);
  // An answer to a question that was asked at `asked`.
  void saw(Nanos asked, const ClusterStatus& status);

  Counts counts() const;
  // Those of the gaps so far; at the end also what no server has come to show.
  std::vector<std::string> violations(bool at_end) const;

 private:
  struct Told {
    Gap gap;
    Nanos at = 0;
    int looks = 0;
    bool shown = false;
  };

  const std::size_t servers_;
  mutable std::mutex mutex_;
  Counts counts_;
  std::vector<Told> told_;
  std::map<std::string, std::uint64_t> counters_;  // by server and name, as seen last
  std::vector<std::string> violations_;
};

}  // namespace zabmq::nemesis
