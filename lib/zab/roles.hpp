// Roles: state that dies with the role. Nothing to reset, nothing stale to count.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>

#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab {

// Fast leader election, and founding as long as the server is no voter.
struct Looking {
  bool drained = false;  // the log writer and the identity record have reported all they were given
  std::uint64_t round = 0;
  Vote vote;                       // ours, as last sent
  std::map<ServerId, Vote> votes;  // of this round
  struct Heard {
    Vote vote;
    std::uint64_t at = 0;
  };
  std::map<ServerId, Heard>
      established;  // what servers that are not LOOKING say, whatever the round
  std::optional<std::uint64_t> decide_at;   // a quorum agrees; wait until then for a better vote
  std::optional<std::uint64_t> elected_at;  // we decided on somebody else and wait for its LEADING
  std::uint64_t resend_at = 0;

  struct Seen {
    StandingMessage message;
    std::uint64_t at = 0;
  };
  std::map<ServerId, Seen> standings;  // founding: who says what, and when it was heard
};

struct Following {
  ServerId leader = ServerId::none;
  Phase phase = Phase::discovery;
  std::uint64_t heard_at = 0;        // any frame of the session is a sign of life
  std::uint64_t phase_deadline = 0;  // discovery: a bounded wait
  Epoch epoch = Epoch::none;         // of NEWEPOCH
  bool promised = false;             // the ACK-E to send counts: the promise is new
  bool synchronizing = false;        // DIFF, TRUNC or SNAP was accepted: records may come
  // SNAP: what the history will replace, and comes back unless it is replaced.
  struct Replaced {
    History history;
    Zxid committed;
    Zxid state;  // delivered, once it is replaced
  };
  std::optional<Replaced> replaced;
  std::optional<Zxid> new_leader_at;  // last record before NEWLEADER
  bool acked_leader = false;          // ACK-LD was sent; ACKs may be
  bool up_to_date = false;
  bool marking = false;  // standing `voter` is being stored: ADMITTED is sent when it is
  Zxid reported;         // durable zxid as last told to the leader
};

struct Learner {
  bool counts = false;  // a voter in good standing: its answers count in quorums
  Uuid incarnation;
  Epoch accepted = Epoch::none;  // by CEPOCH
  bool admit_asked = false;      // admit is proposed once a session
  Furthest before;               // what it said in earlier sessions
  bool sent_new_epoch = false;
  std::optional<AckEpoch> ack_epoch;
  bool synchronizing = false;  // DIFF, TRUNC or SNAP was sent
  Zxid cursor;                 // records up to here are in its queue
  Zxid target;                 // NEWLEADER goes behind this record
  bool sent_new_leader = false;
  bool acked_leader = false;
  bool sent_up_to_date = false;
  Zxid durable;      // by ACK-LD, ACK or Progress
  Zxid told_commit;  // commit point it has been given
  std::uint64_t heard_at = 0;
  std::uint64_t progress_at = 0;  // last time it moved, or had nothing to do
  std::uint64_t ponged = 0;       // greatest heartbeat number echoed
};

struct Leading {
  Phase phase = Phase::discovery;
  std::uint64_t round = 0;           // election round that made us leader
  std::uint64_t phase_deadline = 0;  // discovery and synchronization: a bounded wait
  std::optional<Epoch> epoch;        // chosen; NEWEPOCH may be sent once it is durable here
  bool epoch_durable = false;
  bool current_durable = false;          // own ACK-LD
  std::map<ServerId, Learner> learners;  // open sessions only
  std::map<ServerId, Epoch> cepochs;     // acceptedEpoch of voters heard in open sessions
  std::set<ServerId> acked_epoch;        // counted ACK-Es; stay counted when the session is lost
  Zxid initial_end;                      // end of I_e', fixed when synchronization begins
  std::uint64_t ping_number = 0;
  std::uint64_t ping_at = 0;
  std::map<ServerId, std::uint64_t> heard_at;  // voters in good standing; survives their sessions
  std::map<ServerId, Furthest> furthest;       // of all learners; survives their sessions, too
  std::uint64_t round_asked = 0;               // quorum rounds: newest ticket given out
  std::uint64_t round_running = 0;  // ticket that the round under way will answer; 0 = none
  std::uint64_t round_ping = 0;     // heartbeat number a quorum must echo for it
  std::uint64_t round_done = 0;
};

using RoleState = std::variant<Looking, Leading, Following>;

}  // namespace zabmq::zab
