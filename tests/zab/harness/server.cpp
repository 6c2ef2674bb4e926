// Server: the one function that performs Ready, and its helpers.
#include "zab/harness/server.hpp"

#include <algorithm>
#include <utility>

#include "zab/harness/checker.hpp"
#include "zab/harness/text.hpp"
#include "zabmq/check.hpp"

namespace zabmq::zab::test {
namespace {

std::string_view text(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::role_changed:
      return "role";
    case Event::Kind::phase_changed:
      return "phase";
    case Event::Kind::dropped:
      return "drops";
    case Event::Kind::protocol_error:
      return "is told nonsense";
    case Event::Kind::refused_peer:
      return "refuses";
    case Event::Kind::learner_lost:
      return "loses learner";
    case Event::Kind::renounced:
      return "renounces";
    case Event::Kind::founded:
      return "founds";
    case Event::Kind::adopted:
      return "adopts";
    case Event::Kind::wiped:
      return "is wiped";
    case Event::Kind::admitted:
      return "admits";
    case Event::Kind::alarm:
      return "ALARM";
  }
  return "?";
}

}  // namespace

Server::Server(Setup setup, Disk disk, Network& network, Checker& checker)
    : setup_(std::move(setup)), disk_(std::move(disk)), network_(network), checker_(checker) {}

// --- life ---

void Server::start(std::uint64_t now_ms) {
  ZABMQ_CHECK(!up());
  ++incarnation_;
  now_ms_ = now_ms;
  delivered_count_ = *disk_.count_up_to(disk_.marked());
  rounds_answered_ = 0;
  fatal_.reset();
  events_.clear();
  FreshIds ids = setup_.fresh_ids;
  ids.incarnation.bytes[14] = static_cast<std::byte>(incarnation_ >> 8);  // drawn anew
  ids.incarnation.bytes[15] = static_cast<std::byte>(incarnation_);
  core_.emplace(setup_.id, setup_.config, setup_.options, disk_.identity(),
                history_of(disk_.floor(), disk_.records()), disk_.marked(), ids);
  checker_.started(*this);
  write_trace("starts");
  after_input({});
  if (up()) tick(now_ms);
}

void Server::crash(const CrashChoice& choice, bool peers_told, std::size_t frames_kept_max) {
  ZABMQ_CHECK(up());
  core_.reset();
  queues_.clear();
  admits_.clear();
  delivered_admits_.clear();
  disk_.crash(choice);
  network_.crash(setup_.id, peers_told, frames_kept_max);
  checker_.crashed(*this);
  write_trace("crashes");
}

void Server::wipe(const Uuid& incarnation) {
  ZABMQ_CHECK(!up());
  Identity identity;
  identity.incarnation = incarnation;
  checker_.disk_lost(*this);
  disk_ = Disk(identity, {}, {}, {});
  checker_.disk_replaced(*this, false);
  write_trace("is emptied");
}

void Server::put_back(Disk copy) {
  ZABMQ_CHECK(!up());
  checker_.disk_lost(*this);
  disk_ = std::move(copy);
  checker_.disk_replaced(*this, true);
  write_trace("gets an older copy of its directory, up to " + to_string(disk_.last()));
}

// --- inputs ---

void Server::receive(ServerId from, const Frame& frame) {
  if (!up()) return;
  const bool records = std::holds_alternative<Propose>(frame.message);
  if (records && core_->role() == Role::following && core_->leader() == from &&
      !disk_.continues(frame.records)) {
    // As lib/replica: a frame that does not continue the log ends the session.
    network_.close(setup_.id, from);
    return session_lost(from);
  }
  checker_.receiving(*this, from, frame.message);
  core_->receive(from, frame.message);
  after_input(frame.records);
}

void Server::session_lost(ServerId peer) {
  if (!up()) return;
  queues_.erase(peer);
  core_->session_lost(peer);
  after_input({});
}

void Server::tick(std::uint64_t now_ms) {
  if (!up()) return;
  ZABMQ_CHECK(now_ms >= now_ms_);
  now_ms_ = now_ms;
  core_->tick(now_ms, disk_stuck);
  after_input({});
}

std::vector<Zxid> Server::propose(const std::vector<std::string>& values) {
  std::vector<Zxid> given;
  if (!up()) return given;
  std::vector<Record> drafts;
  for (const std::string& value : values) drafts.push_back(make_record({}, value, Digest::none));
  propose_group(drafts, given);
  after_input({});
  return given;
}

// The drafts get their zxids and become one write.
void Server::propose_group(const std::vector<Record>& drafts, std::vector<Zxid>& given) {
  std::vector<Record> group;
  for (const Record& draft : drafts) {
    const std::optional<Zxid> zxid = core_->propose();
    if (!zxid) break;
    const Digest previous = group.empty() ? disk_.last_digest() : group.back().digest;
    group.push_back(draft.admit ? make_record(*zxid, *draft.admit, previous)
                                : make_record(*zxid, draft.value, previous));
    given.push_back(*zxid);
    checker_.proposed(*this, group.back());
  }
  if (!group.empty()) disk_.append(group);
}

