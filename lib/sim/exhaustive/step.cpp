// Step: inputs, and the one function that performs Ready.
#include "sim/exhaustive/step.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "sim/exhaustive/text.hpp"
#include "zabmq/check.hpp"

namespace zabmq::sim::exhaustive {
namespace {

// No timer runs by itself. Waits that only cost time are zero: the explorer tries every order
// anyway. What lasts `peer_timeout_ms` ends when Input::silent says so.
constexpr zab::Options core_options = {.heartbeat_ms = 0,
                                       .peer_timeout_ms = 1000,
                                       .finalize_wait_ms = 0,
                                       .discovery_timeout_ms = 0,
                                       .sync_timeout_ms = 1'000'000,
                                       .renounce_interval_ms = 0};

constexpr auto cluster_id_byte = std::byte{0xc1};
constexpr auto history_id_byte = std::byte{0xc2};
constexpr std::uint64_t voter_set_hash = 0x5e7;

ServerId id_of(std::uint8_t number) {
  return ServerId{number};
}

}  // namespace

zab::Core start_core(ServerId id, const Disk& disk, Zxid delivered, std::uint64_t now_ms) {
  std::vector<ServerId> voters;
  for (std::uint32_t i = 1; i <= servers_count; ++i) voters.push_back(ServerId{i});
  zab::FreshIds ids;
  ids.cluster.bytes.fill(cluster_id_byte);
  ids.history.bytes.fill(history_id_byte);
  ids.incarnation.bytes.fill(std::byte{0xc3});  // drawn anew for a directory that is an old copy
  zab::Core core(id, zab::Config(voters, voter_set_hash), core_options, disk.identity,
                 disk.history(), delivered, ids);
  core.tick(now_ms);
  return core;
}

void Step::take(const Input& input) {
  const ServerId peer = id_of(input.peer);
  zab::Core& core = server_.core;
  Disk& disk = server_.disk;
  switch (input.kind) {
    case Input::Kind::frame:
      return take_frame(input);
    case Input::Kind::propose:
      propose({});
      break;
    case Input::Kind::crash:
      return crash(input);
    case Input::Kind::wipe:
      return wipe();
    case Input::Kind::join:
      join(peer);
      break;
    case Input::Kind::session_lost:
      core.session_lost(peer);
      break;
    case Input::Kind::durable:
      disk.durable += input.count;
      core.durable(disk.durable_end());
      break;
    case Input::Kind::stored:
      complete_store();
      break;
    case Input::Kind::rewound:
      core.rewound(disk.finish_rewind());
      break;
    case Input::Kind::drained:
      disk.draining = false;
      disk.keep(input.count);
      core.drained(disk.durable_end());
      break;
    case Input::Kind::ask:
      notable_.asked = core.ask_quorum();
      break;
    case Input::Kind::silent:
      server_.now_ms += core_options.peer_timeout_ms + 1;
      core.tick(server_.now_ms);
      break;
    case Input::Kind::tick:
      core.tick(server_.now_ms);
      break;
    case Input::Kind::elected:
      core.receive(peer, forged_vote(core.self()));
      break;
    case Input::Kind::follow: {
      zab::Vote vote = forged_vote(peer);
      vote.round = 0;
      vote.role = Role::leading;
      vote.phase = Phase::broadcast;
      core.receive(peer, vote);
      break;
    }
  }
  after_input({});
}

// Free elections: a vote that makes this server lead or follow, whatever the histories are.
zab::Vote Step::forged_vote(ServerId for_whom) const {
  const auto& looking = std::get<zab::Looking>(server_.core.role_state());
  zab::Vote vote = looking.vote;
  vote.leader = for_whom;
  vote.round = looking.round;
  return vote;
}

void Step::take_frame(const Input& input) {
  const ServerId from = id_of(input.peer);
  const Frame& frame = frames_[input.frame];
  zab::Core& core = server_.core;
  const bool from_leader = core.role() == Role::following && core.leader() == from;
  if (from_leader && std::holds_alternative<zab::Propose>(frame.message) &&
      !server_.disk.continues(frame.records)) {
    // As lib/replica: a frame that does not continue the log ends the session.
    output(zab::CloseSession{from});
    core.session_lost(from);
    return after_input({});
  }
  if (from_leader && std::holds_alternative<zab::NewLeader>(frame.message)) {
    server_.seen.new_leader_at = server_.disk.last();
  }
  core.receive(from, frame.message);
  after_input(frame.records);
}

void Step::propose(const std::optional<zab::Admit>& admit) {
  const auto zxid = server_.core.propose();
  if (!zxid) return;
  const Record record = make_record(*zxid, server_.disk.last_digest(), server_.core.self(), admit);
  notable_.proposed.push_back(record);
  server_.disk.log.push_back(record);
  if (admit) note("proposes " + to_string(*zxid) + ": admit " + to_string(admit->server));
}

// STANDING of a voter that leads in broadcast: an empty directory takes its ids and is wiped; a
// wiped server follows.
void Step::join(ServerId leader) {
  zab::StandingMessage message;
  message.handshake.cluster.bytes.fill(cluster_id_byte);
  message.handshake.history.bytes.fill(history_id_byte);
  message.handshake.voter_set_hash = voter_set_hash;
  message.standing = zab::Standing::voter;
  message.leader = leader;
  message.answer = true;
  server_.core.receive(leader, message);
}

void Step::wipe() {
  Disk fresh;
  fresh.identity.incarnation = server_.disk.identity.incarnation;
  std::byte& number = fresh.identity.incarnation.bytes.front();
  number = static_cast<std::byte>(std::to_integer<unsigned>(number) + 0x10);
  server_.disk = fresh;
  server_.seen = {};
  restarted_ = true;
  delivered_ = {};
  server_.core = start_core(server_.core.self(), fresh, {}, server_.now_ms);
  after_input({});
}

// Power loss, and the restart: a server that is down differs in nothing from one that is up and has
// not been heard of yet.
void Step::crash(const Input& input) {
  Disk& disk = server_.disk;
  const Zxid delivered = server_.core.last_delivered();  // the newest mark says so at the latest
  disk.keep(input.count);
  if (disk.rewind && input.rewind_kept) disk.finish_rewind();
  if (disk.storing && input.identity_kept) disk.identity = *disk.storing;
  disk.storing.reset();
  disk.rewind.reset();
  disk.draining = false;
  server_.seen.new_leader_at.reset();
  server_.seen.acked_leader = false;
  restarted_ = true;
  if (!disk.contains(delivered))
    return complain("delivered " + to_string(delivered) + " and lost it in a crash");
  server_.core = start_core(server_.core.self(), disk, delivered, server_.now_ms);
  after_input({});
}

// --- performing Ready ---

void Step::after_input(const std::vector<Record>& records) {
  perform(server_.core.take_ready(), records);
  complete_at_once();
  while (!admits_.empty()) {
    propose(admits_.front());
    admits_.erase(admits_.begin());
    perform(server_.core.take_ready(), {});
  }
  check_end();
}

// Each delivered admit is told to the core, as lib/replica does.
void Step::take_admits() {
  const Disk& disk = server_.disk;
  const std::size_t from = disk.count_up_to(delivered_).value_or(0);
  const std::size_t to = disk.count_up_to(server_.core.last_delivered()).value_or(from);
  delivered_ = server_.core.last_delivered();
  for (std::size_t i = from; i < to; ++i) {
    if (!disk.log[i].admit) continue;
    server_.core.delivered_admit(disk.log[i].zxid, *disk.log[i].admit);
    perform(server_.core.take_ready(), {});
    complete_at_once();
  }
}

void Step::complete_store() {
  server_.disk.identity = *std::exchange(server_.disk.storing, std::nullopt);
  note("stored: " + text(server_.disk.identity));
  server_.core.stored();
}

// Operations about whose end nothing is left to be decided. Coarse: a power loss that takes back an
// identity record is one before what asked for it.
void Step::complete_at_once() {
  Disk& disk = server_.disk;
  while (grain_ == Grain::coarse && disk.storing) {
    complete_store();
    perform(server_.core.take_ready(), {});
  }
  if (disk.rewind && disk.rewind->to == disk.last()) {
    server_.core.rewound(disk.finish_rewind());
    perform(server_.core.take_ready(), {});
  }
  if (disk.draining && disk.unsynced() == 0 && !disk.rewind) {
    disk.draining = false;
    server_.core.drained(disk.durable_end());
    perform(server_.core.take_ready(), {});
  }
}

void Step::perform(zab::Ready ready, const std::vector<Record>& records) {
  check_ready(ready, records);
  perform_log(ready, records);
  if (ready.store) {
    check_store(*ready.store);
    server_.disk.storing = ready.store;
  }
  for (const zab::Output& o : ready.outputs) output(o);
  if (ready.deliver_up_to) {
    if (!server_.disk.is_durable(*ready.deliver_up_to)) {
      complain("delivers " + to_string(*ready.deliver_up_to) + ", which is not durable here");
    }
    notable_.delivered = ready.deliver_up_to;
    note("delivers up to " + to_string(*ready.deliver_up_to));
  }
  admits_.insert(admits_.end(), ready.admit.begin(), ready.admit.end());
  if (ready.rounds_answered) notable_.answered = ready.rounds_answered;
  for (const zab::Event& event : ready.events) note(text(event));
  if (ready.deliver_up_to) take_admits();
}

void Step::perform_log(const zab::Ready& ready, const std::vector<Record>& records) {
  Disk& disk = server_.disk;
  if (ready.append) {
    disk.log.insert(disk.log.end(), records.begin(), records.end());
    note("appends up to " + to_string(disk.last()));
  }
  if (ready.rewind) {
    disk.rewind = ready.rewind;
    note("rewinds to " + to_string(ready.rewind->to));
  }
  if (ready.drain) disk.draining = true;
}

void Step::output(const zab::Output& output) {
  const auto number = [](ServerId id) { return static_cast<std::uint8_t>(id); };
  if (const auto* open = std::get_if<zab::OpenSession>(&output)) {
    outputs_.push_back({Output::Kind::open, number(open->leader), 0});
  } else if (const auto* close = std::get_if<zab::CloseSession>(&output)) {
    note("closes the session with " + to_string(close->peer));
    outputs_.push_back({Output::Kind::close, number(close->peer), 0});
  } else if (const auto* range = std::get_if<zab::Stream>(&output)) {
    stream(*range);
  } else {
    const auto& message = std::get<zab::Send>(output);
    send(message.to, message.message, {});
  }
}

// DIFF and TRUNC: the digest comes from the sender's own log, as in lib/replica.
void Step::send(ServerId to, zab::Message message, std::vector<Record> records) {
  check_message(message);
  const auto fill_in = [this](Zxid common, Digest& digest) {
    const auto mine = server_.disk.digest_at(common);
    if (!mine)
      return complain("begins a synchronization at " + to_string(common) +
                      ", which it does not have");
    digest = *mine;
  };
  if (auto* diff = std::get_if<zab::Diff>(&message)) fill_in(diff->common, diff->digest);
  if (auto* trunc = std::get_if<zab::Trunc>(&message)) fill_in(trunc->common, trunc->digest);
  note("-> " + to_string(to) + " " + text(message));
  outputs_.push_back({Output::Kind::frame, static_cast<std::uint8_t>(to),
                      frames_.intern({std::move(message), std::move(records)})});
}

void Step::stream(const zab::Stream& range) {
  const Disk& disk = server_.disk;
  const auto from = disk.count_up_to(range.after);
  const auto to = disk.count_up_to(range.up_to);
  if (!from || !to || *from >= *to) {
    return complain("streams (" + to_string(range.after) + ", " + to_string(range.up_to) +
                    "], which is no range of its log");
  }
  std::vector<Record> records(disk.log.begin() + static_cast<std::ptrdiff_t>(*from),
                              disk.log.begin() + static_cast<std::ptrdiff_t>(*to));
  zab::Propose message{runs_of(records), std::min(server_.core.last_committed(), range.up_to)};
  send(range.to, std::move(message), std::move(records));
}

void Step::note(const std::string& line) {
  if (lines_) lines_->push_back("        " + line);
}

}  // namespace zabmq::sim::exhaustive
