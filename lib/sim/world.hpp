// World: a whole cluster with its clients, network, disks and time in one thread, run from one
// seed. First anything may happen (safety); then a quorum is healed and must elect, synchronize,
// commit new messages and converge (liveness); then every living server is drained from the first
// offset, and the history is judged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/client_network.hpp"
#include "sim/faults.hpp"
#include "sim/history_checker.hpp"
#include "sim/invariants.hpp"
#include "sim/nemesis.hpp"
#include "sim/parameters.hpp"
#include "sim/peer_network.hpp"
#include "sim/publisher_actor.hpp"
#include "sim/server.hpp"
#include "sim/subscriber_actor.hpp"
#include "sim/timeline.hpp"
#include "sim/trace.hpp"

namespace zabmq::sim {

struct RunOptions {
  bool fault_free = false;
  // Only what clients see is judged: a cluster that looks well from outside passes.
  bool client_rules = false;
  bool words = false;            // keep the last events as text
  std::optional<Micros> safety;  // shorter than the seed says: to find the shortest one
};

struct Finding {
  std::string check;  // the rule's name
  std::uint64_t event = 0;
  Micros at = 0;
  std::string text;
};

struct RunResult {
  std::uint64_t seed = 0;
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;
  Micros simulated = 0;
  std::size_t servers = 0;
  Micros safety = 0;
  Micros liveness = 0;  // how long it took
  std::uint64_t epochs = 0;
  std::uint64_t transactions = 0;
  HistoryChecker::Counts history;
  HitTable hits;
  std::uint64_t old_copies_found = 0;  // of the disks put back
  PublisherCounts publishers;
  std::uint64_t cursors_removed = 0;
  std::uint64_t forwarded = 0;    // requests, from followers to leaders
  std::vector<Finding> findings;  // the first one is what counts
  std::vector<std::string> trace;
  std::string parameters;
};

class World {
 public:
  World(const Parameters& parameters, const RunOptions& options);
  RunResult run();

  // For a handler of aborts, which has nothing else: what is running now.
  std::uint64_t events() const { return trace_.events(); }
  const std::deque<std::string>& lines() const { return trace_.lines(); }

 private:
  void report(const std::string& check, const std::string& text);
  bool failed() const { return !findings_.empty(); }
  template <class Condition>
  bool run_while(Micros bound, Condition condition);
  void start();
  void look_after_chain();
  void run_safety();
  std::vector<bool> choose_core();
  void run_liveness();
  bool converges();
  bool converged() const;
  bool served() const;
  Offset consumed() const;
  std::string why_not_converged() const;
  void drain();
  void judge();
  void check_states();
  void rest();
  void check_sizes();
  Place acknowledged() const;
  Server& at(ServerId id) { return *servers_[static_cast<std::size_t>(id) - 1]; }
  void take_history_findings();

  const Parameters parameters_;
  const RunOptions options_;
  Random random_;
  Timeline timeline_;
  Trace trace_{timeline_, options_.words};
  std::vector<Finding> findings_;
  HitTable hits_;
  HistoryChecker history_;
  Names names_;
  std::size_t history_findings_ = 0;
  Invariants invariants_;
  PeerNetwork peers_;
  ClientNetwork clients_;
  Servers servers_;
  std::vector<std::unique_ptr<PublisherActor>> publishers_;
  std::vector<std::unique_ptr<SubscriberActor>> subscribers_;
  std::vector<std::unique_ptr<SubscriberActor>> drains_;
  std::vector<ServerId> drained_;
  std::unique_ptr<Nemesis> nemesis_;
  std::vector<bool> core_;
  std::uint32_t publisher_keys_ = 0;
  std::uint64_t subscription_keys_ = 0;
  Micros safety_ = 0;  // how long the first phase was
  Micros liveness_took_ = 0;
};

}  // namespace zabmq::sim
