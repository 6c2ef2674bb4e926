// Exhaustive: every interleaving of a small cluster, to a depth. Three real cores, a few
// transactions and faults, every order of deliveries, disk operations, elections and crashes,
// breadth first, so that the first violation found has the shortest trace.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/exhaustive/cluster.hpp"

namespace zabmq::sim::exhaustive {

inline constexpr std::uint64_t default_memory_max = std::uint64_t{7} << 29;  // 3.5 GiB

struct Options {
  Limits limits;
  unsigned depth_max = 64;  // for each start
  std::uint64_t memory_max =
      default_memory_max;             // bytes, as estimated; reaching it ends the search
  std::string only;                   // a start's name; empty: all of them
  std::function<bool()> out_of_time;  // asked often; empty: never
  // When not null: set to what tells the trace up to the step under way. A failed ZABMQ_CHECK ends
  // the process; whoever handles that can still say how it came about.
  std::function<std::string()>* under_way = nullptr;
};

struct Progress {
  std::string start;
  unsigned depth = 0;
  std::uint64_t states = 0;       // different ones of this start, all depths up to here
  std::uint64_t transitions = 0;  // steps taken for them
};

struct Report {
  struct Start {
    std::string name;
    unsigned depth = 0;  // every state that so many steps can reach was checked
    bool all = false;    // and there are no others
    std::uint64_t states = 0;
    std::uint64_t transitions = 0;
    std::uint64_t server_states = 0;  // different states of one server
  };
  struct Violation {
    std::string start;
    unsigned depth = 0;
    std::vector<std::string> what;
    std::vector<std::string> trace;  // lines
  };
  enum class End : std::uint8_t { depth, time, memory, violation, all };

  End end = End::all;
  std::vector<Start> starts;
  std::optional<Violation> violation;
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
};

std::vector<std::string> start_names();

Report explore(const Options& options, const std::function<void(const Progress&)>& progress = {});

std::string text(const Report& report);

}  // namespace zabmq::sim::exhaustive
