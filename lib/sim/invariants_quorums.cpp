// Invariants: what takes a quorum, and who belongs to one.
#include <algorithm>
#include <bit>

#include "sim/invariants.hpp"
#include "sim/memory_disk.hpp"

namespace zabmq::sim {
namespace {

std::uint32_t bit_of(ServerId server) {
  return std::uint32_t{1} << static_cast<std::uint32_t>(server);
}

}  // namespace

// Its directory has been a voter's all the time, or has been admitted again.
bool Invariants::counts(ServerId server) const {
  return seen(server).standing == zab::Standing::voter && !seen(server).forgot;
}

// Voters on whose platters the first `count` committed records are, crashed servers included, and
// which have adopted the epoch whose leader counts them: a later election must not pass over them.
std::size_t Invariants::voters_with(std::size_t count, Epoch epoch) {
  const auto among = [&](const std::vector<NodeId>& log) {
    return log.size() >= count && (count == 0 || log[count - 1] == committed_[count - 1]);
  };
  std::size_t voters = 0;
  for (Seen& at : seen_) {
    const bool has = at.standing == zab::Standing::voter && !at.forgot && at.current >= epoch &&
                     among(at.log) && platter_holds(at, count);
    if (has || among(at.lost)) ++voters;
  }
  return voters;
}

// What a leader goes on with, a quorum of voters has said, itself included if it has it durable.
// What it has heard is not more than what was sent.
void Invariants::check_quorum(ServerId leader, std::uint32_t said, bool itself,
                              const std::string& what) {
  if (itself && counts(leader)) said |= bit_of(leader);
  if (static_cast<std::size_t>(std::popcount(said)) < quorum_) complain("quorum", leader, what);
}

// A question about the cluster's end is never answered by a leader that had been deposed when it
// was asked: a quorum had followed somebody else by then.
void Invariants::check_rounds(ServerId server, const zab::Leading& leading) {
  Seen& at = seen(server);
  if (at.rounds_of != *leading.epoch) {
    at.rounds_of = *leading.epoch;
    at.rounds_asked = 0;
    at.questions.clear();
  }
  if (leading.round_asked > at.rounds_asked) {
    at.rounds_asked = leading.round_asked;
    at.questions.push_back({leading.round_asked, newest_established_});
  }
  while (!at.questions.empty() && at.questions.front().number <= leading.round_done) {
    if (at.questions.front().newest > *leading.epoch) {
      complain("quorum round", server,
               "answers a question that came when epoch " + to_string(at.questions.front().newest) +
                   " was established");
    }
    at.questions.pop_front();
  }
}

// Only an admit of this very incarnation, committed in the epoch that it has promised last.
void Invariants::check_readmitted(ServerId server, const zab::Identity& identity) {
  const auto found = admitted_.find(identity.incarnation);
  if (found == admitted_.end() || !found->second.contains(identity.accepted)) {
    complain("admit", server, "was wiped, and takes itself for a voter without an admit");
  }
  seen(server).forgot = false;
  seen(server).lost.clear();  // from here on it counts for what it has
}

void Invariants::note_floors(std::size_t from) {
  if (floors_.empty()) return;
  for (std::size_t i = from; i < committed_.size(); ++i) {
    const auto found = floors_.find(committed_[i]);
    if (found != floors_.end()) retained_ = std::max(retained_, found->second);
  }
}

void Invariants::note_admits(std::size_t from) {
  if (admits_.empty()) return;
  for (std::size_t i = from; i < committed_.size(); ++i) {
    const auto found = admits_.find(committed_[i]);
    if (found == admits_.end() || nodes_[committed_[i]].zxid.epoch != committed_in_[i]) continue;
    admitted_[found->second].insert(committed_in_[i]);
  }
}

void Invariants::note_promise(ServerId server, Epoch epoch) {
  if (counts(server)) said_[epoch].promised |= bit_of(server);
}

void Invariants::note_acknowledged(ServerId server, Epoch epoch) {
  if (counts(server)) said_[epoch].acknowledged |= bit_of(server);
}

}  // namespace zabmq::sim
