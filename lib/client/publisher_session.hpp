// PublisherSession: a publisher's side of the conversation, without sockets, clock or threads.
// Frames, ticks and calls in; frames, connections and outcomes out.
//
// Invariants: 1. batches are sent in order, each always with the same boundaries, and at most one
// copy of each is unanswered on a connection; 2. batches get their outcome in order; 3. a batch of
// which some copy may still arrive anywhere is never said not to have happened; 4. a sequence is
// given to another message only when no copy of its first one can still arrive anywhere, or under a
// newer instance; 5. while an outcome is open nothing behind it is sent, unless retry() asks for
// it;
// 6. nothing is sent behind a batch with a condition before that batch is answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/client_output.hpp"
#include "client/input_digest.hpp"
#include "client/intake.hpp"
#include "client/route.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/result.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::client {

// The outcome of a batch that callers wait for. An error is about each of its messages.
struct Completion {
  BatchPtr batch;
  std::variant<wire::Receipt, Error> outcome;
};

class PublisherSession {
 public:
  static constexpr std::size_t batches_max = 1024;  // unacknowledged; as many receipts are kept
  static constexpr std::size_t frames_eager = 2;    // in flight, before only full bodies go out
  // From a server that answers pings, but no publish: then the frames are sent again.
  static constexpr std::uint64_t answer_patience_ms = 5000;

  struct Options {
    std::vector<std::string> endpoints;
    Uuid publisher;
    Uuid cluster = {};  // from a session file; all zero: any
    Uuid history = {};
    Sequence known_last = 0;      // known to have been taken
    Instance known_instance = 0;  // opened by an earlier process; 0: the publisher is new
    InputDigest known_input = {};
    // The first message that fails ends the publisher, so that what the cluster took is an unbroken
    // beginning of what was published; and what that was is noted in input().
    bool ends_at_failure = false;
    // Nobody else knows the publisher's id: being fenced means that a HELLO of our own, given up
    // before, arrived late.
    bool id_is_ours = false;
    // At a server that forwards, as long as it serves: the leader is not sought.
    bool stays = false;
    std::uint64_t seed = 0;  // of the pauses' jitter
  };
  using RetryDone = std::function<void(Result<Receipt>)>;
  using CloseDone = std::function<void(std::optional<Error>)>;

  explicit PublisherSession(Options options);

  // --- inputs ---

  void tick(std::uint64_t now_ms);       // at least every 50 ms, and after the frames at hand
  void connected(std::uint64_t now_ms);  // the connection asked for last is established
  void lost(const std::string& why);     // it ended, or a frame on it was malformed
  void receive(const wire::ServerMessage& message, const Slice& body, std::uint64_t now_ms);
  void retry(Sequence sequence, std::uint64_t deadline_ms, RetryDone done);
  // When everything has its outcome: ends the publisher.
  void close(std::uint64_t deadline_ms, CloseDone done);
  // Everything unfinished gets its outcome now; the session is over. exchange() once more behind
  // it.
  void abandon();

  // What was taken before it was opened. Before anything is published.
  void resume_input(const InputDigest& input) { input_ = input; }

  // The only call that touches the intake: takes batches out, opens its window, stops it.
  void exchange(Intake& intake, std::uint64_t now_ms);

  // --- outputs ---

  std::vector<Output> take_outputs() { return std::exchange(outputs_, {}); }
  std::vector<Completion> take_completions() { return std::exchange(completions_, {}); }
  // Answers to retry() and close(): to be run behind exchange(), when what they say is true of the
  // intake as well.
  std::vector<std::function<void()>> take_replies() { return std::exchange(replies_, {}); }

