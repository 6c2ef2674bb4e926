// LearnerQueues: what a leader still has to send, one queue for each learner, in the order in which
// the core asked for it. Items are messages and ranges of the history; a range is fetched from the
// log when its turn comes, and while it is being read everything behind it waits.
//
// Invariants: 1. a session's frames leave in the order of its queue; only heartbeats pass it; 2. at
// most window_bytes (or one frame) are sent and not yet reported durable by the learner; 3. no
// frame carries a commit point beyond the last record sent on its session; 4. a queue has a handful
// of items whatever is proposed: neighbouring ranges and commits become one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "net/peer_links.hpp"
#include "storage/history_log.hpp"
#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

struct LearnerLimits {
  std::size_t window_bytes = 16 << 20;
  std::size_t read_bytes_max = 1 << 20;
};

class LearnerQueues {
 public:
  // Called when a session cannot go on; its queue is gone already.
  using Broken = std::function<void(ServerId peer, const std::string& why)>;

  LearnerQueues(storage::HistoryLog& log, net::PeerLinks& peers, LearnerLimits limits,
                Broken broken)
      : log_(log), peers_(peers), limits_(limits), broken_(std::move(broken)) {}

  void open(ServerId peer);  // a fresh session; what was queued for an older one is forgotten
  void close(ServerId peer);
  void close_all() { sessions_.clear(); }
  bool is_open(ServerId peer) const { return sessions_.contains(peer); }

  void set_committed(Zxid committed) { committed_ = committed; }
  // A COMMIT of its own is held until send_commits(): receipts go out first, and a range that is
  // pushed meanwhile takes the commit point along.
  void push(ServerId to, zab::Message message);
  void send_commits();
  void push_range(ServerId to, Zxid after, Zxid up_to);
  // A heartbeat does not queue: a slow disk read must not silence us.
  void send_ping(ServerId to, zab::Ping ping);

  void on_reported(ServerId from, Zxid durable);  // ACK, Progress
  void on_acked_leader(ServerId from);            // ACK-LD: all that was sent before NEWLEADER

  void push_snap(ServerId to, zab::Snap snap, Slice state);
  void on_state_taken(ServerId from, std::uint32_t part);
  // What is in front of the first record that some learner may still be sent.
  std::optional<Zxid> lowest() const;

  std::size_t unreported_bytes(ServerId peer) const;
  std::size_t most_unreported_bytes() const;
  std::size_t most_items() const;

 private:
  struct Range {
    Zxid after;
    Zxid up_to;
  };
  struct State {  // a SNAP, sent in parts
    zab::Snap snap;
    Slice bytes;
    std::uint32_t taken = 0;  // parts that the learner has
  };
  using Item = std::variant<zab::Message, Range, State>;
  struct SentFrame {
    Zxid last;
    std::size_t bytes = 0;
  };
  struct Session {
    std::uint64_t number = 0;  // tells completions of an older session
    std::deque<Item> items;
    std::uint32_t state_parts = 0;       // of a SNAP that the learner has taken whole
    bool waiting = false;                // for a read or a digest
    bool digest_known = false;           // of the DIFF or TRUNC at the front
    std::optional<std::string> failure;  // the session is over; told when the pump has ended
    Zxid last_sent;  // the learner has everything up to here, once it took what we sent
    Zxid before_new_leader;
    std::optional<Zxid> reported;  // the learner has everything up to here on its disk
    std::deque<SentFrame> unreported;
    std::size_t unreported_bytes = 0;
  };

  Session* find(ServerId peer);
  Session* find(ServerId peer, std::uint64_t number);
  void pump(ServerId peer);
  bool send_front(ServerId peer, Session& session);
  bool send_message(ServerId peer, Session& session, zab::Message& message);
  bool send_range(ServerId peer, Session& session, Range range);
  bool send_state(ServerId peer, Session& session, State& state);
  bool fill_in_digest(ServerId peer, Session& session, Zxid common);
  void on_digest(ServerId peer, std::uint64_t number, std::optional<Digest> digest);
  void on_read(ServerId peer, std::uint64_t number, const storage::ReadResult& result);
  bool send_records(ServerId peer, Session& session, const storage::ReadResult& result);
  bool send_frame(ServerId peer, Session& session, const Slice& records);
  static void report(Session& session, Zxid durable);

  storage::HistoryLog& log_;
  net::PeerLinks& peers_;
  LearnerLimits limits_;
  Broken broken_;
  Zxid committed_;
  bool holds_commits_ = false;
  std::uint64_t sessions_opened_ = 0;
  std::map<ServerId, Session> sessions_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // completions may outlive us
};

}  // namespace zabmq::replica
