// Search: levels, and the way back from a violation.
#include "sim/exhaustive/search.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::sim::exhaustive {
namespace {

// What one entry of a table takes, measured roughly.
constexpr std::size_t server_bytes = 1800;
constexpr std::size_t step_bytes = 200;
constexpr std::size_t ghost_bytes = 400;
constexpr std::size_t channel_bytes = 200;
constexpr std::size_t states_between_questions = 256;

std::uint64_t hash_of(State state) {
  state.used = 0;
  return static_cast<std::uint64_t>(checksum(std::as_bytes(std::span(&state, 1))));
}
static_assert(std::has_unique_object_representations_v<State>);

std::uint16_t packed(const Action& action) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(action.kind) | unsigned{action.a} << 4U |
                                    unsigned{action.b} << 6U | unsigned{action.extra} << 8U);
}

Action unpacked(std::uint16_t packed) {
  return {static_cast<Action::Kind>(packed & 0xfU), static_cast<std::uint8_t>(packed >> 4U & 3U),
          static_cast<std::uint8_t>(packed >> 6U & 3U), static_cast<std::uint8_t>(packed >> 8U)};
}

}  // namespace

Search::Search(const StartKind& kind, const Limits& limits)
    : name_(kind.name), cluster_(limits, kind.elections, kind.grain), start_(kind.build(cluster_)) {
  Limits own = limits;
  own.questions = kind.questions;
  own.wipes = kind.wipes;
  cluster_.set_limits(own);
  level_.push_back(start_.state);
  visited_.insert(hash_of(start_.state), start_.state.used);
  if (!start_.violations.empty()) blame({}, start_.violations);
}

Search::Outcome Search::next_level(const std::function<bool()>& stop) {
  if (violation_) return Outcome::violated;
  cost_ = 0;
  origins_.emplace_back();
  for (std::uint32_t at = 0; !level_.empty(); ++at) {
    if (at % states_between_questions == 0 && stop()) return Outcome::stopped;
    if (!expand(level_.front(), at)) return Outcome::violated;
    level_.pop_front();
  }
  level_.swap(next_);
  ++depth_;
  return Outcome::finished;
}

bool Search::expand(const State& state, std::uint32_t at) {
  cluster_.actions(state, actions_);
  parent_ = at;
  for (const Action& action : actions_) {
    action_ = action;
    Violations violations;
    const State next = cluster_.take(state, action, violations, nullptr);
    ++transitions_;
    ++cost_;
    if (!violations.empty()) {
      std::vector<Action> path = path_to(at);
      path.push_back(action);
      blame(path, std::move(violations));
      return false;
    }
    if (!visited_.insert(hash_of(next), next.used)) continue;
    next_.push_back(next);
    origins_.back().push_back({at, packed(action)});
  }
  return true;
}

std::vector<Action> Search::path_to(std::uint32_t at) const {
  std::vector<Action> path;
  for (std::size_t level = depth_; level > 0; --level) {
    const Origin& origin = origins_[level - 1][at];
    path.push_back(unpacked(origin.action));
    at = origin.parent;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

void Search::blame(const std::vector<Action>& path, Violations what) {
  violation_ = {name_, static_cast<unsigned>(path.size()), std::move(what), trace_of(path)};
}

std::vector<std::string> Search::under_way() {
  std::vector<std::string> trace = trace_of(path_to(parent_));
  trace.push_back("  under way: " + to_string(action_));
  return trace;
}

// Plays it all again, for the reader.
std::vector<std::string> Search::trace_of(const std::vector<Action>& path) {
  std::vector<std::string> trace;
  Violations ignored;
  State state = start_.first;
  for (const Action& action : start_.path) {
    trace.push_back("  set-up: " + to_string(action));
    state = cluster_.take(state, action, ignored, &trace);
  }
  state = start_.state;
  cluster_.describe(state, trace);
  for (std::size_t i = 0; i < path.size(); ++i) {
    trace.push_back("  " + std::to_string(i + 1) + ". " + to_string(path[i]));
    state = cluster_.take(state, path[i], ignored, &trace);
  }
  cluster_.describe(state, trace);
  return trace;
}

std::size_t Search::bytes() const {
  std::size_t origins = 0;
  for (const auto& level : origins_) origins += level.size() * sizeof(Origin);
  return visited_.bytes() + (level_.size() + next_.size()) * sizeof(State) + origins +
         cluster_.servers().size() * server_bytes + cluster_.servers().steps() * step_bytes +
         cluster_.ghosts() * ghost_bytes + cluster_.channels() * channel_bytes;
}

Report::Start Search::report() const {
  return {name_, depth_, all(), visited_.size(), transitions_, cluster_.servers().size()};
}

}  // namespace zabmq::sim::exhaustive
