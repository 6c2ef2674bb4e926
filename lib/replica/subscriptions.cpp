// Subscriptions: serving, fairly, from the tail cache or the disk.
#include "replica/subscriptions.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include "replica/records.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

using Sent = ClientLinks::Sent;
using storage::After;
using storage::AtOffset;
using storage::ReadResult;

namespace {

constexpr std::int64_t credit_max = std::numeric_limits<std::int64_t>::max() / 4;
constexpr std::uint64_t backoff_min_ms = 10;
constexpr std::uint64_t backoff_max_ms = 640;
constexpr std::size_t read_bytes_min = 64 * 1024;
constexpr std::size_t message_bytes_guess = 4096;
constexpr std::size_t queue_slack =
    64;  // ended subscriptions that a queue may keep, or as many again
constexpr std::size_t turn_bytes_min = 4096;  // what a turn costs of a step's budget at least

std::int64_t add_up(std::int64_t credit, std::uint64_t more) {
  const auto limited =
      static_cast<std::int64_t>(std::min(more, static_cast<std::uint64_t>(credit_max)));
  return std::min(credit + limited, credit_max);
}

}  // namespace

// As much of a slice as the credit allows.
struct Subscriptions::Portion {
  std::size_t bytes = 0;
  Offset up_to = 0;
  Zxid last;
};

// --- requests ---

void Subscriptions::subscribe(ConnectionId from, const wire::Subscribe& request) {
  if (Subscription* older = find(from, request.subscription)) erase(*older);
  const auto first = by_name_.lower_bound(Key{from, 0});
  const auto last = by_name_.upper_bound(Key{from, std::numeric_limits<std::uint64_t>::max()});
  if (static_cast<std::size_t>(std::distance(first, last)) >= options_.subscriptions_max) {
    return clients_.answer(
        from, refused(wire::About::subscribe, request.subscription, Code::busy, Outcome::no,
                      "this connection has " + std::to_string(options_.subscriptions_max) +
                          " subscriptions already"));
  }
  for (const std::string& topic : request.topics) {
    if (wire::valid_topic_filter(topic)) continue;
    return clients_.answer(
        from, refused(wire::About::subscribe, request.subscription, Code::protocol, Outcome::no,
                      "no topic and no prefix of topics among those asked for: a name of 1 to 200 "
                      "bytes, or its beginning and '*'"));
  }
  if (request.cursor && !wire::valid_topic(*request.cursor)) {
    return clients_.answer(
        from, refused(wire::About::subscribe, request.subscription, Code::protocol, Outcome::no,
                      "a cursor's name is 1 to 200 bytes of UTF-8 without control characters and "
                      "without '*'"));
  }
  if (request.start == wire::StartKind::offset && request.offset == 0) {
    return clients_.answer(
        from, refused(wire::About::subscribe, request.subscription, Code::protocol, Outcome::no,
                      "offset 0 is no start: offsets count from 1"));
  }
  ++counters_.subscriptions_opened;
  Subscription& s = subscriptions_[++ids_];
  s.id = ids_;
  s.connection = from;
  s.name = request.subscription;
  s.start = request.start;
  s.start_offset = request.offset;
  s.start_zxid = request.zxid;
  s.start_time = request.time;
  s.cursor = request.cursor;
  s.until_end = request.until_end;
  s.credit_messages = add_up(0, request.credit_messages);
  s.credit_bytes = add_up(0, request.credit_bytes);
  by_name_[Key{from, s.name}] = s.id;
  begin(s);
}

void Subscriptions::add_credit(ConnectionId from, const wire::Credit& credit) {
  Subscription* s = find(from, credit.subscription);
  if (!s) return;  // it has ended; the client will see why
  s->credit_messages = add_up(s->credit_messages, credit.messages);
  s->credit_bytes = add_up(s->credit_bytes, credit.bytes);
  if (s->parked == Parked::credit) make_ready(*s);
}

void Subscriptions::unsubscribe(ConnectionId from, std::uint64_t name) {
  if (Subscription* s = find(from, name)) erase(*s);
}

