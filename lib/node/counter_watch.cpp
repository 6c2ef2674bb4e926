// CounterWatch: which counters are news, and in which words.
#include "node/counter_watch.hpp"

namespace zabmq::node {
namespace {

template <class Counters>
struct Watched {
  std::uint64_t Counters::*counter;
  LogLevel level;
  std::string_view what;
};

using Peers = net::PeerCounters;
constexpr Watched<Peers> watched_peers[] = {
    {&Peers::malformed, LogLevel::warning, "malformed frames from servers dropped"},
    {&Peers::unknown_sender, LogLevel::warning, "frames of servers not in --servers dropped"},
    {&Peers::other_receiver, LogLevel::warning, "frames meant for another server id dropped"},
    {&Peers::other_cluster, LogLevel::warning, "frames of another cluster dropped"},
    {&Peers::reconnected, LogLevel::info, "connections made anew to servers that did not answer"},
    {&Peers::duplicate_ids, LogLevel::error, "turns of two processes with one server id"},
    {&Peers::ended_by_gap, LogLevel::warning, "sessions between servers ended by lost frames"},
    {&Peers::ended_by_duplicate, LogLevel::warning, "sessions ended by a repeated frame"},
    {&Peers::ended_by_corruption, LogLevel::warning, "sessions ended by a damaged frame"},
    {&Peers::ended_by_other_life, LogLevel::info, "sessions ended by a server's restart"},
    {&Peers::ended_by_disconnect, LogLevel::info, "sessions ended by a broken connection"},
    {&Peers::ended_by_full_queue, LogLevel::warning, "sessions ended by a full queue"},
};

using Clients = ZmqClientLinks::Counters;
constexpr Watched<Clients> watched_clients[] = {
    {&Clients::malformed, LogLevel::warning, "client messages of the wrong form dropped"},
    {&Clients::routing_ids_refused, LogLevel::warning,
     "messages refused of clients that chose a routing id"},
    {&Clients::connections_refused, LogLevel::warning, "messages refused of too many clients"},
};

using Replica = replica::Counters;
constexpr Watched<Replica> watched_replica[] = {
    {&Replica::client_frames_malformed, LogLevel::warning, "malformed client frames answered"},
    {&Replica::batches_malformed, LogLevel::warning, "malformed batches refused"},
    {&Replica::peer_records_malformed, LogLevel::warning, "malformed records of servers dropped"},
    {&Replica::fenced, LogLevel::info, "publishes of fenced publishers refused"},
    {&Replica::cursors_overtaken, LogLevel::warning,
     "durable cursors overtaken by retention: their readers have lost messages"},
};

template <class Counters, std::size_t n>
void tell(const Watched<Counters> (&watched)[n], const Counters& before, const Counters& now,
          const Observer& observer) {
  for (const auto& [counter, level, what] : watched) {
    const std::uint64_t grown = now.*counter - before.*counter;
    if (grown != 0) observer({level, what, std::to_string(grown) + " " + std::string(what)});
  }
}

}  // namespace

void CounterWatch::look(std::uint64_t now_ms, const net::PeerCounters& peers,
                        const ZmqClientLinks::Counters& clients, const replica::Counters& replica,
                        const Observer& observer) {
  if (now_ms - looked_at_ < interval_ms) return;
  looked_at_ = now_ms;
  tell(watched_peers, peers_, peers, observer);
  tell(watched_clients, clients_, clients, observer);
  tell(watched_replica, replica_, replica, observer);
  peers_ = peers;
  clients_ = clients;
  replica_ = replica;
}

}  // namespace zabmq::node
