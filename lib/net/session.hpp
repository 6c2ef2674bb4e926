// Sessions: the rules that turn a lossy, reconnecting transport into Zab's channel, for one server
// and all its peers. A pure state machine: frames and calls in, verdicts and stamps out; no
// sockets, no clock, and randomness only from the function handed in.
//
// 1. A session carries every frame of its sender exactly once and in order, or it ends.
// 2. A learner opens it with CEPOCH as frame 1; both directions number their frames from 1.
// 3. At most one session a peer, in whichever direction; a peer's CEPOCH replaces the old one.
// 4. The end of a session that did not end by our own call is told exactly once.
// 5. A datagram is delivered only if no newer one of the same process was.
// 6. Of a peer's processes one is heard, the newest as far as can be known. For frames of another a
//    PROBE is sent; only a living process at the peer's address can answer, and it is the one to
//    hear. So neither a dead process's leftovers nor a second process with the same server id,
//    started by mistake somewhere else, takes the place of the real one for long.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "net/peer_codec.hpp"
#include "net/peer_counters.hpp"
#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::net {

inline constexpr std::size_t retired_lives_max = 8;  // remembered for each peer
inline constexpr unsigned turns_suspicious = 8;      // of two processes with one server id
inline constexpr unsigned frames_per_reset = 16;     // of an unknown session
inline constexpr unsigned frames_per_probe = 16;     // of a process that is not heard

using Nonces = std::function<std::uint64_t()>;
using Reason = std::uint64_t PeerCounters::*;  // the counter of the sessions that ended so

struct ControlFrame {
  Link link;
  Control control = Control::reset;
};

// What to do about a received frame, in this order.
struct Verdict {
  bool lost = false;     // tell the listener that the session with the sender is lost
  bool again = false;    // then hand in the same frame once more: it opens the next session
  bool deliver = false;  // hand the message to the listener
  bool heard = false;    // the sender can only say this because it has heard us
  std::optional<ControlFrame> reply = std::nullopt;  // send it to the sender
};

class Sessions {
 public:
  Sessions(ServerId self, const std::vector<ServerId>& peers, const Nonces& nonces);

  void set_cluster(const Uuid& cluster) { cluster_ = cluster; }
  std::uint64_t incarnation() const { return incarnation_; }
  bool has_session(ServerId peer) const;

  // Learner: a fresh session, whose first frame will be CEPOCH. The old one is forgotten.
  void open(ServerId leader);
  // The session is over by our own doing. A frame: the peer has heard of it and must be told.
  std::optional<ControlFrame> close(ServerId peer, Reason reason = &PeerCounters::ended_by_us);
  // The transport may have lost frames to or from the peer. True: tell the listener.
  bool lose(ServerId peer);
  // A frame that cannot be read came from this life of the peer. True: tell the listener.
  bool corrupt(ServerId peer, std::uint64_t incarnation);

  // A question that only the process at the peer's address can answer.
  std::optional<ControlFrame> probe(ServerId peer);

  // The link of the next frame to `to`. nullopt: no such peer, or no session to say this in.
  std::optional<Link> stamp(ServerId to, const zab::Message& message);

  Verdict receive(const Frame& frame);

  PeerCounters& counters() { return counters_; }
  const PeerCounters& counters() const { return counters_; }

 private:
  struct Session {
    std::uint64_t id = 0;
    bool leading = false;    // the peer is the learner
    std::uint64_t life = 0;  // the peer's incarnation; 0: not heard yet
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };
  struct Heard {  // what came from one process of a peer
    std::uint64_t life = 0;
    std::uint64_t datagram = 0;  // its newest number
    std::uint64_t session = 0;   // its newest session
  };
  struct Peer {
    std::optional<Session> session;  // once its life is known, it is heard.life
    Heard heard;
    std::deque<Heard> retired;        // its other processes
    bool heard_last = false;          // the last frame was of heard.life
    unsigned turns = 0;               // how often it was followed by another life's
    std::uint64_t reset_session = 0;  // last answered to be unknown
    unsigned frames_since_reset = 0;
    std::uint64_t probe = 0;  // not answered yet; 0: none
    unsigned frames_since_probe = 0;
  };

  Peer* addressed(const Frame& frame);
  bool same_cluster(const Frame& frame);
  bool admits(Peer& peer, std::uint64_t life, bool opens);
  void hear(Peer& peer, std::uint64_t life);
  void note_turn(Peer& peer);
  Verdict receive_control(Peer& peer, const Link& link, Control control);
  Verdict receive_reset(Peer& peer, const Link& link);
  Verdict receive_probe_answer(Peer& peer, const Link& link);
  Verdict receive_datagram(Peer& peer, const Link& link);
  Verdict receive_opening(Peer& peer, const Link& link);
  Verdict receive_session(Peer& peer, const Frame& frame);
  Verdict receive_unknown(Peer& peer, const Link& link);
  Verdict receive_unheard(Peer& peer, ServerId id);
  Verdict break_session(Peer& peer, ServerId id, Reason reason);
  ControlFrame control_frame(ServerId to, Control control, std::uint64_t subject) const;

  ServerId self_;
  Uuid cluster_;
  std::uint64_t incarnation_;
  std::uint64_t next_session_;  // drawn once, then counted up: a delayed CEPOCH shows its age
  std::uint64_t next_probe_;    // likewise, so that nobody answers for a process before us
  std::uint64_t datagrams_sent_ = 0;
  std::map<ServerId, Peer> peers_;
  PeerCounters counters_;
};

}  // namespace zabmq::net