  bool opened() const { return opened_; }
  // Time matters: something is to be sent, answered or tried again.
  bool busy() const {
    return link_ != Link::open || !batches_.empty() || !waiters_.empty() || closing_;
  }
  Instance instance() const { return instance_; }
  // The newest one that was opened, by an earlier process as well; 0: none yet.
  Instance newest_instance() const { return newest_instance_; }
  Sequence resumed_after() const { return resumed_after_; }
  Sequence acknowledged() const { return acknowledged_; }
  // Of what was taken, as far as it is known.
  const InputDigest& input() const { return input_; }
  // HELLOs so far that may each open an instance of their own, the ones given up as late as they
  // arrive.
  unsigned openings() const { return openings_; }
  const Uuid& cluster() const { return options_.cluster; }
  const Uuid& history() const { return options_.history; }
  // The publisher is over: fenced, expired, closed, refused everywhere.
  const std::optional<Error>& dead() const { return dead_; }
  const std::string& trouble() const { return trouble_; }  // what went wrong last, for error texts

 private:
  struct InFlight {
    enum class State : std::uint8_t {
      waiting,  // to be sent on this connection
      sent,     // a copy is unanswered on this connection
      refused   // the copy was answered: not taken, send it again
    };
    BatchPtr batch;
    Digest checksum = Digest::none;
    State state = State::waiting;
    bool maybe = false;  // a copy on an earlier connection may still be taken
    bool ever_sent = false;
    bool reported = false;  // its callers were told that its outcome is open
    std::variant<std::monostate, wire::Receipt, Error> answer;
    bool condition_failed = false;  // the answer is about this batch alone

    bool answered() const { return answer.index() != 0; }
    bool not_taken() const;     // refused for good
    bool outcome_open() const;  // some copy of it may have been taken, or still be
  };
  enum class Link : std::uint8_t { waiting, greeting, open, none };
  enum class Leave : std::uint8_t { stay, failure, without_leader, redirect };
  struct Resolved {
    Sequence first = 0;
    Sequence last = 0;
    std::variant<wire::Receipt, Error> answer;
  };
  struct Waiter {
    Sequence sequence = 0;
    std::uint64_t deadline_ms = 0;
    RetryDone done;
  };
  struct Closing {
    std::uint64_t deadline_ms = 0;
    CloseDone done;
    bool sent = false;  // on this connection
    bool ever_sent = false;
  };

  // The connection (publisher_session.cpp).
  void connect(std::uint64_t now_ms);
  void leave(Leave why, const std::string& trouble, std::string endpoint = {});
  void leave_for_leader(const std::string& endpoint, const std::string& trouble);
  void leave_behind(Sequence last);
  void perform_leave(std::uint64_t now_ms);
  void drop_connection();
  void reopen();
  void watch_connection(std::uint64_t now_ms);
  void watch_closing(std::uint64_t now_ms);
  void on(const wire::Welcome& welcome, std::uint64_t now_ms);
  void on(const wire::Refused& refused, std::uint64_t now_ms);
  void on(const wire::Receipt& receipt, std::uint64_t now_ms);
  void on(const wire::Closed& closed, std::uint64_t now_ms);
  void on(const wire::Reset& reset, std::uint64_t now_ms);
  void on(const wire::ServerPong& pong, std::uint64_t now_ms);
  template <class Other>
  void on(const Other&, std::uint64_t) {}  // frames of subscriptions and status: not ours
  std::string better_server(const wire::Welcome& welcome);
  bool open_instance(const wire::Welcome& welcome);
  bool continue_instance(const wire::Welcome& welcome);
  void on_greeting_refused(const wire::Refused& refused);
  void on_close_refused(const wire::Refused& refused);
  void send(wire::ClientMessage message, SharedBody body = nullptr);
  void finish_close(const std::optional<Error>& error);
  void die(Error error);
  void die_fenced(const std::string& text, Sequence last);
  bool fenced_by_ourselves() const;
  Error forgotten() const;
  // What was published may be forgotten, and then none of it may be appended again.
  bool is_known() const { return newest_instance_ != 0; }
  // What is known to have been taken.
  Sequence reached() const { return opened_ ? acknowledged_ : options_.known_last; }