void Subscriptions::forget(ConnectionId connection) {
  auto it = by_name_.lower_bound(Key{connection, 0});
  while (it != by_name_.end() && it->first.first == connection) {
    questions_.withdraw(it->second);
    subscriptions_.erase(it->second);
    it = by_name_.erase(it);
  }
}

Subscriptions::Subscription* Subscriptions::find(std::uint64_t id) {
  const auto it = subscriptions_.find(id);
  return it == subscriptions_.end() ? nullptr : &it->second;
}

Subscriptions::Subscription* Subscriptions::find(ConnectionId connection, std::uint64_t name) {
  const auto it = by_name_.find(Key{connection, name});
  return it == by_name_.end() ? nullptr : find(it->second);
}

void Subscriptions::erase(Subscription& s) {
  questions_.withdraw(s.id);
  by_name_.erase(Key{s.connection, s.name});
  subscriptions_.erase(s.id);
}

// --- waking ---

// The queues keep ids; those of subscriptions that have ended are skipped when their turn comes.
void Subscriptions::park(Subscription& s, Parked why) {
  s.parked = why;
  if (why == Parked::ready) enqueue(ready_, s.id);
  if (why == Parked::data) enqueue(waiting_for_data_, s.id);
  if (why == Parked::behind) enqueue(behind_, s.id);
  if (why == Parked::link) enqueue(blocked_, s.id);
  if (why == Parked::cold_slot) enqueue(waiting_for_slot_, s.id);
}

// A client that comes and goes must not make a queue grow that waits for something else.
template <class Queue>
void Subscriptions::enqueue(Queue& queue, std::uint64_t id) {
  if (queue.size() > 2 * subscriptions_.size() + queue_slack) {
    std::erase_if(queue, [this](std::uint64_t queued) { return !subscriptions_.contains(queued); });
  }
  queue.push_back(id);
}

void Subscriptions::make_ready(Subscription& s) {
  if (s.parked != Parked::ready) park(s, Parked::ready);
}

void Subscriptions::on_delivered() {
  for (std::uint64_t id : std::exchange(waiting_for_data_, {})) {
    Subscription* s = find(id);
    if (s && s->parked == Parked::data) make_ready(*s);
  }
  for (std::uint64_t id : std::exchange(behind_, {})) {
    Subscription* s = find(id);
    if (!s || s->parked != Parked::behind) continue;
    if (s->waits_for <= delivered_.delivered()) {
      s->parked = Parked::no;
      on_caught_up(*s);
    } else {
      park(*s, Parked::behind);
    }
  }
}

void Subscriptions::tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  retry_links();
  send_heartbeats();
}

void Subscriptions::retry_links() {
  for (std::uint64_t id : std::exchange(blocked_, {})) {
    Subscription* s = find(id);
    if (!s || s->parked != Parked::link) continue;
    if (s->retry_ms <= now_ms_) {
      make_ready(*s);
    } else {
      blocked_.push_back(id);
    }
  }
}

// A link that stays full is tried less and less often: each try may cost a disk read.
void Subscriptions::on_link_full(Subscription& s) {
  s.backoff_ms = std::clamp(s.backoff_ms * 2, backoff_min_ms, backoff_max_ms);
  s.retry_ms = now_ms_ + s.backoff_ms;
  park(s, Parked::link);
}

// COVERED tells an idle client how far its stream has come, so that its resume point is known and
// silence means that the server is gone.
void Subscriptions::send_heartbeats() {
  while (!heartbeats_.empty() && heartbeats_.top().first <= now_ms_) {
    const std::uint64_t id = heartbeats_.top().second;
    heartbeats_.pop();
    Subscription* s = find(id);
    if (!s) continue;
    if (now_ms_ - s->last_sent_ms >= options_.client_heartbeat_ms) {
      const Offset up_to =
          ZABMQ_MUTANT(covered_ahead_of_stream) ? delivered_.delivered_offset() : s->covered;
      const wire::Covered covered{s->name, up_to};
      if (clients_.try_send(s->connection, covered, Slice{}) == Sent::gone) continue;
      s->last_sent_ms = now_ms_;
    }
    heartbeats_.emplace(s->last_sent_ms + options_.client_heartbeat_ms, id);
  }
}

