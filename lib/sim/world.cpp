// World: the phases of a run.
#include "sim/world.hpp"

#include <algorithm>
#include <utility>

namespace zabmq::sim {

World::World(const Parameters& parameters, const RunOptions& options)
    : parameters_(parameters),
      options_(options),
      random_(parameters.seed),
      invariants_(parameters.servers, parameters.replica.publisher_ttl_us,
                  [this](const std::string& check, const std::string& text) {
                    if (!options_.client_rules) report(check, text);
                  }),
      peers_(
          timeline_, random_.fork(), parameters_.links,
          [this](const PeerFrame& frame) { at(frame.to).receive(frame); },
          [this](ServerId where, ServerId peer) { at(where).disconnected(peer); },
          [this](Fault fault, ServerId where) { hits_.add(fault, at(where).state()); }),
      clients_(
          timeline_, trace_, random_.fork(), parameters_.links,
          [this](const ClientNetwork::ToServer& frame) { at(frame.server).receive(frame); },
          [this](ServerId server) { return at(server).replica() != nullptr; }) {
  const Surroundings around{timeline_, trace_, parameters_, peers_, clients_, invariants_, hits_};
  for (std::uint32_t i = 1; i <= parameters_.servers; ++i) {
    servers_.push_back(std::make_unique<Server>(ServerId{i}, around, random_.fork()));
  }
  const ClientSurroundings client_side{
      timeline_,
      trace_,
      parameters_,
      clients_,
      history_,
      names_,
      [this] { return invariants_.committed_offset(); },
      [this](const Uuid& publisher) { return invariants_.endings(publisher); },
      [this](const std::string& name) { return invariants_.cursor(name); },
      [this](LogTime time) { return invariants_.first_offset_since(time); },
      [this] { return invariants_.retained(); },
      [this](const std::string& check, const std::string& text) { report(check, text); },
      [this](const std::string& check, const std::string& text) {
        if (!options_.client_rules) report(check, text);
      }};
  const auto publisher_key = [this] { return PublisherKey{++publisher_keys_}; };
  const auto subscription_key = [this] { return SubscriptionKey{++subscription_keys_}; };
  // A receipt may have told of whatever is committed.
  const auto acknowledged_so_far = [this] {
    if (options_.client_rules) return acknowledged();
    return Place{invariants_.committed_offset(), invariants_.last_committed()};
  };
  for (std::size_t i = 0; i < parameters_.clients.publishers; ++i) {
    publishers_.push_back(std::make_unique<PublisherActor>(
        client_side, random_.fork(), parameters_.clients.keep_ids && i % 2 == 1, publisher_key));
  }
  for (std::size_t i = 0; i < parameters_.clients.subscribers; ++i) {
    subscribers_.push_back(std::make_unique<SubscriberActor>(
        client_side, random_.fork(), subscription_key, acknowledged_so_far));
  }
  for (std::size_t i = 0; i < parameters_.servers; ++i) {
    drains_.push_back(std::make_unique<SubscriberActor>(client_side, random_.fork(),
                                                        subscription_key, acknowledged_so_far));
  }
  nemesis_ =
      std::make_unique<Nemesis>(Victims{timeline_, trace_, parameters_, peers_, clients_,
                                        invariants_, servers_, publishers_, subscribers_, hits_},
                                random_.fork());
}

void World::report(const std::string& check, const std::string& text) {
  findings_.push_back({check, trace_.events(), timeline_.now(), text});
  trace_.say("!!! " + check + ": " + text);
}

Place World::acknowledged() const {
  Place greatest;
  for (const auto& publisher : publishers_) {
    const Place place = publisher->acknowledged();
    if (place.offset > greatest.offset) greatest = place;
  }
  return greatest;
}

// --- running ---

void World::take_history_findings() {
  const auto& violations = history_.violations();
  for (; history_findings_ < violations.size(); ++history_findings_) {
    const Violation& violation = violations[history_findings_];
    report(std::string(to_string(violation.rule)), violation.text);
  }
}

// True: the condition came to hold within the bound.
template <class Condition>
bool World::run_while(Micros bound, Condition condition) {
  const Micros end = timeline_.now() + bound;
  while (!failed() && !timeline_.empty() && timeline_.next_at() <= end) {
    timeline_.step();
    nemesis_->watch();
    if (history_findings_ < history_.violations().size()) take_history_findings();
    if (condition()) return true;
  }
  return false;
}

RunResult World::run() {
  start();
  run_safety();
  if (!failed()) run_liveness();
  if (!failed()) drain();
  if (!failed()) judge();
  if (!failed()) rest();
  RunResult result;
  result.seed = parameters_.seed;
  result.events = trace_.events();
  result.trace_hash = trace_.hash();
  result.simulated = timeline_.now();
  result.servers = parameters_.servers;
  result.safety = safety_;
  result.liveness = liveness_took_;
  result.epochs = invariants_.epochs_established();
  result.transactions = invariants_.committed_count();
  result.history = history_.counts();
  result.hits = hits_;
  result.old_copies_found = nemesis_->old_copies_found();
  for (const auto& publisher : publishers_) result.publishers += publisher->counts();
  for (const auto& actor : subscribers_) result.cursors_removed += actor->cursors_removed();
  for (const auto& server : servers_) result.forwarded += server->forwarded();
  result.findings = findings_;
  result.trace.assign(trace_.lines().begin(), trace_.lines().end());
  result.parameters = parameters_.text();
  return result;
}

void World::start() {
  core_.assign(servers_.size(), true);
  for (auto& server : servers_) {
    timeline_.after(random_.below(2 * second), [&server] {
      if (!server->up()) server->start();
    });
  }
  for (auto& publisher : publishers_) {
    timeline_.after(random_.below(second), [&publisher] { publisher->start(); });
  }
  for (auto& subscriber : subscribers_) {
    timeline_.after(random_.below(second), [&subscriber] { subscriber->begin(); });
  }
  timeline_.after(3 * second, [this] { look_after_chain(); });
}

void World::look_after_chain() {
  for (auto& server : servers_) nemesis_->look_after(*server);
  timeline_.after(100 * millisecond, [this] { look_after_chain(); });
}

// --- the phases ---

void World::run_safety() {
  timeline_.after(2 * second, [this] { nemesis_->begin(); });
  // Where links reorder, a learner may begin anew hundreds of times a second: enough of that.
  constexpr std::uint64_t events_max = 1'000'000;
  safety_ = options_.safety.value_or(parameters_.safety);
  const bool enough = run_while(safety_, [this] { return trace_.events() >= events_max; });
  if (enough) safety_ = timeline_.now();
}

// Now and then only a quorum lives on; but where disks were damaged, all of the others are needed,
// and to found a cluster all that there are (seed 1795697887903).
std::vector<bool> World::choose_core() {
  std::vector<bool> core(servers_.size(), true);
  const bool all_needed = invariants_.damaged_count() > 0 || invariants_.committed_count() == 0;
  if (options_.fault_free || all_needed || !random_.chance(300'000)) return core;
  for (std::size_t dead = 0; dead < (servers_.size() - 1) / 2; ++dead) {
    core[random_.below(core.size())] = false;
  }
  return core;
}

void World::run_liveness() {
  core_ = choose_core();
  nemesis_->heal(core_);
  for (auto& subscriber : subscribers_) subscriber->finish();
  const Micros began = timeline_.now();
  // First nothing new comes: what there is must get everywhere without being pushed.
  for (auto& publisher : publishers_) publisher->finish_with(0);
  if (!converges()) return;
  liveness_took_ = timeline_.now() - began;
  for (auto& publisher : publishers_) publisher->finish_with(random_.between(3, 20));
  converges();
}

bool World::converges() {
  bool lively = false;
  // A subscriber with little credit may have far to go: as long as it gets on, it may.
  for (Offset before = 0, now = 1; !lively && !failed() && now > before;) {
    before = consumed();
    lively = run_while(parameters_.liveness, [this] { return converged(); });
    now = served() ? consumed() : before;
  }
  if (!lively && !failed()) report("liveness", why_not_converged());
  return lively;
}

Offset World::consumed() const {
  Offset sum = 0;
  for (const auto& subscriber : subscribers_) sum += subscriber->consumed_to();
  return sum;
}

bool World::converged() const {
  const Offset end = invariants_.committed_offset();
  return served() &&
         std::all_of(subscribers_.begin(), subscribers_.end(),
                     [end](const auto& subscriber) { return subscriber->satisfied_with(end); });
}

// The servers are at the end, and the publishers through.
bool World::served() const {
  for (const auto& publisher : publishers_) {
    if (!publisher->finished()) return false;
  }
  const Zxid committed = invariants_.last_committed();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!core_[i]) continue;
    const replica::Replica* replica = servers_[i]->replica();
    if (!replica || replica->core().phase() != Phase::broadcast) return false;
    if (replica->state().delivered() != committed || servers_[i]->no_space()) return false;
  }
  return true;
}

std::string World::why_not_converged() const {
  std::string text = "not converged within " + std::to_string(parameters_.liveness / second) + " s";
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    text += "\n  server " + std::to_string(i + 1) + ": ";
    const replica::Replica* replica = servers_[i]->replica();
    if (!replica) {
      text += core_[i] ? "down or recovering, " + servers_[i]->end_text() : "dead for good";
      continue;
    }
    const replica::Status status = replica->status();
    text += std::string(to_string(status.role)) + ", " + std::string(to_string(status.phase)) +
            ", epoch " + to_string(status.epoch) + ", logged " + to_string(status.last_logged) +
            ", delivered " + to_string(status.last_delivered) +
            (servers_[i]->no_space() ? ", no space" : "") +
            (status.standing == zab::Standing::voter ? "" : ", no voter");
  }
  for (const auto& publisher : publishers_) {
    if (!publisher->finished()) text += "\n  a publisher: " + publisher->status();
  }
  for (const auto& subscriber : subscribers_) text += "\n  a subscriber: " + subscriber->status();
  return text + "\n  committed: " + to_string(invariants_.last_committed());
}

