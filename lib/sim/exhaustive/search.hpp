// Search: breadth first from one start, level by level.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/exhaustive/exhaustive.hpp"
#include "sim/exhaustive/starts.hpp"
#include "sim/exhaustive/visited.hpp"

namespace zabmq::sim::exhaustive {

class Search {
 public:
  enum class Outcome : std::uint8_t { finished, stopped, violated };

  Search(const StartKind& kind, const Limits& limits);

  // All states one step further; `stop` is asked now and then and ends the level unfinished.
  Outcome next_level(const std::function<bool()>& stop);

  const std::string& name() const { return name_; }
  unsigned depth() const { return depth_; }
  bool all() const { return level_.empty(); }
  std::uint64_t cost_of_last_level() const { return cost_; }
  std::size_t bytes() const;  // an estimate
  Report::Start report() const;
  const std::optional<Report::Violation>& violation() const { return violation_; }
  // The trace of the step under way, which is named but not taken again.
  std::vector<std::string> under_way();

 private:
  // How a state was reached: from which one of the level before, by which action.
  struct Origin {
    std::uint32_t parent = 0;
    std::uint16_t action = 0;
  };

  bool expand(const State& state, std::uint32_t at);  // false: a violation
  void blame(const std::vector<Action>& path, Violations what);
  std::vector<std::string> trace_of(const std::vector<Action>& path);
  std::vector<Action> path_to(std::uint32_t at) const;

  std::string name_;
  Cluster cluster_;
  Start start_;
  std::deque<State> level_;  // its states that have not been expanded yet
  std::deque<State> next_;
  std::vector<std::deque<Origin>> origins_;  // of the states of each level; none of the first
  Visited visited_;
  std::vector<Action> actions_;  // room
  std::uint32_t parent_ = 0;     // of the step under way
  Action action_;                // which that is
  unsigned depth_ = 0;
  std::uint64_t transitions_ = 0;
  std::uint64_t cost_ = 0;
  std::optional<Report::Violation> violation_;
};

}  // namespace zabmq::sim::exhaustive
