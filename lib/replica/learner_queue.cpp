// Learner queues: pumping one session's queue until something must be waited for.
#include "replica/learner_queue.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "replica/records.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

using storage::After;
using storage::ReadResult;

void LearnerQueues::open(ServerId peer) {
  Session& session = sessions_[peer];
  session = Session{};
  session.number = ++sessions_opened_;
}

void LearnerQueues::close(ServerId peer) {
  sessions_.erase(peer);
}

LearnerQueues::Session* LearnerQueues::find(ServerId peer) {
  const auto it = sessions_.find(peer);
  return it == sessions_.end() ? nullptr : &it->second;
}

LearnerQueues::Session* LearnerQueues::find(ServerId peer, std::uint64_t number) {
  Session* session = find(peer);
  return session && session->number == number ? session : nullptr;
}

std::size_t LearnerQueues::unreported_bytes(ServerId peer) const {
  const auto it = sessions_.find(peer);
  return it == sessions_.end() ? 0 : it->second.unreported_bytes;
}

std::size_t LearnerQueues::most_unreported_bytes() const {
  std::size_t most = 0;
  for (const auto& [peer, session] : sessions_) most = std::max(most, session.unreported_bytes);
  return most;
}

std::size_t LearnerQueues::most_items() const {
  std::size_t most = 0;
  for (const auto& [peer, session] : sessions_) most = std::max(most, session.items.size());
  return most;
}

void LearnerQueues::push(ServerId to, zab::Message message) {
  Session* session = find(to);
  if (!session) return;  // it ended while the core was still asking
  std::deque<Item>& items = session->items;
  if (std::holds_alternative<zab::Commit>(message) && !items.empty()) {
    // Whatever leaves later tells the commit point of that moment: a range in its last frame, an
    // older COMMIT by itself.
    const auto* last = std::get_if<zab::Message>(&items.back());
    if (!last || std::holds_alternative<zab::Commit>(*last)) return;
  }
  const bool held = std::holds_alternative<zab::Commit>(message);
  items.emplace_back(std::move(message));
  if (held) {
    holds_commits_ = true;
  } else {
    pump(to);
  }
}

void LearnerQueues::send_commits() {
  if (!std::exchange(holds_commits_, false)) return;
  std::vector<ServerId> peers;
  for (const auto& [peer, session] : sessions_) peers.push_back(peer);
  for (ServerId peer : peers) pump(peer);  // which may end its session
}

void LearnerQueues::push_snap(ServerId to, zab::Snap snap, Slice state) {
  Session* session = find(to);
  if (!session) return;
  const std::size_t part_size = limits_.read_bytes_max;
  snap.part = 0;
  snap.parts = static_cast<std::uint32_t>((state.size() + part_size - 1) / part_size);
  session->items.emplace_back(State{snap, std::move(state)});
  pump(to);
}

void LearnerQueues::on_state_taken(ServerId from, std::uint32_t part) {
  Session* session = find(from);
  if (!session || session->items.empty()) return;
  // The last part again: the learner is writing the state, and is not to be given up.
  if (part + 1 == session->state_parts) return;
  State* state = std::get_if<State>(&session->items.front());
  if (!state || part != state->taken || part >= state->snap.part) {
    session->failure = "it took a part of the state that it was not sent";
  } else {
    ++state->taken;
  }
  pump(from);
}

std::optional<Zxid> LearnerQueues::lowest() const {
  std::optional<Zxid> lowest;
  for (const auto& [peer, session] : sessions_) {
    if (session.reported) lowest = std::min(lowest.value_or(*session.reported), *session.reported);
  }
  return lowest;
}

void LearnerQueues::push_range(ServerId to, Zxid after, Zxid up_to) {
  Session* session = find(to);
  if (!session) return;
  std::deque<Item>& items = session->items;
  if (!items.empty()) {
    // The frames of the new range carry the commit point: a COMMIT in front of it says nothing
    // more.
    const auto* last = std::get_if<zab::Message>(&items.back());
    if (last && std::holds_alternative<zab::Commit>(*last)) items.pop_back();
  }
  Range* range = items.empty() ? nullptr : std::get_if<Range>(&items.back());
  if (range) {
    ZABMQ_CHECK(range->up_to == after);
    range->up_to = up_to;
  } else {
    items.emplace_back(Range{after, up_to});
  }
  pump(to);
}

