// Faults: what is done to the servers, one thing after the other, and how it is undone.
//
// One server's disk is damaged at a time, and only when a message acknowledged after its end proves
// that a quorum of others holds everything: a damaged minority is what the promises allow for.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nemesis/engine/disk_damage.hpp"
#include "nemesis/engine/fault_tally.hpp"
#include "nemesis/engine/load_subscriber.hpp"
#include "nemesis/engine/network.hpp"
#include "nemesis/engine/proxy.hpp"
#include "nemesis/engine/servers.hpp"
#include "nemesis/engine/timeline.hpp"

namespace zabmq::nemesis {

// What the machine lets us do.
struct Abilities {
  bool cables = false;        // network namespaces: links are cut below TCP
  bool system_calls = false;  // strace
  bool mounts = false;        // a small tmpfs
};

class Faults {
 public:
  struct Parts {
    Servers& servers;
    Network& network;
    ProxyNet& proxies;
    SmallDisk* small_disk = nullptr;  // under the data directory of `small_disk_of`
    ServerId small_disk_of = ServerId::none;
    Timeline& timeline;
    std::filesystem::path directory;
    std::function<bool()> interrupted;
  };
  struct Report {
    FaultTally tally;
    std::map<std::string, std::uint64_t> findings;  // how damage was found
    std::chrono::milliseconds longest_recovery{0};
  };

  Faults(Parts parts, const Abilities& abilities, std::uint64_t seed);

  std::vector<Fault> not_covered() const;
  void run(Nanos until);
  // All servers run and have everything acknowledged so far. False, and a violation: not in time.
  bool heal_and_settle(std::string_view when);
  void close() { probes_.close(); }  // its part of the history
  const Report& report() const { return report_; }

 private:
  using Millis = std::chrono::milliseconds;

  bool covered(Fault fault) const;
  Fault draw();
  void cycle();
  void strike(Fault fault);
  void strike_servers(Fault fault);
  // These two: empty, or why it could not be done. What it did to bytes shows later.
  std::string strike_links(Fault fault);
  std::string strike_clients(Fault fault);
  std::string cut_clients();
  void conclude(Fault fault, const std::string& problem, const ProxyEffects& before);
  void strike_disk(Fault fault);
  void damage(Fault fault);
  void done(Fault fault, const std::string& what);
  void not_done(Fault fault, const std::string& why);

  void kill_some(Fault fault, std::vector<ServerId> victims);
  void pause(Fault fault, ServerId victim);
  bool partition(const std::set<ServerId>& side);
  bool separate(ServerId a, ServerId b);
  void hold_one_way(ServerId leader);
  void cut_links();
  void fail_sync(ServerId victim);
  void delay_sync(ServerId victim);
  void fill_disk();
  void judge_flip(ServerId victim);
  void verify(ServerId victim);
  void start_empty(ServerId victim);

  void undo_links();
  void look_after_servers();
  void await_progress(Nanos healed, std::string_view after);
  bool await_newer_receipt(Nanos invoked_after, Millis bound);
  bool await_even(Millis bound);
  bool rest(Millis span);  // false: interrupted
  bool eventually(Millis bound, const std::function<bool()>& condition);
  Millis between(std::int64_t low, std::int64_t high);
  struct Roles {
    ServerId leader = ServerId::none;
    ServerId other = ServerId::none;  // any other server
    ServerId either = ServerId::none;
  };
  std::optional<Roles> roles();  // nullopt: no leader in time
  ServerId any();
  std::filesystem::path strace_log(ServerId id) const;
  void log(const std::string& text);

  Parts parts_;
  Abilities abilities_;
  std::mt19937_64 random_;
  std::vector<Fault> bag_;
  std::map<ServerId, std::set<int>> expected_ends_;  // exit codes that the fault at work explains
  SubscriptionRecorder probes_;
  std::uint64_t moved_away_ = 0;  // damaged directories
  std::filesystem::path log_;
  Report report_;
};

}  // namespace zabmq::nemesis
