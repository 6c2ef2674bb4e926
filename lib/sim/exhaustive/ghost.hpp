// Ghost: what was ever proposed, committed and delivered, whoever still remembers it. With it the
// six properties of the paper's section III and the invariants behind them are checked.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/exhaustive/server.hpp"

namespace zabmq::sim::exhaustive {

using Violations = std::vector<std::string>;
using ServersNow = std::array<const Server*, servers_count>;

struct Ghost {
  struct Established {
    Epoch epoch = Epoch::none;
    ServerId leader = ServerId::none;
    std::vector<Digest> initial;  // I_e
    std::optional<std::size_t> delivered_at_first_proposal;
    friend bool operator==(const Established&, const Established&) = default;
  };
  struct Asked {
    ServerId leader = ServerId::none;
    std::uint64_t ticket = 0;
    std::size_t committed = 0;  // when it was asked
    friend bool operator==(const Asked&, const Asked&) = default;
  };
  // What a server's directory held when it was wiped. It counted, and is not counted again before
  // the server is a voter.
  struct Lost {
    ServerId server = ServerId::none;
    std::vector<Record> log;
    Epoch current = Epoch::none;
    friend bool operator==(const Lost&, const Lost&) = default;
  };
  std::vector<Record> proposed;
  std::vector<Record> committed;    // grows only
  std::vector<Epoch> committed_in;  // by the leader of which epoch; same positions
  std::vector<Record> delivered;    // the canonical list, grows only
  std::vector<Established> established;
  std::vector<Asked> asked;
  Lost lost;  // by the newest wipe
  friend bool operator==(const Ghost&, const Ghost&) = default;
};

// Checks one step of one server against the ghost, and lets the ghost learn from it.
class GhostStep {
 public:
  GhostStep(Ghost& ghost, const ServersNow& servers, Violations& violations)
      : ghost_(ghost), servers_(servers), violations_(violations) {}

  // `before` is the server before the step; `servers` hold it afterwards.
  void check(const Server& before, const Server& now, const Effect::Notable* notable);

 private:
  void check_proposals(const Server& now, const std::vector<Record>& proposed);
  void check_leader(const Server& before, const Server& now);
  void check_broadcast(const Server& before, const Server& now);
  void check_initial_history(const Ghost::Established& established);
  void learn_commit(const Server& now);
  void check_disk(const Server& before, const Server& now);
  void check_follower(const Server& server);
  void check_delivery(const Server& before, const Server& now, Zxid up_to);
  void add_delivered(const Server& now, const Record& record);
  void check_questions(const Server& now, const Effect::Notable& notable);
  void learn_wipe(const Server& before, const Server& now);
  std::size_t disks_with(Epoch adopted, std::size_t committed_count) const;
  void complain(const Server& server, const std::string& text);

  Ghost& ghost_;
  const ServersNow& servers_;
  Violations& violations_;
};

class Ghosts {
 public:
  std::uint32_t intern(const Ghost& ghost);
  const Ghost& operator[](std::uint32_t id) const { return ghosts_[id]; }
  std::size_t size() const { return ghosts_.size(); }

 private:
  std::deque<Ghost> ghosts_;
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;
};

}  // namespace zabmq::sim::exhaustive
