// Step: performs one input on a copy of a server, and checks on the way whatever needs nobody else:
// is what the server asks for and says true at that moment?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/exhaustive/server.hpp"

namespace zabmq::sim::exhaustive {

// A fresh core on this disk, ticked once.
zab::Core start_core(ServerId id, const Disk& disk, Zxid delivered, std::uint64_t now_ms);

class Step {
 public:
  // `lines` may be null.
  Step(const Server& before, Grain grain, Frames& frames, Lines* lines)
      : before_(before), server_(before), grain_(grain), frames_(frames), lines_(lines) {
    delivered_ = before.core.last_delivered();
  }

  void take(const Input& input);

  Server& server() { return server_; }
  std::vector<Output>& outputs() { return outputs_; }
  const Effect::Notable& notable() const { return notable_; }

 private:
  void take_frame(const Input& input);
  void crash(const Input& input);
  void wipe();
  void join(ServerId leader);
  void propose(const std::optional<zab::Admit>& admit);
  zab::Vote forged_vote(ServerId for_whom) const;
  void after_input(const std::vector<Record>& records);
  void perform(zab::Ready ready, const std::vector<Record>& records);
  void complete_at_once();
  void complete_store();
  void take_admits();
  void perform_log(const zab::Ready& ready, const std::vector<Record>& records);
  void output(const zab::Output& output);
  void send(ServerId to, zab::Message message, std::vector<Record> records);
  void stream(const zab::Stream& range);

  // step_checks.cpp
  void complain(const std::string& text) { notable_.violations.push_back(text); }
  void check_ready(const zab::Ready& ready, const std::vector<Record>& records);
  void check_store(const zab::Identity& wanted);
  void check_message(const zab::Message& message);
  void check_vote(const zab::Vote& vote);
  void check_ack_epoch(const zab::AckEpoch& message);
  void check_ack_leader(const zab::AckLeader& message);
  void check_ack(Zxid durable, bool acked_leader_wanted);
  void check_commit_point(Zxid commit);
  void check_end();
  void note(const std::string& line);

  const Server& before_;
  Server server_;
  Grain grain_;
  Frames& frames_;
  Lines* lines_;
  std::vector<Output> outputs_;
  Effect::Notable notable_;
  bool restarted_ = false;
  Zxid delivered_;                  // admits up to here were told to the core
  std::vector<zab::Admit> admits_;  // to be proposed
};

}  // namespace zabmq::sim::exhaustive
