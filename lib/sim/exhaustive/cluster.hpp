// Cluster: three servers, the channels between them and a ghost, as a handful of numbers, and every
// step that can follow.
//
// What a step may be was chosen so that no behaviour is lost and as few steps as possible are
// needed for it (docs/testing.md says why each of these is enough):
//   - a crash is a power loss and the restart; a cut ends a session, and the partition heals when
//     the learner comes back;
//   - frames to and from a server that crashes, and of a session that ends, are lost: those that
//     were not were delivered before;
//   - CEPOCH arrives with the step that opens the session;
//   - a learner hears at once that its session is over, a leader at any time later;
//   - coarse: all frames that wait for a server on a session arrive together, and an identity
//     record is stored at once;
//   - with free elections any LOOKING server may be elected, and followed, at any time.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/exhaustive/ghost.hpp"
#include "sim/exhaustive/server.hpp"

namespace zabmq::sim::exhaustive {

// How often each of these may happen on the way.
struct Limits {
  std::uint8_t transactions = 2;
  std::uint8_t crashes = 3;
  std::uint8_t cuts = 2;
  std::uint8_t pauses = 1;  // a leader with a quorum, or a server that waits, hears nobody
  std::uint8_t elections = 3;
  std::uint8_t questions = 0;
  std::uint8_t wipes = 0;  // one at a time: a minority is damaged
};

// The session of a pair of servers: at most one, in whichever direction.
struct Channel {
  std::array<bool, 2> open{};  // as the server with the lower id sees it, and the other
  bool dead = false;           // nothing goes through; whoever has it open will be told
  std::array<std::vector<std::uint32_t>, 2> to;  // frames on their way
};

inline constexpr std::uint32_t pairs_count = 3;

// Everything is an index into a table, so two states are equal when these numbers are.
struct State {
  std::array<std::uint32_t, servers_count> servers{};
  std::array<std::uint32_t, pairs_count> channels{};
  std::uint32_t ghost = 0;
  std::uint32_t mail = 0;  // real elections: the newest datagrams
  std::uint32_t used = 0;  // of the limits, four bits each
  friend bool operator==(const State&, const State&) = default;
};

struct Action {
  enum class Kind : std::uint8_t {
    deliver,  // the next frame a -> b; coarse: all of them
    told,     // a hears that its session with b is over
    durable,  // extra: so many more records
    stored,
    rewound,
    drained,
    propose,
    ask,
    elect,   // a, by itself and b; b follows
    follow,  // a follows b
    crash,   // extra: unsynced records kept, then the bits below
    cut,     // a and b
    silent,
    mail,  // the newest VOTE (extra 0) or STANDING (extra 1) a -> b
    tick,
    wipe
  };
  static constexpr std::uint8_t identity_kept = 0x40;
  static constexpr std::uint8_t rewind_kept = 0x80;

  Kind kind = Kind::tick;
  std::uint8_t a = 0;  // servers from 0
  std::uint8_t b = 0;
  std::uint8_t extra = 0;
};

std::string to_string(const Action& action);

class Cluster {
 public:
  Cluster(Limits limits, Elections elections, Grain grain)
      : limits_(limits), elections_(elections), grain_(grain), servers_(elections, grain, frames_) {
    channels_.push_back({});
    mails_.push_back({});
    ghosts_.intern({});
  }

  // Three servers that start with this disk, and nothing on the way.
  State start(const Disk& disk);
  // The state with one server restarted from another disk: an old copy, say.
  State with_disk(State state, std::uint32_t at, const Disk& disk, Zxid delivered);
  void set_limits(const Limits& limits) { limits_ = limits; }

  void actions(const State& state, std::vector<Action>& out) const;
  // The state afterwards. `lines`, when not null, are told what happens.
  State take(const State& before, const Action& action, Violations& violations, Lines* lines);

  // One line for each server.
  void describe(const State& state, Lines& lines) const;

  const Servers& servers() const { return servers_; }
  const Server& server(const State& state, std::uint32_t at) const {
    return servers_[state.servers[at]];
  }
  std::size_t channels() const { return channels_.size(); }
  const Ghost& ghost(const State& state) const { return ghosts_[state.ghost]; }
  std::size_t ghosts() const { return ghosts_.size(); }

 private:
  using Mail = std::array<std::uint32_t, 2 * servers_count * servers_count>;  // 0, or frame + 1

  // The state under change: channels are taken out of the table when first touched.
  struct Work {
    State state;
    std::array<Channel, pairs_count> channels;
    std::array<bool, pairs_count> touched{};
    Mail mail{};
    bool mail_touched = false;
    Violations* violations = nullptr;
    Lines* lines = nullptr;
  };

  void server_actions(const State& state, std::uint8_t at, std::vector<Action>& out) const;
  void channel_actions(const State& state, std::uint8_t a, std::uint8_t b,
                       std::vector<Action>& out) const;
  void free_elections(const State& state, std::vector<Action>& out) const;
  void real_elections(const State& state, std::vector<Action>& out) const;
  void crashes(const State& state, std::uint8_t at, std::vector<Action>& out) const;
  bool has_live_quorum(const State& state, std::uint8_t at) const;

  void perform(Work& work, const Action& action);
  void deliver(Work& work, std::uint8_t from, std::uint8_t to);
  void crash(Work& work, const Action& action);
  void wipe(Work& work, std::uint8_t at);
  void lose_sessions(Work& work, std::uint8_t at);
  void tell(Work& work, std::uint8_t at, std::uint8_t peer);
  void tell_learner(Work& work, std::uint8_t a, std::uint8_t b);
  void step(Work& work, std::uint8_t at, const Input& input);
  void check(Work& work, std::uint8_t at, std::uint32_t before, const Effect& effect);
  void output(Work& work, std::uint8_t from, const Output& output);
  void open(Work& work, std::uint8_t learner, std::uint8_t leader);
  void close(Work& work, std::uint8_t self, std::uint8_t peer);
  void send(Work& work, std::uint8_t from, std::uint8_t to, std::uint32_t frame);
  Channel& touch(Work& work, std::uint8_t a, std::uint8_t b);
  const Channel& channel(const State& state, std::uint8_t a, std::uint8_t b) const;
  Mail& touch_mail(Work& work);
  State finish(Work& work);
  std::uint32_t intern(Channel&& channel);
  std::uint32_t intern(const Mail& mail);

  Limits limits_;
  Elections elections_;
  Grain grain_;
  Frames frames_;
  Servers servers_;
  Ghosts ghosts_;
  std::deque<Channel> channels_;
  std::unordered_map<std::uint64_t, std::uint32_t> channel_ids_;
  std::deque<Mail> mails_;
  std::unordered_map<std::uint64_t, std::uint32_t> mail_ids_;
};

}  // namespace zabmq::sim::exhaustive
