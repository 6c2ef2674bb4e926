// RandomRun: one seeded life of a cluster: first anything may happen, then everything heals and the
// cluster must converge within a bound. The seed decides the fault rates too, so that some runs are
// all crashes and others all partitions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "zab/harness/cluster.hpp"

namespace zabmq::zab::test {

struct RandomRunResult {
  std::size_t steps = 0;
  std::size_t committed = 0;
  std::size_t epochs = 0;
  std::size_t crashes = 0;
  std::size_t sessions_lost = 0;
  std::size_t wipes = 0;
  std::size_t old_copies = 0;
  std::size_t admitted = 0;
  std::size_t snaps = 0;
};

class RandomRun {
 public:
  static constexpr std::size_t steps_default = 4000;

  RandomRun(std::uint64_t seed, std::size_t steps);

  // Ends the test at the first violation or when it does not converge. `trace` gets a line for
  // everything that happens.
  RandomRunResult run(const Trace& trace = {});

 private:
  struct Rates {  // in 1,000 steps
    unsigned crash = 0, restart = 0, lose_session = 0, cut = 0, heal = 0, pause = 0, wipe = 0;
    unsigned free = 0;
    unsigned copy = 0, put_back = 0, drop = 0, duplicate = 0, propose = 0, ask = 0;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  unsigned any_server() { return static_cast<unsigned>(1 + below(count_)); }
  unsigned victim();
  Rates draw_rates();
  std::vector<Past> draw_pasts();
  Options draw_options();

  void step();
  bool fault(std::uint64_t dice);
  void deliver();
  void complete();
  void pump();
  void crash();
  void restart();
  bool may_lose_disk(unsigned id);
  void wipe();
  void free();
  void copy();
  void put_back();
  void lull(bool begins);
  bool all_count();
  void toggle_pause();
  void cut();
  void lose_session();
  void disturb_datagram(bool duplicate);
  void propose();
  void heal();

  std::mt19937_64 random_;
  std::size_t steps_;
  unsigned count_;
  bool founding_;
  Rates rates_;
  std::unique_ptr<Cluster> cluster_;
  std::optional<std::pair<unsigned, Disk>> copy_;  // of a server's directory
  unsigned values_ = 0;
  RandomRunResult result_;
};

}  // namespace zabmq::zab::test
