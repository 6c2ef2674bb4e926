// Invariants: what must hold in every server of a simulated cluster after every event. The six
// properties of the paper's section III and the invariants behind them, judged against ghosts that
// survive crashes: what was ever proposed, committed and delivered, whoever still remembers it.
//
// It is told what the servers do before it is done, and reads the platters itself. All transactions
// form a tree by their chain digests, so "the same history up to here" is one comparison.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "replica/records.hpp"
#include "replica/replica.hpp"
#include "sim/platter.hpp"
#include "zab/core.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

class Invariants {
 public:
  // `check` is the name of the rule.
  using Report = std::function<void(const std::string& check, const std::string& text)>;

  Invariants(std::size_t servers, LogTime publisher_ttl, Report report);

  void watch(ServerId server, const Platter& platter, const MemoryDisk& disk);

  // --- the life of a server ---
  struct Found {  // at its start
    Floor floor;
    Digest from =
        Digest::none;  // of the transaction that its snapshot stands at; none: no snapshot
    const std::vector<RecordHeader>& records;  // behind that, or behind the floor
    Zxid delivered;
  };
  void started(ServerId server, const zab::Identity& identity, const Found& found);
  void crashed(ServerId server, bool power_lost);
  // Is about to lose a record of its disk by an injected fault; until it is mended, that is no
  // fault of its own.
  void damaged(ServerId server);
  void wiped(ServerId server);        // and everything it has promised is forgotten
  void rolled_back(ServerId server);  // the same: an old copy of its disk was put back
  zab::Standing standing(ServerId server) const { return seen(server).standing; }
  bool is_damaged(ServerId server) const { return seen(server).damaged; }
  std::size_t damaged_count() const;
  // Excused no more, when it is a voter again and has everything that is committed.
  void mend_where_possible(ServerId server, const zab::Core& core);

  // --- history ---
  void appended(ServerId server, const zab::Core& core, Bytes records, bool no_space);
  void cutting(ServerId server, Zxid to);       // is about to, if the digests agree
  void cut(ServerId server, Zxid to);           // has, durably
  void drained(ServerId server, Zxid durable);  // what no write had taken is dropped
  void durable(ServerId server, Zxid up_to);    // as the log claims
  void delivered(ServerId server, Zxid up_to);
  void saving_snapshot(ServerId server, Zxid at);
  void freed(ServerId server, Zxid up_to);  // is not kept any more
  // SNAP: another history takes the place of this one, when it is adopted and the identity record
  // of that is durable; until then a crash, or the end of the role, brings the old one back.
  void installing(ServerId server, Digest floor, Zxid state);
  void adopted(ServerId server);
  // Is about to be made durable.
  void storing(ServerId server, const zab::Core& core, const zab::Identity& identity);
  // Durable now, as it claims.
  void stored(ServerId server, const zab::Core& core, const zab::Identity& identity);

  // --- messages ---
  void sending(ServerId server, const zab::Core& core, ServerId to, const zab::Message& message);
  void receiving_cepoch(ServerId server, const zab::Core& core, Epoch accepted);
  void received_cepoch(ServerId server, const zab::Core& core, Epoch accepted,
                       std::uint64_t now_ms);
  // It gave way to a server that had promised a later epoch.
  void renounced(ServerId server, std::uint64_t now_ms);
  void session_frame(ServerId at, ServerId from, const std::string& trouble);
  // What a correct cluster never says as long as the disks of both are sound.
  void alarm(ServerId server, ServerId about, const std::string& text);
  // A server says that a peer sent what a correct one never sends. Sessions lose nothing, so one of
  // the two is wrong.
  void protocol_error(ServerId server, ServerId peer, const std::string& text);
  // A receipt leaves: what it says is committed.
  void receipt(ServerId server, const zab::Core& core, Zxid zxid);
  // A heartbeat leaves: no own write is under way for longer than a leader may be trusted.
  void heartbeat(ServerId server, std::uint64_t write_age_ms, std::uint64_t stuck_ms);
  void fatal(ServerId server, const std::string& text);
  // It stopped by itself, as failed or damaged, and nothing was done to its disk.
  void stopped(ServerId server, const std::string& text);