  // Batches (publisher_batches.cpp).
  InFlight* find(Sequence first);
  bool may_send() const;
  bool wants_batch(const Intake& intake) const;
  void add(BatchPtr batch);
  void send_waiting();
  void send_batch(InFlight& flight);
  void on_publish_refused(const wire::Refused& refused, std::uint64_t now_ms);
  void on_hole(const InFlight& hole, const wire::Refused& refused, std::uint64_t now_ms);
  void on_final_refusal(InFlight& flight, const wire::Refused& refused);
  void on_condition_refused(InFlight& flight, const wire::Refused& refused);
  bool behind_condition() const;
  void complete_front();
  void note_taken(const Batch& batch);
  void pass_over(const InFlight& flight);
  void complete(const BatchPtr& batch, std::variant<wire::Receipt, Error> outcome);
  void hold(std::uint64_t now_ms);
  void end_hold(std::uint64_t now_ms);
  bool deadline_passed(std::uint64_t now_ms) const;
  void give_up(Code code_if_not_taken, const std::string& why);
  void report_open(InFlight& flight, const std::string& why);
  void give_up_intake(Intake& intake);
  void end_at_failure();
  void set_stopped(Intake& intake) const;
  void settle_waiters(std::uint64_t now_ms);
  void reply(Waiter& waiter, Result<Receipt> result);
  bool is_reported(Sequence sequence) const;
  std::optional<Result<Receipt>> resolved(Sequence sequence) const;
  void resolve(const InFlight& flight);
  void answer_waiters(const InFlight& flight, const Error& error);

  Options options_;
  Route route_;
  Link link_ = Link::waiting;
  Route::Next next_;      // link waiting: where, and when
  std::string endpoint_;  // of the connection
  std::uint64_t greet_deadline_ms_ = 0;
  std::uint64_t heard_ms_ = 0;
  std::uint64_t pinged_ms_ = 0;
  Leave leaving_ = Leave::stay;  // decided by a frame, performed by the next tick
  std::string leave_for_;
  std::string trouble_ = "no server was reached yet";
  bool redirected_ = false;         // to the endpoint of this connection attempt
  std::string unreachable_leader_;  // named by a server, and could not be reached or did not greet
  std::set<std::string> greetings_refused_;  // by these endpoints, before the first WELCOME

  bool opened_ = false;
  Instance instance_ = 0;  // 0: open a new one
  Instance newest_instance_ = 0;
  unsigned openings_ = 0;  // HELLOs that may each have opened an instance
  Sequence resumed_after_ = 0;
  Sequence acknowledged_ = 0;  // and everything before
  InputDigest input_;
  Sequence next_cut_ = 1;  // the first one that is still in the intake
  std::optional<Error> dead_;
  std::optional<wire::BatchLimits> new_limits_;
  bool start_intake_ = false;  // it does not know its first sequence yet
  bool intake_empty_ = true;   // at the last exchange

  std::deque<InFlight> batches_;   // ascending sequences without holes
  std::size_t unanswered_ = 0;     // batches in state sent
  std::uint64_t answered_ms_ = 0;  // when a publish was answered, or none was to be
  std::size_t reported_ = 0;       // batches whose outcome is open; they stand in front
  bool new_instance_needed_ = false;
  bool renumber_intake_ = false;   // from next_cut_
  bool acknowledged_any_ = false;  // under this instance
  std::optional<std::uint64_t> held_until_ms_;
  std::uint64_t hold_deadline_ms_ = 0;
  unsigned holds_ = 0;                 // one after the other, until last_held_ is acknowledged
  Sequence last_held_ = 0;             // the last one that was under way when a hold began
  std::optional<Error> last_refusal_;  // that asks to try again later

  std::optional<Error> give_up_;  // for what is in the intake
  std::optional<Error> ended_;
  std::vector<BatchPtr> to_release_;
  std::vector<Waiter> waiters_;
  std::deque<Resolved> resolved_;  // what was reported as open, and answered since
  std::optional<Closing> closing_;

  std::vector<Output> outputs_;
  std::vector<Completion> completions_;
  std::vector<std::function<void()>> replies_;
};

}  // namespace zabmq::client