void Server::free_up_to(Zxid z) {
  ZABMQ_CHECK(up());
  disk_.free_up_to(z);
  write_trace("frees up to " + to_string(z));
  core_->raise_floor(disk_.floor());
}

void Server::hand_in_admits() {
  if (!up()) return;
  tell_delivered_admits();
  after_input({});
}

void Server::tell_delivered_admits() {
  for (const Record& record : std::exchange(delivered_admits_, {})) {
    core_->delivered_admit(record.zxid, *record.admit);
  }
}

std::optional<std::uint64_t> Server::ask_quorum() {
  if (!up()) return std::nullopt;
  const std::optional<std::uint64_t> ticket = core_->ask_quorum();
  if (ticket) checker_.asked(*this, *ticket);
  after_input({});
  return ticket;
}

void Server::complete_log() {
  ZABMQ_CHECK(up());
  const Disk::Completion completion = disk_.complete_log();
  if (const auto* done = std::get_if<Disk::Durable>(&completion)) {
    write_trace("durable up to " + to_string(done->up_to));
    core_->durable(done->up_to);
  } else if (const auto* cut = std::get_if<Disk::Rewound>(&completion)) {
    write_trace(std::string("rewound ") + (cut->matched ? "" : "NOT ") + "to " +
                to_string(disk_.last()));
    core_->rewound(cut->matched);
  } else {
    const Zxid end = std::get<Disk::Drained>(completion).durable_end;
    write_trace("drained at " + to_string(end));
    core_->drained(end);
  }
  after_input({});
}

void Server::complete_store() {
  ZABMQ_CHECK(up());
  disk_.complete_store();
  checker_.stored(*this);
  write_trace("stored " + test::text(disk_.identity()));
  core_->stored();
  after_input({});
}

bool Server::pump(ServerId to, std::size_t records_max) {
  auto& queue = queues_[to];
  while (!queue.empty()) {
    Queued front = std::move(queue.front());
    queue.pop_front();
    const bool current = network_.session_of(setup_.id, to, false) == front.session;
    if (auto* stream = std::get_if<Stream>(&front.item); stream && current) {
      if (records_max > 0) records_max -= send_records(to, *stream, records_max);
      if (stream->after != stream->up_to) {
        queue.push_front(std::move(front));
        return true;
      }
    } else if (current) {
      send_now(to, std::move(std::get<Message>(front.item)), {});
    }
  }
  queues_.erase(to);
  checker_.check();
  return false;
}

std::size_t Server::send_records(ServerId to, Stream& stream, std::size_t records_max) {
  std::vector<Record> records = disk_.range(stream.after, stream.up_to);
  if (records.size() > records_max) records.resize(records_max);
  stream.after = records.back().zxid;
  Propose frame{runs_of(records), std::min(core_->last_committed(), stream.after)};
  const std::size_t count = records.size();
  send_now(to, std::move(frame), std::move(records));
  return count;
}

// --- outputs ---

void Server::after_input(const std::vector<Record>& records) {
  perform(core_->take_ready(), records);
  ZABMQ_CHECK(core_->take_ready().empty());  // one Ready an input
  while (!fatal_ && follow_up()) perform(core_->take_ready(), {});
  if (fatal_) crash({});
  checker_.check();
}

// What performing has left to be told to the core; true: it was told something.
bool Server::follow_up() {
  const std::vector<Record> wanted = std::exchange(admits_, {});
  std::vector<Zxid> given;
  propose_group(wanted, given);
  for (std::size_t i = 0; i < given.size(); ++i) {
    write_trace("proposes " + to_string(given[i]) + " admit " + to_string(wanted[i].admit->server));
  }
  const bool hand_in = !hold_admits && !delivered_admits_.empty();
  if (hand_in) tell_delivered_admits();
  return hand_in || !given.empty();
}