  // --- the whole state, after each event of this server ---
  void look(ServerId server, const zab::Core& core);
  void bounded(ServerId server, const replica::Queues& queues, const replica::Options& options);

  std::size_t committed_count() const { return committed_.size(); }
  Zxid last_committed() const;
  Offset committed_offset() const;
  Offset first_offset_since(
      LogTime time) const;  // of a message that is not older, committed or next
  Offset retained() const { return retained_; }  // greatest offset that a commit let go
  std::size_t epochs_established() const { return established_.size(); }
  // By the committed history: it was closed, or without a record for longer than is promised.
  std::uint64_t endings(const Uuid& publisher) const;
  // The same: where a durable cursor stands; nullopt: there is none.
  std::optional<Offset> cursor(const std::string& name) const;
  // W10: publishers and cursors are what the committed history makes of them. Precondition: all of
  // it is delivered there.
  void check_state(ServerId server, const replica::ServerState& state);
  std::size_t on_platter(ServerId server) const { return seen(server).on_platter; }
  // The digest at a position of the server's history, for faults that aim at records.
  std::optional<Digest> digest_at(ServerId server, std::size_t position) const;
  std::size_t logged_count(ServerId server) const { return seen(server).log.size(); }

 private:
  using NodeId = std::uint32_t;
  struct Node {
    Zxid zxid;
    Digest digest = Digest::none;
    Offset end = 0;
    LogTime time = 0;
    Uuid publisher;
    Sequence last_sequence = 0;  // of a batch
    bool closes = false;         // a publisher
    Instance opens = 0;          // a publisher's, else 0
    NodeId parent = 0;           // 0: the root, before everything
  };
  struct Question {
    std::uint64_t number = 0;
    Epoch newest = Epoch::none;  // epoch established anywhere, when it was asked
  };
  struct Seen {
    const Platter* platter = nullptr;
    const MemoryDisk* disk = nullptr;
    std::vector<NodeId> log;     // as taken, written or not
    std::size_t durable = 0;     // as its log claims
    std::size_t on_platter = 0;  // as seen there
    std::size_t acked = 0;       // greatest count it ever told anybody, and was not told to cut
    std::size_t delivered = 0;
    std::size_t committed = 0;
    Zxid committed_zxid;
    Epoch accepted = Epoch::none;  // durable
    Epoch current = Epoch::none;
    zab::Standing standing = zab::Standing::empty;
    std::set<Epoch> promised;   // ACK-Es that counted, over all lives of this incarnation
    std::vector<NodeId> lost;   // what it had acknowledged when its directory was emptied
    bool forgot = false;        // and has not been admitted since
    Epoch heard = Epoch::none;  // greatest acceptedEpoch in a CEPOCH, in this life
    std::optional<std::uint64_t> renounced_ms;
    Epoch leads = Epoch::none;         // and synchronizes, or is in broadcast
    Epoch known_better = Epoch::none;  // its leader told it in which it knows more of it
    Epoch rounds_of = Epoch::none;     // quorum rounds of the epoch that it leads
    std::uint64_t rounds_asked = 0;
    std::deque<Question> questions;  // not answered yet
    bool damaged = false;            // by an injected fault, and not mended yet
    std::size_t held_at_fault = 0;   // by its platter, when a record on it was damaged
    NodeId missing = 0;              // the first record that the damaged platter did not hold
    bool up = false;
    std::size_t freed = 0;  // records at or below its floor: a snapshot stands for them
    struct Aside {
      std::vector<NodeId> log;
      std::size_t durable = 0;
      std::size_t on_platter = 0;
      std::size_t freed = 0;
      std::size_t state = 0;  // records that the state of the new history contains
      bool adopted = false;
    };
    std::optional<Aside> aside;
  };
  struct Established {
    ServerId leader = ServerId::none;
    NodeId initial_end = 0;   // of I_e
    std::size_t initial = 0;  // its length
    std::optional<std::size_t> delivered_at_first;
    bool in_broadcast = false;
  };
  struct Publisher {
    LogTime time = 0;  // of its last record
    Sequence last_sequence = 0;
    bool closed = false;        // now
    std::uint64_t endings = 0;  // before
    Instance instance = 0;      // the newest one that was ever opened
  };
  struct Move {
    replica::CursorMove to;
    bool removes = false;
  };
  // What voters have said of an epoch, whatever became of the message: one bit for each server.
  struct Said {
    std::uint32_t promised = 0;      // ACK-E
    std::uint32_t acknowledged = 0;  // ACK-LD
  };

