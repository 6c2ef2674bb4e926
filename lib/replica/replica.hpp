// Replica: one server of the cluster, without threads, sockets, clock or disk. It feeds lib/zab and
// performs what it asks, in order; it serves publishers and subscribers from the history.
//
// Inputs are the calls below, from one thread; effects go to the Environment. Several inputs may be
// handed in before one step(): that is how batches form. The driver's loop:
//
//   drain the sockets and the disk's completions into the inputs;
//   tick(now_ms, wall_us);            // at least every 10 ms, cheap
//   const bool more = step();
//   wait for sockets or completions, at most 10 ms, or not at all when `more`;
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replica/askers.hpp"
#include "replica/environment.hpp"
#include "replica/options.hpp"
#include "replica/server_state.hpp"
#include "wire/client_frame.hpp"
#include "zab/core.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// What the disk held at start.
struct Recovered {
  zab::Identity identity;
  zab::History history;  // all of it durable
  // The last transaction known to be delivered: from the newest mark, or the floor.
  Zxid delivered;
  // Fed with the log's snapshot, records and marks, finish_recovery() called; its delivered point
  // is `delivered`.
  ServerState state;
};

// For status pages and tests; the wire's STATUS answer is made from it.
struct Status {
  ServerId self = ServerId::none;
  ServerId leader = ServerId::none;  // none: no leader known
  Role role = Role::looking;
  Phase phase = Phase::election;
  Epoch epoch = Epoch::none;  // currentEpoch, or the one being established
  zab::Standing standing = zab::Standing::empty;
  Zxid last_logged;
  Zxid last_durable;
  Zxid last_committed;
  Zxid last_delivered;
  Offset first_offset = 0;
  Offset last_offset = 0;          // last committed that this server knows of
  bool accepts_publishes = false;  // leads, and has delivered all of the initial history
  std::size_t connections = 0;
  std::size_t subscriptions = 0;
  std::size_t publishers = 0;
};

// How full every bounded queue is; the bounds stand in Options.
struct Queues {
  std::size_t publish_bytes = 0;      // waiting or in flight
  std::size_t publisher_batches = 0;  // in flight, of the publisher with the most
  std::size_t forwarded_bytes = 0;    // on their way to the leader, or not yet answered
  std::size_t learner_bytes = 0;      // sent and not reported durable, of the learner with the most
  std::size_t learner_items = 0;      // not sent, of the learner with the most
  std::size_t held_bytes = 0;         // while the history is being cut
  std::size_t unwritten_bytes = 0;    // of the log
  std::size_t publishers = 0;
  std::size_t connections = 0;
  std::size_t receipts = 0;
  std::size_t answers = 0;       // held, of the connection with the most
  std::size_t answer_bytes = 0;  // of the connection with the most
  std::size_t all_answer_bytes = 0;
  std::size_t subscriptions = 0;  // of the connection with the most
  std::size_t cold_reads = 0;
};

class Clients;
class Delivery;
class EndQuestions;
class Forwards;
class LearnerQueues;
class Proposals;
class Subscriptions;

