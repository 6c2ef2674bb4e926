// Network: sessions and datagrams between servers. A session is FIFO and ends rather than lose
// anything; who learns of its end, and when, is the test's choice. Datagrams may do anything.
//
// Like lib/net it knows what each side believes: the learner's newest session with a leader begins
// at open(), the leader's when it takes that session's CEPOCH, and a frame of any other is dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "zab/harness/record.hpp"
#include "zab/message.hpp"

namespace zabmq::zab::test {

inline constexpr std::size_t datagrams_queued_max = 16;  // for each ordered pair; the oldest go

struct Frame {
  Message message;
  std::vector<Record> records;  // PROPOSE only
};

class Network {
 public:
  // Something that can arrive now: the front of a session's queue, a datagram, or the news that a
  // session has ended.
  struct Arrival {
    enum class Kind : std::uint8_t { frame, datagram, loss };
    Kind kind = Kind::frame;
    ServerId from = ServerId::none;
    ServerId to = ServerId::none;
    std::uint64_t session = 0;
    std::size_t at = 0;  // datagrams: position in their queue
  };
  using Hold = std::function<bool(ServerId from, ServerId to, const Message&)>;

  // --- what drivers call ---
  void open(ServerId learner, ServerId leader);
  void close(ServerId self, ServerId peer);  // self is not told, the peer is
  void forget(ServerId self);                // all sessions of `self`; the peers are told
  // False: there is no such session, or the other side has ended it; the message is gone.
  bool send(ServerId from, ServerId to, Frame frame);
  // The session in which `from` would send to `to` now; 0 = none.
  std::uint64_t session_of(ServerId from, ServerId to, bool as_learner) const;

  // --- what tests do ---
  std::vector<Arrival> arrivals() const;  // in a fixed order
  const Message& peek(const Arrival& arrival) const;
  std::optional<Frame> take(
      const Arrival& arrival);  // nullopt: a loss, or a frame nobody wants any more
  void duplicate(const Arrival& datagram);
  void drop(const Arrival& datagram);
  void lose(ServerId a, ServerId b);  // every session between them ends; both are told
  void crash(ServerId id, bool peers_told, std::size_t frames_kept_max);
  void cut(ServerId from, ServerId to) { cut_.insert({from, to}); }
  void heal() { cut_.clear(); }
  bool is_cut(ServerId from, ServerId to) const { return cut_.contains({from, to}); }
  void hold(Hold hold) { hold_ = std::move(hold); }
  std::size_t frames_in_flight() const;

 private:
  struct Session {
    ServerId learner = ServerId::none;
    ServerId leader = ServerId::none;
    bool learner_open = true;
    bool leader_open = false;  // since its CEPOCH was taken
    bool cepoch_sent = false;
    std::deque<Frame> to_leader = {};
    std::deque<Frame> to_learner = {};
  };
  struct Loss {
    ServerId to = ServerId::none;
    std::uint64_t session = 0;
  };
  using Pair = std::pair<ServerId, ServerId>;

  bool may_pass(ServerId from, ServerId to, const Message& message) const;
  bool wanted(const Session& session, ServerId to) const;
  void end_side(std::uint64_t id, Session& session, ServerId self, bool tell_peer);
  bool still_open(const Loss& loss) const;
  void sweep();

  std::uint64_t newest_ = 0;
  std::map<std::uint64_t, Session> sessions_;
  std::deque<Loss> losses_;
  std::map<Pair, std::deque<Message>> datagrams_;
  std::set<Pair> cut_;
  Hold hold_;
};

// True for what a learner says to its leader, false for what a leader says to its learner.
bool is_from_learner(const Message& message);

}  // namespace zabmq::zab::test
