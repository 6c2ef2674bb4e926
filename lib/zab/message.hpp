// Message: what servers say to each other, one struct a message, named as in the Zab paper.
//
// VOTE and STANDING are datagrams: each stands alone, the newest counts. All others belong to one
// session between a learner and a leader, which CEPOCH opens and in which nothing is lost,
// duplicated or reordered: a session that cannot keep that promise ends.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "zab/history.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab {

// What a server's directory says it is. Only a voter takes part in elections and counts anywhere.
enum class Standing : std::uint8_t {
  empty,     // no cluster yet
  founding,  // has the ids of a cluster that is being founded
  voter,     // a full member
  wiped      // has forgotten its promises (empty, or an old copy): follows, counts nowhere
};

// Carried by every message that can start a conversation. Two servers talk only when all agree.
struct Handshake {
  std::uint32_t version_min = 1;  // protocol versions spoken
  std::uint32_t version_max = 1;
  Uuid cluster;  // all zero: the sender is empty
  Uuid history;
  std::uint64_t config_version = 0;
  std::uint64_t voter_set_hash = 0;
  friend bool operator==(const Handshake&, const Handshake&) = default;
};

// --- datagrams ---

// Fast leader election: "I (sender) am for `leader`". Ordered by (current_epoch, last, leader).
struct Vote {
  Handshake handshake;
  ServerId leader = ServerId::none;   // the server voted for
  Epoch current_epoch = Epoch::none;  // its currentEpoch
  Zxid last;                          // its last durable zxid
  std::uint64_t round = 0;            // the sender's election round
  Role role = Role::looking;          // the sender's own role
  Phase phase = Phase::election;      // the sender's own phase; LEADING in broadcast = established
  friend bool operator==(const Vote&, const Vote&) = default;
};

// Founding, and how an empty server finds the established leader.
struct StandingMessage {
  Handshake handshake;
  Standing standing = Standing::empty;
  ServerId leader =
      ServerId::none;   // whom the sender follows in broadcast, or itself; none = nobody
  bool answer = false;  // answers are not answered
  friend bool operator==(const StandingMessage&, const StandingMessage&) = default;
};

// --- learner to leader ---

struct CEpoch {  // opens the session
  Handshake handshake;
  Standing standing = Standing::voter;
  Uuid incarnation;              // of the directory
  Epoch accepted = Epoch::none;  // f.p, the last promise
  friend bool operator==(const CEpoch&, const CEpoch&) = default;
};
struct AckEpoch {  // ACK-E: the promise is durable
  Epoch epoch = Epoch::none;
  bool promised = false;        // false: promised before, so it does not count (ZK answers -1)
  Epoch current = Epoch::none;  // f.a
  History history;              // its durable history: floor and newest entries
  friend bool operator==(const AckEpoch&, const AckEpoch&) = default;
};
struct Progress {
  Zxid durable;
  friend bool operator==(const Progress&, const Progress&) = default;
};  // before ACK-LD; counts only for window and time-outs
struct AckLeader {
  Epoch epoch = Epoch::none;
  friend bool operator==(const AckLeader&, const AckLeader&) = default;
};  // ACK-LD: history and currentEpoch are durable
struct Ack {
  Zxid durable;
  friend bool operator==(const Ack&, const Ack&) = default;
};  // cumulative, only after ACK-LD
struct Pong {
  std::uint64_t number = 0;
  friend bool operator==(const Pong&, const Pong&) = default;
};
struct Admitted {
  Uuid incarnation;
  friend bool operator==(const Admitted&, const Admitted&) = default;
};  // a wiped server has delivered its admit, and its standing `voter` is durable

// --- leader to learner ---

