// Network: who may still hear whom.
#include "zab/harness/network.hpp"

#include <algorithm>

#include "zabmq/check.hpp"

namespace zabmq::zab::test {

bool is_from_learner(const Message& message) {
  return std::holds_alternative<CEpoch>(message) || std::holds_alternative<AckEpoch>(message) ||
         std::holds_alternative<Progress>(message) || std::holds_alternative<AckLeader>(message) ||
         std::holds_alternative<Ack>(message) || std::holds_alternative<Pong>(message) ||
         std::holds_alternative<Admitted>(message);
}

void Network::open(ServerId learner, ServerId leader) {
  for (auto& [id, session] : sessions_) {
    if (session.learner != learner || session.leader != leader) continue;
    // The leader is not told: the new session's CEPOCH replaces the old one there.
    end_side(id, session, learner, false);
    session.to_leader.clear();
  }
  sessions_[++newest_] = {.learner = learner, .leader = leader};
  sweep();
}

void Network::end_side(std::uint64_t id, Session& session, ServerId self, bool tell_peer) {
  const bool learner = session.learner == self;
  bool& open = learner ? session.learner_open : session.leader_open;
  if (!open) return;
  open = false;
  (learner ? session.to_learner : session.to_leader).clear();
  const bool peer_open = learner ? session.leader_open : session.learner_open;
  if (tell_peer && peer_open) losses_.push_back({learner ? session.leader : session.learner, id});
}

void Network::close(ServerId self, ServerId peer) {
  for (auto& [id, session] : sessions_) {
    const bool learner = session.learner == self && session.leader == peer;
    if (!learner && !(session.leader == self && session.learner == peer)) continue;
    end_side(id, session, self, true);
    (learner ? session.to_leader : session.to_learner).clear();
  }
  sweep();
}

void Network::forget(ServerId self) {
  std::set<ServerId> peers;
  for (const auto& [id, session] : sessions_) {
    if (session.learner == self) peers.insert(session.leader);
    if (session.leader == self) peers.insert(session.learner);
  }
  for (ServerId peer : peers) close(self, peer);
}

std::uint64_t Network::session_of(ServerId from, ServerId to, bool as_learner) const {
  for (const auto& [id, session] : sessions_) {
    const bool match = as_learner
                           ? session.learner == from && session.leader == to && session.learner_open
                           : session.leader == from && session.learner == to && session.leader_open;
    if (match) return id;
  }
  return 0;
}

bool Network::send(ServerId from, ServerId to, Frame frame) {
  if (is_datagram(frame.message)) {
    auto& queue = datagrams_[{from, to}];
    queue.push_back(std::move(frame.message));
    if (queue.size() > datagrams_queued_max) queue.pop_front();
    return true;
  }
  const bool as_learner = is_from_learner(frame.message);
  const std::uint64_t id = session_of(from, to, as_learner);
  if (id == 0) return false;
  Session& session = sessions_[id];
  if (!as_learner && !session.learner_open) return false;
  if (as_learner && session.cepoch_sent && !session.leader_open) {
    // The leader has not taken the CEPOCH yet, or it has ended the session.
    const bool cepoch_waits = !session.to_leader.empty();
    if (!cepoch_waits) return false;
  }
  session.cepoch_sent = true;
  (as_learner ? session.to_leader : session.to_learner).push_back(std::move(frame));
  return true;
}

bool Network::may_pass(ServerId from, ServerId to, const Message& message) const {
  return !is_cut(from, to) && !(hold_ && hold_(from, to, message));
}

bool Network::wanted(const Session& session, ServerId to) const {
  if (to == session.learner) return session.learner_open;
  return session.leader_open || std::holds_alternative<CEpoch>(session.to_leader.front().message);
}

bool Network::still_open(const Loss& loss) const {
  const auto found = sessions_.find(loss.session);
  if (found == sessions_.end()) return false;
  const Session& session = found->second;
  return session.learner == loss.to ? session.learner_open : session.leader_open;
}

std::vector<Network::Arrival> Network::arrivals() const {
  std::vector<Arrival> out;
  for (const auto& [pair, queue] : datagrams_) {
    for (std::size_t at = 0; at < queue.size(); ++at) {
      if (!may_pass(pair.first, pair.second, queue[at])) continue;
      out.push_back({Arrival::Kind::datagram, pair.first, pair.second, 0, at});
    }
  }
  for (const auto& [id, session] : sessions_) {
    const auto add = [&](const std::deque<Frame>& queue, ServerId from, ServerId to) {
      if (queue.empty() || !wanted(session, to)) return;
      if (!may_pass(from, to, queue.front().message)) return;
      out.push_back({Arrival::Kind::frame, from, to, id, 0});
    };
    add(session.to_leader, session.learner, session.leader);
    add(session.to_learner, session.leader, session.learner);
  }
  for (const Loss& loss : losses_) {
    if (!still_open(loss)) continue;
    const Session& session = sessions_.at(loss.session);
    const ServerId from = session.learner == loss.to ? session.leader : session.learner;
    out.push_back({Arrival::Kind::loss, from, loss.to, loss.session, 0});
  }
  return out;
}

const Message& Network::peek(const Arrival& arrival) const {
  ZABMQ_CHECK(arrival.kind != Arrival::Kind::loss);
  if (arrival.kind == Arrival::Kind::datagram) {
    return datagrams_.at({arrival.from, arrival.to})[arrival.at];
  }
  const Session& session = sessions_.at(arrival.session);
  return (arrival.to == session.leader ? session.to_leader : session.to_learner).front().message;
}

std::optional<Frame> Network::take(const Arrival& arrival) {
  if (arrival.kind == Arrival::Kind::datagram) {
    Frame frame{peek(arrival), {}};
    drop(arrival);
    return frame;
  }
  Session& session = sessions_.at(arrival.session);
  if (arrival.kind == Arrival::Kind::loss) {
    std::erase_if(losses_, [&](const Loss& loss) {
      return loss.session == arrival.session && loss.to == arrival.to;
    });
    end_side(arrival.session, session, arrival.to, false);
    sweep();
    return std::nullopt;
  }
  auto& queue = arrival.to == session.leader ? session.to_leader : session.to_learner;
  Frame frame = std::move(queue.front());
  queue.pop_front();
  if (std::holds_alternative<CEpoch>(frame.message)) {
    for (auto& [id, other] : sessions_) {
      const bool older = other.learner == session.learner && other.leader == session.leader;
      if (older && id != arrival.session) end_side(id, other, session.leader, false);
    }
    session.leader_open = true;
  }
  sweep();
  return frame;
}

void Network::duplicate(const Arrival& datagram) {
  auto& queue = datagrams_.at({datagram.from, datagram.to});
  queue.push_back(queue[datagram.at]);
  if (queue.size() > datagrams_queued_max) queue.pop_front();
}

void Network::drop(const Arrival& datagram) {
  auto& queue = datagrams_.at({datagram.from, datagram.to});
  queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(datagram.at));
}