std::size_t Subscriptions::most_of_a_connection() const {
  std::size_t most = 0;
  std::size_t count = 0;
  ConnectionId connection = ConnectionId::none;
  for (const auto& [key, id] : by_name_) {
    count = key.first == connection ? count + 1 : 1;
    connection = key.first;
    most = std::max(most, count);
  }
  return most;
}

std::size_t Subscriptions::queued() const {
  return ready_.size() + waiting_for_data_.size() + behind_.size() + blocked_.size() +
         waiting_for_slot_.size();
}

// --- serving ---

bool Subscriptions::serve() {
  std::size_t budget = options_.serve_bytes_per_step;
  while (!ready_.empty() && budget > 0) {
    const std::uint64_t id = ready_.front();
    ready_.pop_front();
    Subscription* s = find(id);
    if (!s || s->parked != Parked::ready) continue;
    s->parked = Parked::no;
    const std::size_t cost = std::max(serve_one(*s), turn_bytes_min);
    budget -= std::min(budget, cost);
    s = find(id);
    if (s && s->parked == Parked::no) make_ready(*s);
  }
  offer_cold_slots();
  return !ready_.empty();
}

// One turn of one subscription. It parks it, or leaves it to be made ready again; it may end it.
std::size_t Subscriptions::serve_one(Subscription& s) {
  if (s.state == State::locating) return locate(s), 0;
  if (s.state == State::announcing) return announce(s), 0;
  if (log_.installing()) return park(s, Parked::data), 0;
  if (below_floor(s)) return end_with_gap(s), 0;
  if (nothing_to_read(s)) return park(s, Parked::data), 0;
  if (s.credit_messages <= 0 || s.credit_bytes <= 0) return park(s, Parked::credit), 0;

  const After* after = std::get_if<After>(&s.from);
  if (after && after->zxid < log_.floor().zxid) s.from = AtOffset{s.covered + 1};
  const std::size_t bytes_max = read_size(s);
  const auto hot = log_.read_hot(s.from, delivered_.delivered(), bytes_max);
  const bool skips = ZABMQ_MUTANT(cold_read_skips) && s.backoff_ms > backoff_min_ms;
  if (skips && !hot && std::holds_alternative<After>(s.from)) {
    s.from = After{next(std::get<After>(s.from).zxid)};
  }
  if (!hot) return read_cold(s, bytes_max), 0;
  if (hot->slices.empty()) return park(s, Parked::data), 0;
  return send_all(s, *hot);
}

// Retention has passed it, and its time is over or the segment is gone.
bool Subscriptions::below_floor(Subscription& s) {
  if (s.covered + 1 >= delivered_.first_offset()) return s.passed_ms.reset(), false;
  if (!s.passed_ms) s.passed_ms = now_ms_;
  if (now_ms_ - *s.passed_ms > options_.retention_hold_ms) return true;
  return s.covered < log_.floor().offset;
}

std::optional<Zxid> Subscriptions::hold() {
  std::optional<Zxid> lowest;
  for (auto& [id, s] : subscriptions_) {
    if (s.state != State::streaming || below_floor(s)) continue;
    if (s.covered + 1 >= delivered_.first_offset()) continue;
    const After* after = std::get_if<After>(&s.from);
    const Zxid place = after ? after->zxid : log_.floor().zxid;
    lowest = std::min(lowest.value_or(place), place);
  }
  return lowest;
}

bool Subscriptions::nothing_to_read(const Subscription& s) const {
  if (const After* after = std::get_if<After>(&s.from))
    return delivered_.delivered() <= after->zxid;
  return delivered_.delivered_offset() <= s.covered;
}

// What the credit will take, roughly: the rest would be read again.
std::size_t Subscriptions::read_size(const Subscription& s) const {
  const auto bytes = static_cast<std::size_t>(s.credit_bytes);
  const auto messages = static_cast<std::size_t>(
      std::min<std::int64_t>(s.credit_messages, std::numeric_limits<std::uint32_t>::max()));
  const std::size_t wanted = std::min(bytes, messages * message_bytes_guess);
  return std::clamp(wanted, std::min(read_bytes_min, options_.read_bytes_max),
                    options_.read_bytes_max);
}

