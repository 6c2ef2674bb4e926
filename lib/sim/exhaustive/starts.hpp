// Starts: the states from which the exhaustive search sets out. From an empty cluster most of the
// depth would be spent on founding it; each start puts the search beside something interesting.
#pragma once

#include <string>
#include <vector>

#include "sim/exhaustive/cluster.hpp"

namespace zabmq::sim::exhaustive {

struct Start {
  State first;               // servers that have just been started
  std::vector<Action> path;  // what was done from there
  State state;               // and where it led
  Violations violations;     // by the last step of the path; should be none
};

struct StartKind {
  std::string name;
  Elections elections = Elections::free;
  Start (*build)(Cluster& cluster) = nullptr;
  std::uint8_t questions = 0;
  Grain grain = Grain::coarse;
  std::uint8_t wipes = 0;
};

const std::vector<StartKind>& start_kinds();

}  // namespace zabmq::sim::exhaustive
