// Core: the Zab protocol of one server as a pure function. No I/O, threads, clock or randomness:
// calls come in, one Ready comes out. It holds metadata only; records pass it by.
//
// The driver's loop, after every call below (several calls may share one take_ready, except that
// receive(PROPOSE) is followed by it at once):
//
//   core.receive(from, message);
//   perform(core.take_ready());      // in the order documented on Ready
//
// One thread; nothing blocks; a bad message becomes an Event, never an error.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "zab/config.hpp"
#include "zab/history.hpp"
#include "zab/message.hpp"
#include "zab/ready.hpp"
#include "zab/roles.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab {

struct Options {
  std::uint64_t heartbeat_ms = 100;
  std::uint64_t peer_timeout_ms = 1000;  // a silent peer is lost
  std::uint64_t finalize_wait_ms = 200;  // a quorum agrees on a vote: wait for a better one
  std::uint64_t discovery_timeout_ms = 2000;
  std::uint64_t sync_timeout_ms = 10000;  // without progress
  std::uint64_t renounce_interval_ms = 5000;
};

// Ids drawn by the composition root: of the cluster, if this server founds one; of the directory,
// if it is found to be an old copy.
struct FreshIds {
  Uuid cluster;
  Uuid history;
  Uuid incarnation;
};

class Core {
 public:
  // `identity` and `history` as recovered: all of it durable. `delivered` is the last transaction
  // known to be committed (from the newest mark); it lies in the history.
  Core(ServerId self, Config config, Options options, Identity identity, History history,
       Zxid delivered, FreshIds ids);

  // --- inputs ---

  // A message of the current session with `from`, or a datagram. For PROPOSE the driver has checked
  // that the records are whole and continue the log; it takes them only if the Ready says `append`.
  void receive(ServerId from, const Message& message);

  // Monotonic time, at least every 10 ms. A gap above the peer time-out means we were paused: a
  // leader or follower goes LOOKING. `disk_stuck`: an own write has not returned for so long that
  // heartbeats must stop.
  void tick(std::uint64_t now_ms, bool disk_stuck = false);

  // Leader in broadcast: the next transaction gets this zxid; the driver appends it to the log and
  // the core streams it to every learner. nullopt: not leading in broadcast.
  std::optional<Zxid> propose();

  // Leader in broadcast: ask a quorum whether we still lead. The answer comes as
  // Ready::rounds_answered >= the ticket; never, if leadership is lost first. nullopt: not leading
  // in broadcast.
  std::optional<std::uint64_t> ask_quorum();

  // The learner takes what is sent to it and passes the core by: the state of a SNAP.
  void progressed(ServerId learner);

  void session_lost(ServerId peer);  // the channel's promise is broken; told once a session

  // The log has freed what lies at or below `floor`, all of it delivered.
  void raise_floor(const Floor& floor);

  // A delivered transaction was this admit. Told of each, whomever it names.
  void delivered_admit(Zxid zxid, const Admit& admit);

  // --- completions ---

  void durable(Zxid up_to);    // all records up to here are on disk
  void stored();               // the identity record of the last `store` is on disk
  void rewound(bool matched);  // the digest at Rewind::to matched and the cut is durable; false: it
                               // did not match, nothing was cut
  void drained(Zxid durable_end);

  [[nodiscard]] Ready take_ready();

  // --- state, for status, the driver and tests ---

  ServerId self() const { return self_; }
  const Config& config() const { return config_; }
  Role role() const;
  Phase phase() const;
  ServerId leader() const;  // whom we lead or follow; none while LOOKING
  bool leading_in_broadcast() const;
  const Identity& identity() const { return identity_; }
  Standing standing() const { return standing_; }      // durable: what may be said
  const History& history() const { return history_; }  // everything logged, durable or not
  Zxid last_logged() const { return history_.last(); }
  Zxid last_durable() const { return durable_; }
  Zxid last_committed() const { return committed_; }
  Zxid last_delivered() const { return delivered_; }
  Zxid initial_end() const;  // leading: the end of I_e'; else none
  bool taking_part() const;  // false while draining: nothing may enter the log
  const RoleState& role_state() const { return role_; }

 private:
  friend struct CoreState;  // lib/sim: all that is below, for state hashing

  // core.cpp: inputs and transitions
  void become_looking(const std::string& why);
  void take_back(Following& self);
  void become_leading();
  void become_following(ServerId leader, const std::string& why);
  void enter(Phase& phase, Phase next, const std::string& why);
  void advance();  // whatever the state now allows, for the current role
  void store(const Identity& wanted);
  void send(ServerId to, Message message);
  void drop(ServerId from, const Message& message, const std::string& why);
  void note(Event::Kind kind, ServerId peer, std::string text);
  void deliver();
  void distrust(ServerId peer);
  bool trusted(ServerId peer) const;
  Handshake handshake() const;
  bool accepts(ServerId from, const Handshake& theirs);
  void stop(const std::string& why);  // fatal: nothing happens any more
  void close_session(ServerId peer);
  void to_other_voters(const Message& message);

