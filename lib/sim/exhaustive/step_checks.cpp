// Step checks: what zab.md 1.10 and 2.3 demand of one server alone, at every message it sends and
// every operation it asks for. The disk is believed, not the core.
#include <algorithm>
#include <variant>

#include "sim/exhaustive/step.hpp"
#include "sim/exhaustive/text.hpp"

namespace zabmq::sim::exhaustive {

void Step::check_ready(const zab::Ready& ready, const std::vector<Record>& records) {
  Disk& disk = server_.disk;
  Seen& seen = server_.seen;
  const bool opens = std::any_of(
      ready.outputs.begin(), ready.outputs.end(),
      [](const zab::Output& output) { return std::holds_alternative<zab::OpenSession>(output); });
  if (opens || ready.drain) {
    seen.new_leader_at.reset();
    seen.acked_leader = false;
  }
  if (ready.append && records.empty()) complain("appends without a PROPOSE");
  if (ready.append && (disk.draining || disk.rewind)) complain("appends while the log is cut");
  if (ready.rewind && disk.unsynced() > 0) complain("cuts a log that is being written");
  for (const Record& record : ready.append ? records : std::vector<Record>{}) {
    if (record.zxid.epoch > disk.identity.accepted) {
      complain("logs " + to_string(record.zxid) + " above its durable acceptedEpoch");
    }
  }
  for (const zab::Event& event : ready.events) {
    if (event.kind == zab::Event::Kind::alarm) complain("alarm: " + event.text);
  }
  if (ready.fatal) complain("fatal: " + *ready.fatal);
}

// I2: promises are never lowered. The history is durable before currentEpoch is (ZOOKEEPER-4643).
void Step::check_store(const zab::Identity& wanted) {
  const Disk& disk = server_.disk;
  if (disk.storing) complain("stores two identity records at once");
  if (wanted.accepted < disk.identity.accepted) complain("acceptedEpoch goes down");
  if (wanted.current < disk.identity.current) complain("currentEpoch goes down");
  if (wanted.current > wanted.accepted) complain("currentEpoch above acceptedEpoch");
  if (wanted.current == disk.identity.current) return;
  const bool leading = server_.core.role() == Role::leading;
  if (!leading && !server_.seen.new_leader_at) complain("stores currentEpoch before NEWLEADER");
  const Zxid history = leading ? disk.last() : server_.seen.new_leader_at.value_or(Zxid{});
  if (disk.durable_end() < history) {
    complain("stores currentEpoch before its history is durable");
  }
}

void Step::check_message(const zab::Message& message) {
  const zab::Identity& disk = server_.disk.identity;
  if (const auto* vote = std::get_if<zab::Vote>(&message)) {
    check_vote(*vote);
  } else if (const auto* standing = std::get_if<zab::StandingMessage>(&message)) {
    if (standing->standing != disk.standing) complain("says a standing that is not durable");
  } else if (const auto* cepoch = std::get_if<zab::CEpoch>(&message)) {
    if (cepoch->accepted != disk.accepted) complain("CEPOCH with a wrong acceptedEpoch");
    if (cepoch->standing != disk.standing) complain("CEPOCH with a wrong standing");
  } else if (const auto* new_epoch = std::get_if<zab::NewEpoch>(&message)) {
    if (new_epoch->epoch != disk.accepted) complain("NEWEPOCH before its own promise");
  } else if (const auto* ack_epoch = std::get_if<zab::AckEpoch>(&message)) {
    check_ack_epoch(*ack_epoch);
  } else if (const auto* ack_leader = std::get_if<zab::AckLeader>(&message)) {
    check_ack_leader(*ack_leader);
  } else if (const auto* ack = std::get_if<zab::Ack>(&message)) {
    check_ack(ack->durable, true);
  } else if (const auto* progress = std::get_if<zab::Progress>(&message)) {
    check_ack(progress->durable, false);
  } else if (const auto* up_to_date = std::get_if<zab::UpToDate>(&message)) {
    check_commit_point(up_to_date->commit);
  } else if (const auto* commit = std::get_if<zab::Commit>(&message)) {
    check_commit_point(commit->commit);
  } else if (const auto* ping = std::get_if<zab::Ping>(&message)) {
    check_commit_point(ping->commit);
  } else if (std::holds_alternative<zab::Admitted>(message)) {
    if (disk.standing != zab::Standing::voter) complain("ADMITTED before its mark is durable");
  } else if (const auto* propose = std::get_if<zab::Propose>(&message)) {
    check_commit_point(propose->commit);
  }
}

// The zxid in a vote is durable, and memory is the disk (I10, ZOOKEEPER-2845).
void Step::check_vote(const zab::Vote& vote) {
  if (vote.leader != server_.core.self() || vote.role != Role::looking) return;
  const Disk& disk = server_.disk;
  if (vote.last != disk.durable_end() || vote.last != disk.last()) {
    complain("votes with " + to_string(vote.last) + ", its disk ends at " +
             to_string(disk.durable_end()));
  }
  if (vote.current_epoch != disk.identity.current || disk.storing) {
    complain("votes with a currentEpoch that is not durable");
  }
  if (disk.identity.standing != zab::Standing::voter) complain("votes and is no voter");
}

// I2: at most one ACK-E that counts for an epoch in a server's whole life, and none for an epoch
// below one that it promised.
void Step::check_ack_epoch(const zab::AckEpoch& message) {
  const Disk& disk = server_.disk;
  if (disk.identity.accepted != message.epoch) complain("ACK-E before the promise is durable");
  if (disk.identity.current != message.current) complain("ACK-E with a wrong currentEpoch");
  if (message.history.last() != disk.durable_end()) {
    complain("ACK-E with " + to_string(message.history.last()) + ", its disk ends at " +
             to_string(disk.durable_end()));
  }
  if (!message.promised) return;
  if (message.epoch <= server_.seen.promised) {
    complain("a second ACK-E that counts for epoch " + to_string(message.epoch));
  }
  server_.seen.promised = std::max(server_.seen.promised, message.epoch);
}

// History, then currentEpoch, then ACK-LD (ZOOKEEPER-3911, 4643, 4646).
void Step::check_ack_leader(const zab::AckLeader& message) {
  const Disk& disk = server_.disk;
  if (disk.identity.current != message.epoch) complain("ACK-LD before currentEpoch is durable");
  if (disk.identity.accepted != message.epoch) complain("ACK-LD after a later promise");
  if (!server_.seen.new_leader_at) return complain("ACK-LD without NEWLEADER");
  if (disk.durable_end() < *server_.seen.new_leader_at) {
    complain("ACK-LD before its history is durable");
  }
  server_.seen.acked_leader = true;
}

// I6: an ACK says what is on the disk. No ACK before ACK-LD (ZOOKEEPER-4685).
void Step::check_ack(Zxid durable, bool acked_leader_wanted) {
  if (!server_.disk.is_durable(durable)) {
    complain("acknowledges " + to_string(durable) + ", its disk ends at " +
             to_string(server_.disk.durable_end()));
  }
  if (server_.seen.acked_leader != acked_leader_wanted) {
    complain(acked_leader_wanted ? "ACK before ACK-LD" : "PROGRESS after ACK-LD");
  }
}

// A commit point never names what the sender has not committed.
void Step::check_commit_point(Zxid commit) {
  if (commit > server_.core.last_committed() || !server_.disk.contains(commit)) {
    complain("tells that " + to_string(commit) + " is committed");
  }
}

// proposed, logged, durable, committed, delivered: nobody jumps a rung; memory is the disk.
void Step::check_end() {
  const zab::Core& core = server_.core;
  const Disk& disk = server_.disk;
  if (!core.taking_part()) return;
  if (core.last_durable() > disk.durable_end()) {
    complain("takes " + to_string(core.last_durable()) + " for durable, the disk ends at " +
             to_string(disk.durable_end()));
  }
  if (core.last_committed() > core.last_logged()) {
    complain("committed " + to_string(core.last_committed()) + ", which is not in its log");
  }
  if (core.last_delivered() > core.last_committed()) complain("delivered before committed");
  if (core.history() != disk.history()) {
    complain("its core knows [" + text(core.history()) + "], its disk holds [" +
             text(disk.history()) + "]");
  }
  // It may forget a commit point that is not durable here, never one that is.
  const Zxid known = std::min(before_.core.last_committed(), before_.disk.durable_end());
  if (!restarted_ && core.last_committed() < known) {
    complain("its commit point goes back from " + to_string(known) + " to " +
             to_string(core.last_committed()));
  }
}

}  // namespace zabmq::sim::exhaustive
