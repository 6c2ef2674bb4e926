// PublisherActor: a program that publishes, over the real intake and session, and tells the history
// what it was promised. Two sorts: one that forgets itself when it is restarted, and asks for open
// outcomes; one that keeps its publisher's id and goes on where the cluster says it got to. Of the
// second sort, an older process may live on beside the newer one, which must fence it. Both publish
// whole batches as well, the first sort also on conditions; some stay at servers that forward.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/intake.hpp"
#include "client/publisher_session.hpp"
#include "sim/client_link.hpp"
#include "sim/history_checker.hpp"
#include "sim/parameters.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace zabmq::sim {

// Of a message, or the end of a history.
struct Place {
  Offset offset = 0;
  Zxid zxid;
};

// What a payload says it is: a publisher's n-th content. Its sequence may change while it waits.
struct MessageName {
  PublisherKey publisher{};
  std::uint64_t content = 0;
};
MessageName name_of(Bytes payload);

// Which sequence each content was given last.
class Names {
 public:
  void give(const MessageName& name, Sequence sequence);
  Sequence sequence_of(const MessageName& name) const;  // 0: that content was never published

 private:
  std::unordered_map<PublisherKey, std::vector<Sequence>> by_content_;
};

// What publishers did beside sending one message after the other.
struct PublisherCounts {
  std::uint64_t batches = 0;  // published as such, and acknowledged
  std::uint64_t batch_messages = 0;
  std::uint64_t conditions_met = 0;
  std::uint64_t conditions_refused = 0;
  std::uint64_t renumbered = 0;  // messages that waited behind a refused condition
  std::uint64_t closed = 0;
  std::uint64_t staying = 0;  // messages acknowledged to those that stay where they are

  PublisherCounts& operator+=(const PublisherCounts& other);
};

struct ClientSurroundings {
  Timeline& timeline;
  Trace& trace;
  const Parameters& parameters;
  ClientNetwork& network;
  HistoryChecker& history;
  Names& names;
  std::function<Offset()> committed;  // greatest offset that is
  // By the committed history: how often a publisher was closed or idle for too long; where a
  // durable cursor stands.
  std::function<std::uint64_t(const Uuid&)> endings;
  std::function<std::optional<Offset>(const std::string&)> cursor;
  std::function<Offset(LogTime)> first_since;  // of a message that is not older
  std::function<Offset()> retained;            // greatest offset that retention has let go
  // A client saw something that no rule of the history covers.
  std::function<void(const std::string& check, const std::string& text)> report;
  // A client noticed what a correct server does not do, and put up with it.
  std::function<void(const std::string& check, const std::string& text)> suspect;
};

class PublisherActor {
 public:
  // `next_key` numbers publishers: a program that forgets itself comes back as another one.
  using NextKey = std::function<PublisherKey()>;

  PublisherActor(const ClientSurroundings& around, Random random, bool keeps_id, NextKey next_key);

  void start();
  void restart();  // the process is killed and comes back
  void close();    // it ends the publisher in order, and comes back
  // From now on: patient deadlines, and `messages` more acknowledged ones.
  void finish_with(std::size_t messages);
  bool finished() const { return finishing_ && left_ == 0 && pending_.empty() && unknown_.empty(); }
  std::string status() const;
  // The greatest place in a receipt so far.
  Place acknowledged() const { return acknowledged_; }
  const PublisherCounts& counts() const { return counts_; }

 private:
  static constexpr std::uint64_t patient_ms = 60'000;
  struct Process {
    std::unique_ptr<client::Intake> intake;
    std::unique_ptr<client::PublisherSession> session;
    std::unique_ptr<ClientLink<client::PublisherSession>> link;
  };
  struct Fence {
    Instance instance = 0;
    Sequence last = 0;  // that the cluster had taken
  };