void World::drain() {
  for (auto& subscriber : subscribers_) subscriber->stop();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!core_[i]) continue;
    drained_.push_back(servers_[i]->id());
    drains_[i]->drain(servers_[i]->id());
  }
  const bool drained = run_while(parameters_.liveness, [this] {
    return std::all_of(drained_.begin(), drained_.end(), [this](ServerId id) {
      return drains_[static_cast<std::size_t>(id) - 1]->complete();
    });
  });
  if (drained || failed()) return;
  std::string text = "the servers could not be drained";
  for (const ServerId id : drained_) {
    const SubscriberActor& drain = *drains_[static_cast<std::size_t>(id) - 1];
    if (!drain.complete()) text += "\n  server " + to_string(id) + ": " + drain.status();
  }
  report("drain", text);
}

void World::judge() {
  std::vector<HistoryChecker::Drain> drains;
  for (const ServerId id : drained_) {
    const SubscriberActor& drain = *drains_[static_cast<std::size_t>(id) - 1];
    drains.push_back({id, drain.key(), invariants_.committed_offset(), invariants_.retained() + 1});
  }
  history_.finish(drains);
  take_history_findings();
  if (!options_.client_rules) check_states();
}

// Nobody asks for anything any more, so nothing is held; what may go has gone.
void World::rest() {
  const replica::Options& options = parameters_.replica;
  if (options.retention.bytes_max >= replica::RetentionLimits{}.bytes || options_.client_rules)
    return;
  run_while((std::max(options.retention_hold_ms, options.client_timeout_ms) + 5000) * millisecond,
            [] { return false; });
  if (!failed()) check_sizes();
}

