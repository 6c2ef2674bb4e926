// DurableCluster: the watching.
#include "durable_cluster.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <variant>

namespace zabmq::testing {

replica::Options quick_options() {
  replica::Options options;
  options.zab.heartbeat_ms = 50;
  options.zab.peer_timeout_ms = 300;
  options.zab.finalize_wait_ms = 30;
  options.zab.discovery_timeout_ms = 500;
  options.zab.sync_timeout_ms = 3000;
  options.zab.renounce_interval_ms = 1000;
  return options;
}

bool share(const zab::History& a, const zab::History& b, Zxid end) {
  if (is_none(end)) return true;
  if (!a.contains(end) || !b.contains(end)) return false;
  zab::History left = a, right = b;
  left.truncate_after(end);
  right.truncate_after(end);
  return left == right;
}

DurableCluster::DurableCluster(const std::vector<Past>& pasts, replica::Options options)
    : DiskCluster(pasts.size(), options, Begin::stopped) {
  for (std::size_t i = 0; i < pasts.size(); ++i) {
    at(ServerId{static_cast<unsigned>(i + 1)}).has(pasts[i]);
  }
  witness = [this](ServerId from, ServerId, const zab::Message& message) { watch(from, message); };
}

void DurableCluster::start_some(std::initializer_list<ServerId> ids) {
  for (const ServerId id : ids) {
    start(id);
    INFO("server ", to_string(id), ": ", at(id).refused ? at(id).refused->text : "");
    REQUIRE(at(id).up());
  }
}

bool DurableCluster::leads(ServerId id, int ticks_max) {
  return wait([&] { return at(id).up() && at(id).replica->status().accepts_publishes; }, ticks_max);
}

void DurableCluster::open_publisher(ServerId leader) {
  const ConnectionId connection{++connections_};
  wire::Hello hello;
  hello.publisher = make_uuid(static_cast<unsigned>(connections_));
  at(leader).say(connection, hello);
  REQUIRE(wait([&] { return !at(leader).clients.take<wire::Welcome>(connection).empty(); }));
  publishers_[leader] = {connection, 0};
}

void DurableCluster::propose(ServerId leader, const std::string& text) {
  auto& [connection, sequence] = publishers_.at(leader);
  at(leader).publish(connection, ++sequence, {text});
}

void DurableCluster::publish(const std::string& text) {
  const ServerId leader = wait_for_leader();
  open_publisher(leader);
  propose(leader, text);
  const ConnectionId connection = publishers_.at(leader).first;
  REQUIRE(wait([&] { return !at(leader).clients.take<wire::Receipt>(connection).empty(); }));
}

// --- watching ---

const DiskServer::Found& DurableCluster::platter(ServerId id) {
  Seen& seen = platters_[id];
  const std::uint64_t steps = at(id).disk.steps();
  if (seen.lives == 0 || seen.at_step != steps) seen = {steps, 1, at(id).on_platter()};
  return seen.found;
}

bool DurableCluster::on_quorum_of_platters() {
  std::size_t holders = 0;
  const Zxid end = committed_.last();
  for (const ServerId id : all()) holders += share(platter(id).history, committed_, end) ? 1 : 0;
  return holders >= all().size() / 2 + 1;
}

void DurableCluster::look() {
  ++looks_;
  for (const ServerId id : all()) {
    if (!at(id).up()) continue;
    const zab::Core& core = at(id).replica->core();
    const Zxid commit = core.last_committed();
    const zab::History& history = core.history();
    const Zxid both = std::min(commit, committed_.last());
    CHECK_MESSAGE(share(history, committed_, both), "server ", to_string(id),
                  " has committed another history up to ", to_string(both));
    if (commit <= committed_.last()) continue;
    committed_ = history;
    committed_.truncate_after(commit);
    CHECK_MESSAGE(on_quorum_of_platters(), to_string(commit),
                  " is committed and not on a quorum of platters");
  }
}

// What a message claims is on the platter when it leaves.
void DurableCluster::watch(ServerId from, const zab::Message& message) {
  look();
  const zab::Core& core = at(from).replica->core();
  Zxid claimed;
  if (const auto* ack = std::get_if<zab::Ack>(&message)) {
    claimed = ack->durable;
  } else if (const auto* vote = std::get_if<zab::Vote>(&message)) {
    if (vote->leader == from) claimed = vote->last;
  } else if (const auto* ack_epoch = std::get_if<zab::AckEpoch>(&message)) {
    claimed = ack_epoch->history.last();
    CHECK(platter(from).accepted >= ack_epoch->epoch);
  } else if (const auto* new_epoch = std::get_if<zab::NewEpoch>(&message)) {
    CHECK(platter(from).accepted >= new_epoch->epoch);
  } else if (const auto* ack_leader = std::get_if<zab::AckLeader>(&message)) {
    const auto* following = std::get_if<zab::Following>(&core.role_state());
    REQUIRE(following);
    REQUIRE(following->new_leader_at);
    claimed = *following->new_leader_at;
    CHECK(platter(from).current >= ack_leader->epoch);
  }
  if (is_none(claimed)) return;
  CHECK_MESSAGE(share(platter(from).history, core.history(), claimed), "server ", to_string(from),
                " says ", zab::name_of(message), " of ", to_string(claimed),
                ", which is not on its platter");
}

// --- ends ---

std::string DurableCluster::describe() {
  std::string text;
  for (const ServerId id : all()) {
    text += "server " + to_string(id);
    if (!at(id).up()) {
      text += " down\n";
      continue;
    }
    const replica::Status s = at(id).replica->status();
    text += " " + std::string(to_string(s.role)) + " of " + to_string(s.leader) + " in " +
            std::string(to_string(s.phase)) + " epoch " + to_string(s.epoch) + " logged " +
            to_string(s.last_logged) + " durable " + to_string(s.last_durable) + " delivered " +
            to_string(s.last_delivered) + " " + at(id).fatal + "\n";
    const auto& events = at(id).events;
    for (std::size_t i = events.size() > 8 ? events.size() - 8 : 0; i < events.size(); ++i) {
      text += "    " + to_string(events[i].peer) + ": " + events[i].text + "\n";
    }
  }
  return text;
}

void DurableCluster::converge() {
  const auto in_step = [&] {
    look();
    const ServerId leader = wait_for_leader();
    const Zxid end = at(leader).replica->status().last_logged;
    for (const ServerId id : all()) {
      if (!at(id).up()) continue;
      const replica::Status status = at(id).replica->status();
      if (status.leader != leader || status.phase != Phase::broadcast) return false;
      if (status.last_logged != end || status.last_delivered != end) return false;
    }
    return true;
  };
  const bool converged = wait(in_step);
  INFO(describe());
  REQUIRE(converged);
  const Digest digest = at(wait_for_leader()).log->last().digest;
  for (const ServerId id : all()) {
    if (!at(id).up()) continue;
    CHECK(at(id).log->last().digest == digest);
    const zab::History& history = at(id).replica->core().history();
    CHECK_MESSAGE(share(history, committed_, committed_.last()), "server ", to_string(id),
                  " has lost something committed");
    // Memory is the disk.
    CHECK(at(id).on_disk().history == history);
  }
}

std::vector<std::string> DurableCluster::delivered_at(ServerId id) {
  const ConnectionId connection{++connections_};
  at(id).subscribe(connection, from_first(1));
  settle();
  return at(id).take_delivered(connection);
}

}  // namespace zabmq::testing