void Network::lose(ServerId a, ServerId b) {
  for (auto& [id, session] : sessions_) {
    const bool between = (session.learner == a && session.leader == b) ||
                         (session.learner == b && session.leader == a);
    if (!between) continue;
    session.to_leader.clear();
    session.to_learner.clear();
    if (session.learner_open) losses_.push_back({session.learner, id});
    if (session.leader_open) losses_.push_back({session.leader, id});
  }
  sweep();
}

// What the dead server had sent may still arrive, in order, up to some point.
void Network::crash(ServerId id, bool peers_told, std::size_t frames_kept_max) {
  const auto shorten = [&](std::deque<Frame>& queue) {
    if (queue.size() > frames_kept_max) {
      queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(frames_kept_max), queue.end());
    }
  };
  for (auto& [number, session] : sessions_) {
    if (session.learner != id && session.leader != id) continue;
    end_side(number, session, id, peers_told);
    shorten(session.learner == id ? session.to_leader : session.to_learner);
  }
  for (auto& [pair, queue] : datagrams_) {
    if (pair.second == id) queue.clear();
  }
  sweep();
}

std::size_t Network::frames_in_flight() const {
  std::size_t count = 0;
  for (const auto& [id, session] : sessions_) {
    count += session.to_leader.size() + session.to_learner.size();
  }
  return count;
}

// Forgets sessions that nobody can hear anything of any more, and news that is none.
void Network::sweep() {
  std::erase_if(sessions_, [](const auto& entry) {
    const Session& session = entry.second;
    const bool opens = !session.to_leader.empty() &&
                       std::holds_alternative<CEpoch>(session.to_leader.front().message);
    return !session.learner_open && !session.leader_open && !opens;
  });
  std::erase_if(losses_, [this](const Loss& loss) { return !still_open(loss); });
}

}  // namespace zabmq::zab::test
