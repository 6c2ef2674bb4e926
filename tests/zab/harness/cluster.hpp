// Cluster: some servers on one network. Nothing moves unless a test moves it; the checker looks at
// all of it after every step and ends the test at the first violation.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "zab/harness/build.hpp"
#include "zab/harness/checker.hpp"
#include "zab/harness/network.hpp"
#include "zab/harness/server.hpp"

namespace zabmq::zab::test {

inline constexpr std::size_t settle_steps_max = 100'000;  // more: a message storm
inline constexpr std::uint64_t elect_ms_max = 20'000;  // a healthy quorum has a leader long before

class Cluster {
 public:
  using Allow = std::function<void(Checker&)>;

  // Server i (from 1) has pasts[i - 1]; all are started and have been ticked once.
  explicit Cluster(std::vector<Past> pasts, Options options = {}, const Allow& allow = {});
  static std::vector<Past> same(unsigned count, const Past& past) {
    return std::vector<Past>(count, past);
  }

  Server& operator[](unsigned id) { return *servers_.at(ServerId{id}); }
  Network& network() { return network_; }
  Checker& checker() { return checker_; }
  std::vector<ServerId> ids() const;
  std::uint64_t now_ms() const { return now_ms_; }

  // --- small steps ---
  void take(const Network::Arrival& arrival);
  // The oldest arrival from -> to whose name matches ("" = any). False: there is none.
  bool deliver(unsigned from, unsigned to, const std::string& name = "");
  std::vector<Network::Arrival> arrivals() const;                  // those that may be taken now
  bool drop(unsigned from, unsigned to, const std::string& name);  // datagrams only
  void tick(std::uint64_t ms = tick_ms);      // moves the clock of all servers that are not paused
  std::set<ServerId> paused;                  // processes that get no time (SIGSTOP)
  void lose_session(unsigned a, unsigned b);  // both sides hear of it at once
  void crash(unsigned id, const CrashChoice& choice = {});
  void restart(unsigned id);
  void wipe(unsigned id);

  // --- large steps ---
  // Delivers and completes whatever is not held until nothing moves any more.
  void settle();
  void run(std::uint64_t ms);  // ticks of 10 ms, settling after each
  bool run_until(const std::function<bool()>& condition, std::uint64_t ms_max = elect_ms_max);
  // Until `id` leads in broadcast and every server that is up and reachable follows, up to date.
  bool elect(unsigned id);
  bool run_until_converged(std::uint64_t ms_max = elect_ms_max);
  Zxid propose(unsigned id, const std::string& value = "v");  // aborts the test unless it leads

  // --- partitions ---
  void cut(unsigned a, unsigned b);  // both directions
  void isolate(unsigned id);
  void heal() { network_.heal(); }
  void hold(Network::Hold hold) { network_.hold(std::move(hold)); }
  void hold_nothing() { network_.hold({}); }

  // --- state ---
  unsigned leader() const;  // in broadcast, with the greatest epoch; 0 = none
  // One leader, everybody up follows it, and all have delivered everything that is logged.
  bool converged() const;
  std::string history(unsigned id) { return text(history_of({}, (*this)[id].disk().records())); }
  std::vector<std::string> values(unsigned id);  // delivered ones of this server
  std::string describe() const;                  // one line a server, for messages about failures

 private:
  bool step();  // anything that is not held; false: nothing
  bool arrival_may_be_taken(const Network::Arrival& arrival) const;

  std::uint64_t now_ms_ = 1000;
  Network network_;
  Checker checker_;
  Options options_;
  std::map<ServerId, std::unique_ptr<Server>> servers_;
  unsigned wipes_ = 0;
};

}  // namespace zabmq::zab::test
