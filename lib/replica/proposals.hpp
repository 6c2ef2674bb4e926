// Proposals: the leader's side of publishing. Requests wait here until a group may be formed; then
// each is decided, in order, against the delivered table plus what is in flight, and the accepted
// ones become one contiguous group of records. A proposal stays until it is delivered here.
//
// Invariants: 1. a publisher's sequences in flight continue its last delivered one without a hole;
// 2. receipts leave in the order of the records; 3. waiting and in-flight bytes are bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "replica/askers.hpp"
#include "replica/options.hpp"
#include "replica/server_state.hpp"
#include "storage/history_log.hpp"
#include "wire/client_frame.hpp"
#include "zab/ready.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

// What a publisher has taken: delivered plus in flight.
struct Taken {
  Instance instance = 0;
  Sequence last_sequence = 0;
  bool closing = false;  // a clean close is in flight
  Instance born = 0;     // see PublisherState
};

class Proposals {
 public:
  using NextZxid = std::function<Zxid()>;
  static constexpr std::size_t copies_max = 16;  // of a batch in flight, that wait for its receipt

  Proposals(const ServerState& state, Askers& askers, const Options& options, Counters& counters);

  // --- requests; they wait for the next group ---
  // False: in_flight_bytes_max is reached, nothing was taken. `body` was validated.
  bool publish(const Asker& from, const Uuid& publisher, const wire::Publish& publish, Slice body);
  // `known`: the newest instance that it has had, so not when it was forgotten since; 0: it is new.
  bool open(const Asker& from, const Uuid& publisher, Instance known);
  bool close(const Asker& from, const Uuid& publisher, Instance instance);
  bool move_cursor(const Asker& from, const wire::MoveCursor& move);
  // Asked by the core; takes the place of an earlier one for the same server that still waits.
  void admit(const zab::Admit& admit);
  // By retention; nothing while an earlier one waits or is in flight.
  void stop_retaining(const storage::LastRecord& floor);

  // --- groups ---
  bool empty() const { return requests_.empty() && proposals_.empty(); }
  bool waiting() const { return !requests_.empty(); }
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  bool all_committed() const { return committed_count_ == proposals_.size(); }
  std::size_t in_flight_bytes() const { return in_flight_bytes_; }
  std::size_t most_batches() const;  // in flight, of one publisher
  // Decides requests from the front until a group is full, and builds its records behind `last`.
  // Empty: none of them became a proposal. `next_zxid` is asked once for each record. With
  // little `space` only what lets retention free some is accepted (floors, and moves of cursors
  // that exist), admits and closes; with the last of it only floors and admits. What was taken
  // before is answered.
  Slice form_group(const storage::LastRecord& last, LogTime wall_us, storage::Space space,
                   const NextZxid& next_zxid);

  // --- what becomes of proposals ---
  void on_committed(Zxid up_to);                              // receipts
  void on_delivered(const RecordHeader& header, Bytes body);  // after the state has taken it
  // The session with a learner is over: nobody waits for what it has forwarded.
  void withdraw_learner(ServerId learner);
  // Leadership is lost. `refusal` is the answer to what was never proposed.
  void step_down(const wire::Refused& refusal);

  std::optional<Taken> taken(const Uuid& publisher) const;
  // The answer when a publisher is not known, or what ends it is in flight. `expired`, which is
  // final, not while that may yet be lost with a deposed leader.
  // `known`: ended for whoever had this instance, though it may have been opened again since.
  wire::Refused refusal_of_ended(wire::About about, std::uint64_t id, const Uuid& publisher,
                                 Instance known = 0) const;
  // The answer to an instance that is older than what `taken` says. Fenced, which is final, only
  // once the newer one is delivered: while it is in flight it may be lost with a deposed leader.
  wire::Refused refusal_of_older(wire::About about, std::uint64_t id, const Uuid& publisher,
                                 Instance theirs) const;
  // Last offset of what is committed; at least the delivered one.
  Offset committed_offset() const;

