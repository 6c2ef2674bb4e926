// PublisherActor: a program that publishes, over the real intake and session, and tells the history
// what it was promised. Two sorts: one that forgets itself when it is restarted, and asks for open
// outcomes; one that keeps its publisher's id and goes on where the cluster says it got to. Of the
// second sort, an older process may live on beside the newer one, which must fence it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
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

struct ClientSurroundings {
  Timeline& timeline;
  Trace& trace;
  const Parameters& parameters;
  ClientNetwork& network;
  HistoryChecker& history;
  std::function<Offset()> retained;  // greatest offset that retention has let go
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
  // From now on: patient deadlines, and `messages` more acknowledged ones.
  void finish_with(std::size_t messages);
  bool finished() const { return finishing_ && left_ == 0 && pending_ == 0 && unknown_.empty(); }
  std::string status() const;
  // The greatest place in a receipt so far.
  Place acknowledged() const { return acknowledged_; }

 private:
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
  bool publish_one(client::Intake& intake, std::uint64_t deadline_ms);
  void on_done(Sequence sequence, const Result<Receipt>& result);
  void ask_for_unknown();
  void acknowledge(const Receipt& receipt);
  void note_acknowledged(Offset offset, Zxid zxid);
  void note_late_openings(const Process& process);
  void judge_end(const Error& error, bool may_be_fenced);
  void refuse(Sequence sequence);
  void after_opening();
  void tell_outcomes();
  void check_deadlines();
  std::uint64_t now_ms() const { return around_.timeline.now() / millisecond; }
  std::uint64_t deadline_ms();
  std::vector<std::byte> payload_of(Sequence sequence);
  void say(const std::string& text);

  const ClientSurroundings around_;
  Random random_;
  const bool keeps_id_;
  NextKey next_key_;

  PublisherKey key_{};
  Uuid id_;
  Uuid cluster_;
  Uuid history_;
  Sequence known_last_ = 0;     // acknowledged or confirmed to this publisher, over its lives
  Sequence invoked_ = 0;        // with keeps_id: the same number is the same message
  std::uint64_t contents_ = 0;  // told messages apart that get one sequence in turn

  std::uint64_t life_ = 0;
  Process process_;
  bool after_opening_done_ = false;
  bool turn_planned_ = false;
  bool ended_ = false;            // by its first failure
  std::deque<Sequence> unknown_;  // open outcomes; the first one is being asked for
  std::size_t pending_ = 0;       // taken, and without an outcome
  struct Due {
    Sequence sequence = 0;
    std::uint64_t deadline_ms = 0;
  };
  std::deque<Due> due_;                        // the pending ones, with their deadlines
  std::optional<std::uint64_t> retry_due_ms_;  // of the question under way
  bool finishing_ = false;
  std::size_t left_ = 0;
  Place acknowledged_;
  Sequence newest_invoked_ = 0;     // by this process, and those since an older one was left alive
  std::set<Sequence> refused_;      // with its id kept: told to the history, not invoked again yet
  bool has_rival_ = false;          // an older process lived when this one began
  Micros late_openings_until_ = 0;  // a HELLO that nobody waits for any more may open till then

  std::optional<Process> older_;     // of this publisher, living on
  Sequence older_invoked_ = 0;       // the last; 0 when nothing of it can be taken any more
  std::uint64_t olders_ = 0;         // so far
  Sequence older_acknowledged_ = 0;  // the last
  Instance older_instance_ = 0;
  std::optional<Fence> fence_;  // what the next one was told when it was opened
};

// What a payload says it is.
struct MessageName {
  PublisherKey publisher{};
  Sequence sequence = 0;
};
MessageName name_of(Bytes payload);

}  // namespace zabmq::sim
