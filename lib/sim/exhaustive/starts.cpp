// Starts: built by the same actions that the search takes, so each is a state that can be reached.
#include "sim/exhaustive/starts.hpp"

#include <algorithm>

#include "zabmq/check.hpp"

namespace zabmq::sim::exhaustive {
namespace {

using Kind = Action::Kind;

Limits no_limits() {
  return {.transactions = 7,
          .crashes = 7,
          .cuts = 7,
          .pauses = 7,
          .elections = 7,
          .questions = 7,
          .wipes = 7};
}

constexpr unsigned settle_steps_max = 1000;

// A script of actions that must all be possible; it ends at the first violation.
class Script {
 public:
  Script(Cluster& cluster, const Disk& disk) : cluster_(cluster) {
    cluster_.set_limits(no_limits());
    start_.first = start_.state = cluster.start(disk);
  }

  Script& take(Kind kind, unsigned a, unsigned b = 1, unsigned extra = 0) {
    const Action wanted{kind, at(a), at(b), static_cast<std::uint8_t>(extra)};
    if (!start_.violations.empty()) return *this;
    for (const Action& action : possible()) {
      if (to_string(action) == to_string(wanted)) return go(action);
    }
    start_.violations.push_back("not possible here: " + to_string(wanted));
    return *this;
  }

  // Whatever needs no fault and no decision, until nothing is left.
  Script& settle() { return settle(true); }
  Script& settle_but_untold() { return settle(false); }

  Start done() {
    start_.state.used = 0;
    return start_;
  }

 private:
  Script& settle(bool told) {
    for (unsigned i = 0; i < settle_steps_max && start_.violations.empty(); ++i) {
      const std::vector<Action> actions = possible();
      const auto next =
          std::find_if(actions.rbegin(), actions.rend(), [told](const Action& action) {
            return action.kind == Kind::deliver || (told && action.kind == Kind::told) ||
                   action.kind == Kind::durable || action.kind == Kind::stored ||
                   action.kind == Kind::rewound || action.kind == Kind::drained;
          });
      if (next == actions.rend()) break;
      go(*next);
    }
    return *this;
  }

  static std::uint8_t at(unsigned number) { return static_cast<std::uint8_t>(number - 1); }

  std::vector<Action> possible() const {
    std::vector<Action> actions;
    cluster_.actions(start_.state, actions);
    return actions;
  }
  Script& go(const Action& action) {
    start_.state = cluster_.take(start_.state, action, start_.violations, nullptr);
    start_.path.push_back(action);
    return *this;
  }

  Cluster& cluster_;
  Start start_;
};

Disk empty_directory() {
  return {};
}

Disk founded() {
  Disk disk;
  disk.identity.standing = zab::Standing::voter;
  disk.identity.cluster.bytes.fill(std::byte{0xc1});
  disk.identity.history.bytes.fill(std::byte{0xc2});
  return disk;
}

Start founding(Cluster& cluster) {
  return Script(cluster, empty_directory()).done();
}

Start voters(Cluster& cluster) {
  return Script(cluster, founded()).done();
}

Script established(Cluster& cluster) {
  Script script(cluster, founded());
  script.take(Kind::elect, 3, 2).settle().take(Kind::follow, 1, 3).settle();
  return script;
}

// Server 3 leads epoch 1, the others follow in broadcast; nothing was proposed.
Start broadcast(Cluster& cluster) {
  return established(cluster).done();
}

// Server 3 leads epoch 1 with 2, and 1.1 is committed; server 1 has not been there yet.
Start late_joiner(Cluster& cluster) {
  Script script(cluster, founded());
  return script.take(Kind::elect, 3, 2).settle().take(Kind::propose, 3).settle().done();
}

// All are LOOKING; 1.1 is committed, on the disks of 3 and 2.
Start one_behind(Cluster& cluster) {
  Script script(cluster, founded());
  script.take(Kind::elect, 3, 2).settle().take(Kind::propose, 3).settle();
  return script.take(Kind::crash, 3).settle().done();
}

// All are LOOKING and have 1.1 and 1.2, committed; server 3 led epoch 1 and alone has 1.3 too.
Script tail_of_one(Cluster& cluster) {
  Script script = established(cluster);
  script.take(Kind::propose, 3).settle().take(Kind::propose, 3).settle();
  script.take(Kind::propose, 3).take(Kind::durable, 3, 1, 1).take(Kind::crash, 3).settle();
  return script;
}

Start uncommitted_tail(Cluster& cluster) {
  return tail_of_one(cluster).done();
}

// Server 2 leads epoch 2 with 1; server 3 is LOOKING with the uncommitted 1.3 of its reign.
Start tail_to_cut(Cluster& cluster) {
  return tail_of_one(cluster).take(Kind::elect, 2, 1).settle().done();
}

// All are LOOKING; 1 and 2 have committed 2.1, server 3 has the uncommitted 1.3 of its reign.
Start two_tails(Cluster& cluster) {
  Script script = tail_of_one(cluster);
  script.take(Kind::elect, 2, 1).settle().take(Kind::propose, 2).settle();
  return script.take(Kind::crash, 2).settle().done();
}

// Server 3 believes that it leads epoch 1 and was not told that its sessions are over; server 2
// leads epoch 2 with 1.
Start two_leaders(Cluster& cluster) {
  Script script = established(cluster);
  script.take(Kind::cut, 1, 3).take(Kind::cut, 2, 3).take(Kind::elect, 2, 1);
  return script.settle_but_untold().done();
}

// Server 3 leads epoch 1, all have committed 1.1; server 1 has lost its directory since.
Script wiped_server(Cluster& cluster) {
  Script script = established(cluster);
  script.take(Kind::propose, 3).settle().take(Kind::wipe, 1).settle();
  return script;
}

Start wiped(Cluster& cluster) {
  return wiped_server(cluster).done();
}

// The same, and server 1 follows again, synchronized; its admit is logged by nobody but the leader.
Start admitting(Cluster& cluster) {
  Script script = wiped_server(cluster);
  script.take(Kind::follow, 1, 3).take(Kind::deliver, 3, 1).take(Kind::deliver, 1, 3);
  script.take(Kind::deliver, 3, 1).take(Kind::durable, 1, 1, 1).take(Kind::deliver, 1, 3);
  return script.done();
}

}  // namespace

const std::vector<StartKind>& start_kinds() {
  static const std::vector<StartKind> kinds = {
      {"founding", Elections::real, founding},
      {"real-election", Elections::real, voters},
      {"election", Elections::free, voters},
      {"broadcast", Elections::free, broadcast},
      {"late-joiner", Elections::free, late_joiner},
      {"uncommitted-tail", Elections::free, uncommitted_tail},
      {"one-behind", Elections::free, one_behind},
      {"two-tails", Elections::free, two_tails},
      {"tail-to-cut", Elections::free, tail_to_cut},
      {"two-leaders", Elections::free, two_leaders, 1},
      {"wiped", Elections::free, wiped},
      {"admitting", Elections::free, admitting},
      {"wipe", Elections::free, broadcast, 0, Grain::coarse, 1},
      {"election-fine", Elections::free, voters, 0, Grain::fine},
      {"broadcast-fine", Elections::free, broadcast, 0, Grain::fine},
      {"late-joiner-fine", Elections::free, late_joiner, 0, Grain::fine},
      {"tail-to-cut-fine", Elections::free, tail_to_cut, 0, Grain::fine}};
  return kinds;
}

}  // namespace zabmq::sim::exhaustive