void Server::perform(Ready ready, const std::vector<Record>& records) {
  checker_.performing(*this, ready, records);
  // 1. History.
  if (ready.append) {
    disk_.append(records);
    checker_.appended(*this, records);
    write_trace("appends up to " + to_string(disk_.last()));
  }
  if (ready.rewind) {
    write_trace("rewinds to " + to_string(ready.rewind->to));
    disk_.rewind(*ready.rewind);
  }
  if (ready.install) {
    write_trace("installs behind " + to_string(ready.install->floor.zxid));
    disk_.install(*ready.install, records);
  }
  if (ready.adopt) {
    write_trace("adopts " + to_string(core_->last_delivered()));
    checker_.adopting(*this, core_->last_delivered());
    disk_.adopt(core_->last_delivered());
    delivered_count_ = *disk_.count_up_to(core_->last_delivered());
    delivered_admits_.clear();
  }
  if (ready.drain) {
    write_trace("drains");
    queues_.clear();
    disk_.drain();
  }
  // 2. The identity record.
  if (ready.store) {
    write_trace("stores " + test::text(*ready.store));
    disk_.store(*ready.store);
  }
  // 3. Sessions, messages and streams.
  for (const Output& output : ready.outputs) {
    std::visit([this](const auto& o) { perform(o); }, output);
  }
  // 4. Deliver. 5. Quorum rounds.
  if (ready.deliver_up_to) deliver(*ready.deliver_up_to);
  if (ready.rounds_answered) rounds_answered_ = *ready.rounds_answered;
  // 6. What the leader proposes by itself.
  for (const Admit& admit : ready.admit) admits_.push_back(make_record({}, admit, Digest::none));
  // 7. Events.
  for (Event& event : ready.events) {
    const std::string peer = event.peer == ServerId::none ? "" : " " + to_string(event.peer);
    write_trace(std::string(text(event.kind)) + peer + ": " + event.text);
    events_.push_back(std::move(event));
  }
  // 8. Stop.
  if (ready.fatal) {
    write_trace("FATAL: " + *ready.fatal);
    fatal_ = std::move(ready.fatal);
  }
}

void Server::perform(const OpenSession& output) {
  write_trace("opens a session with " + to_string(output.leader));
  queues_.erase(output.leader);
  network_.open(setup_.id, output.leader);
}

void Server::perform(const CloseSession& output) {
  write_trace("closes the session with " + to_string(output.peer));
  queues_.erase(output.peer);
  network_.close(setup_.id, output.peer);
}

void Server::perform(const Send& output) {
  checker_.sending(*this, output.to, output.message);
  const std::uint64_t session = network_.session_of(setup_.id, output.to, false);
  const bool queued = !is_datagram(output.message) && !is_from_learner(output.message);
  if (!queued || !streams_waiting(output.to)) return send_now(output.to, output.message, {});
  queues_[output.to].push_back({session, output.message});
}

void Server::perform(const Stream& output) {
  write_trace("streams to " + to_string(output.to) + " after " + to_string(output.after) +
              " up to " + to_string(output.up_to));
  checker_.streaming(*this, output);
  queues_[output.to].push_back({network_.session_of(setup_.id, output.to, false), output});
  if (!hold_streams) pump(output.to, static_cast<std::size_t>(-1));
}

void Server::send_now(ServerId to, Message message, std::vector<Record> records) {
  fill_in(message, records);
  write_trace("-> " + to_string(to) + " " + test::text(message));
  // A frame that finds no session is gone; the session's end is told, or the silence tells it.
  network_.send(setup_.id, to, {std::move(message), std::move(records)});
}

// DIFF and TRUNC: the digest comes from the sender's own log. SNAP: the state, and the past that
// only checkers see.
void Server::fill_in(Message& message, std::vector<Record>& records) const {
  if (auto* snap = std::get_if<Snap>(&message)) {
    snap->floor = disk_.floor();
    snap->state = core_->last_delivered();
    if (disk_.contains({})) records = disk_.range({}, snap->floor.zxid);
  }
  if (auto* diff = std::get_if<Diff>(&message)) diff->digest = *disk_.digest_at(diff->common);
  if (auto* trunc = std::get_if<Trunc>(&message)) trunc->digest = *disk_.digest_at(trunc->common);
}

void Server::deliver(Zxid up_to) {
  const auto count = disk_.count_up_to(up_to);
  checker_.delivering(*this, up_to, count);
  if (!count) return;  // the checker has complained
  write_trace("delivers up to " + to_string(up_to));
  for (std::size_t i = delivered_count_; i < *count; ++i) {
    if (disk_.records()[i].admit) delivered_admits_.push_back(disk_.records()[i]);
  }
  delivered_count_ = *count;
  disk_.set_delivered(up_to);
}

// --- state ---

std::size_t Server::count_events(Event::Kind kind) const {
  const auto same = [kind](const Event& event) { return event.kind == kind; };
  return static_cast<std::size_t>(std::count_if(events_.begin(), events_.end(), same));
}

bool Server::streams_waiting(ServerId to) const {
  const auto at = queues_.find(to);
  return at != queues_.end() && !at->second.empty();
}

std::vector<ServerId> Server::peers_with_streams() const {
  std::vector<ServerId> peers;
  for (const auto& [peer, queue] : queues_) {
    if (!queue.empty()) peers.push_back(peer);
  }
  return peers;
}

bool Server::is_up_to_date() const {
  return up() && core_->role() == Role::following && core_->phase() == Phase::broadcast;
}

void Server::write_trace(const std::string& line) const {
  if (trace) trace(to_string(setup_.id) + " " + line);
}

}  // namespace zabmq::zab::test