void LearnerQueues::send_ping(ServerId to, zab::Ping ping) {
  Session* session = find(to);
  if (!session) return;
  ping.commit = std::min(ping.commit, session->last_sent);
  if (ZABMQ_MUTANT(up_to_date_with_old_commit)) ping.commit = Zxid{};
  if (!peers_.send(to, ping)) session->failure = "a heartbeat could not be sent";
  pump(to);
}

void LearnerQueues::on_reported(ServerId from, Zxid durable) {
  Session* session = find(from);
  if (!session) return;
  report(*session, durable);
  pump(from);
}

void LearnerQueues::on_acked_leader(ServerId from) {
  Session* session = find(from);
  if (!session) return;
  report(*session, session->before_new_leader);
  pump(from);
}

void LearnerQueues::report(Session& session, Zxid durable) {
  if (session.reported) session.reported = std::max(*session.reported, durable);
  while (!session.unreported.empty() && session.unreported.front().last <= durable) {
    session.unreported_bytes -= session.unreported.front().bytes;
    session.unreported.pop_front();
  }
}

// A completion may come at once and pump the same queue from inside: the session is looked up anew
// in every turn.
void LearnerQueues::pump(ServerId peer) {
  bool more = true;
  while (more) {
    Session* session = find(peer);
    more = session && !session->failure && !session->waiting && !session->items.empty() &&
           send_front(peer, *session);
  }
  const auto it = sessions_.find(peer);
  if (it == sessions_.end() || !it->second.failure) return;
  const std::string why = *it->second.failure;
  sessions_.erase(it);
  broken_(peer, why);
}

// True: the front item left, or a part of it; go on.
bool LearnerQueues::send_front(ServerId peer, Session& session) {
  Item& front = session.items.front();
  if (const Range* range = std::get_if<Range>(&front)) return send_range(peer, session, *range);
  if (State* state = std::get_if<State>(&front)) return send_state(peer, session, *state);
  return send_message(peer, session, std::get<zab::Message>(front));
}

bool LearnerQueues::send_message(ServerId peer, Session& session, zab::Message& message) {
  const Zxid commit = std::min(committed_, session.last_sent);
  if (auto* diff = std::get_if<zab::Diff>(&message)) {
    if (!fill_in_digest(peer, session, diff->common)) return false;
    session.last_sent = diff->common;
    session.reported = diff->common;
  } else if (auto* trunc = std::get_if<zab::Trunc>(&message)) {
    if (!fill_in_digest(peer, session, trunc->common)) return false;
    session.last_sent = trunc->common;
    session.reported = trunc->common;
  } else if (std::holds_alternative<zab::NewLeader>(message)) {
    session.before_new_leader = session.last_sent;
  } else if (auto* up_to_date = std::get_if<zab::UpToDate>(&message)) {
    up_to_date->commit =
        ZABMQ_MUTANT(up_to_date_with_old_commit) ? session.before_new_leader : commit;
  } else if (auto* cumulative = std::get_if<zab::Commit>(&message)) {
    cumulative->commit = commit;
  }
  if (!peers_.send(peer, message)) {
    session.failure = std::string(zab::name_of(message)) + " could not be sent";
    return false;
  }
  session.items.pop_front();
  return true;
}

// False: the DIFF or TRUNC at the front waits for the digest, or has left with it already.
bool LearnerQueues::fill_in_digest(ServerId peer, Session& session, Zxid common) {
  if (session.digest_known) {
    session.digest_known = false;
    return true;
  }
  session.waiting = true;
  log_.digest_at(common, [this, alive = std::weak_ptr<char>(alive_), peer,
                          number = session.number](std::optional<Digest> digest) {
    if (!alive.expired()) on_digest(peer, number, digest);
  });
  return false;
}

