// Sessions: every received frame is judged against the sender's process, then against the session.
#include "net/session.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::net {
namespace {

std::uint64_t draw(const Nonces& nonces) {
  // Room to count up from it, and never 0.
  return (nonces() >> 1) | 1;
}

bool is_opening(const Frame& frame) {
  const auto* message = std::get_if<zab::Message>(&frame.content);
  return message && std::holds_alternative<zab::CEpoch>(*message) && frame.link.sequence == 1;
}

}  // namespace

Sessions::Sessions(ServerId self, const std::vector<ServerId>& peers, const Nonces& nonces)
    : self_(self),
      incarnation_(draw(nonces)),
      next_session_(draw(nonces)),
      next_probe_(draw(nonces)) {
  for (ServerId peer : peers) {
    ZABMQ_CHECK(peer != self && peer != ServerId::none);
    peers_.try_emplace(peer);
  }
}

bool Sessions::has_session(ServerId peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.session.has_value();
}

void Sessions::open(ServerId leader) {
  const auto found = peers_.find(leader);
  if (found == peers_.end()) return;  // every send will say that there is no session
  if (found->second.session) ++counters_.ended_by_us;
  found->second.session = Session{.id = next_session_++};
  ++counters_.sessions_opened;
}

std::optional<ControlFrame> Sessions::close(ServerId peer, Reason reason) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || !found->second.session) return std::nullopt;
  const Session ended = *std::exchange(found->second.session, std::nullopt);
  ++(counters_.*reason);
  if (ended.sent == 0 && ended.received == 0) return std::nullopt;
  return control_frame(peer, Control::reset, ended.id);
}

bool Sessions::lose(ServerId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || !found->second.session) return false;
  found->second.session.reset();
  return true;
}

bool Sessions::corrupt(ServerId peer, std::uint64_t incarnation) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return false;
  std::optional<Session>& session = found->second.session;
  if (!session || session->life != incarnation) return false;
  session.reset();
  ++counters_.ended_by_corruption;
  return true;
}

std::optional<ControlFrame> Sessions::probe(ServerId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return std::nullopt;
  Peer& peer = found->second;
  peer.probe = next_probe_++;
  peer.frames_since_probe = 0;
  return control_frame(id, Control::probe, peer.probe);
}

std::optional<Link> Sessions::stamp(ServerId to, const zab::Message& message) {
  const auto found = peers_.find(to);
  if (found == peers_.end()) return std::nullopt;
  Link link{.cluster = cluster_, .sender = self_, .receiver = to, .incarnation = incarnation_};
  if (zab::is_datagram(message)) {
    link.sequence = ++datagrams_sent_;
    return link;
  }
  std::optional<Session>& session = found->second.session;
  if (!session) return std::nullopt;
  // The peer's CEPOCH may have turned the session round before our own side has taken that in.
  if (session->leading == is_from_learner(message)) return std::nullopt;
  ZABMQ_CHECK(session->leading || session->sent != 0 ||
              std::holds_alternative<zab::CEpoch>(message));
  link.session = session->id;
  link.sequence = ++session->sent;
  return link;
}

Verdict Sessions::receive(const Frame& frame) {
  Peer* peer = addressed(frame);
  if (!peer || !same_cluster(frame)) return {};
  const Link& link = frame.link;
  const auto* message = std::get_if<zab::Message>(&frame.content);
  if (!message) return receive_control(*peer, link, std::get<Control>(frame.content));
  if (peer->session && link.session == peer->session->id) return receive_session(*peer, frame);
  if (ZABMQ_MUTANT(stale_session_accepted) && peer->session && link.session != 0 &&
      !is_opening(frame)) {
    return receive_session(*peer, frame);
  }
  if (!admits(*peer, link.incarnation, is_opening(frame))) {
    return receive_unheard(*peer, link.sender);
  }
  if (zab::is_datagram(*message)) return receive_datagram(*peer, link);
  if (is_opening(frame)) return receive_opening(*peer, link);
  return receive_unknown(*peer, link);
}

Sessions::Peer* Sessions::addressed(const Frame& frame) {
  const auto found = peers_.find(frame.link.sender);
  if (found == peers_.end()) {
    ++counters_.unknown_sender;
    return nullptr;
  }
  if (frame.link.receiver != self_) {
    ++counters_.other_receiver;
    return nullptr;
  }
  return &found->second;
}

// An empty server may talk to, and be talked to by, anybody: in datagrams, whose handshakes lib/zab
// compares. Sessions exist only inside a cluster.
bool Sessions::same_cluster(const Frame& frame) {
  const Uuid& theirs = frame.link.cluster;
  const bool one_is_empty = is_none(theirs) || is_none(cluster_);
  const auto* message = std::get_if<zab::Message>(&frame.content);
  const bool of_session =
      message ? !zab::is_datagram(*message) : std::get<Control>(frame.content) == Control::reset;
  if (one_is_empty ? !of_session : theirs == cluster_) return true;
  ++counters_.other_cluster;
  return false;
}

// Whether frames of this process of the peer are heard. An unknown one is taken for the next after
// a restart; but while a session stands with the one before, only its CEPOCH is: the others come
// from a process that has not been chosen as anybody's partner, and the PROBE will tell.
bool Sessions::admits(Peer& peer, std::uint64_t life, bool opens) {
  if (life == peer.heard.life) {
    peer.heard_last = true;
    return true;
  }
  const auto same_life = [&](const Heard& other) { return other.life == life; };
  if (std::any_of(peer.retired.begin(), peer.retired.end(), same_life)) {
    ++counters_.stale_life;
    return false;
  }
  if (peer.session && peer.session->life != 0 && !opens) {
    ++counters_.other_life;
    return false;
  }
  hear(peer, life);
  return true;
}