// W11: the leader retains what its options allow; the others, whose files begin and end elsewhere
// and hold other marks, some more (seed 1795710036963: a thousand files, half a percent).
void World::check_sizes() {
  constexpr std::uint64_t files_more = 2;
  constexpr std::uint64_t share_more = 128;
  for (const ServerId id : drained_) {
    const replica::Replica* replica = at(id).replica();
    if (!replica || replica->core().phase() != Phase::broadcast) continue;
    const Zxid retained = replica->state().retained().zxid;
    std::uint64_t bytes = 0;
    for (const storage::SegmentSpan& file : at(id).segments()) {
      if (file.end.zxid > retained) bytes += file.bytes;
    }
    const bool leads = replica->core().role() == Role::leading;
    const std::uint64_t bound = parameters_.replica.retention.bytes_max +
                                (leads ? 0
                                       : files_more * parameters_.log.segment_size +
                                             parameters_.replica.retention.bytes_max / share_more);
    if (bytes > bound) {
      report("size", "server " + to_string(id) + " retains " + std::to_string(bytes) +
                         " bytes of log, at most " + std::to_string(bound));
    }
    if (const std::optional<Zxid> unwanted = at(id).unwanted_by_snapshots();
        unwanted && !at(id).segments().empty() && at(id).segments().front().end.zxid <= *unwanted) {
      report("size", "server " + to_string(id) + " keeps files up to " +
                         to_string(at(id).segments().front().end.zxid) +
                         ", which none of its snapshots wants: all begin behind " +
                         to_string(*unwanted));
    }
  }
}

// W10: at the same delivered point every server's state is the same, to the byte of a snapshot.
void World::check_states() {
  const replica::ServerState* reference = nullptr;
  std::vector<std::byte> bytes;
  for (const ServerId id : drained_) {
    const replica::Replica* replica = at(id).replica();
    if (!replica) continue;
    if (reference && replica->state().delivered() != reference->delivered()) continue;
    if (replica->state().delivered() == invariants_.last_committed()) {
      invariants_.check_state(id, replica->state());
    }
    if (!reference) {
      reference = &replica->state();
      bytes = reference->encode();
    } else if (replica->state().encode() != bytes) {
      report("W10", "the state of server " + to_string(id) + " is not that of another one at " +
                        to_string(reference->delivered()));
    }
  }
}

}  // namespace zabmq::sim
