// Checker: is what a server asks for and says true at that moment? (zab.md 1.10)
#include <algorithm>

#include "zab/harness/checker.hpp"
#include "zab/harness/server.hpp"
#include "zab/harness/text.hpp"

namespace zabmq::zab::test {

void Checker::receiving(const Server& server, ServerId from, const Message& message) {
  Seen& seen = seen_[server.id()];
  const bool from_leader =
      server.core().role() == Role::following && server.core().leader() == from;
  if (from_leader && std::holds_alternative<NewLeader>(message)) {
    seen.new_leader_at = server.disk().last();
  }
}

void Checker::performing(const Server& server, const Ready& ready,
                         const std::vector<Record>& records) {
  if (ready.append + ready.rewind.has_value() + ready.drain > 1) {
    complain(server, "a Ready asks for more than one of append, rewind and drain");
  }
  if (ready.append && records.empty()) complain(server, "append without a PROPOSE");
  Seen& seen = seen_[server.id()];
  const bool opens = std::any_of(ready.outputs.begin(), ready.outputs.end(), [](const Output& o) {
    return std::holds_alternative<OpenSession>(o);
  });
  if (opens || ready.drain) {
    seen.new_leader_at.reset();
    seen.acked_leader = false;
  }
  if (ready.rewind && seen.acked) seen.acked = std::min(*seen.acked, ready.rewind->to);
  if (ready.store && ready.store->current > server.disk().identity().current) {
    // The history is durable before currentEpoch is (ZOOKEEPER-4643).
    const Zxid wanted = server.core().role() == Role::leading ? server.disk().last()
                                                              : seen.new_leader_at.value_or(Zxid{});
    if (server.core().role() == Role::following && !seen.new_leader_at) {
      complain(server, "stores currentEpoch before NEWLEADER");
    }
    if (server.disk().durable_end() < wanted) {
      complain(server, "stores currentEpoch before its history is durable");
    }
  }
  if (ready.store) check_mark(server, *ready.store);
  if (ready.rounds_answered) check_round(server, *ready.rounds_answered);
  for (const Event& event : ready.events) {
    if (event.kind == Event::Kind::alarm) check_alarm(server, event);
  }
  if (ready.fatal && !fatal_allowed) complain(server, "fatal: " + *ready.fatal);
}

void Checker::sending(const Server& server, ServerId to, const Message& message) {
  const Identity& disk = server.disk().identity();
  if (const auto* vote = std::get_if<Vote>(&message)) {
    check_vote(server, *vote);
  } else if (const auto* cepoch = std::get_if<CEpoch>(&message)) {
    if (cepoch->accepted != disk.accepted) complain(server, "CEPOCH with a wrong acceptedEpoch");
    if (cepoch->standing != disk.standing) complain(server, "CEPOCH with a wrong standing");
  } else if (const auto* new_epoch = std::get_if<NewEpoch>(&message)) {
    if (new_epoch->epoch != disk.accepted) complain(server, "NEWEPOCH before its own promise");
  } else if (const auto* ack_epoch = std::get_if<AckEpoch>(&message)) {
    check_ack_epoch(server, *ack_epoch);
  } else if (const auto* ack_leader = std::get_if<AckLeader>(&message)) {
    check_ack_leader(server, *ack_leader);
  } else if (const auto* ack = std::get_if<Ack>(&message)) {
    check_ack(server, ack->durable, true);
  } else if (const auto* progress = std::get_if<Progress>(&message)) {
    check_ack(server, progress->durable, false);
  } else if (const auto* admitted = std::get_if<Admitted>(&message)) {
    if (disk.standing != Standing::voter || disk.incarnation != admitted->incarnation) {
      complain(server, "ADMITTED before its mark is durable");
    }
  } else if (const auto* up_to_date = std::get_if<UpToDate>(&message)) {
    check_commit_point(server, to, up_to_date->commit);
  } else if (const auto* commit = std::get_if<Commit>(&message)) {
    check_commit_point(server, to, commit->commit);
  } else if (const auto* ping = std::get_if<Ping>(&message)) {
    check_commit_point(server, to, ping->commit);
  }
}

// The zxid in a vote is durable, and memory is the disk (I10, ZOOKEEPER-2845).
void Checker::check_vote(const Server& server, const Vote& vote) {
  if (server.disk().identity().standing != Standing::voter)
    complain(server, "votes and is no voter");
  if (vote.leader != server.id() || vote.role != Role::looking) return;
  const Disk& disk = server.disk();
  if (vote.last != disk.durable_end() || vote.last != disk.last()) {
    complain(server, "votes with " + to_string(vote.last) + ", its disk ends at " +
                         to_string(disk.durable_end()));
  }
  if (vote.current_epoch != disk.identity().current || disk.storing()) {
    complain(server, "votes with a currentEpoch that is not durable");
  }
}

void Checker::check_ack_epoch(const Server& server, const AckEpoch& message) {
  const Identity& disk = server.disk().identity();
  if (disk.accepted != message.epoch) complain(server, "ACK-E before the promise is durable");
  if (disk.current != message.current) complain(server, "ACK-E with a wrong currentEpoch");
  if (message.history.last() != server.disk().durable_end()) {
    complain(server, "ACK-E with " + to_string(message.history.last()) + ", its disk ends at " +
                         to_string(server.disk().durable_end()));
  }
  // I2: at most one ACK-E that counts for an epoch in a server's whole life.
  if (message.promised && !seen_[server.id()].promised.insert(message.epoch).second) {
    complain(server, "a second ACK-E that counts for epoch " + to_string(message.epoch));
  }
}

// History, then currentEpoch, then ACK-LD (ZOOKEEPER-3911, 4643, 4646).
void Checker::check_ack_leader(const Server& server, const AckLeader& message) {
  Seen& seen = seen_[server.id()];
  const Identity& disk = server.disk().identity();
  if (disk.current != message.epoch) complain(server, "ACK-LD before currentEpoch is durable");
  if (disk.accepted != message.epoch) complain(server, "ACK-LD after a later promise");
  if (!seen.new_leader_at) return complain(server, "ACK-LD without NEWLEADER");
  if (server.disk().durable_end() < *seen.new_leader_at) {
    complain(server, "ACK-LD before its history is durable");
  }
  seen.acked_leader = true;
  seen.acked = std::max(seen.acked.value_or(Zxid{}), *seen.new_leader_at);
}

// I6: an ACK says what is on the disk. No ACK before ACK-LD (ZOOKEEPER-4685).
void Checker::check_ack(const Server& server, Zxid durable, bool acked_leader_wanted) {
  Seen& seen = seen_[server.id()];
  if (!server.disk().is_durable(durable)) {
    complain(server, "acknowledges " + to_string(durable) + ", its disk ends at " +
                         to_string(server.disk().durable_end()));
  }
  if (seen.acked_leader != acked_leader_wanted) {
    complain(server, acked_leader_wanted ? "ACK before ACK-LD" : "PROGRESS after ACK-LD");
  }
  if (acked_leader_wanted) seen.acked = std::max(seen.acked.value_or(Zxid{}), durable);
}

// A server takes its disk for an old copy only when it is one.
void Checker::check_alarm(const Server& server, const Event& event) {
  const bool old_copy = event.text.find("an old copy") != std::string::npos;
  if (alarm_allowed || (old_copy && seen_[server.id()].old_copy)) return;
  complain(server, "alarm: " + event.text);
}

// A wiped server becomes a voter by its own admit only: delivered while it follows in the epoch in
// which it was proposed, and durable on a quorum of others. A voter is wiped only as somebody new.
void Checker::check_mark(const Server& server, const Identity& wanted) {
  const Identity& old = server.disk().identity();
  if (old.standing == Standing::voter && wanted.standing != Standing::voter &&
      wanted.incarnation == old.incarnation) {
    complain(server, "is wiped and keeps its incarnation");
  }
  if (old.standing != Standing::wiped || wanted.standing != Standing::voter) return;
  const Admit own{server.id(), old.incarnation};
  const auto& records = server.disk().records();
  for (std::size_t i = 0; i < server.delivered_count(); ++i) {
    if (records[i].admit != own || records[i].zxid.epoch != old.accepted) continue;
    if (peers_ == Peers::fictional) return;
    std::size_t others = 0;
    for (ServerId id : config_.voters()) {
      const Server& other = *servers_.at(id);
      if (id == server.id()) continue;
      const bool there = other.disk().identity().standing == Standing::voter &&
                         other.disk().digest_at(records[i].zxid) == records[i].digest &&
                         other.disk().is_durable(records[i].zxid);
      if (there || lost_later(id, i + 1, records[i].digest, old.accepted)) ++others;
    }
    if (others >= config_.quorum()) return static_cast<void>(++admitted_);
  }
  complain(server, "takes itself for a voter without an admit of a quorum of others");
}

void Checker::asked(const Server& server, std::uint64_t ticket) {
  seen_[server.id()].asked[ticket] = committed_.size();
}

// A quorum round answers with an end that is not before anything committed when it was asked:
// a deposed leader must not answer (ZOOKEEPER-1675).
void Checker::check_round(const Server& server, std::uint64_t ticket) {
  auto& asked = seen_[server.id()].asked;
  const auto end = server.disk().count_up_to(server.core().last_committed()).value_or(0);
  while (!asked.empty() && asked.begin()->first <= ticket) {
    if (asked.begin()->second > end) {
      complain(server, "answers a question with an end that was passed before it was asked");
    }
    asked.erase(asked.begin());
  }
}

// A commit point never names what the leader has not committed.
void Checker::check_commit_point(const Server& server, ServerId to, Zxid commit) {
  if (commit > server.core().last_committed() || !server.disk().contains(commit)) {
    complain(server, "tells " + to_string(to) + " that " + to_string(commit) + " is committed");
  }
}

// A range of the log: nothing but cursors moves (zab.md 3.1: 4925, 2418).
void Checker::streaming(const Server& server, const Stream& stream) {
  if (!server.disk().contains(stream.after) || !server.disk().contains(stream.up_to) ||
      stream.up_to <= stream.after) {
    complain(server, "streams (" + to_string(stream.after) + ", " + to_string(stream.up_to) +
                         "], which is no range of its log");
  }
}

}  // namespace zabmq::zab::test