// From now on this process is the peer. What is known of it from an earlier time still holds.
void Sessions::hear(Peer& peer, std::uint64_t life) {
  if (life == peer.heard.life) return;
  Heard next{.life = life};
  const auto same_life = [&](const Heard& other) { return other.life == life; };
  const auto known = std::find_if(peer.retired.begin(), peer.retired.end(), same_life);
  if (known != peer.retired.end()) {
    next = *known;
    peer.retired.erase(known);
  }
  if (peer.heard.life != 0) peer.retired.push_back(peer.heard);
  if (peer.retired.size() > retired_lives_max) peer.retired.pop_front();
  peer.heard = next;
  peer.heard_last = true;
}

// Leftovers of a dead process come in one stretch, or nearly; a living one keeps taking turns.
void Sessions::note_turn(Peer& peer) {
  if (!std::exchange(peer.heard_last, false)) return;
  if (++peer.turns < turns_suspicious) return;
  peer.turns = 0;
  ++counters_.duplicate_ids;
}

Verdict Sessions::receive_unheard(Peer& peer, ServerId id) {
  note_turn(peer);
  if (peer.probe != 0 && ++peer.frames_since_probe < frames_per_probe) return {};
  peer.probe = next_probe_++;
  peer.frames_since_probe = 0;
  return {.reply = control_frame(id, Control::probe, peer.probe)};
}

Verdict Sessions::receive_control(Peer& peer, const Link& link, Control control) {
  switch (control) {
    case Control::reset:
      return receive_reset(peer, link);
    case Control::probe:
      return {.reply = control_frame(link.sender, Control::probe_answer, link.session)};
    case Control::probe_answer:
      return receive_probe_answer(peer, link);
  }
  return {};
}

// From whichever process of the peer: a restarted one answers for sessions it never had.
Verdict Sessions::receive_reset(Peer& peer, const Link& link) {
  if (!peer.session || peer.session->id != link.session) return {};
  peer.session.reset();
  ++counters_.ended_by_peer;
  return {.lost = true};
}

Verdict Sessions::receive_probe_answer(Peer& peer, const Link& link) {
  if (peer.probe == 0 || peer.probe != link.session) return {};
  peer.probe = 0;
  if (link.incarnation == peer.heard.life) return {.heard = true};
  const bool lost = peer.session && peer.session->life != 0;
  if (lost) {
    peer.session.reset();
    ++counters_.ended_by_other_life;
  }
  hear(peer, link.incarnation);
  return {.lost = lost, .heard = true};
}

Verdict Sessions::receive_datagram(Peer& peer, const Link& link) {
  if (link.sequence <= peer.heard.datagram) {
    ++counters_.stale_datagram;
    return {};
  }
  peer.heard.datagram = link.sequence;
  return {.deliver = true};
}

Verdict Sessions::receive_opening(Peer& peer, const Link& link) {
  if (link.session <= peer.heard.session) {
    ++counters_.stale_session;
    return {};
  }
  if (peer.session) {
    // The listener hears of the loss before the new session exists, so that what it does about the
    // old one cannot hit the new one.
    peer.session.reset();
    ++counters_.ended_by_replacement;
    return {.lost = true, .again = true};
  }
  peer.heard.session = link.session;
  peer.session = Session{
      .id = link.session, .leading = true, .life = link.incarnation, .sent = 0, .received = 1};
  ++counters_.sessions_opened;
  return {.deliver = true};
}

Verdict Sessions::receive_session(Peer& peer, const Frame& frame) {
  Session& session = *peer.session;
  const Link& link = frame.link;
  if (session.life == 0) {
    // Only a process that got our CEPOCH knows this session.
    hear(peer, link.incarnation);
    session.life = link.incarnation;
  }
  if (session.life != link.incarnation) {
    return break_session(peer, link.sender, &PeerCounters::ended_by_other_life);
  }
  peer.heard_last = true;
  if (link.sequence > session.received + 1 && !ZABMQ_MUTANT(session_gap_ignored)) {
    return break_session(peer, link.sender, &PeerCounters::ended_by_gap);
  }
  if (link.sequence <= session.received) {
    return break_session(peer, link.sender, &PeerCounters::ended_by_duplicate);
  }
  if (is_from_learner(std::get<zab::Message>(frame.content)) != session.leading) {
    return break_session(peer, link.sender, &PeerCounters::ended_by_direction);
  }
  session.received = link.sequence;
  // The first frame of a learner comes unasked; all others of a session answer something.
  return {.deliver = true, .heard = true};
}

// Tells the peer once in a while, not for each frame: it may have many under way.
Verdict Sessions::receive_unknown(Peer& peer, const Link& link) {
  ++counters_.unknown_session;
  const bool repeated = peer.reset_session == link.session;
  if (repeated && ++peer.frames_since_reset < frames_per_reset) return {};
  peer.reset_session = link.session;
  peer.frames_since_reset = 0;
  return {.reply = control_frame(link.sender, Control::reset, link.session)};
}

Verdict Sessions::break_session(Peer& peer, ServerId id, Reason reason) {
  ++(counters_.*reason);
  const std::uint64_t ended = peer.session->id;
  peer.session.reset();
  return {.lost = true, .reply = control_frame(id, Control::reset, ended)};
}

ControlFrame Sessions::control_frame(ServerId to, Control control, std::uint64_t subject) const {
  return {.link = {.cluster = cluster_,
                   .sender = self_,
                   .receiver = to,
                   .incarnation = incarnation_,
                   .session = subject,
                   .sequence = 0},
          .control = control};
}

}  // namespace zabmq::net