bool Subscriptions::read_cold(Subscription& s, std::size_t bytes_max) {
  if (cold_reads_ >= options_.cold_reads_max && !ZABMQ_MUTANT(cold_reads_without_end)) {
    park(s, Parked::cold_slot);
    return false;
  }
  ++cold_reads_;
  park(s, Parked::disk);
  log_.read_cold(s.from, delivered_.delivered(), bytes_max,
                 [this, alive = std::weak_ptr<char>(alive_), id = s.id](const ReadResult& result) {
                   if (!alive.expired()) on_read(id, result);
                 });
  return true;
}

void Subscriptions::on_read(std::uint64_t id, const ReadResult& result) {
  release_cold_slot();
  Subscription* s = find(id);
  if (!s) return;
  s->parked = Parked::no;
  if (s->state == State::locating) return on_located(id, result);
  if (result.slices.empty()) return below_floor(*s) ? make_ready(*s) : park(*s, Parked::data);
  send_all(*s, result);
  s = find(id);
  if (s && s->parked == Parked::no) make_ready(*s);
}

void Subscriptions::release_cold_slot() {
  ZABMQ_CHECK(cold_reads_ > 0);
  --cold_reads_;
  offer_cold_slots();
}

// Whoever is woken may have no use for its slot any more: it ends with GAP, or finds what it wants
// in memory. So slots are offered again behind each turn (seed 1795687401905: the third of three
// waited for ever).
void Subscriptions::offer_cold_slots() {
  std::size_t free = options_.cold_reads_max - std::min(cold_reads_, options_.cold_reads_max);
  while (free > 0 && !waiting_for_slot_.empty()) {
    Subscription* next = find(waiting_for_slot_.front());
    waiting_for_slot_.pop_front();
    if (!next || next->parked != Parked::cold_slot) continue;
    make_ready(*next);
    --free;
  }
}

std::size_t Subscriptions::send_all(Subscription& s, const ReadResult& result) {
  std::size_t sent_bytes = 0;
  for (const Slice& records : result.slices) {
    const Portion portion = portion_of(s, records.bytes());
    if (portion.bytes == 0) break;  // no credit: the next turn parks it
    if (!send_portion(s, records, portion)) break;
    sent_bytes += portion.bytes;
    if (portion.bytes < records.size()) break;
  }
  return sent_bytes;
}

Subscriptions::Portion Subscriptions::portion_of(const Subscription& s, Bytes records) const {
  Portion portion{0, s.covered, Zxid{}};
  RecordWalk walk(records);
  while (const auto header = walk.next()) {
    const auto messages = static_cast<std::int64_t>(portion.up_to - s.covered);
    const bool credit =
        messages < s.credit_messages && static_cast<std::int64_t>(portion.bytes) < s.credit_bytes;
    if (header->kind == RecordKind::batch && !credit) break;
    portion.bytes += record_size(header->body_size);
    portion.up_to = std::max(portion.up_to, header->end_offset());
    portion.last = header->zxid;
  }
  return portion;
}

// False: the link took nothing, or the connection is gone and the subscription with it.
bool Subscriptions::send_portion(Subscription& s, const Slice& records, const Portion& portion) {
  if (portion.up_to > s.covered) {
    const wire::Deliver frame{s.name, s.covered, portion.up_to};
    const Sent sent = clients_.try_send(s.connection, frame, records.sub(0, portion.bytes));
    if (sent == Sent::gone) return false;
    const bool dropped = ZABMQ_MUTANT(full_link_drops) && s.backoff_ms > backoff_min_ms;
    if (sent == Sent::full && !dropped) return on_link_full(s), false;
    s.credit_messages -= static_cast<std::int64_t>(portion.up_to - s.covered);
    s.credit_bytes -= static_cast<std::int64_t>(portion.bytes);
    s.last_sent_ms = now_ms_;
    s.backoff_ms = 0;
  }
  s.covered = portion.up_to;
  s.from = After{portion.last};
  return true;
}

}  // namespace zabmq::replica
