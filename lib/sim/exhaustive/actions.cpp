// Actions: what can happen next in a state of the cluster.
#include <algorithm>

#include "sim/exhaustive/budget.hpp"
#include "sim/exhaustive/cluster.hpp"

namespace zabmq::sim::exhaustive {
namespace {

using Kind = Action::Kind;

bool is_left(const State& state, Limited what, std::uint8_t limit) {
  return used_of(state.used, what) < limit;
}

}  // namespace

std::string to_string(const Action& action) {
  const auto server = [](std::uint8_t at) { return std::to_string(at + 1); };
  const std::string a = server(action.a);
  const std::string b = server(action.b);
  const std::string count = std::to_string(action.extra & 0x3f);
  switch (action.kind) {
    case Kind::deliver:
      return "server " + b + " receives from " + a;
    case Kind::told:
      return "server " + a + " hears that its session with " + b + " is over";
    case Kind::durable:
      return "server " + a + ": " + count + " more logged are durable";
    case Kind::stored:
      return "server " + a + ": its identity record is stored";
    case Kind::rewound:
      return "server " + a + ": its history is cut";
    case Kind::drained:
      return "server " + a + ": its log has drained, " + count + " unsynced were kept";
    case Kind::propose:
      return "server " + a + " proposes";
    case Kind::ask:
      return "server " + a + " asks a quorum for the end";
    case Kind::elect:
      return "server " + a + " is elected by itself and " + b + ", which follows";
    case Kind::follow:
      return "server " + a + " follows " + b;
    case Kind::crash:
      return "server " + a + " loses power and restarts; unsynced records kept: " + count +
             (action.extra & Action::identity_kept ? ", the new identity record kept" : "") +
             (action.extra & Action::rewind_kept ? ", the cut kept" : "");
    case Kind::cut:
      return "the session between " + a + " and " + b + " is cut";
    case Kind::silent:
      return "server " + a + " hears nobody for longer than any time-out";
    case Kind::mail:
      return "server " + b + " receives the newest " + (action.extra == 0 ? "VOTE" : "STANDING") +
             " of " + a;
    case Kind::tick:
      return "server " + a + " ticks";
    case Kind::wipe:
      return "server " + a + " loses its directory and restarts with an empty one";
  }
  return "?";
}

void Cluster::actions(const State& state, std::vector<Action>& out) const {
  out.clear();
  for (std::uint8_t at = 0; at < servers_count; ++at) server_actions(state, at, out);
  for (std::uint8_t a = 0; a < servers_count; ++a) {
    for (std::uint8_t b = static_cast<std::uint8_t>(a + 1); b < servers_count; ++b) {
      channel_actions(state, a, b, out);
    }
  }
  if (elections_ == Elections::free) {
    free_elections(state, out);
  } else {
    real_elections(state, out);
  }
}

void Cluster::server_actions(const State& state, std::uint8_t at, std::vector<Action>& out) const {
  const Summary& summary = servers_.summary(state.servers[at]);
  if (summary.storing) out.push_back({Kind::stored, at, 0, 0});
  if (summary.rewinding) out.push_back({Kind::rewound, at, 0, 0});
  if (summary.draining && !summary.rewinding) {
    for (std::uint8_t kept = 0; kept <= summary.unsynced; ++kept) {
      out.push_back({Kind::drained, at, 0, kept});
    }
  } else {
    for (std::uint8_t more = 1; more <= summary.unsynced; ++more) {
      out.push_back({Kind::durable, at, 0, more});
    }
  }
  if (summary.broadcasting && is_left(state, Limited::transactions, limits_.transactions)) {
    out.push_back({Kind::propose, at, 0, 0});
  }
  if (summary.broadcasting && is_left(state, Limited::questions, limits_.questions)) {
    out.push_back({Kind::ask, at, 0, 0});
  }
  // Followers give up when their session is cut; a leader also when no quorum is left.
  if (summary.leading &&
      (!has_live_quorum(state, at) || is_left(state, Limited::pauses, limits_.pauses))) {
    out.push_back({Kind::silent, at, 0, 0});
  }
  if (is_left(state, Limited::crashes, limits_.crashes)) crashes(state, at, out);
  const bool all_voters =
      std::all_of(state.servers.begin(), state.servers.end(),
                  [&](std::uint32_t server) { return servers_.summary(server).voter; });
  if (all_voters && is_left(state, Limited::wipes, limits_.wipes)) {
    out.push_back({Kind::wipe, at, 0, 0});
  }
}

// Every combination of what a power loss may leave of the operations on their way.
void Cluster::crashes(const State& state, std::uint8_t at, std::vector<Action>& out) const {
  const Summary& summary = servers_.summary(state.servers[at]);
  for (std::uint8_t kept = 0; kept <= summary.unsynced; ++kept) {
    for (unsigned bits = 0; bits < 4; ++bits) {
      const bool identity = bits & 1;
      const bool rewind = bits & 2;
      if ((identity && !summary.storing) || (rewind && !summary.rewinding)) continue;
      const unsigned extra =
          kept | (identity ? Action::identity_kept : 0U) | (rewind ? Action::rewind_kept : 0U);
      out.push_back({Kind::crash, at, 0, static_cast<std::uint8_t>(extra)});
    }
  }
}

bool Cluster::has_live_quorum(const State& state, std::uint8_t at) const {
  std::size_t live = 1;
  for (std::uint8_t peer = 0; peer < servers_count; ++peer) {
    if (peer == at || !servers_.summary(state.servers[peer]).voter) continue;
    const Channel& session = channel(state, at, peer);
    if (session.open[0] && session.open[1] && !session.dead) ++live;
  }
  return live >= servers_count / 2 + 1;
}

void Cluster::channel_actions(const State& state, std::uint8_t a, std::uint8_t b,
                              std::vector<Action>& out) const {
  const Channel& session = channel(state, a, b);
  if (session.dead) {
    if (session.open[0]) out.push_back({Kind::told, a, b, 0});
    if (session.open[1]) out.push_back({Kind::told, b, a, 0});
    return;
  }
  // While a log is being cut, its server takes nothing from a session.
  const auto takes = [&](std::uint8_t at) {
    return !servers_.summary(state.servers[at]).rewinding;
  };
  if (!session.to[0].empty() && takes(a)) out.push_back({Kind::deliver, b, a, 0});
  if (!session.to[1].empty() && takes(b)) out.push_back({Kind::deliver, a, b, 0});
  if (session.open[0] && session.open[1] && is_left(state, Limited::cuts, limits_.cuts)) {
    out.push_back({Kind::cut, a, b, 0});
  }
}

// Safety may not depend on who is elected: votes are never delivered, and whoever is LOOKING may
// find a quorum for itself. A leader without a follower does nothing that matters, so the election
// waits for the first one.
void Cluster::free_elections(const State& state, std::vector<Action>& out) const {
  const auto summary = [&](std::uint8_t at) -> const Summary& {
    return servers_.summary(state.servers[at]);
  };
  for (std::uint8_t a = 0; a < servers_count; ++a) {
    for (std::uint8_t b = 0; b < servers_count; ++b) {
      if (a == b) continue;
      if (summary(a).may_join && summary(b).broadcasting) out.push_back({Kind::follow, a, b, 0});
      if (!summary(a).may_be_elected) continue;
      if (summary(b).leading) out.push_back({Kind::follow, a, b, 0});
      if (summary(b).may_be_elected && is_left(state, Limited::elections, limits_.elections)) {
        out.push_back({Kind::elect, a, b, 0});
      }
    }
  }
}

void Cluster::real_elections(const State& state, std::vector<Action>& out) const {
  const Mail& mail = mails_[state.mail];
  for (std::uint8_t a = 0; a < servers_count; ++a) {
    const Summary& summary = servers_.summary(state.servers[a]);
    if (summary.looking) out.push_back({Kind::tick, a, 0, 0});
    if (summary.waits_for_elected && is_left(state, Limited::pauses, limits_.pauses)) {
      out.push_back({Kind::silent, a, 0, 0});
    }
    for (std::uint8_t b = 0; b < servers_count; ++b) {
      for (std::uint8_t lane = 0; lane < 2; ++lane) {
        if (mail[2U * (servers_count * a + b) + lane] != 0) {
          out.push_back({Kind::mail, a, b, lane});
        }
      }
    }
  }
}

}  // namespace zabmq::sim::exhaustive
