// Server: a Core with a simulated disk and its end of the sessions. It performs Ready in the
// documented order and nothing else; what lib/replica does with real records, it does with values.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "zab/core.hpp"
#include "zab/harness/disk.hpp"
#include "zab/harness/network.hpp"
#include "zab/harness/record.hpp"

namespace zabmq::zab::test {

class Checker;

inline constexpr std::uint64_t tick_ms = 10;

// Where a server's doings are written for golden conversations.
using Trace = std::function<void(const std::string& line)>;

class Server {
 public:
  struct Setup {
    ServerId id = ServerId::none;
    Config config{{}, 0};
    Options options;
    FreshIds fresh_ids;
  };

  Server(Setup setup, Disk disk, Network& network, Checker& checker);

  // --- life ---
  void start(std::uint64_t now_ms);
  void crash(const CrashChoice& choice, bool peers_told = true, std::size_t frames_kept_max = 0);
  void wipe(const Uuid& incarnation);  // of a server that is down: an empty directory
  void put_back(Disk copy);            // the same: an older copy of its directory
  bool up() const { return core_.has_value(); }
  const std::optional<std::string>& fatal() const { return fatal_; }

  // --- inputs ---
  void receive(ServerId from, const Frame& frame);
  void session_lost(ServerId peer);
  void tick(std::uint64_t now_ms);
  // The zxids given; empty when this server does not lead in broadcast. One group, one Ready.
  std::vector<Zxid> propose(const std::vector<std::string>& values);
  std::optional<std::uint64_t> ask_quorum();
  void complete_log();
  void complete_store();
  // Turns queued streams into frames, at most `records_max` records in all; true when more are
  // left.
  bool pump(ServerId to, std::size_t records_max);
  void free_up_to(Zxid z);  // delivered here
  void hand_in_admits();    // tells the core of delivered ones

  // The next session message from `from` may be handed in: not while the log is being cut.
  bool takes_records() const { return !disk_.rewinding(); }

  // --- modes ---
  bool hold_log = false;      // completions wait for complete_log()
  bool hold_store = false;    // and for complete_store()
  bool hold_streams = false;  // streams wait for pump(): records that are read from the disk
  bool hold_admits = false;   // delivered admits wait for hand_in_admits()
  bool disk_stuck = false;    // as handed to tick()
  Trace trace;                // may be empty

  // --- state ---
  ServerId id() const { return setup_.id; }
  const Setup& setup() const { return setup_; }
  Core& core() { return *core_; }
  const Core& core() const { return *core_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  std::uint64_t now_ms() const { return now_ms_; }
  unsigned incarnation() const { return incarnation_; }  // lives begun
  std::size_t delivered_count() const { return delivered_count_; }
  std::uint64_t rounds_answered() const { return rounds_answered_; }
  const std::vector<Event>& events() const { return events_; }  // of this life
  std::size_t count_events(Event::Kind kind) const;
  bool streams_waiting(ServerId to) const;
  bool admits_waiting() const { return !delivered_admits_.empty(); }
  std::vector<ServerId> peers_with_streams() const;
  bool leads_in_broadcast() const { return up() && core_->leading_in_broadcast(); }
  bool is_up_to_date() const;  // follows in broadcast

 private:
  struct Queued {
    std::uint64_t session = 0;
    std::variant<Message, Stream> item;
  };

  void after_input(const std::vector<Record>& records);
  void perform(Ready ready, const std::vector<Record>& records);
  void propose_group(const std::vector<Record>& drafts, std::vector<Zxid>& given);
  void tell_delivered_admits();
  bool follow_up();
  void perform(const OpenSession& output);
  void perform(const CloseSession& output);
  void perform(const Send& output);
  void perform(const Stream& output);
  void send_now(ServerId to, Message message, std::vector<Record> records);
  void fill_in(Message& message, std::vector<Record>& records) const;
  std::size_t send_records(ServerId to, Stream& stream, std::size_t records_max);
  void deliver(Zxid up_to);
  void write_trace(const std::string& line) const;

  Setup setup_;
  Disk disk_;
  Network& network_;
  Checker& checker_;
  std::optional<Core> core_;
  std::optional<std::string> fatal_;
  std::map<ServerId, std::deque<Queued>> queues_;  // as lib/replica has them, one for each peer
  std::vector<Record> admits_;                     // to be proposed; drafts
  std::vector<Record> delivered_admits_;           // that the core was not told of yet
  std::uint64_t now_ms_ = 0;
  unsigned incarnation_ = 0;
  std::size_t delivered_count_ = 0;
  std::uint64_t rounds_answered_ = 0;
  std::vector<Event> events_;
};

}  // namespace zabmq::zab::test
