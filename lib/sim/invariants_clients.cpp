// Invariants: what the committed history says of publishers.
#include <algorithm>

#include "sim/invariants.hpp"

namespace zabmq::sim {

void Invariants::note_publishers(std::size_t from) {
  for (std::size_t i = from; i < committed_.size(); ++i) {
    const Node& node = nodes_[committed_[i]];
    if (!is_none(node.publisher)) {
      const auto [place, added] = publishers_.try_emplace(node.publisher);
      Publisher& publisher = place->second;
      if (!added) {
        publisher.longest_idle = std::max(publisher.longest_idle, newest_time_ - publisher.last);
      }
      publisher.last = node.time;
    }
    newest_time_ = std::max(newest_time_, node.time);
  }
}

LogTime Invariants::longest_idle(const Uuid& publisher) const {
  const auto found = publishers_.find(publisher);
  if (found == publishers_.end()) return 0;
  return std::max(found->second.longest_idle, newest_time_ - found->second.last);
}

}  // namespace zabmq::sim
