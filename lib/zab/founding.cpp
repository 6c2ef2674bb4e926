// Founding: how empty directories become a cluster, once, and how a wiped one comes back without a
// voice. Rules: design of founding in docs/protocol.md.
#include <algorithm>

#include "zab/core.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {

StandingMessage Core::own_standing(bool answer) const {
  StandingMessage mine;
  mine.handshake = handshake();
  mine.standing = identity_.standing;
  mine.answer = answer;
  if (leading_in_broadcast()) mine.leader = self_;
  if (const auto* following = std::get_if<Following>(&role_); following && following->up_to_date) {
    mine.leader = following->leader;
  }
  return mine;
}

void Core::on_standing(ServerId from, const StandingMessage& message) {
  if (!config_.is_voter(from) || from == self_) return drop(from, message, "sender is no voter");
  if (message.handshake.voter_set_hash != config_.voter_set_hash()) {
    note(Event::Kind::refused_peer, from,
         "server " + to_string(from) + " has voter set " +
             std::to_string(message.handshake.voter_set_hash) + "; this server has " +
             std::to_string(config_.voter_set_hash()));
    return;
  }
  const Handshake& theirs = message.handshake;
  const bool no_ids = is_none(theirs.cluster) && is_none(theirs.history);
  const bool ids = !is_none(theirs.cluster) && !is_none(theirs.history);
  if (message.standing == Standing::empty ? !no_ids : !ids) {
    return drop(from, message, "its standing and its ids contradict each other");
  }
  const bool both_belong = !is_none(message.handshake.cluster) && !is_none(identity_.cluster);
  if (both_belong && !accepts(from, message.handshake)) return;
  // What is not durable yet is not said: an id that a crash takes back must not be adopted.
  if (!message.answer && !storing_) send(from, own_standing(true));
  if (auto* self = std::get_if<Looking>(&role_)) self->standings[from] = {message, now_ms_};
}

void Core::tick_founding(Looking& self) {
  if (now_ms_ < self.resend_at) return;
  self.resend_at = now_ms_ + options_.heartbeat_ms;
  to_other_voters(own_standing(false));
}

void Core::adopt(Standing standing, const Uuid& cluster, const Uuid& history) {
  Identity wanted = identity_;
  wanted.standing = standing;
  wanted.cluster = cluster;
  wanted.history = history;
  store(wanted);
  // Say it as soon as it is durable.
  std::get<Looking>(role_).resend_at = now_ms_;
}

void Core::advance_founding(Looking& self) {
  switch (identity_.standing) {
    case Standing::empty:
      return advance_empty(self);
    case Standing::founding:
      return advance_half_founded(self);
    case Standing::wiped:
      return find_leader_as_wiped(self);
    case Standing::voter:
      return;
  }
}

namespace {

// The standing that `id` told lately, if any.
const StandingMessage* heard(const Looking& self, ServerId id, std::uint64_t now_ms,
                             std::uint64_t peer_timeout_ms) {
  const auto at = self.standings.find(id);
  if (at == self.standings.end() || now_ms > at->second.at + peer_timeout_ms) return nullptr;
  return &at->second.message;
}

}  // namespace

void Core::advance_empty(Looking& self) {
  const auto said = [&](ServerId id) { return heard(self, id, now_ms_, options_.peer_timeout_ms); };
  const auto all_others = [&](auto predicate) {
    return std::all_of(config_.voters().begin(), config_.voters().end(), [&](ServerId id) {
      if (id == self_) return true;
      const StandingMessage* message = said(id);
      return message && predicate(*message);
    });
  };
  for (ServerId id : config_.voters()) {
    const StandingMessage* message = id == self_ ? nullptr : said(id);
    if (message && message->standing == Standing::voter) {
      note(Event::Kind::wiped, id,
           "the cluster exists and this directory is empty: joining as a learner that counts "
           "nowhere");
      const Standing now = ZABMQ_MUTANT(wiped_server_votes) ? Standing::voter : Standing::wiped;
      return adopt(now, message->handshake.cluster, message->handshake.history);
    }
  }
  const ServerId founder = config_.founder();
  if (self_ != founder) {
    const StandingMessage* message = said(founder);
    if (!message || message->standing != Standing::founding) return;
    note(Event::Kind::adopted, founder, "cluster " + to_string(message->handshake.cluster));
    return adopt(Standing::founding, message->handshake.cluster, message->handshake.history);
  }
  if (all_others([](const StandingMessage& m) { return m.standing == Standing::empty; })) {
    note(Event::Kind::founded, self_, "cluster " + to_string(fresh_ids_.cluster));
    return adopt(Standing::founding, fresh_ids_.cluster, fresh_ids_.history);
  }
  // This founder was emptied before the founding ended. New ids would split the cluster; the old
  // ones are safe only when everybody else has them.
  const ServerId other = config_.voters().size() > 1 ? config_.voters()[1] : self_;
  const StandingMessage* theirs = other == self_ ? nullptr : said(other);
  if (!theirs || theirs->standing != Standing::founding) return;
  const Handshake ids = theirs->handshake;
  const auto same = [&](const StandingMessage& m) {
    return m.standing == Standing::founding && m.handshake.cluster == ids.cluster;
  };
  if (!all_others(same)) return;
  note(Event::Kind::adopted, other, "cluster " + to_string(ids.cluster));
  adopt(Standing::founding, ids.cluster, ids.history);
}

void Core::advance_half_founded(Looking& self) {
  const auto says = [&](ServerId id, auto predicate) {
    if (id == self_) return true;
    const StandingMessage* message = heard(self, id, now_ms_, options_.peer_timeout_ms);
    return message && message->handshake.cluster == identity_.cluster &&
           predicate(message->standing);
  };
  const auto& voters = config_.voters();
  const bool founding_is_over =
      self_ == config_.founder()
          ? std::all_of(voters.begin(), voters.end(),
                        [&](ServerId id) {
                          return says(id, [](Standing s) {
                            return s == Standing::founding || s == Standing::voter;
                          });
                        })
          : std::any_of(voters.begin(), voters.end(), [&](ServerId id) {
              return id != self_ && says(id, [](Standing s) { return s == Standing::voter; });
            });
  if (!founding_is_over) return;
  note(Event::Kind::founded, self_, "voter of cluster " + to_string(identity_.cluster));
  adopt(Standing::voter, identity_.cluster, identity_.history);
}

void Core::find_leader_as_wiped(Looking& self) {
  for (ServerId id : config_.voters()) {
    const StandingMessage* message =
        id == self_ ? nullptr : heard(self, id, now_ms_, options_.peer_timeout_ms);
    if (message && message->standing == Standing::voter && message->leader == id && trusted(id)) {
      return become_following(id, "it leads; this server was wiped and counts nowhere");
    }
  }
}

}  // namespace zabmq::zab
