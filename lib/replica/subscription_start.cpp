// Subscription starts: where a subscription begins, and who must be asked for it.
#include <algorithm>
#include <string>
#include <utility>

#include "replica/records.hpp"
#include "replica/subscriptions.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

using storage::AtOffset;
using storage::FromTime;
using storage::FromZxid;
using wire::StartKind;

// This server answers what its own delivered history answers. What may lie beyond it, and "new",
// asks the leader: everything that was acknowledged to anyone before must be included.
void Subscriptions::begin(Subscription& s) {
  const bool beyond_here =
      (s.start == StartKind::offset && s.start_offset > delivered_.delivered_offset() + 1) ||
      (s.start == StartKind::zxid && s.start_zxid > delivered_.delivered()) ||
      (s.start == StartKind::time && s.start_time > delivered_.delivered_time());
  const bool believed = ZABMQ_MUTANT(end_not_asked) || (s.cursor && ZABMQ_MUTANT(cursor_not_asked));
  if (believed && !beyond_here) {
    resolve(s, End{delivered_.delivered_offset(), delivered_.delivered()});
  } else if (s.start == StartKind::fresh || s.until_end || s.cursor || beyond_here) {
    questions_.ask(s.id);
  } else {
    resolve(s, std::nullopt);
  }
}

void Subscriptions::on_end(std::uint64_t id, std::optional<End> end) {
  Subscription* s = find(id);
  if (!s) return;
  if (end) return resolve(*s, end);
  refuse(
      *s, Code::unavailable,
      "the cluster's end is not known: " + (why_unavailable_ ? why_unavailable_() : "no answer"));
}

// Whatever was acknowledged to anyone before is among what the leader says is committed: with that
// delivered here, the cursor stands where everybody believes it to be.
void Subscriptions::resolve_cursor(Subscription& s, End end) {
  if (end.zxid > delivered_.delivered()) {
    s.asked = end;
    return wait_until_delivered(s, end.zxid);
  }
  const std::optional<Offset> acknowledged = delivered_.cursors().find(*s.cursor);
  s.cursor.reset();
  if (!acknowledged) return resolve(s, end);
  s.from_cursor = true;
  s.start = StartKind::offset;
  s.start_offset = *acknowledged + 1;
  resolve_offset(s, end);
}

void Subscriptions::wait_until_delivered(Subscription& s, Zxid up_to) {
  s.waits_for = up_to;
  s.state = State::behind;
  park(s, Parked::behind);
}

void Subscriptions::on_caught_up(Subscription& s) {
  if (s.cursor) return resolve_cursor(s, *s.asked);
  if (s.start == StartKind::time) return resolve_time(s, std::nullopt);
  locate(s);
}

// `end` is known when it was asked for. It may lie behind our own delivered point by now, or
// before.
void Subscriptions::resolve(Subscription& s, std::optional<End> end) {
  if (s.until_end && end) s.end = end->offset;
  if (s.cursor && end) return resolve_cursor(s, *end);
  switch (s.start) {
    case StartKind::first:
      return start_behind(s, delivered_.first_offset() - 1);
    case StartKind::fresh:
      return start_behind(s, end ? end->offset : delivered_.delivered_offset());
    case StartKind::offset:
      return resolve_offset(s, end);
    case StartKind::zxid:
      return resolve_zxid(s, end);
    case StartKind::time:
      return resolve_time(s, end);
  }
}

void Subscriptions::resolve_offset(Subscription& s, std::optional<End> end) {
  const Offset last = std::max(delivered_.delivered_offset(), end ? end->offset : 0);
  if (s.start_offset > last + 1 && ZABMQ_MUTANT(future_start_served)) return start_behind(s, last);
  if (s.start_offset > last + 1) return refuse_beyond_end(s, last);
  const Offset first = delivered_.first_offset();
  if (s.start_offset < first && ZABMQ_MUTANT(gap_skipped)) return start_behind(s, first - 1);
  if (s.start_offset < first) return end_with_gap(s);
  start_behind(s, s.start_offset - 1);
}