  Seen& seen(ServerId server) { return seen_[static_cast<std::size_t>(server) - 1]; }
  const Seen& seen(ServerId server) const { return seen_[static_cast<std::size_t>(server) - 1]; }
  std::vector<NodeId> path_to(NodeId node) const;
  void take_back(Seen& at);
  void complain(const std::string& check, ServerId server, const std::string& text);
  std::optional<std::size_t> count_up_to(const Seen& seen, Zxid zxid) const;
  NodeId find(Digest digest) const;
  NodeId add(const RecordHeader& header, NodeId parent);
  void advance_platter(Seen& seen, std::size_t wanted);
  bool still_missing(const Seen& seen) const;
  bool platter_holds(Seen& seen, std::size_t count);
  void propose(ServerId server, const zab::Core& core, const RecordHeader& header, NodeId parent);
  void note_floor(ServerId server, NodeId node, Bytes body);
  void check_initial(Epoch epoch, const Established& established);
  void take_identity(ServerId server, const zab::Identity& identity);
  void learn_commit(ServerId server, const zab::Core& core);
  void check_claim(ServerId server, Zxid claimed, const char* message);
  void check_leading(ServerId server, const zab::Core& core);
  void check_following(ServerId server, const zab::Core& core);
  bool excused(ServerId server) const { return server != ServerId::none && is_damaged(server); }
  // --- invariants_quorums.cpp ---
  void check_rounds(ServerId server, const zab::Leading& leading);
  void note_promise(ServerId server, Epoch epoch);       // ACK-E
  void note_acknowledged(ServerId server, Epoch epoch);  // ACK-LD
  void note_admits(std::size_t from);
  void note_floors(std::size_t from);
  // --- invariants_clients.cpp ---
  void note_clients(std::size_t from);
  void note_publisher(const Node& node);
  void note_move(NodeId node);
  bool idle_for_too_long(const Publisher& publisher) const;
  std::size_t voters_with(std::size_t count, Epoch epoch);
  bool counts(ServerId server) const;
  void check_quorum(ServerId leader, std::uint32_t said, bool itself, const std::string& what);
  void check_readmitted(ServerId server, const zab::Identity& identity);
  void check_promise(ServerId server, Epoch epoch, const char* message);
  void check_acknowledgement(ServerId server, const zab::Core& core, const char* message);

  const std::size_t quorum_;
  const LogTime publisher_ttl_;
  Report report_;
  std::vector<Node> nodes_;
  std::unordered_map<std::uint64_t, NodeId> by_digest_;
  std::vector<Seen> seen_;
  std::vector<NodeId> committed_;    // the one history, grows only
  std::vector<Epoch> committed_in_;  // by the leader of which epoch
  std::map<Epoch, Established> established_;
  Epoch newest_established_ = Epoch::none;
  std::map<Epoch, Said> said_;
  std::map<NodeId, Uuid> admits_;    // proposed; of which incarnation
  std::map<NodeId, Offset> floors_;  // proposed; up to which offset
  Offset retained_ = 0;
  std::map<Uuid, std::set<Epoch>> admitted_;  // committed; by incarnation, in which epochs
  std::map<Zxid, NodeId> proposed_;           // a zxid is never reused
  std::map<Uuid, Publisher> publishers_;      // of the committed history
  std::map<NodeId, Move> moves_;              // proposed
  std::map<std::string, Offset> cursors_;     // of the committed history
  LogTime newest_time_ = 0;                   // the same
};

}  // namespace zabmq::sim
