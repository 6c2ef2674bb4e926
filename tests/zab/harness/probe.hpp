// Probe: one server whose peers are the test itself: it hears what the test says, and what it says
// is kept to be looked at. The checker watches all that one server can do wrong.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "zab/harness/build.hpp"
#include "zab/harness/checker.hpp"
#include "zab/harness/network.hpp"
#include "zab/harness/server.hpp"

namespace zabmq::zab::test {

class Probe {
 public:
  using Allow = std::function<void(Checker&)>;

  // Server `id` of `voter_count`, started and ticked once.
  Probe(unsigned id, unsigned voter_count, const Past& past, const Allow& allow = {});

  Server& server() { return server_; }
  const Core& core() const { return server_.core(); }
  Disk& disk() { return server_.disk(); }

  // The peer says it; disks complete at once unless they are held.
  void receive(unsigned from, Message message);
  void receive_records(unsigned from, std::vector<Record> records, Zxid commit = {});
  // SNAP of the state at the last of `past`, which is the floor.
  void receive_snap(unsigned from, const std::vector<Record>& past);
  void session_lost(unsigned peer);
  void tick(std::uint64_t ms = tick_ms);
  void run(std::uint64_t ms);  // in ticks of 10 ms
  Zxid propose(const std::string& value = "v");
  void complete();  // all held disk operations, once

  // What it has said to `to` since the last call, printed; datagrams and heartbeats are left out.
  std::vector<std::string> sent(unsigned to);
  // The newest message of type M it said to `to`, ever.
  template <class M>
  std::optional<M> last(unsigned to) const {
    for (auto at = said_.rbegin(); at != said_.rend(); ++at) {
      if (at->to != ServerId{to}) continue;
      if (const M* message = std::get_if<M>(&at->message)) return *message;
    }
    return std::nullopt;
  }
  template <class M>
  std::size_t count(unsigned to) const {
    std::size_t found = 0;
    for (const Said& said : said_) {
      found += said.to == ServerId{to} && std::holds_alternative<M>(said.message);
    }
    return found;
  }
  std::size_t dropped() const { return server_.count_events(Event::Kind::dropped); }
  bool session_open(unsigned peer) const;

  // --- short ways into a state; the voter is number 1 of 3 unless the test says otherwise ---
  void lead_election();                    // the others vote for it
  void lead_discovery(unsigned accepted);  // and 2 has opened a session with this acceptedEpoch
  void lead_broadcast();                   // with follower 2, which has the same history
  void follow(unsigned leader);            // it says it leads in broadcast: CEPOCH is out
  void follow_synchronized(unsigned leader, unsigned e);  // through NEWEPOCH, DIFF and NEWLEADER

 private:
  struct Said {
    ServerId to;
    Message message;
  };

  void settle();
  void collect();

  unsigned id_;
  unsigned voter_count_;
  std::uint64_t now_ms_ = 1000;
  Network network_;
  Checker checker_;
  Server server_;
  std::vector<Said> said_;
  std::size_t shown_ = 0;
};

}  // namespace zabmq::zab::test
