// EndQuestions: "what is committed by now?", asked by subscriptions of this server and, at a
// leader, by its learners. All that wait share one round, and one round is under way at a time. A
// leader's round is a quorum round of the core; a learner's is one question to its leader.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::replica {

struct End {
  Offset offset = 0;
  Zxid zxid;
  friend bool operator==(const End&, const End&) = default;
};

class EndQuestions {
 public:
  // nullopt: no answer within the time-out.
  using Answer = std::function<void(std::uint64_t asker, std::optional<End>)>;
  using PeerAnswer = std::function<void(ServerId peer, std::uint64_t number, End)>;

  EndQuestions(std::uint64_t timeout_ms, Answer answer, PeerAnswer peer_answer)
      : timeout_ms_(timeout_ms), answer_(std::move(answer)), peer_answer_(std::move(peer_answer)) {}

  void ask(std::uint64_t asker);
  void withdraw(std::uint64_t asker);
  // A learner asks us; its newer question replaces its older one.
  void ask_for(ServerId peer, std::uint64_t number);
  void withdraw_peer(ServerId peer) { peers_.erase(peer); }
  void withdraw_peers() { peers_.clear(); }

  // True: somebody waits and no round is under way.
  bool wants_round() const;
  // Everybody who waits takes part in it. `number` is never used twice.
  void begin_round(std::uint64_t number);
  void end_round(std::uint64_t number,
                 End end);  // of another round than the one under way: nothing
  void forget_round();      // its answer will not come: ask again
  std::optional<std::uint64_t> round() const { return round_; }

  void tick(std::uint64_t now_ms);

 private:
  struct Waiting {
    std::uint64_t asker = 0;
    std::uint64_t deadline_ms = 0;
    bool in_round = false;
  };
  struct PeerWaiting {
    std::uint64_t number = 0;
    bool in_round = false;
  };

  std::uint64_t timeout_ms_;
  Answer answer_;
  PeerAnswer peer_answer_;
  std::uint64_t now_ms_ = 0;
  std::optional<std::uint64_t> round_;
  std::vector<Waiting> waiting_;  // in the order of asking, so of deadlines
  std::map<ServerId, PeerWaiting> peers_;
};

}  // namespace zabmq::replica
