// Cluster: performing one action.
#include "sim/exhaustive/cluster.hpp"

#include <utility>
#include <variant>

#include "sim/exhaustive/budget.hpp"
#include "sim/exhaustive/text.hpp"
#include "zabmq/check.hpp"

namespace zabmq::sim::exhaustive {
namespace {

using Kind = Action::Kind;

std::size_t pair_of(std::uint8_t a, std::uint8_t b) {
  return static_cast<std::size_t>(a + b - 1);  // (0,1) (0,2) (1,2)
}

std::size_t side_of(std::uint8_t self, std::uint8_t peer) {
  return self < peer ? 0 : 1;
}

std::uint8_t number_of(std::uint8_t at) {
  return static_cast<std::uint8_t>(at + 1);
}

}  // namespace

State Cluster::start(const Disk& disk) {
  State state;
  for (std::uint8_t at = 0; at < servers_count; ++at) {
    Disk own = disk;
    own.identity.incarnation.bytes.fill(std::byte{number_of(at)});
    state.servers[at] = servers_.start(ServerId{number_of(at)}, own, {});
  }
  return state;
}

State Cluster::with_disk(State state, std::uint32_t at, const Disk& disk, Zxid delivered) {
  state.servers[at] = servers_.start(server(state, at).core.self(), disk, delivered);
  return state;
}

State Cluster::take(const State& before, const Action& action, Violations& violations,
                    Lines* lines) {
  Work work;
  work.state = before;
  work.violations = &violations;
  work.lines = lines;
  perform(work, action);
  return finish(work);
}

void Cluster::perform(Work& work, const Action& action) {
  const std::uint8_t a = action.a;
  const std::uint8_t b = action.b;
  using In = Input::Kind;
  const auto input = [&](In kind) {
    return Input{.kind = kind, .peer = number_of(b), .count = action.extra};
  };
  switch (action.kind) {
    case Kind::deliver:
      return deliver(work, a, b);
    case Kind::told:
      return tell(work, a, b);
    case Kind::durable:
      return step(work, a, input(In::durable));
    case Kind::stored:
      return step(work, a, input(In::stored));
    case Kind::rewound:
      return step(work, a, input(In::rewound));
    case Kind::drained:
      return step(work, a, input(In::drained));
    case Kind::propose:
      use(work.state.used, Limited::transactions);
      return step(work, a, input(In::propose));
    case Kind::ask:
      use(work.state.used, Limited::questions);
      return step(work, a, input(In::ask));
    case Kind::elect:
      use(work.state.used, Limited::elections);
      step(work, a, input(In::elected));
      return step(work, b, {.kind = In::follow, .peer = number_of(a)});
    case Kind::follow: {
      const bool voter = servers_.summary(work.state.servers[a]).voter;
      return step(work, a, input(voter ? In::follow : In::join));
    }
    case Kind::wipe:
      return wipe(work, a);
    case Kind::crash:
      return crash(work, action);
    case Kind::cut: {
      use(work.state.used, Limited::cuts);
      Channel& session = touch(work, a, b);
      session.dead = true;
      session.to = {};
      return tell_learner(work, a, b);
    }
    case Kind::silent: {
      const Summary& summary = servers_.summary(work.state.servers[a]);
      if (!summary.leading || has_live_quorum(work.state, a)) {
        use(work.state.used, Limited::pauses);
      }
      return step(work, a, input(In::silent));
    }
    case Kind::mail: {
      std::uint32_t& slot = touch_mail(work)[2U * (servers_count * a + b) + action.extra];
      const std::uint32_t frame = std::exchange(slot, 0) - 1;
      return step(work, b, {.kind = In::frame, .peer = number_of(a), .frame = frame});
    }
    case Kind::tick:
      return step(work, a, input(In::tick));
  }
}

void Cluster::deliver(Work& work, std::uint8_t from, std::uint8_t to) {
  auto& queue = touch(work, from, to).to[side_of(to, from)];
  do {
    const std::uint32_t frame = queue.front();
    queue.erase(queue.begin());
    step(work, to, {.kind = Input::Kind::frame, .peer = number_of(from), .frame = frame});
    // Nothing is taken from a session while the log is being cut.
    if (servers_.summary(work.state.servers[to]).rewinding) return;
  } while (grain_ == Grain::coarse && !queue.empty());
}

void Cluster::tell(Work& work, std::uint8_t at, std::uint8_t peer) {
  Channel& session = touch(work, at, peer);
  session.open[side_of(at, peer)] = false;
  if (!session.open[side_of(peer, at)]) session = {};
  step(work, at, {.kind = Input::Kind::session_lost, .peer = number_of(peer)});
}

// The session between the two has just died. What its learner can do before it hears of that, it
// could have done before. (With real elections it still answers votes, so there it is told later.)
void Cluster::tell_learner(Work& work, std::uint8_t a, std::uint8_t b) {
  if (elections_ == Elections::real) return;
  const auto follows = [&](std::uint8_t learner, std::uint8_t leader) {
    const zab::Core& core = servers_[work.state.servers[learner]].core;
    return touch(work, a, b).open[side_of(learner, leader)] && core.role() == Role::following &&
           core.leader() == ServerId{number_of(leader)};
  };
  if (follows(a, b)) return tell(work, a, b);
  if (follows(b, a)) tell(work, b, a);
}

void Cluster::lose_sessions(Work& work, std::uint8_t at) {
  for (std::uint8_t peer = 0; peer < servers_count; ++peer) {
    if (peer != at) close(work, at, peer);
  }
}

void Cluster::wipe(Work& work, std::uint8_t at) {
  use(work.state.used, Limited::wipes);
  lose_sessions(work, at);
  step(work, at, {.kind = Input::Kind::wipe});
}

void Cluster::crash(Work& work, const Action& action) {
  use(work.state.used, Limited::crashes);
  lose_sessions(work, action.a);
  Input input{.kind = Input::Kind::crash};
  input.count = action.extra & 0x3f;
  input.identity_kept = action.extra & Action::identity_kept;
  input.rewind_kept = action.extra & Action::rewind_kept;
  step(work, action.a, input);
}

// --- one server's step, and what follows at once ---

void Cluster::step(Work& work, std::uint8_t at, const Input& input) {
  const std::uint32_t before = work.state.servers[at];
  if (work.lines) {
    if (input.kind == Input::Kind::frame) {
      work.lines->push_back("      " + zabmq::to_string(ServerId{number_of(at)}) + " <- " +
                            zabmq::to_string(ServerId{input.peer}) + " " +
                            text(frames_[input.frame].message));
    }
    servers_.explain(before, input, *work.lines);
  }
  const Effect& effect = servers_.step(before, input);
  work.state.servers[at] = effect.next;
  check(work, at, before, effect);
  for (const Output& out : effect.outputs) output(work, at, out);
}

void Cluster::check(Work& work, std::uint8_t at, std::uint32_t before, const Effect& effect) {
  if (!effect.notable &&
      servers_.summary(before).watched == servers_.summary(effect.next).watched) {
    return;
  }
  ServersNow now{};
  for (std::uint8_t i = 0; i < servers_count; ++i) now[i] = &servers_[work.state.servers[i]];
  Ghost ghost = ghosts_[work.state.ghost];
  GhostStep(ghost, now, *work.violations).check(servers_[before], *now[at], effect.notable.get());
  if (!(ghost == ghosts_[work.state.ghost])) work.state.ghost = ghosts_.intern(ghost);
}

void Cluster::output(Work& work, std::uint8_t from, const Output& output) {
  const auto peer = static_cast<std::uint8_t>(output.peer - 1);
  switch (output.kind) {
    case Output::Kind::open:
      return open(work, from, peer);
    case Output::Kind::close:
      return close(work, from, peer);
    case Output::Kind::frame:
      return send(work, from, peer, output.frame);
  }
}

// The learner forgets an older session of the two at once; the leader hears of its end with CEPOCH.
void Cluster::open(Work& work, std::uint8_t learner, std::uint8_t leader) {
  Channel& session = touch(work, learner, leader);
  const bool leader_had_one = session.open[side_of(leader, learner)];
  session = {};
  session.open[side_of(learner, leader)] = true;
  if (leader_had_one) {
    step(work, leader, {.kind = Input::Kind::session_lost, .peer = number_of(learner)});
  }
}

void Cluster::close(Work& work, std::uint8_t self, std::uint8_t peer) {
  Channel& session = touch(work, self, peer);
  if (!session.open[side_of(self, peer)]) return;
  session.open[side_of(self, peer)] = false;
  session.to = {};
  session.dead = session.open[side_of(peer, self)];
  if (session.dead) tell_learner(work, self, peer);
}

void Cluster::send(Work& work, std::uint8_t from, std::uint8_t to, std::uint32_t frame) {
  const zab::Message& message = frames_[frame].message;
  if (zab::is_datagram(message)) {
    const std::size_t lane = std::holds_alternative<zab::Vote>(message) ? 0 : 1;
    if (elections_ == Elections::real) {
      touch_mail(work)[2U * (servers_count * from + to) + lane] = frame + 1;
    }
    return;
  }
  Channel& session = touch(work, from, to);
  if (!session.open[side_of(from, to)] || session.dead) return;
  if (std::holds_alternative<zab::CEpoch>(message)) {
    session.open[side_of(to, from)] = true;
    return step(work, to, {.kind = Input::Kind::frame, .peer = number_of(from), .frame = frame});
  }
  session.to[side_of(to, from)].push_back(frame);
}

void Cluster::describe(const State& state, Lines& lines) const {
  for (std::uint32_t id : state.servers) {
    const zab::Core& core = servers_[id].core;
    const Disk& disk = servers_[id].disk;
    lines.push_back("    server " + zabmq::to_string(core.self()) + ": " +
                    std::string(zabmq::to_string(core.role())) + "/" +
                    std::string(zabmq::to_string(core.phase())) + " " + text(disk.identity) +
                    " history=[" + text(disk.history()) +
                    "] durable=" + zabmq::to_string(disk.durable_end()) +
                    " committed=" + zabmq::to_string(core.last_committed()) +
                    " delivered=" + zabmq::to_string(core.last_delivered()));
  }
}

// --- tables ---

Channel& Cluster::touch(Work& work, std::uint8_t a, std::uint8_t b) {
  const std::size_t pair = pair_of(a, b);
  if (!work.touched[pair]) {
    work.touched[pair] = true;
    work.channels[pair] = channels_[work.state.channels[pair]];
  }
  return work.channels[pair];
}

const Channel& Cluster::channel(const State& state, std::uint8_t a, std::uint8_t b) const {
  return channels_[state.channels[pair_of(a, b)]];
}

Cluster::Mail& Cluster::touch_mail(Work& work) {
  if (!work.mail_touched) {
    work.mail_touched = true;
    work.mail = mails_[work.state.mail];
  }
  return work.mail;
}

State Cluster::finish(Work& work) {
  for (std::size_t pair = 0; pair < pairs_count; ++pair) {
    if (work.touched[pair]) work.state.channels[pair] = intern(std::move(work.channels[pair]));
  }
  if (work.mail_touched) work.state.mail = intern(work.mail);
  return work.state;
}

std::uint32_t Cluster::intern(Channel&& channel) {
  if (!channel.open[0] && !channel.open[1]) return 0;
  Hasher hasher;
  hasher.add(channel.open[0]);
  hasher.add(channel.open[1]);
  hasher.add(channel.dead);
  for (const auto& queue : channel.to) {
    hasher.add(queue.size());
    for (std::uint32_t frame : queue) hasher.add(std::uint64_t{frame});
  }
  const auto [at, added] =
      channel_ids_.try_emplace(hasher.hash(), static_cast<std::uint32_t>(channels_.size()));
  if (added) channels_.push_back(std::move(channel));
  return at->second;
}

std::uint32_t Cluster::intern(const Mail& mail) {
  if (mail == Mail{}) return 0;
  Hasher hasher;
  for (std::uint32_t slot : mail) hasher.add(std::uint64_t{slot});
  const auto [at, added] =
      mail_ids_.try_emplace(hasher.hash(), static_cast<std::uint32_t>(mails_.size()));
  if (added) mails_.push_back(mail);
  return at->second;
}

}  // namespace zabmq::sim::exhaustive
