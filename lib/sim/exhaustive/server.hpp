// Server: a real Core with its disk, as a value, and what one input makes of it.
//
// A step depends on nothing but the server and the input. So the explorer keeps every server state
// it has ever met once (Servers), and does each step once, however many states of the whole cluster
// contain it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/exhaustive/disk.hpp"
#include "sim/exhaustive/fingerprint.hpp"
#include "zab/core.hpp"

namespace zabmq::sim::exhaustive {

inline constexpr std::uint32_t servers_count = 3;

// How finely steps are interleaved; the header of cluster.hpp says what coarse leaves out.
enum class Grain : bool { coarse, fine };

struct Frame {
  zab::Message message;
  std::vector<Record> records;  // PROPOSE only
};

// What was promised and acknowledged, as seen from outside.
struct Seen {
  Epoch promised = Epoch::none;       // greatest epoch of an ACK-E that counted
  std::optional<Zxid> new_leader_at;  // of this session: the last record before NEWLEADER
  bool acked_leader = false;          // of this session
};

struct Server {
  zab::Core core;
  Disk disk;
  Seen seen;
  std::uint64_t now_ms = 0;
};

struct Input {
  enum class Kind : std::uint8_t {
    frame,         // from `peer`
    session_lost,  // with `peer`
    durable,       // `count` more records are
    stored,
    rewound,
    drained,  // `count` unsynced records reached the disk
    propose,
    ask,     // a quorum, about the cluster's end
    crash,   // and restart: `count` unsynced records were kept
    wipe,    // and restart from an empty directory
    silent,  // nobody was heard for longer than any time-out
    tick,
    elected,  // free elections: `peer` and itself voted for this server
    follow,   // free elections: `peer` says that it leads
    join      // the same, to a server that is no voter
  };
  Kind kind = Kind::tick;
  std::uint8_t peer = 0;  // server ids from 1
  std::uint8_t count = 0;
  bool identity_kept = false;  // crash: the identity record on the way had reached the disk
  bool rewind_kept = false;    // crash: the cut on the way had
  std::uint32_t frame = 0;
};

struct Output {
  enum class Kind : std::uint8_t { open, close, frame };
  Kind kind = Kind::frame;
  std::uint8_t peer = 0;
  std::uint32_t frame = 0;
};

struct Effect {
  // What few steps have.
  struct Notable {
    std::vector<std::string> violations;
    std::vector<Record> proposed;
    std::optional<Zxid> delivered;
    std::optional<std::uint64_t> asked;     // ticket
    std::optional<std::uint64_t> answered;  // all tickets up to here
  };
  std::uint32_t next = 0;  // the server afterwards
  std::vector<Output> outputs;
  std::shared_ptr<const Notable> notable;  // null: nothing
};

// What the explorer must know about a server to say what can happen next.
struct Summary {
  bool looking = false;
  bool voter = false;           // its directory says so
  bool may_be_elected = false;  // LOOKING, and takes part in elections
  bool may_join = false;        // LOOKING, and no voter
  bool leading = false;
  bool broadcasting = false;  // leads in broadcast
  bool waits_for_elected = false;
  bool storing = false;
  bool rewinding = false;
  bool draining = false;
  std::uint8_t unsynced = 0;
  std::uint64_t watched = 0;  // a hash of what the checks over the whole cluster look at
};

// Every frame ever sent, once.
class Frames {
 public:
  std::uint32_t intern(Frame frame);
  const Frame& operator[](std::uint32_t id) const { return frames_[id]; }

 private:
  std::deque<Frame> frames_;
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;
};

// What a step says of itself when a trace is printed.
using Lines = std::vector<std::string>;

class Servers {
 public:
  Servers(Elections elections, Grain grain, Frames& frames)
      : elections_(elections), grain_(grain), frames_(frames) {}

  std::uint32_t intern(Server server);
  // A server that starts on this disk, with `delivered` as its newest mark says.
  std::uint32_t start(ServerId id, const Disk& disk, Zxid delivered);
  const Effect& step(std::uint32_t server, const Input& input);
  // The same step once more, telling what happens.
  void explain(std::uint32_t server, const Input& input, Lines& lines);

  const Server& operator[](std::uint32_t id) const { return servers_[id]; }
  const Summary& summary(std::uint32_t id) const { return summaries_[id]; }
  std::size_t size() const { return servers_.size(); }
  std::size_t steps() const { return effects_.size(); }

 private:
  struct Key {  // a server and an input, exactly
    std::uint64_t server_and_frame = 0;
    std::uint64_t rest = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  static Key key_of(std::uint32_t server, const Input& input);

  Elections elections_;
  Grain grain_;
  Frames& frames_;
  std::deque<Server> servers_;
  std::vector<Summary> summaries_;
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;  // by fingerprint
  std::unordered_map<Key, Effect, KeyHash> effects_;
};

}  // namespace zabmq::sim::exhaustive
