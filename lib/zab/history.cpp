// History: the epoch table's arithmetic, and where two histories part.
#include "zab/history.hpp"

#include <algorithm>
#include <optional>

#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::zab {
namespace {

const EpochEnd* find(const History& h, Epoch epoch) {
  const auto at = std::lower_bound(h.ends.begin(), h.ends.end(), epoch,
                                   [](const EpochEnd& end, Epoch e) { return end.epoch < e; });
  return at != h.ends.end() && at->epoch == epoch ? &*at : nullptr;
}

// The floor counts as an entry, unless the table went on in its epoch, or older entries were left
// out on the way here (then the floor says nothing about what the two share).
bool floor_is_entry(const History& h) {
  return !find(h, h.floor.zxid.epoch) && h.ends.size() < epoch_entries_sent_max;
}

// The newest counter known of `epoch`, when the table (or its floor) has one.
std::optional<std::uint64_t> counter_of(const History& h, Epoch epoch) {
  if (const EpochEnd* end = find(h, epoch)) return end->last;
  if (h.floor.zxid.epoch == epoch && floor_is_entry(h)) return h.floor.zxid.counter;
  return std::nullopt;
}

// Below this zxid a table says nothing.
Zxid known_above(const History& h) {
  if (h.ends.size() < epoch_entries_sent_max) return h.floor.zxid;
  return {h.ends.front().epoch, 0};
}

// Every entry of `a` above `bottom` and older than `common` must be in `b` with the same counter.
bool older_entries_match(const History& a, const History& b, Zxid bottom, Epoch common) {
  return std::all_of(a.ends.begin(), a.ends.end(), [&](const EpochEnd& end) {
    if (end.epoch >= common || Zxid{end.epoch, end.last} <= bottom) return true;
    const EpochEnd* other = find(b, end.epoch);
    return other && other->last == end.last;
  });
}

}  // namespace

Zxid History::last() const {
  return ends.empty() ? floor.zxid : Zxid{ends.back().epoch, ends.back().last};
}

bool History::contains(Zxid z) const {
  if (z == floor.zxid) return true;
  if (z < floor.zxid || z.counter == 0) return false;
  const EpochEnd* end = find(*this, z.epoch);
  return end && z.counter <= end->last;
}

bool History::continues(Run run) const {
  return run.first <= run.last && follows({run.epoch, run.first}, last());
}

void History::append(Run run) {
  ZABMQ_CHECK(continues(run));
  if (!ends.empty() && ends.back().epoch == run.epoch) {
    ends.back().last = run.last;
  } else {
    ends.push_back({run.epoch, run.last});
  }
}

void History::truncate_after(Zxid last_kept) {
  ZABMQ_CHECK(contains(last_kept));
  while (!ends.empty() && ends.back().epoch > last_kept.epoch) ends.pop_back();
  if (ends.empty() || ends.back().epoch != last_kept.epoch) return;
  if (last_kept == floor.zxid) {
    ends.pop_back();
  } else {
    ends.back().last = last_kept.counter;
  }
}

void History::raise_floor(const Floor& to) {
  ZABMQ_CHECK(contains(to.zxid));
  std::erase_if(ends, [&](const EpochEnd& end) { return Zxid{end.epoch, end.last} <= to.zxid; });
  floor = to;
}

History History::newest(std::size_t entries_max) const {
  if (ends.size() <= entries_max) return *this;
  return {floor, {ends.end() - static_cast<std::ptrdiff_t>(entries_max), ends.end()}};
}

bool History::valid() const {
  const bool transaction = floor.zxid.epoch != Epoch::none && floor.zxid.counter > 0;
  if (!is_none(floor.zxid) && !transaction) return false;
  Zxid previous = floor.zxid;
  for (const EpochEnd& end : ends) {
    const Zxid here{end.epoch, end.last};
    if (end.last == 0 || here <= previous) return false;
    if (end.epoch == previous.epoch && previous != floor.zxid) return false;
    previous = here;
  }
  return true;
}

// Worked examples (epoch:last counter):
//   leader 1:5 2:3    learner 1:5 2:3    -> 2.3   nothing to cut
//   leader 1:5 2:3    learner 1:5 2:7    -> 2.3   the learner's 2.4..2.7 go
//   leader 1:5 2:3    learner 1:7        -> 1.5   1.6 and 1.7 go although 1.7 < 2.3
//   (ZOOKEEPER-1154) leader 1:5 4:2    learner 1:5 2:3    -> 1.5   the leader never had epoch 2
//   leader 3:2        learner 2:4        -> 0.0   both floors are 0.0: all of it is streamed
//   leader 1:5 3:2    learner 1:4 3:2    -> conflicting: equal ends of 3 need equal ends of 1
CommonPoint common_point(const History& leader, const History& learner) {
  if (ZABMQ_MUTANT(common_point_by_zxid)) {
    return {CommonPoint::Kind::found, std::min(leader.last(), learner.last())};
  }
  std::optional<Zxid> common;
  const auto consider = [&](Epoch epoch) {
    const auto a = counter_of(leader, epoch);
    const auto b = counter_of(learner, epoch);
    if (a && b && (!common || epoch > common->epoch)) common = Zxid{epoch, std::min(*a, *b)};
  };
  for (const EpochEnd& end : learner.ends) consider(end.epoch);
  consider(learner.floor.zxid.epoch);
  consider(leader.floor.zxid.epoch);
  if (!common) return {CommonPoint::Kind::none, {}};

  const Zxid bottom = std::max(known_above(leader), known_above(learner));
  if (!older_entries_match(leader, learner, bottom, common->epoch) ||
      !older_entries_match(learner, leader, bottom, common->epoch)) {
    return {CommonPoint::Kind::conflicting, *common};
  }
  return {CommonPoint::Kind::found, *common};
}

}  // namespace zabmq::zab