  void open_session();
  void forget_id();
  void begin_anew();
  bool was_ended() const { return around_.endings(id_) > endings_before_; }
  void on_closed(const std::optional<Error>& error);
  void come_back();
  void leave_running();
  void older_chain(std::uint64_t number);
  bool older_goes_on();
  void older_completed(const client::Completion& completion);
  void older_failed(Sequence sequence, const Error& error);
  void check_fence();
  void plan_turn(Micros delay);
  void turn();
  void turn_chain(std::uint64_t life);
  void publish_chain(std::uint64_t life);
  void publish_some();
  struct Call {  // one of the program's to its publisher
    std::size_t messages = 1;
    bool batch = false;
    std::optional<Offset> behind;
  };
  struct Pending;
  Call next_call(Sequence next);
  std::optional<Offset> choose_condition();
  std::size_t batch_length() const;
  std::vector<Pending> publish(client::Intake& intake, std::uint64_t deadline_ms);
  void invoke(const Pending& message);
  void note_batch(const std::deque<Pending>& messages);
  void renumber(std::size_t by);
  void on_done(Sequence sequence, const Result<Receipt>& result);
  void ask_for_unknown();
  void acknowledge(const Receipt& receipt);
  void note_acknowledged(Offset offset, Zxid zxid);
  void note_late_openings(const Process& process);
  void judge_end(const Error& error, bool may_be_fenced);
  void refuse(Sequence sequence);
  void after_opening();
  void tell_outcomes();
  void complete(const client::Completion& completion);
  void judge_condition(const Pending& message, const Error& error);
  void check_deadlines();
  std::uint64_t now_ms() const { return around_.timeline.now() / millisecond; }
  std::uint64_t deadline_ms();
  std::vector<std::byte> payload_of(std::uint64_t content) const;
  void say(const std::string& text);

  const ClientSurroundings around_;
  Random random_;
  const bool keeps_id_;
  const bool stays_;  // at the server it has reached, whoever leads
  NextKey next_key_;

  PublisherKey key_{};
  Uuid id_;
  Uuid cluster_;
  Uuid history_;
  Instance known_instance_ = 0;  // as a session file has it
  Sequence known_last_ = 0;      // acknowledged or confirmed to this publisher, over its lives
  Sequence invoked_ = 0;         // with keeps_id: the same number is the same message
  std::uint64_t contents_ = 0;   // told messages apart that get one sequence in turn

  std::uint64_t life_ = 0;
  Process process_;
  bool after_opening_done_ = false;
  bool turn_planned_ = false;
  bool ended_ = false;    // by its first failure
  bool closing_ = false;  // it publishes nothing any more
  bool closed_ = false;
  std::deque<Sequence> unknown_;  // open outcomes; the first one is being asked for
  struct Pending {                // taken, and without an outcome
    Sequence sequence = 0;
    std::uint64_t content = 0;
    std::uint64_t deadline_ms = 0;
    std::string topic;
    std::uint64_t payload_hash = 0;
    HistoryChecker::Terms terms;
    bool in_batch = false;
  };
  std::deque<Pending> pending_;
  std::optional<std::uint64_t> retry_due_ms_;  // of the question under way
  bool finishing_ = false;
  std::size_t left_ = 0;
  Place acknowledged_;
  PublisherCounts counts_;
  Sequence newest_invoked_ = 0;     // by this process, and those since an older one was left alive
  std::set<Sequence> refused_;      // with its id kept: told to the history, not invoked again yet
  bool has_rival_ = false;          // an older process lived when this one began
  Micros late_openings_until_ = 0;  // a HELLO that nobody waits for any more may open till then

  std::uint64_t endings_before_ = 0;  // of its id, when it began anew

  std::optional<Process> older_;     // of this publisher, living on
  Sequence older_invoked_ = 0;       // the last; 0 when nothing of it can be taken any more
  std::uint64_t olders_ = 0;         // so far
  Sequence older_acknowledged_ = 0;  // the last
  Instance older_instance_ = 0;
  std::optional<Fence> fence_;  // what the next one was told when it was opened
};

}  // namespace zabmq::sim