class Replica final : public net::PeerLinks::Listener,
                      public storage::HistoryLog::Listener,
                      private Askers {
 public:
  Replica(ServerId self, zab::Config config, Options options, Recovered recovered,
          zab::FreshIds fresh_ids, std::vector<ServerAddress> servers, Environment environment);
  ~Replica() override;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // --- inputs ---

  void on_peer_message(ServerId from, zab::Message message, Slice records) override;
  void on_session_lost(ServerId peer) override;

  void on_durable(Zxid up_to) override;
  void on_rewound(bool matched) override;
  void on_install_step() override;
  void on_drained(Zxid durable_end) override;
  void on_failed(const storage::Failure& failure) override;
  void on_stored();  // the identity record of the last store is on disk

  // One frame of a client: its header part (not yet decoded) and its body part, empty if it had
  // none. `body` is kept, not copied.
  void on_client_frame(ConnectionId from, const Principal& principal, Bytes header, Slice body);
  void on_disconnected(ConnectionId connection);

  // Monotonic and wall clock (microseconds since 1970).
  void tick(std::uint64_t now_ms, LogTime wall_us);

  // All that has gathered: proposes, appends and flushes, streams, delivers, serves subscribers.
  // True: there is more that waits for nothing, so do not sleep.
  bool step();

  // --- state ---

  Status status() const;
  Queues queues() const;
  const Counters& counters() const { return counters_; }
  const std::optional<std::string>& fatal() const { return fatal_; }  // set: stop the process
  const zab::Core& core() const { return core_; }
  const ServerState& state() const { return state_; }

 private:
  struct Held {  // a session message that waits until the history has been cut
    ServerId from = ServerId::none;
    zab::Message message;
    Slice records;
  };

  // replica.cpp
  void receive(ServerId from, const zab::Message& message, Slice records);
  bool receive_here(ServerId from, const zab::Message& message, const Slice& body);
  void receive_propose(ServerId from, Zxid commit, Slice records);
  void look_at_report(ServerId from, const zab::Message& message);
  void hold_back(ServerId from, zab::Message message, Slice records);
  void release_held();
  void forget_held(ServerId from);
  void forget_session(ServerId peer);
  bool accepts_publishes() const;
  bool may_form_group() const;
  bool disk_is_behind() const;
  void propose_groups();
  void on_delivered_record(const RecordHeader& header, Bytes body);
  void start_round();

  // state_transfer.cpp
  storage::Snapshot make_snapshot() const;
  void follow_floor();
  void save_snapshot_when_due();
  std::optional<Zxid> hold();
  bool holds_too_much() const;
  void propose_retention();
  void send_snap(ServerId to, zab::Snap snap);
  void receive_snap(ServerId from, const zab::Snap& snap, const Slice& part);
  void install_incoming(ServerId from, const zab::Snap& snap);
  void install(const zab::Install& install);
  void adopt();

  // perform.cpp
  void settle_core();
  void run_core();
  void perform(zab::Ready ready);
  void perform_output(zab::Output output);
  void send(ServerId to, zab::Message message);
  void answer_round(std::uint64_t ticket);
  void follow_leadership();
  void note(const zab::Event& event);
  void break_session(ServerId peer, const std::string& why);
  void stop(const std::string& text);

  // client_frames.cpp
  void on_frame(ConnectionId from, wire::ClientMessage& message, Slice body);
  void on_malformed_frame(ConnectionId from);
  void on_hello(ConnectionId from, const Principal& principal, const wire::Hello& hello);
  std::optional<wire::Refused> mismatch(const wire::Hello& hello) const;
  void on_publish(ConnectionId from, const wire::Publish& publish, Slice body);
  void publish(const Asker& from, const Uuid& publisher, const wire::Publish& publish, Slice body);
  std::optional<wire::Refused> refusal_of(const Uuid& publisher, const wire::Publish& publish,
                                          const Slice& body);
  void on_close_publisher(ConnectionId from, const wire::ClosePublisher& close);
  void close(const Asker& from, const Uuid& publisher, Instance instance);
  void settle_publishers();
  void settle_publisher(ConnectionId id);
  void open(const Asker& from, const wire::Hello& hello);
  std::optional<wire::Refused> refusal_to_continue(const Uuid& publisher, Instance instance);
  void answer_not_opened(ConnectionId id);
  void welcome(ConnectionId to, std::optional<Sequence> last_sequence = std::nullopt);
  wire::StatusAnswer make_status_answer(std::uint64_t request) const;
  wire::Refused not_leading(wire::About about, std::uint64_t id) const;
  ServerId known_leader() const;
  std::string endpoint_of(ServerId server) const;
  std::string why_unavailable() const;
  std::string too_busy() const;

  // cursors.cpp
  void on_move_cursor(ConnectionId from, const wire::MoveCursor& move);
  void move_cursor(const Asker& from, const wire::MoveCursor& move);
  void on_list_cursors(ConnectionId from, const wire::ListCursors& question);

  // verdicts.cpp
  struct Verdict {  // until a quorum round of the same epoch confirms it
    Asker asker;
    wire::ServerMessage answer;  // REFUSED, WELCOME, or CURSOR-MOVED
    Epoch epoch = Epoch::none;
  };
  static bool is_verdict(const wire::Refused& refused);
  void hold_verdict(const Asker& asker, wire::ServerMessage answer);
  void on_verdict_round(std::uint64_t question, bool confirmed);
  void withdraw_verdicts(ServerId learner);

  // forwarding.cpp
  bool waits(const Asker& asker) const override;
  void answer(const Asker& asker, wire::ServerMessage message) override;
  void answer_unmoved(const Asker& asker, wire::CursorMoved place) override;
  void answer_now(const Asker& asker, wire::ServerMessage message);
  void opened(const Asker& asker, const Uuid& publisher, std::optional<Instance> instance) override;
  wire::Welcome welcome_of(const Uuid& publisher, Instance instance) const;
  bool is_opening(const Asker& asker) const;
  void end_opening(const Asker& asker, std::optional<Instance> instance,
                   std::optional<Sequence> last_sequence = std::nullopt);
  bool forwards() const;
  void forward(const Asker& from, const Uuid& publisher, const wire::ClientMessage& message,
               Slice body);
  bool send_forward(std::uint64_t number, const Uuid& publisher, const wire::ClientMessage& message,
                    Slice body);
  void on_forward(ServerId from, const zab::Forward& request, Slice body);
  void on_forwarded_hello(const Asker& from, const wire::Hello& hello);
  void on_forward_answer(ServerId from, const zab::ForwardAnswer& answer);

  const Options options_;
  const std::vector<ServerAddress> servers_;
  Environment env_;
  Counters counters_;
  std::optional<std::string> fatal_;
  std::uint64_t now_ms_ = 0;
  LogTime wall_us_ = 0;

  zab::Core core_;
  bool core_pending_ = false;  // the core was given something since its last Ready
  bool rewinding_ = false;
  bool draining_ = false;
  // A SNAP: while its parts come in, and until it is adopted.
  struct Incoming {
    explicit Incoming(PublisherTableLimits limits) : state(limits) {}
    std::uint32_t parts = 0;
    std::vector<std::byte> bytes;
    storage::Installation installation;
    ServerState state;
  };
  std::optional<Incoming> incoming_;
  // Adopted, and the identity record that says so is not durable: a crash would bring the old
  // history back, which may end in front of what this one would have subscribers be given.
  bool switching_ = false;
  SnapshotClock snapshot_clock_;
  std::uint64_t retention_due_ms_ = 0;
  Offset retained_ = 0;  // messages up to here were let go when the floor was last looked at
  Slice frame_;          // records of the PROPOSE being received
  std::deque<Held> held_;
  std::size_t held_bytes_ = 0;
  std::vector<ServerId> broken_;  // sessions that ended under our hands; the core is told next
  std::map<ServerId, std::uint64_t> heard_ms_;
  ServerId leader_ = ServerId::none;  // as of the last Ready, with its phase: broadcast or not
  bool leading_ = false;
  std::uint64_t question_number_ = 0;
  std::uint64_t greetings_ = 0;
  static constexpr std::uint64_t verdict_questions = std::uint64_t{1}
                                                     << 63;  // others: subscriptions
  std::map<std::uint64_t, Verdict> verdicts_;                // by question
  std::uint64_t verdicts_held_ = 0;
  Zxid announced_;  // delivered point that the subscriptions were told of

  ServerState state_;
  std::unique_ptr<LearnerQueues> learners_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<Proposals> proposals_;
  std::unique_ptr<Forwards> forwards_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<EndQuestions> questions_;
  std::unique_ptr<Subscriptions> subscriptions_;
};

}  // namespace zabmq::replica
