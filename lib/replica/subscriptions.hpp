// Subscriptions: cursors over the delivered history of this server, with credit. There are no
// queues: a slow subscriber lags, and is read for from the disk when it comes back.
//
// What a client must know of the accounting: DELIVER takes up_to - after from the credit in
// messages and the size of its body from the credit in bytes; a batch is sent whole while any
// credit is left, so credit may go below zero and must then be given until it is positive.
//
// Invariants: 1. a subscription covers its offsets without a gap: each DELIVER begins where the one
// before ended; 2. nothing above this server's delivered point is sent; 3. a subscription is in at
// most one queue; 4. at most one disk read for each subscription, cold_reads_max for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "replica/clients.hpp"
#include "replica/end_questions.hpp"
#include "replica/options.hpp"
#include "replica/server_state.hpp"
#include "storage/history_log.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

class Subscriptions {
 public:
  Subscriptions(storage::HistoryLog& log, const ServerState& delivered, Clients& clients,
                EndQuestions& questions, const Options& options, Counters& counters)
      : log_(log),
        delivered_(delivered),
        clients_(clients),
        questions_(questions),
        options_(options),
        counters_(counters) {}

  // Why a question about the cluster's end has no answer, for the text of a refusal.
  void on_unavailable(std::function<std::string()> why) { why_unavailable_ = std::move(why); }

  void subscribe(ConnectionId from, const wire::Subscribe& request);
  void add_credit(ConnectionId from, const wire::Credit& credit);
  void unsubscribe(ConnectionId from, std::uint64_t name);
  void forget(ConnectionId connection);
  void on_end(std::uint64_t id, std::optional<End> end);  // EndQuestions::Answer

  void on_delivered();  // the delivered point moved
  // What is in front of the first record that a subscription still reads although retention has
  // passed it. Each may do so for retention_hold_ms; then it gets GAP.
  std::optional<Zxid> hold();
  void tick(std::uint64_t now_ms);
  bool serve();  // a step's worth, fairly; true: there is more that waits for nothing
  std::size_t size() const { return subscriptions_.size(); }
  std::size_t most_of_a_connection() const;
  std::size_t cold_reads() const { return cold_reads_; }  // under way
  std::size_t queued() const;                             // ids in all queues: bounded by size()

 private:
  enum class State : std::uint8_t {
    asking,      // the leader for the cluster's end
    behind,      // the start is committed, but not delivered here yet
    locating,    // the offset of a zxid or a time is looked up
    announcing,  // SUBSCRIBED is to be sent
    streaming
  };
  enum class Parked : std::uint8_t { no, ready, data, behind, credit, link, cold_slot, disk };

  struct Subscription {
    std::uint64_t id = 0;  // ours, never reused
    ConnectionId connection = ConnectionId::none;
    std::uint64_t name = 0;  // the client's
    wire::StartKind start = wire::StartKind::fresh;
    Offset start_offset = 0;
    Zxid start_zxid;
    LogTime start_time = 0;
    std::optional<std::string> cursor;  // if it exists, it says where to start
    bool from_cursor = false;           // and did
    bool until_end = false;
    State state = State::asking;
    Parked parked = Parked::no;
    Zxid waits_for;             // behind: what must be delivered here first
    std::optional<End> asked;   // the cluster's end, while a cursor waits for it to be delivered
    std::optional<Offset> end;  // until_end: what SUBSCRIBED tells
    storage::ReadFrom from;     // where the next read begins
    Offset covered = 0;         // the stream so far covers up to here
    std::int64_t credit_messages = 0;
    std::int64_t credit_bytes = 0;
    std::uint64_t last_sent_ms = 0;
    std::uint64_t backoff_ms = 0;  // its link was full so often
    std::uint64_t retry_ms = 0;
    std::optional<std::uint64_t> passed_ms;  // since when it is below what is retained
  };
  using Key = std::pair<ConnectionId, std::uint64_t>;
  using Due = std::pair<std::uint64_t, std::uint64_t>;  // when, id

  // subscription_start.cpp
  void begin(Subscription& s);
  void resolve(Subscription& s, std::optional<End> end);
  void on_caught_up(Subscription& s);
  void wait_until_delivered(Subscription& s, Zxid up_to);
  void resolve_cursor(Subscription& s, End end);
  void resolve_offset(Subscription& s, std::optional<End> end);
  void resolve_zxid(Subscription& s, std::optional<End> end);
  void resolve_time(Subscription& s, std::optional<End> end);
  void locate(Subscription& s);
  void on_located(std::uint64_t id, const storage::ReadResult& result);
  void start_behind(Subscription& s, Offset covered);
  void announce(Subscription& s);
  void refuse(Subscription& s, Code code, std::string text);
  void refuse_beyond_end(Subscription& s, Offset end);
  void end_with_gap(Subscription& s);

  // subscriptions.cpp
  Subscription* find(std::uint64_t id);
  Subscription* find(ConnectionId connection, std::uint64_t name);
  void erase(Subscription& s);
  void park(Subscription& s, Parked why);
  template <class Queue>
  void enqueue(Queue& queue, std::uint64_t id);
  void make_ready(Subscription& s);
  std::size_t serve_one(Subscription& s);
  bool below_floor(Subscription& s);
  bool nothing_to_read(const Subscription& s) const;
  std::size_t read_size(const Subscription& s) const;
  bool read_cold(Subscription& s, std::size_t bytes_max);
  void on_read(std::uint64_t id, const storage::ReadResult& result);
  std::size_t send_all(Subscription& s, const storage::ReadResult& result);
  struct Portion;
  Portion portion_of(const Subscription& s, Bytes records) const;
  bool send_portion(Subscription& s, const Slice& records, const Portion& portion);
  void on_link_full(Subscription& s);
  void release_cold_slot();
  void offer_cold_slots();
  void send_heartbeats();
  void retry_links();

  storage::HistoryLog& log_;
  const ServerState& delivered_;
  Clients& clients_;
  EndQuestions& questions_;
  const Options& options_;
  Counters& counters_;
  std::function<std::string()> why_unavailable_;

  std::uint64_t now_ms_ = 0;
  std::uint64_t ids_ = 0;
  std::unordered_map<std::uint64_t, Subscription> subscriptions_;
  std::map<Key, std::uint64_t> by_name_;
  std::deque<std::uint64_t> ready_;
  std::vector<std::uint64_t> waiting_for_data_;
  std::vector<std::uint64_t> behind_;
  std::vector<std::uint64_t> blocked_;          // their links were full
  std::deque<std::uint64_t> waiting_for_slot_;  // of cold reads
  std::size_t cold_reads_ = 0;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> heartbeats_;  // one for each streaming
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // completions may outlive us
};

}  // namespace zabmq::replica
