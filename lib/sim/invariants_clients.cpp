// Invariants: publishers and durable cursors, as the committed history makes them.
#include <algorithm>

#include "sim/invariants.hpp"

namespace zabmq::sim {

void Invariants::note_clients(std::size_t from) {
  for (std::size_t i = from; i < committed_.size(); ++i) {
    const Node& node = nodes_[committed_[i]];
    if (!is_none(node.publisher)) note_publisher(node);
    note_move(committed_[i]);
    newest_time_ = std::max(newest_time_, node.time);
  }
}

// Whoever was ended begins anew, with whatever comes next of it.
void Invariants::note_publisher(const Node& node) {
  Publisher& publisher =
      publishers_.try_emplace(node.publisher, Publisher{node.time}).first->second;
  if (publisher.closed || idle_for_too_long(publisher)) {
    ++publisher.endings;
    publisher.last_sequence = 0;
  }
  if (node.opens > 0 && node.opens <= publisher.instance) {
    report_("instance", "publisher " + to_string(node.publisher) + " is opened as instance " +
                            std::to_string(node.opens) + ", and was as " +
                            std::to_string(publisher.instance) + " before");
  }
  publisher.instance = std::max(publisher.instance, node.opens);
  publisher.time = node.time;
  publisher.closed = node.closes;
  if (node.last_sequence > 0) publisher.last_sequence = node.last_sequence;
}

void Invariants::note_move(NodeId node) {
  const auto found = moves_.find(node);
  if (found == moves_.end()) return;
  const Move& move = found->second;
  if (move.removes) {
    cursors_.erase(move.to.name);
  } else {
    Offset& place = cursors_[move.to.name];
    place = std::max(place, move.to.offset);
  }
}

bool Invariants::idle_for_too_long(const Publisher& publisher) const {
  return newest_time_ > publisher.time && newest_time_ - publisher.time > publisher_ttl_;
}

std::uint64_t Invariants::endings(const Uuid& publisher) const {
  const auto found = publishers_.find(publisher);
  if (found == publishers_.end()) return 0;
  const Publisher& ghost = found->second;
  return ghost.endings + (ghost.closed || idle_for_too_long(ghost) ? 1 : 0);
}

std::optional<Offset> Invariants::cursor(const std::string& name) const {
  const auto found = cursors_.find(name);
  return found == cursors_.end() ? std::nullopt : std::optional(found->second);
}

void Invariants::check_state(ServerId server, const replica::ServerState& state) {
  std::size_t living = 0;
  for (const auto& [id, ghost] : publishers_) {
    const replica::PublisherState* known = state.publishers().find(id);
    const bool lives = !ghost.closed && !idle_for_too_long(ghost);
    living += lives ? 1 : 0;
    if (lives && known && known->last_sequence == ghost.last_sequence) continue;
    if (!lives && !known) continue;
    complain("W10", server,
             "publisher " + to_string(id) +
                 (known ? " is known, with " : " is not known, instead of ") +
                 std::to_string(known ? known->last_sequence : ghost.last_sequence) +
                 " messages taken; committed are " +
                 (lives ? std::to_string(ghost.last_sequence) : std::string("none, it was ended")));
  }
  if (state.publishers().size() != living) {
    complain("W10", server, "knows publishers that nothing committed speaks of");
  }
  if (state.cursors().all() != cursors_) {
    complain("W10", server, "its cursors are not those of the committed history");
  }
}

}  // namespace zabmq::sim