// The furthest that a learner said was durable, in this leader's reign. Whoever has less, in the
// same incarnation, runs on an old copy of its directory.
struct Furthest {
  Uuid incarnation = {};  // all zero: nothing is claimed
  bool voter = false;
  Epoch accepted = Epoch::none;
  Epoch current = Epoch::none;
  Zxid durable = {};
  friend bool operator==(const Furthest&, const Furthest&) = default;
};
struct NewEpoch {
  Handshake handshake;
  Epoch epoch = Epoch::none;
  Furthest furthest;  // of the receiver; told by an established leader with a quorum of others
  friend bool operator==(const NewEpoch&, const NewEpoch&) = default;
};
// How synchronization begins: the learner's history goes on behind `common`. `digest` is the chain
// digest there; the core leaves it empty and the sender's replica fills it in from its own log.
struct Diff {
  Zxid common;
  Digest digest = Digest::none;
  friend bool operator==(const Diff&, const Diff&) = default;
};  // nothing to cut
struct Trunc {
  Zxid common;
  Digest digest = Digest::none;
  friend bool operator==(const Trunc&, const Trunc&) = default;
};  // cut what is behind `common`
// SNAP: the learner's history is replaced by another one, which begins behind `floor` and whose
// server state, up to the transaction `state`, comes with it in `parts` frames. The core leaves all
// but the floor empty; the replicas put them in and take them out.
struct Snap {
  Floor floor;
  LogTime time = 0;  // of the floor
  Zxid state = {};
  std::uint32_t part = 0;  // from 0
  std::uint32_t parts = 1;
  friend bool operator==(const Snap&, const Snap&) = default;
};
// Learner to leader: it has this part of a SNAP. Answered by lib/replica.
struct StateTaken {
  std::uint32_t part = 0;
  friend bool operator==(const StateTaken&, const StateTaken&) = default;
};
// PROPOSE: a frame of records. The core sees only which; the bytes go past it.
struct Propose {
  std::vector<Run> runs;  // what the frame holds, in order; never empty
  Zxid commit;            // commit point, as far as this session has the records
  friend bool operator==(const Propose&, const Propose&) = default;
};
struct NewLeader {
  Epoch epoch = Epoch::none;
  friend bool operator==(const NewLeader&, const NewLeader&) = default;
};
struct UpToDate {
  Epoch epoch = Epoch::none;
  Zxid commit;
  friend bool operator==(const UpToDate&, const UpToDate&) = default;
};
struct Commit {
  Zxid commit;
  friend bool operator==(const Commit&, const Commit&) = default;
};
struct Ping {
  std::uint64_t number = 0;
  Zxid commit;
  friend bool operator==(const Ping&, const Ping&) = default;
};

// --- about the cluster's end; answered by lib/replica, the core never sees them ---

// Learner to leader: what is committed by now? The answer is true at some moment after the
// question.
struct EndQuestion {
  std::uint64_t number = 0;
  friend bool operator==(const EndQuestion&, const EndQuestion&) = default;
};
struct EndAnswer {
  std::uint64_t number = 0;  // of the question
  Offset offset = 0;         // last committed
  Zxid zxid;
  friend bool operator==(const EndAnswer&, const EndAnswer&) = default;
};

// --- publishing through a server that does not lead; handled by lib/replica, the core never sees
// them ---

// Learner to leader: a publisher's request, as its client sent it. The body of a PUBLISH goes with
// it, past the core.
struct Forward {
  std::uint64_t number = 0;  // of the request; grows while the learner's process lives
  Uuid publisher;
  std::vector<std::byte> frame;  // the client's frame, without its body
  friend bool operator==(const Forward&, const Forward&) = default;
};
// None for a batch that is taken: the learner tells when it has delivered it.
struct ForwardAnswer {
  std::uint64_t number = 0;      // of the request
  std::vector<std::byte> frame;  // for the client
  friend bool operator==(const ForwardAnswer&, const ForwardAnswer&) = default;
};

using Message =
    std::variant<Vote, StandingMessage, CEpoch, AckEpoch, Progress, AckLeader, Ack, Pong, NewEpoch,
                 Diff, Trunc, Snap, Propose, NewLeader, UpToDate, Commit, Ping, EndQuestion,
                 EndAnswer, Admitted, StateTaken, Forward, ForwardAnswer>;

// The paper's name in capitals ("ACK-E"), for events, counters and golden conversations.
const char* name_of(const Message& message);

inline bool is_datagram(const Message& message) {
  return std::holds_alternative<Vote>(message) || std::holds_alternative<StandingMessage>(message);
}

}  // namespace zabmq::zab
