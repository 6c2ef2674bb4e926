// Invariants: histories that begin behind a floor: snapshots, retention, and SNAP.
#include <algorithm>
#include <utility>

#include "replica/records.hpp"
#include "sim/invariants.hpp"
#include "sim/memory_disk.hpp"

namespace zabmq::sim {

std::vector<Invariants::NodeId> Invariants::path_to(NodeId node) const {
  std::vector<NodeId> path;
  for (; node != 0; node = nodes_[node].parent) path.push_back(node);
  std::reverse(path.begin(), path.end());
  return path;
}

void Invariants::installing(ServerId server, Digest floor, Zxid state) {
  Seen& at = seen(server);
  std::vector<NodeId> log = path_to(find(floor));
  if (log.empty()) complain("SNAP", server, "installs what was never proposed");
  at.aside = Seen::Aside{
      std::exchange(at.log, std::move(log)), at.durable, at.on_platter, at.freed, 0, false};
  at.freed = at.durable = at.on_platter = at.log.size();
  if (state > last_committed()) complain("SNAP", server, "takes over a state of no commit");
  const auto known = std::partition_point(committed_.begin(), committed_.end(),
                                          [&](NodeId node) { return nodes_[node].zxid <= state; });
  at.aside->state = static_cast<std::size_t>(known - committed_.begin());
  if (at.aside->state < at.delivered) {
    complain("SNAP", server, "takes over a state older than its own");
  }
}

// The no-regress rule: whatever it had and others may count on is in what replaces it.
void Invariants::adopted(ServerId server) {
  Seen& at = seen(server);
  Seen::Aside& aside = *at.aside;
  aside.adopted = true;
  const auto kept = std::mismatch(aside.log.begin(), aside.log.end(), at.log.begin(), at.log.end());
  const auto same = static_cast<std::size_t>(kept.first - aside.log.begin());
  if (same < committed_.size() && same < aside.log.size() && aside.log[same] == committed_[same]) {
    complain("I5", server, "gives up committed " + to_string(nodes_[committed_[same]].zxid));
  }
  at.acked = std::min(at.acked, same);
  at.held_at_fault = 0;
  if (at.log.size() < aside.state) complain("SNAP", server, "adopts less than its state contains");
  at.delivered = aside.state;
  if (!platter_holds(at, at.log.size() < aside.state ? at.log.size() : aside.state)) {
    complain("SNAP", server, "adopts what is not on its platter");
  }
}

void Invariants::take_back(Seen& at) {
  Seen::Aside old = *std::exchange(at.aside, std::nullopt);
  at.log = std::move(old.log);
  at.durable = old.durable;
  at.on_platter = old.on_platter;
  at.freed = old.freed;
  at.delivered = std::min(at.delivered, at.log.size());
}

// ZOOKEEPER-1549: never of more than is committed, and durable here.
void Invariants::saving_snapshot(ServerId server, Zxid zxid) {
  Seen& at = seen(server);
  const std::optional<std::size_t> count = count_up_to(at, zxid);
  if (!count || *count > at.delivered || *count > at.durable) {
    complain("snapshot", server, "saves a state of " + to_string(zxid) + ", not delivered here");
  }
}

void Invariants::freed(ServerId server, Zxid up_to) {
  Seen& at = seen(server);
  const std::optional<std::size_t> count = count_up_to(at, up_to);
  if (!count) return complain("retention", server, "frees up to " + to_string(up_to) + ", unknown");
  if (*count > at.freed && *count > at.delivered) {
    complain("retention", server, "frees " + to_string(up_to) + ", which it has not delivered");
  }
  at.freed = std::max(at.freed, *count);
}

// Retention lets go what is committed, whole transactions of this history.
void Invariants::note_floor(ServerId server, NodeId node, Bytes body) {
  const auto floor = replica::parse_floor(body);
  const NodeId at = floor ? find(floor->digest) : 0;
  const bool known = at != 0 && nodes_[at].zxid == floor->zxid && nodes_[at].end == floor->offset;
  const bool committed = known && floor->zxid <= last_committed();
  if (!committed)
    complain("retention", server, "proposes a floor that is no committed transaction");
  if (known) floors_[node] = floor->offset;
}

}  // namespace zabmq::sim
