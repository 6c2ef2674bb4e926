// Cluster: moving frames, ticking, waiting.
#include "cluster.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::testing {

template <class Kind>
ClusterOf<Kind>::ClusterOf(std::size_t servers, replica::Options options, Begin begin) {
  std::vector<ServerId> voters;
  for (std::size_t i = 1; i <= servers; ++i) voters.push_back(ServerId{static_cast<unsigned>(i)});
  for (ServerId id : voters) {
    Place& place = servers_[id];
    place.links = std::make_unique<Links>();
    place.links->cluster = this;
    place.links->self = id;
    place.server = std::make_unique<Kind>(id, voters, options, *place.links);
  }
  if (begin == Begin::stopped) return;
  for (ServerId id : voters) start(id);
}

template <class Kind>
void ClusterOf<Kind>::crash(ServerId id) {
  at(id).crash();
  servers_.at(id).links->sessions.clear();
}

template <class Kind>
void ClusterOf<Kind>::start(ServerId id) {
  Kind& server = at(id);
  ZABMQ_CHECK(!server.up());
  server.start();
}

template <class Kind>
void ClusterOf<Kind>::isolate(ServerId id, bool isolated) {
  if (isolated) {
    isolated_.insert(id);
  } else {
    isolated_.erase(id);
  }
}

template <class Kind>
bool ClusterOf<Kind>::cut_off(ServerId from, ServerId to) const {
  return isolated_.contains(from) || isolated_.contains(to);
}

template <class Kind>
void ClusterOf<Kind>::tick() {
  tick_only();
  settle();
}

template <class Kind>
void ClusterOf<Kind>::settle() {
  constexpr int turns_max = 100000;
  bool progress = true;
  for (int turn = 0; progress; ++turn) {
    ZABMQ_CHECK(turn < turns_max);
    progress = false;
    if (disks_first) {
      while (finish_disks()) progress = true;
      progress |= deliver_one();
    } else {
      while (deliver_one()) progress = true;
      progress |= finish_disks();
    }
    progress |= next_frame() != frames_.end();
  }
}

template <class Kind>
auto ClusterOf<Kind>::next_frame() -> typename std::deque<Frame>::iterator {
  return std::find_if(frames_.begin(), frames_.end(),
                      [this](const Frame& frame) { return !stuck.contains(frame.to); });
}

template <class Kind>
bool ClusterOf<Kind>::finish_disks() {
  bool progress = false;
  for (auto& [id, place] : servers_) {
    if (place.server->up() && !stuck.contains(id)) progress |= place.server->finish();
  }
  return progress;
}

template <class Kind>
std::vector<ServerId> ClusterOf<Kind>::all() const {
  std::vector<ServerId> ids;
  for (const auto& [id, place] : servers_) ids.push_back(id);
  return ids;
}

template <class Kind>
bool ClusterOf<Kind>::wait(const std::function<bool()>& condition, int ticks_max) {
  settle();
  for (int ticks = 0; ticks < ticks_max; ++ticks) {
    if (condition()) return true;
    tick();
  }
  return condition();
}

template <class Kind>
ServerId ClusterOf<Kind>::wait_for_leader() {
  ServerId leader = ServerId::none;
  wait([&] {
    for (auto& [id, place] : servers_) {
      if (!place.server->up() || isolated_.contains(id)) continue;
      if (place.server->replica->status().accepts_publishes) leader = id;
    }
    return leader != ServerId::none;
  });
  ZABMQ_CHECK(leader != ServerId::none);
  return leader;
}

template <class Kind>
std::vector<ServerId> ClusterOf<Kind>::followers_of(ServerId leader) const {
  std::vector<ServerId> followers;
  for (const auto& [id, place] : servers_) {
    if (id != leader && place.server->up()) followers.push_back(id);
  }
  return followers;
}

template <class Kind>
bool ClusterOf<Kind>::deliver_one() {
  const auto next = next_frame();
  if (next == frames_.end()) return false;
  deliver_at(next);
  return true;
}

template <class Kind>
void ClusterOf<Kind>::deliver_any(std::mt19937_64& random) {
  if (frames_.empty()) return;
  const Frame& chosen = frames_[random() % frames_.size()];
  deliver_at(std::find_if(frames_.begin(), frames_.end(), [&chosen](const Frame& frame) {
    return frame.from == chosen.from && frame.to == chosen.to;
  }));
}

template <class Kind>
void ClusterOf<Kind>::tick_only() {
  for (auto& [id, place] : servers_) {
    if (place.server->up() && !stuck.contains(id)) place.server->tick();
  }
}

template <class Kind>
void ClusterOf<Kind>::deliver_at(typename std::deque<Frame>::iterator at) {
  Frame frame = std::move(*at);
  frames_.erase(at);
  if (!this->at(frame.to).up()) return;
  if (!cut_off(frame.from, frame.to)) return deliver(std::move(frame));
  if (frame.session != 0) broken_.insert(frame.session);  // the next frame shows the gap
}

template <class Kind>
void ClusterOf<Kind>::deliver(Frame frame) {
  replica::Replica& replica = *at(frame.to).replica;
  auto& sessions = servers_.at(frame.to).links->sessions;
  const auto known = sessions.find(frame.from);
  const bool current = known != sessions.end() && known->second == frame.session;
  if (frame.closing) {
    if (!current) return;
    sessions.erase(known);
    return replica.on_session_lost(frame.from);
  }
  if (broken_.contains(frame.session)) return break_session(frame);
  if (tamper && !tamper(frame.from, frame.to, frame.message, frame.records)) return;
  if (frame.session != 0 && !current) {
    if (!std::holds_alternative<zab::CEpoch>(frame.message)) return;
    const bool replaced = known != sessions.end();
    if (replaced) replica.on_session_lost(frame.from);
    sessions[frame.from] = frame.session;
  }
  replica.on_peer_message(frame.from, std::move(frame.message), std::move(frame.records));
}

template <class Kind>
void ClusterOf<Kind>::break_session(const Frame& frame) {
  auto& sessions = servers_.at(frame.to).links->sessions;
  const auto known = sessions.find(frame.from);
  if (known == sessions.end() || known->second != frame.session) return;
  servers_.at(frame.to).links->close_session(frame.from);
  at(frame.to).replica->on_session_lost(frame.from);
}

template <class Kind>
void ClusterOf<Kind>::Links::open_session(ServerId leader) {
  sessions[leader] = ++cluster->sessions_opened_;
}

template <class Kind>
void ClusterOf<Kind>::Links::close_session(ServerId peer) {
  const auto known = sessions.find(peer);
  if (known == sessions.end()) return;
  cluster->frames_.push_back({self, peer, known->second, true, zab::Pong{}, {}});
  sessions.erase(known);
}

template <class Kind>
bool ClusterOf<Kind>::Links::send(ServerId to, const zab::Message& message) {
  return post(to, message, {});
}

template <class Kind>
bool ClusterOf<Kind>::Links::send_records(ServerId to, const zab::Message& message, Slice records) {
  return post(to, message, std::move(records));
}

template <class Kind>
bool ClusterOf<Kind>::Links::post(ServerId to, const zab::Message& message, Slice records) {
  if (cluster->witness) cluster->witness(self, to, message);
  std::uint64_t session = 0;
  if (!zab::is_datagram(message)) {
    const auto known = sessions.find(to);
    if (known == sessions.end()) return false;
    session = known->second;
  }
  cluster->frames_.push_back({self, to, session, false, message, std::move(records)});
  return true;
}

template class ClusterOf<Server>;
template class ClusterOf<DiskServer>;

}  // namespace zabmq::testing
