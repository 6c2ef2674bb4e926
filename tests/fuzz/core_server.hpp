// CoreServer: one Core with a simulated disk, whose peers may say anything. It performs Ready in
// the documented order and asks, after every step, what must hold whatever the peers say.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "input.hpp"
#include "zab/core.hpp"
#include "zab/harness/disk.hpp"

namespace zabmq::fuzz {

class CoreServer {
 public:
  CoreServer(ServerId self, const zab::Config& config, zab::test::Disk disk);

  // --- inputs; each is followed by one Ready ---
  void start();
  void receive(ServerId from, const zab::Message& message);
  // PROPOSE with these records; those that do not continue the log end the session.
  void receive_records(ServerId from, const std::vector<zab::test::Record>& records, Zxid commit);
  void tick(std::uint64_t ms, bool disk_stuck);
  void propose(std::size_t count);
  void ask_quorum();
  void session_lost(ServerId peer);
  void complete_log();
  void complete_store();
  void crash(const zab::test::CrashChoice& choice);

  bool up() const { return core_.has_value(); }
  const zab::Core& core() const { return *core_; }
  const zab::test::Disk& disk() const { return disk_; }

 private:
  void note_claims(ServerId from, const zab::Message& message);
  void perform_ready(const std::vector<zab::test::Record>& records = {});
  void perform(const zab::OpenSession& output);
  void perform(const zab::CloseSession& output);
  void perform(const zab::Send& output);
  void perform(const zab::Stream& output);
  void deliver(Zxid up_to);
  void follow_up(const std::vector<zab::Admit>& wanted);
  void stop(const std::string& why);

  // core_server_checks.cpp
  void check_store(const zab::Identity& wanted) const;
  void check_standing(const zab::Identity& wanted) const;
  void check_sent(ServerId to, const zab::Message& message);
  void check_vote(const zab::Vote& vote) const;
  void check_promise(const zab::AckEpoch& message);
  void check_commit_point(Zxid commit) const;
  void check_state();
  void check_identity();
  void check_ladder();
  void check_counted(Zxid committed) const;
  void check_bounds() const;

  ServerId self_;
  zab::Config config_;
  zab::test::Disk disk_;
  std::optional<zab::Core> core_;
  std::uint64_t now_ms_ = 1000;
  bool incoming_records_ = false;
  bool leaving_ = false;  // the Ready being performed ends the role

  std::vector<zab::test::Record> delivered_admits_;  // not told to the core yet

  // Over all lives.
  std::uint8_t lives_ = 0;
  zab::Identity durable_;     // as last seen on the disk
  std::set<Epoch> promised_;  // ACK-Es that counted
  // Of this life.
  std::map<ServerId, Zxid> acked_;          // the greatest that each peer ever claimed
  std::set<ServerId> claims_to_count_;      // by CEPOCH or ADMITTED
  std::set<ServerId> claims_synchronized_;  // by ACK-LD
  bool established_ = false;
  Zxid told_commit_;  // the greatest that any peer ever said is committed
  Zxid committed_;
  Zxid delivered_;
  std::set<Epoch> admitted_in_;  // epochs of own admits that were delivered
  // Of the session with its leader.
  std::optional<Zxid> new_leader_at_;
  bool acked_leader_ = false;
};

}  // namespace zabmq::fuzz