void LearnerQueues::on_digest(ServerId peer, std::uint64_t number, std::optional<Digest> digest) {
  Session* session = find(peer, number);
  if (!session) return;
  session->waiting = false;
  session->digest_known = true;
  zab::Message& front = std::get<zab::Message>(session->items.front());
  if (!digest) {
    session->failure = "the log has no digest at the common point";
  } else if (auto* diff = std::get_if<zab::Diff>(&front)) {
    diff->digest = *digest;
  } else {
    std::get<zab::Trunc>(front).digest = *digest;
  }
  pump(peer);
}

// At most a window of parts is on its way; the last one leaves the queue when all are taken, so
// that the records behind it find the learner ready.
bool LearnerQueues::send_state(ServerId peer, Session& session, State& state) {
  session.reported = state.snap.floor.zxid;
  session.last_sent = state.snap.floor.zxid;
  const std::size_t part_size = limits_.read_bytes_max;
  const std::size_t window = std::max<std::size_t>(1, limits_.window_bytes / part_size);
  if (state.taken == state.snap.parts) {
    session.state_parts = state.snap.parts;
    return session.items.pop_front(), true;
  }
  if (state.snap.part == state.snap.parts || state.snap.part - state.taken >= window) return false;
  const std::size_t at = std::size_t{state.snap.part} * part_size;
  const Slice part = state.bytes.sub(at, std::min(part_size, state.bytes.size() - at));
  if (!peers_.send_records(peer, state.snap, part)) {
    session.failure = "SNAP could not be sent";
    return false;
  }
  ++state.snap.part;
  return true;
}

bool LearnerQueues::send_range(ServerId peer, Session& session, Range range) {
  const std::size_t filled = ZABMQ_MUTANT(window_ignored) ? 0 : session.unreported_bytes;
  if (filled >= limits_.window_bytes) return false;
  const std::size_t room = limits_.window_bytes - filled;
  const std::size_t bytes_max = std::min(room, limits_.read_bytes_max);
  const auto hot = log_.read_hot(After{range.after}, range.up_to, bytes_max);
  if (hot) return send_records(peer, session, *hot);
  const bool older = !is_none(range.after) && range.after.epoch != range.up_to.epoch;
  if (ZABMQ_MUTANT(cold_range_skipped) && older) return session.items.pop_front(), true;
  session.waiting = true;
  log_.read_cold(After{range.after}, range.up_to, bytes_max,
                 [this, alive = std::weak_ptr<char>(alive_), peer,
                  number = session.number](const ReadResult& result) {
                   if (!alive.expired()) on_read(peer, number, result);
                 });
  return false;
}

void LearnerQueues::on_read(ServerId peer, std::uint64_t number, const ReadResult& result) {
  Session* session = find(peer, number);
  if (!session) return;
  session->waiting = false;
  send_records(peer, *session, result);
  pump(peer);
}

bool LearnerQueues::send_records(ServerId peer, Session& session, const ReadResult& result) {
  if (result.slices.empty()) {
    session.failure = "the log could not be read";
    return false;
  }
  for (const Slice& records : result.slices) {
    if (!send_frame(peer, session, records)) return false;
  }
  Range& range = std::get<Range>(session.items.front());
  range.after = session.last_sent;
  if (range.after == range.up_to) session.items.pop_front();
  return true;
}

bool LearnerQueues::send_frame(ServerId peer, Session& session, const Slice& records) {
  zab::Propose propose{runs_of(records.bytes()), Zxid{}};
  const Zxid last{propose.runs.back().epoch, propose.runs.back().last};
  propose.commit = std::min(committed_, last);
  if (ZABMQ_MUTANT(commit_beyond_session) && last.epoch < committed_.epoch)
    propose.commit = committed_;
  if (!peers_.send_records(peer, propose, records)) {
    session.failure = "PROPOSE could not be sent";
    return false;
  }
  session.unreported.push_back({last, records.size()});
  session.unreported_bytes += records.size();
  session.last_sent = last;
  return true;
}

}  // namespace zabmq::replica