  // election.cpp: LOOKING, votes
  void begin_election(Looking& self);
  void step_looking(Looking& self, ServerId from, const Message& message);
  void on_vote(Looking& self, ServerId from, const Vote& vote);
  void answer_vote(ServerId from, const Vote& vote);
  void tick_looking(Looking& self);
  void take_vote(Looking& self, const Vote& vote);
  void count_votes(Looking& self);
  bool follow_established(Looking& self);
  void decide(Looking& self);
  void broadcast_vote(Looking& self);
  Vote own_vote() const;
  Vote current_vote() const;

  // founding.cpp: empty directories
  void on_standing(ServerId from, const StandingMessage& message);
  void tick_founding(Looking& self);
  void advance_founding(Looking& self);
  void advance_empty(Looking& self);
  void advance_half_founded(Looking& self);
  void find_leader_as_wiped(Looking& self);
  void adopt(Standing standing, const Uuid& cluster, const Uuid& history);
  StandingMessage own_standing(bool answer) const;

  // admit.cpp: a wiped server becomes a voter again; an old copy of a directory is found out
  void ask_to_admit(Leading& self);
  void on_admitted(Leading& self, ServerId from, Learner& learner, const Admitted& message);
  void remember(Leading& self, ServerId id, const Learner& learner);
  Furthest claim(const Leading& self, ServerId id, const Learner& learner) const;
  bool is_old_copy(const Furthest& furthest) const;
  void become_wiped(Following& self, const Furthest& furthest);

  // follower.cpp: Following, as a learner
  void step_following(Following& self, ServerId from, const Message& message);
  void on_new_epoch(Following& self, const NewEpoch& message);
  void on_sync_start(Following& self, Zxid common, Digest digest);
  bool in_order(const Following& self, const Propose& message) const;
  void on_snap(Following& self, const Snap& message);
  void adopt_installed(Following& self, Identity& wanted);
  void on_propose(Following& self, const Propose& message);
  void on_new_leader(Following& self, const NewLeader& message);
  void on_up_to_date(Following& self, const UpToDate& message);
  void on_commit(Following& self, Zxid commit);
  void on_ping(Following& self, const Ping& message);
  void advance_following(Following& self);
  void tick_following(Following& self);
  void end_session(Following& self, const std::string& why);

  // leader.cpp: Leading
  void step_leading(Leading& self, ServerId from, const Message& message);
  void on_cepoch(Leading& self, ServerId from, const CEpoch& message);
  void on_ack_epoch(Leading& self, ServerId from, Learner& learner, const AckEpoch& message);
  void on_ack_leader(Leading& self, ServerId from, Learner& learner, const AckLeader& message);
  void on_ack(Leading& self, ServerId from, Learner& learner, Zxid durable);
  void advance_leading(Leading& self);
  void advance_discovery(Leading& self);
  void advance_synchronization(Leading& self);
  void establish(Leading& self);
  void start_sync(Leading& self, ServerId id, Learner& learner);
  void feed_learners(Leading& self);  // streams, NEWLEADER, UPTODATE, COMMIT
  void stream(ServerId id, Learner& learner);
  void tell_commit(ServerId id, Learner& learner, bool streamed);
  void commit_by_counting(Leading& self);
  void advance_round(Leading& self);
  void tick_leading(Leading& self);
  void ping_learners(Leading& self);
  void end_session(Leading& self, ServerId from, const std::string& why);
  void lose_learner(Leading& self, ServerId id, const std::string& why);
  void forget_learner(Leading& self, ServerId id, const std::string& why);  // its session has ended

  ServerId self_;
  Config config_;
  Options options_;
  FreshIds fresh_ids_;

  Identity identity_;  // as last asked to be stored; durable when !storing_
  bool storing_ = false;
  Standing standing_;  // durable
  History history_;    // everything logged
  Zxid durable_;
  Zxid committed_;
  Zxid delivered_;

  std::uint64_t now_ms_ = 0;
  bool ticked_ = false;
  bool disk_stuck_ = false;
  bool stopped_ = false;     // Ready::fatal was given: nothing happens any more
  std::uint64_t round_ = 0;  // election round, kept across roles
  std::map<ServerId, std::uint64_t> distrusted_until_;  // candidates that did not answer
  std::uint64_t renounce_allowed_at_ = 0;
  Epoch accepted_seen_ = Epoch::none;  // greatest acceptedEpoch heard from anyone, in any role
  std::optional<Zxid> rewinding_to_;   // the history is being compared and cut

  RoleState role_;
  Ready ready_;
};

}  // namespace zabmq::zab
