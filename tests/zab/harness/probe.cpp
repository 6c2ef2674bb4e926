// Probe: plays the peers.
#include "zab/harness/probe.hpp"

#include <utility>

namespace zabmq::zab::test {

Probe::Probe(unsigned id, unsigned voter_count, const Past& past, const Allow& allow)
    : id_(id),
      voter_count_(voter_count),
      checker_(voters(voter_count), Checker::Peers::fictional,
               [](const std::string& violation) { FAIL("violation: " << violation); }),
      server_(setup_of(ServerId{id}, voter_count, {}), disk_of(past, ServerId{id}), network_,
              checker_) {
  if (allow) allow(checker_);
  checker_.watch(server_);
  server_.start(now_ms_);
  settle();
}

void Probe::settle() {
  collect();
  while (server_.up()) {
    if (!server_.hold_log && server_.disk().log_busy()) {
      server_.complete_log();
    } else if (!server_.hold_store && server_.disk().storing()) {
      server_.complete_store();
    } else {
      break;
    }
    collect();
  }
}

void Probe::collect() {
  for (auto arrivals = network_.arrivals(); !arrivals.empty(); arrivals = network_.arrivals()) {
    const Network::Arrival arrival = arrivals.front();
    if (auto frame = network_.take(arrival)) said_.push_back({arrival.to, frame->message});
  }
}

void Probe::receive(unsigned from, Message message) {
  const ServerId peer{from};
  if (auto* diff = std::get_if<Diff>(&message); diff && diff->digest == Digest::none) {
    diff->digest = server_.disk().digest_at(diff->common).value_or(Digest::none);
  }
  if (auto* trunc = std::get_if<Trunc>(&message); trunc && trunc->digest == Digest::none) {
    trunc->digest = server_.disk().digest_at(trunc->common).value_or(Digest::none);
  }
  if (std::holds_alternative<CEpoch>(message)) {
    network_.open(peer, server_.id());
    network_.send(peer, server_.id(), {message, {}});
    const auto frame = network_.take(network_.arrivals().back());
    server_.receive(peer, *frame);
  } else {
    server_.receive(peer, {std::move(message), {}});
  }
  settle();
}

void Probe::receive_records(unsigned from, std::vector<Record> records, Zxid commit) {
  Propose frame{runs_of(records), commit};
  server_.receive(ServerId{from}, {std::move(frame), std::move(records)});
  settle();
}

void Probe::receive_snap(unsigned from, const std::vector<Record>& past) {
  const Zxid floor = past.back().zxid;
  const Snap snap{.floor = {floor, 0, past.back().digest}, .state = floor};
  server_.receive(ServerId{from}, {snap, past});
  settle();
}

void Probe::session_lost(unsigned peer) {
  network_.close(server_.id(), ServerId{peer});
  server_.session_lost(ServerId{peer});
  settle();
}

void Probe::tick(std::uint64_t ms) {
  now_ms_ += ms;
  server_.tick(now_ms_);
  settle();
}

void Probe::run(std::uint64_t ms) {
  for (const std::uint64_t end = now_ms_ + ms; now_ms_ < end;) tick();
}

Zxid Probe::propose(const std::string& value) {
  const std::vector<Zxid> given = server_.propose({value});
  REQUIRE(given.size() == 1);
  settle();
  return given.front();
}

void Probe::complete() {
  const bool store = server_.disk().storing();  // one that the log's completion starts is another
  if (server_.disk().log_busy()) server_.complete_log();
  if (store) server_.complete_store();
  collect();
}

std::vector<std::string> Probe::sent(unsigned to) {
  std::vector<std::string> out;
  for (; shown_ < said_.size(); ++shown_) {
    const Said& said = said_[shown_];
    const bool heartbeat =
        std::holds_alternative<Ping>(said.message) || std::holds_alternative<Pong>(said.message);
    if (said.to != ServerId{to} || heartbeat || is_datagram(said.message)) continue;
    out.push_back(text(said.message));
  }
  return out;
}

bool Probe::session_open(unsigned peer) const {
  const ServerId other{peer};
  return network_.session_of(server_.id(), other, true) != 0 ||
         network_.session_of(server_.id(), other, false) != 0;
}

// --- short ways into a state ---

void Probe::lead_election() {
  for (unsigned other = 1; other <= voter_count_; ++other) {
    if (other == id_) continue;
    const std::optional<Vote> mine = last<Vote>(other);
    REQUIRE(mine);
    receive(other, vote(id_, static_cast<unsigned>(mine->current_epoch), mine->last, mine->round));
  }
  REQUIRE(core().role() == Role::leading);
}

void Probe::lead_discovery(unsigned accepted) {
  lead_election();
  receive(id_ == 2 ? 1 : 2, cepoch(accepted));
}

void Probe::lead_broadcast() {
  const unsigned follower = id_ == 2 ? 1 : 2;
  const auto current = static_cast<unsigned>(core().identity().current);
  lead_discovery(static_cast<unsigned>(core().identity().accepted));
  const std::optional<NewEpoch> epoch = last<NewEpoch>(follower);
  REQUIRE(epoch);
  receive(follower, AckEpoch{epoch->epoch, true, Epoch{current}, core().history()});
  receive(follower, AckLeader{epoch->epoch});
  REQUIRE(core().leading_in_broadcast());
}

void Probe::follow(unsigned leader) {
  receive(leader, vote(leader, 1, {}, 1, Role::leading, Phase::broadcast));
  REQUIRE(core().role() == Role::following);
}

void Probe::follow_synchronized(unsigned leader, unsigned e) {
  follow(leader);
  receive(leader, new_epoch(e));
  receive(leader, Diff{core().last_logged()});
  receive(leader, NewLeader{Epoch{e}});
  REQUIRE(last<AckLeader>(leader));
}

}  // namespace zabmq::zab::test