void Subscriptions::resolve_zxid(Subscription& s, std::optional<End> end) {
  const storage::LastRecord& floor = delivered_.retained();
  if (s.start_zxid <= floor.zxid && floor.offset > 0) return end_with_gap(s);
  if (s.start_zxid <= delivered_.delivered()) return locate(s);
  // `end` was asked for, since the start lies beyond our own delivered point.
  if (end && s.start_zxid <= end->zxid) return wait_until_delivered(s, s.start_zxid);
  if (end && s.start_zxid == next(end->zxid)) return start_behind(s, end->offset);
  refuse_beyond_end(s, end ? end->offset : delivered_.delivered_offset());
}

// Log times never go back. Nothing so young here: it begins behind the cluster's end, as a quorum
// knows it, and the client leaves out what is older still.
void Subscriptions::resolve_time(Subscription& s, std::optional<End> end) {
  // Some of what is not retained any more may be as young as that.
  const storage::LastRecord& floor = delivered_.retained();
  if (s.start_time <= floor.time && floor.offset > 0) return end_with_gap(s);
  if (s.start_time <= delivered_.delivered_time()) return locate(s);
  if (end && end->zxid > delivered_.delivered()) return wait_until_delivered(s, end->zxid);
  start_behind(s, delivered_.delivered_offset());
}

void Subscriptions::locate(Subscription& s) {
  s.state = State::locating;
  constexpr std::size_t one_record = 1;
  s.from = s.start == StartKind::time ? storage::ReadFrom{FromTime{s.start_time}}
                                      : storage::ReadFrom{FromZxid{s.start_zxid}};
  if (const auto hot = log_.read_hot(s.from, delivered_.delivered(), one_record)) {
    return on_located(s.id, *hot);
  }
  read_cold(s, one_record);
}

void Subscriptions::on_located(std::uint64_t id, const storage::ReadResult& result) {
  Subscription* s = find(id);
  if (!s) return;
  if (result.slices.empty()) {
    return refuse(*s, Code::unavailable,
                  "the start of the subscription could not be read from the log");
  }
  const auto header = RecordWalk(result.slices.front().bytes()).next();
  const bool batch = header->kind == RecordKind::batch;
  start_behind(*s, batch ? header->base_offset - 1 : header->base_offset);
}

void Subscriptions::start_behind(Subscription& s, Offset covered) {
  s.covered = covered;
  s.from = AtOffset{covered + 1};
  s.state = State::announcing;
  announce(s);
}

void Subscriptions::announce(Subscription& s) {
  const std::uint64_t id = s.id;
  const wire::Subscribed answer{s.name, s.covered + 1, s.end.value_or(0), s.end.has_value(),
                                s.from_cursor};
  const ClientLinks::Sent sent = clients_.try_send(s.connection, answer, Slice{});
  if (sent == ClientLinks::Sent::gone) return;  // and so is the subscription
  if (sent == ClientLinks::Sent::full) return on_link_full(s);
  s.state = State::streaming;
  s.backoff_ms = 0;
  s.last_sent_ms = now_ms_;
  heartbeats_.emplace(now_ms_ + options_.client_heartbeat_ms, id);
  make_ready(s);
}

// The last three end the subscription; it is gone before the answer leaves, because answering may
// forget the connection.
void Subscriptions::refuse(Subscription& s, Code code, std::string text) {
  wire::Refused answer =
      refused(wire::About::subscribe, s.name, code, Outcome::no, std::move(text));
  answer.first_offset = delivered_.first_offset();
  answer.last_offset = delivered_.delivered_offset();
  const ConnectionId connection = s.connection;
  erase(s);
  clients_.answer(connection, std::move(answer));
}

void Subscriptions::refuse_beyond_end(Subscription& s, Offset end) {
  const std::string start = s.start == StartKind::zxid ? "transaction " + to_string(s.start_zxid)
                                                       : "offset " + std::to_string(s.start_offset);
  wire::Refused answer = refused(wire::About::subscribe, s.name, Code::refused, Outcome::no,
                                 start + " is beyond the end, the last offset is " +
                                     std::to_string(end) + ": start at most one behind it");
  answer.first_offset = delivered_.first_offset();
  answer.last_offset = end;
  const ConnectionId connection = s.connection;
  erase(s);
  clients_.answer(connection, std::move(answer));
}

void Subscriptions::end_with_gap(Subscription& s) {
  const ConnectionId connection = s.connection;
  const wire::Gap answer{s.name, delivered_.first_offset()};
  ++counters_.gaps;
  erase(s);
  clients_.answer(connection, answer);
}

}  // namespace zabmq::replica
