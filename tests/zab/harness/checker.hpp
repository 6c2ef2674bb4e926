// Checker: what must hold after every step of every test. The six properties of the paper's
// section III and the invariants behind them, checked against ghosts that survive crashes: what was
// ever proposed, committed and delivered, whoever still remembers it.
//
// It looks at disks and messages. It believes a Core only where it compares it with them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "zab/config.hpp"
#include "zab/harness/record.hpp"
#include "zab/message.hpp"
#include "zab/ready.hpp"

namespace zabmq::zab::test {

class Server;

class Checker {
 public:
  // With fictional peers (one server whose peers are the test itself) whatever concerns the disks
  // of a quorum cannot be asked.
  enum class Peers : std::uint8_t { real, fictional };
  using Report = std::function<void(const std::string& violation)>;

  // Without `report` violations are only collected.
  Checker(Config config, Peers peers, Report report)
      : config_(std::move(config)), peers_(peers), report_(std::move(report)) {}

  void watch(const Server& server);  // before its first start

  // Things that a correct cluster with sound disks never does; a test that damages one says so.
  bool fatal_allowed = false;
  bool alarm_allowed = false;

  // --- told by Server, before the thing is done unless the name says otherwise ---
  void started(const Server& server);
  void crashed(const Server& server);    // after
  void disk_lost(const Server& server);  // and replaced by an empty or an older one: before
  void disk_replaced(const Server& server, bool old_copy);  // after
  void receiving(const Server& server, ServerId from, const Message& message);
  void performing(const Server& server, const Ready& ready, const std::vector<Record>& records);
  void appended(const Server& server, const std::vector<Record>& records);  // after
  void proposed(const Server& server, const Record& record);
  void sending(const Server& server, ServerId to, const Message& message);
  void streaming(const Server& server, const Stream& stream);
  void stored(const Server& server);  // after
  void delivering(const Server& server, Zxid up_to, std::optional<std::size_t> count);

  void asked(const Server& server, std::uint64_t ticket);  // after

  void adopting(const Server& server, Zxid state);
  void check();  // the whole state

  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<Record>& committed() const { return committed_; }
  const std::vector<Record>& delivered() const { return delivered_; }
  std::size_t epochs_established() const { return established_.size(); }
  std::size_t checks_made() const { return checks_made_; }
  std::size_t adopted() const { return adopted_; }    // histories replaced by SNAP
  std::size_t admitted() const { return admitted_; }  // wiped servers that became voters again

 private:
  // What was seen of one server, over all its lives.
  struct Seen {
    Epoch accepted = Epoch::none;  // durable
    Epoch current = Epoch::none;
    std::set<Epoch> promised;   // ACK-Es that counted
    std::optional<Zxid> acked;  // the greatest durable zxid it ever claimed and was not told to cut
    std::size_t committed_kept = 0;  // committed records durable here
    // What it had claimed on disks that it has lost: its leaders of that time may still count it.
    std::set<Epoch> lost_promises;
    std::vector<Digest>
        lost_acked;                // the history that it had acknowledged, of the newest such disk
    Epoch lost_in = Epoch::none;   // while it followed in this epoch
    std::optional<Uuid> old_copy;  // its disk is an older one of this incarnation, unknown to it
    // Version and durable count of its log, and how much was committed, when last looked at.
    std::optional<std::tuple<std::uint64_t, std::size_t, std::size_t>> log_looked_at;
    // of this life
    Zxid committed;
    std::size_t delivered_count = 0;
    std::map<std::uint64_t, std::size_t> asked;  // ticket, and how much was committed then
    // of the session it follows in
    std::optional<Zxid> new_leader_at;
    bool acked_leader = false;
  };
  struct Established {
    ServerId leader = ServerId::none;
    unsigned incarnation = 0;
    std::vector<Digest> initial;  // I_e
    std::optional<std::size_t> delivered_at_first_proposal;
  };

  void complain(const Server& server, const std::string& text);
  void complain(const std::string& text);

  // checker_messages.cpp: is what is being sent true?
  void check_vote(const Server& server, const Vote& vote);
  void check_ack_epoch(const Server& server, const AckEpoch& message);
  void check_ack_leader(const Server& server, const AckLeader& message);
  void check_ack(const Server& server, Zxid durable, bool acked_leader_wanted);
  void check_round(const Server& server, std::uint64_t ticket);
  void check_commit_point(const Server& server, ServerId to, Zxid commit);
  void check_mark(const Server& server, const Identity& wanted);
  void check_alarm(const Server& server, const Event& event);

  // checker.cpp: the whole state
  void check_server(const Server& server, Seen& seen);
  void check_log(const Server& server, Seen& seen);
  void check_ladder(const Server& server, Seen& seen);
  void check_leader(const Server& server);
  void check_follower(const Server& server, const Seen& seen);
  void learn_commit(const Server& server);
  void add_committed(const Server& server, std::size_t count);
  void check_initial_history(const Established& established, Epoch epoch);
  std::size_t committed_on(const Server& server) const;
  bool lost_later(ServerId id, std::size_t count, Digest digest, Epoch epoch) const;
  std::size_t quorum_disks(std::size_t count, Epoch epoch) const;
  void add_delivered(const Server& server, const Record& record);

  Config config_;
  Peers peers_;
  Report report_;
  std::vector<std::string> violations_;
  std::map<ServerId, const Server*> servers_;
  std::map<ServerId, Seen> seen_;

  // Ghosts.
  std::map<Zxid, Record> proposed_;  // a zxid is never reused
  std::vector<Record> committed_;    // grows only
  std::vector<Epoch> committed_in_;  // by the leader of which epoch; same positions
  std::vector<Record> delivered_;    // the canonical list C, grows only
  std::map<Epoch, Established> established_;
  std::size_t checks_made_ = 0;
  std::size_t adopted_ = 0;
  std::size_t admitted_ = 0;
};

}  // namespace zabmq::zab::test