 private:
  enum class Kind : std::uint8_t { batch, open, close, cursor, cursor_removal, admit, floor };
  struct Request {
    Kind kind = Kind::batch;
    Asker asker;
    std::uint64_t id = 0;  // that the answer names
    Uuid publisher;
    wire::Publish publish;  // instance only, unless it is a batch
    Slice body;
    Instance known = 0;  // of an open: not if the publisher was forgotten since
  };
  struct Proposal {
    Kind kind = Kind::batch;
    Asker asker;           // where the answer goes
    std::uint64_t id = 0;  // that it names
    RecordHeader header;
    bool committed = false;
    bool creates = false;            // a cursor
    std::vector<Asker> copies = {};  // of a batch: who sent it again meanwhile, on a connection
  };
  struct Flight {  // a publisher with proposals in flight
    Taken taken;
    bool closed = false;  // the close among them is committed
    std::size_t proposals = 0;
    LogTime last_time = 0;              // of the last of them
    std::deque<std::uint64_t> batches;  // numbers of its batch proposals
  };

  struct Forming {  // the group under construction
    const NextZxid& next_zxid;
    Offset last_offset = 0;
    LogTime time = 0;
    LogTime time_before = 0;  // of the record before the next one
    storage::Space space = storage::Space::enough;
    std::size_t bytes = 0;
  };

  void decide(const Request& request, Forming& group);
  void decide_batch(const Request& request, Forming& group);
  void answer_old_batch(const Request& request, const Taken& taken);
  void add_copy(const Request& request, Proposal& proposal);
  void decide_open(const Request& request, Forming& group);
  void decide_close(const Request& request, Forming& group);
  void decide_cursor(const Request& request, Forming& group);
  void answer_cursor(const Proposal& proposal, Bytes body);
  Proposal* find_in_flight(const Uuid& publisher, Sequence sequence);
  Flight& flight_of(const Uuid& publisher);
  void accept(const Request& request, Instance instance, Forming& group);
  void count_in_flight(const Request& request, LogTime time);
  static RecordKind record_kind(Kind kind);
  static wire::About about(Kind kind);
  Slice build(const storage::LastRecord& last, std::size_t bytes);
  void refuse(const Request& request, Code code, std::string text);
  void refuse_ended(const Request& request);
  void refuse_older(const Request& request);
  void refuse_for_space(const Request& request);
  void refuse_beyond_end(const Request& request, Offset offset);
  void refuse_hole(const Request& request, Sequence last);
  void refuse_condition(const Request& request, Sequence last, Offset proposed);
  void send_receipt(const Asker& to, const BatchReceipt& receipt);
  static BatchReceipt receipt_of(const RecordHeader& header);
  void answer_committed(const Proposal& proposal);
  void give_up(const Proposal& proposal);
  void give_up(const Request& request, wire::Refused refusal);
  void end_flight(const Uuid& publisher);
  static bool of_a_publisher(Kind kind);
  static bool of_a_cursor(Kind kind);
  bool is_forgotten(const Uuid& publisher, LogTime by) const;
  bool has_room_for_publisher(LogTime now) const;
  bool add_request(Request request);

  const ServerState& state_;
  const PublisherTable& table_;
  Askers& askers_;
  const Options& options_;
  Counters& counters_;

  std::deque<Request> requests_;
  std::size_t waiting_bytes_ = 0;
  std::deque<Proposal> proposals_;   // in log order
  std::uint64_t first_number_ = 0;   // of the proposal at the front
  std::size_t committed_count_ = 0;  // how many of them, from the front, are committed
  std::size_t in_flight_bytes_ = 0;  // not committed
  Offset committed_offset_ = 0;
  bool floor_proposed_ = false;
  std::size_t cursors_created_ = 0;  // in flight
  std::size_t cursors_removed_ = 0;  // in flight
  std::unordered_map<Uuid, Flight, UuidHash> flights_;

  // Of the group being formed; kept to save allocations.
  std::vector<std::pair<RecordHeader, Slice>> group_;
};

}  // namespace zabmq::replica
