// Ready: what the core asks to be done, as data. Its documented order is the safety argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab {

// The durable record beside the history (paper: f.p and f.a; here with identity and standing), kept
// in one checksummed file so that its parts can never disagree.
struct Identity {
  Standing standing = Standing::empty;
  Uuid cluster;
  Uuid history;
  Uuid incarnation;  // drawn when the directory was created, and anew when it was found to be old
  Epoch accepted = Epoch::none;  // acceptedEpoch
  Epoch current = Epoch::none;   // currentEpoch; never above accepted
  std::uint32_t generation = 0;  // of the history on disk: raised when SNAP replaces it
  friend bool operator==(const Identity&, const Identity&) = default;
};

// The transaction that makes a wiped server a voter again. It names the incarnation, so that it
// means nothing to a server that was wiped once more.
struct Admit {
  ServerId server = ServerId::none;
  Uuid incarnation;
  friend bool operator==(const Admit&, const Admit&) = default;
};

// Compare the chain digest at `to` with the leader's, then cut everything behind it (nothing, if it
// is the last). Answered by Core::rewound.
struct Rewind {
  Zxid to;
  Digest digest = Digest::none;
};

// SNAP: from now on the log is another history, empty behind `floor`; the present one is kept, and
// `drain` brings it back. Answered by Core::rewound(true).
struct Install {
  Floor floor;
  std::uint32_t generation = 0;
};

// --- outputs, in the order in which they must enter the sessions' queues ---

struct OpenSession {
  ServerId leader = ServerId::none;
};  // learner: a fresh session; drop the old one's queues
struct CloseSession {
  ServerId peer = ServerId::none;
};  // both sides: drop what is queued to and from the peer
struct Send {
  ServerId to = ServerId::none;
  Message message;
};
struct Stream {  // records (after, up_to] of the history, as PROPOSE frames, in the peer's queue
  ServerId to = ServerId::none;
  Zxid after;
  Zxid up_to;
};
using Output = std::variant<OpenSession, CloseSession, Send, Stream>;

// --- events: for logs, counters and tests; never for control ---

struct Event {
  enum class Kind : std::uint8_t {
    role_changed,
    phase_changed,   // text: why
    dropped,         // a message that the state does not accept
    protocol_error,  // a peer sent what a correct one never sends; its session ends
    refused_peer,    // handshake mismatch; text has both values
    learner_lost,
    renounced,
    founded,
    adopted,
    wiped,
    admitted,  // a wiped server counts again
    alarm      // a damaged disk, an old copy of one, or a bug
  };
  Kind kind = Kind::dropped;
  ServerId peer = ServerId::none;
  std::string text;
};

// The driver performs the members from top to bottom. No member depends on the durability of
// another one in the same Ready: whatever must wait for a disk (zab.md 1.10) is put into a later
// Ready, after the core was told durable(), stored(), rewound() or drained().
struct Ready {
  // 1. History, in this order. `append` only after receive(PROPOSE): take the records of exactly
  //    that frame. (With `drain` when the same frame then ends the session.)
  bool append = false;
  std::optional<Rewind> rewind;
  std::optional<Install> install;
  // What was installed stays: this server's state is now that of the SNAP, and no `drain` brings
  // the old history back. On disk the identity record of the same Ready makes the switch.
  bool adopt = false;
  // Drop records that no write has begun to take, let running writes end, forget the sessions'
  // queues, then call drained() with the durable end. Until then the server has no role.
  bool drain = false;
  // 2. The identity record: tmp, fsync, rename, fsync of the directory, then stored(). Never two at
  // once.
  std::optional<Identity> store;
  // 3. Sessions, messages and streams, in this order for each peer.
  std::vector<Output> outputs;
  // 4. The transactions up to here are committed, and durable here: hand them to the state machine,
  //    the publishers' table and the subscribers.
  std::optional<Zxid> deliver_up_to;
  // 5. Quorum rounds up to this ticket are complete (Core::ask_quorum).
  std::optional<std::uint64_t> rounds_answered;
  // 6. Propose these (Core::propose) when there is room for a group; dropped with the leadership.
  std::vector<Admit> admit;
  // 7. Tell the world.
  std::vector<Event> events;
  // 8. Stop the server: committed data would be lost by going on. The text says which.
  std::optional<std::string> fatal;

  bool empty() const {
    return !append && !rewind && !install && !adopt && !drain && !store && outputs.empty() &&
           !deliver_up_to && !rounds_answered && admit.empty() && events.empty() && !fatal;
  }
};

}  // namespace zabmq::zab
