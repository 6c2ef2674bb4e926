// History checker: placing messages in the one sequence, and the rules that places must keep.
#include "sim/history_checker.hpp"

#include <algorithm>
#include <utility>

namespace zabmq::sim {

namespace {

std::string name_of(PublisherKey p, Sequence s) {
  return "message " + std::to_string(s) + " of publisher " +
         std::to_string(static_cast<std::uint32_t>(p));
}

std::string range_text(Offset first, Offset last) {
  if (first == last) return "offset " + std::to_string(first);
  return "offsets " + std::to_string(first) + " to " + std::to_string(last);
}

}  // namespace

std::string_view to_string(Rule rule) {
  static constexpr std::string_view names[] = {"H0", "P1", "P2", "O1", "O2", "O3", "O4",
                                               "O5", "A1", "A2", "X1", "R1", "D1", "F1",
                                               "F2", "T1", "G1", "B1", "C1"};
  return names[static_cast<std::size_t>(rule)];
}

std::string HistoryChecker::Place::text() const {
  return name_of(publisher, sequence) + " at offset " + std::to_string(offset) + ", zxid " +
         to_string(zxid);
}

void HistoryChecker::report(Rule rule, std::string text) {
  ++counts_.violations;
  if (rule == Rule::o2 || rule == Rule::f1 || rule == Rule::t1 || rule == Rule::g1) {
    ++counts_.misordered;
  }
  if (rule == Rule::x1) ++counts_.duplicated;
  if (violations_.size() < violations_kept) violations_.push_back({rule, now_, std::move(text)});
}

HistoryChecker::Topic HistoryChecker::topic_of(std::string_view topic) {
  const auto found = topics_.find(topic);
  if (found != topics_.end()) return found->second;
  return topics_.emplace(topic, static_cast<Topic>(topics_.size() + 1)).first->second;
}

HistoryChecker::Slot* HistoryChecker::find_slot(PublisherKey p, Sequence s) {
  const auto found = publishers_.find(p);
  if (found == publishers_.end() || s == 0 || s >= found->second.slots.size()) return nullptr;
  return &found->second.slots[s];
}

// --- publishers ---

void HistoryChecker::invoke(std::uint64_t time, PublisherKey p, Sequence s, std::string_view topic,
                            std::uint64_t payload_hash, const Terms& terms) {
  now_ = time;
  Publisher& publisher = publishers_[p];
  if (s == 0 || s > publisher.slots.size()) {
    return report(Rule::h0, name_of(p, s) + " is invoked, but not the one before it");
  }
  if (s == publisher.slots.size()) {
    publisher.slots.emplace_back();
    ++slots_;
  } else if (publisher.slots[s].refused) {
    publisher.replaced.push_back({s, publisher.slots[s].hash});
  } else {
    return report(Rule::h0, name_of(p, s) + " is invoked again, and was not refused");
  }
  publisher.slots[s] = {
      .hash = payload_hash, .above = completed_, .topic = topic_of(topic), .terms = terms};
  ++counts_.invoked;
}

void HistoryChecker::acknowledge(std::uint64_t time, PublisherKey p, Sequence s, Offset offset,
                                 Zxid zxid) {
  now_ = time;
  const Place place{offset, zxid, p, s};
  Slot* const slot = known_slot(place, "acknowledged");
  if (slot == nullptr) return;
  if (slot->acknowledged == 0) {
    ++counts_.acknowledged;
    slot->acknowledged = offset;
    this->place(place, *slot, false);
    return;
  }
  const Entry& entry = log_[slot->acknowledged];
  if (slot->acknowledged != offset || (slot->offset == offset && entry.zxid != zxid)) {
    report(Rule::a1, place.text() + " by its receipt, and at offset " +
                         std::to_string(slot->acknowledged) + " by an earlier receipt");
  }
}

void HistoryChecker::confirm(std::uint64_t time, PublisherKey p, Sequence s) {
  now_ = time;
  Slot* const slot = find_slot(p, s);
  if (slot == nullptr) return report(Rule::p1, name_of(p, s) + " is confirmed, never invoked");
  if (slot->refused) return report(Rule::r1, name_of(p, s) + " is confirmed, and was refused");
  slot->confirmed = true;
}

void HistoryChecker::refuse(std::uint64_t time, PublisherKey p, Sequence s) {
  now_ = time;
  Slot* const slot = find_slot(p, s);
  if (slot == nullptr) return report(Rule::h0, name_of(p, s) + " is refused, never invoked");
  ++counts_.refused;
  if (slot->offset != 0 || slot->acknowledged != 0 || slot->confirmed) {
    report(Rule::r1, name_of(p, s) + " is refused, and stands at offset " +
                         std::to_string(std::max(slot->offset, slot->acknowledged)));
  }
  slot->refused = true;
}

// --- places ---

// The message that a receipt or a delivery tells of; nullptr: there can be none there.
HistoryChecker::Slot* HistoryChecker::known_slot(const Place& place, std::string_view what) {
  Slot* const slot = find_slot(place.publisher, place.sequence);
  const bool offset_possible = place.offset != 0 && place.offset <= slots_;
  if (slot != nullptr && offset_possible) return slot;
  report(Rule::p1, place.text() + " is " + std::string(what) +
                       (slot == nullptr ? ", and was never invoked"
                                        : ", but so many messages were never invoked"));
  return nullptr;
}

bool HistoryChecker::same_content(const Place& place, const Slot& slot, std::string_view topic,
                                  std::uint64_t hash) {
  const auto known_topic = topics_.find(topic);
  if (known_topic != topics_.end() && slot.topic == known_topic->second && slot.hash == hash) {
    return true;
  }
  const auto& replaced = publishers_[place.publisher].replaced;
  const bool refused = std::any_of(replaced.begin(), replaced.end(), [&](const auto& content) {
    return content.sequence == place.sequence && content.hash == hash;
  });
  if (refused) {
    report(Rule::r1, place.text() + " is delivered with what was refused earlier");
  } else {
    report(Rule::p2, place.text() + " is delivered with another topic or payload, topic " +
                         std::string(topic.substr(0, 40)));
  }
  return false;
}

// Takes what a receipt or a delivery says of a place. False: it cannot be so.
bool HistoryChecker::place(const Place& place, Slot& slot, bool delivered) {
  if (slot.refused) {
    report(Rule::r1,
           place.text() + (delivered ? " is delivered" : " is acknowledged") + ", and was refused");
    return false;
  }
  if (place.offset >= log_.size()) log_.resize(place.offset + 1);
  Entry& entry = log_[place.offset];
  if (entry.sequence != 0) {
    const bool same = entry.zxid == place.zxid && entry.publisher == place.publisher &&
                      entry.sequence == place.sequence;
    if (!same) {
      const Place other{place.offset, entry.zxid, entry.publisher, entry.sequence};
      report(Rule::o1, place.text() + (delivered ? " by a delivery" : " by its receipt") +
                           ", where others were told " + other.text());
    }
    entry.delivered |= same && delivered;
    return same;
  }
  if (slot.offset == 0) {
    slot.offset = place.offset;
    if (place.offset <= slot.above) {
      report(Rule::t1, place.text() + " was invoked when offset " + std::to_string(slot.above) +
                           " was known");
    }
    if (slot.terms.behind && *slot.terms.behind + 1 != place.offset) {
      report(Rule::c1, place.text() + " was to be taken behind offset " +
                           std::to_string(*slot.terms.behind) + " only");
    }
  } else {
    const bool twice = delivered && log_[slot.offset].delivered;
    report(twice ? Rule::x1 : Rule::a2,
           place.text() + ", and also at offset " + std::to_string(slot.offset));
  }
  entry = {place.zxid, place.sequence, place.publisher, slot.topic, delivered};
  ++counts_.placed;
  completed_ = std::max(completed_, place.offset);
  walk(false);
  return true;
}

// --- the sweep along the sequence ---

// Order is judged once, along the offsets, as far as they are known without a hole; at the end of
// the history holes are passed.
void HistoryChecker::walk(bool at_end) {
  while (walked_ < top()) {
    const Offset offset = walked_ + 1;
    if (log_[offset].sequence == 0) {
      if (!at_end) return;
      ++holes_;
    } else {
      walk_entry(offset, log_[offset]);
      walk_batch(offset, log_[offset]);
      walk_publisher(offset, log_[offset]);
      last_known_ = offset;
    }
    walked_ = offset;
  }
  const Entry& last = log_[top()];
  if (at_end && last.sequence != 0 && joined(last.publisher, last.sequence + 1)) {
    report(Rule::b1, name_of(last.publisher, last.sequence) +
                         " is the last one, and not of its batch: the rest is missing");
  }
}

// What was refused is not: the one before it may be another message by now.
bool HistoryChecker::joined(PublisherKey p, Sequence s) {
  const Slot* const slot = find_slot(p, s);
  return slot != nullptr && slot->terms.joined && !slot->refused;
}

// Where the message before it is not known, nobody can tell.
void HistoryChecker::walk_batch(Offset offset, const Entry& entry) {
  if (last_known_ + 1 != offset) return;
  const Entry& before = log_[last_known_];
  const bool goes_on = entry.publisher == before.publisher && entry.zxid == before.zxid &&
                       entry.sequence == before.sequence + 1;
  const Place here{offset, entry.zxid, entry.publisher, entry.sequence};
  if (joined(entry.publisher, entry.sequence) && !goes_on) {
    report(Rule::b1, here.text() + " comes without what was published with it before");
  } else if (last_known_ > 0 && joined(before.publisher, before.sequence + 1) && !goes_on) {
    report(Rule::b1, here.text() + " parts a batch: behind it is " +
                         name_of(before.publisher, before.sequence));
  }
}

void HistoryChecker::walk_entry(Offset offset, const Entry& entry) {
  const Entry& before = log_[last_known_];
  const Place here{offset, entry.zxid, entry.publisher, entry.sequence};
  if (last_known_ == 0) return;
  if (entry.zxid < before.zxid) {
    return report(Rule::g1, here.text() + " comes behind zxid " + to_string(before.zxid));
  }
  if (entry.zxid != before.zxid || last_known_ + 1 != offset) return;
  if (entry.publisher != before.publisher || entry.sequence != before.sequence + 1) {
    report(Rule::g1, here.text() + " shares its transaction with " +
                         name_of(before.publisher, before.sequence));
  }
}

void HistoryChecker::walk_publisher(Offset offset, const Entry& entry) {
  Publisher& publisher = publishers_[entry.publisher];
  if (publisher.slots[entry.sequence].offset != offset) return;  // A2 or X1 has been reported
  const Place here{offset, entry.zxid, entry.publisher, entry.sequence};
  if (entry.sequence <= publisher.walked) {
    report(Rule::f1, here.text() + " comes behind its message " + std::to_string(publisher.walked));
  } else if (entry.sequence - publisher.walked - 1 > holes_ - publisher.holes) {
    report(Rule::f2,
           here.text() + " comes where " + std::to_string(publisher.walked + 1) + " is missing");
  }
  publisher.walked = std::max(publisher.walked, entry.sequence);
  publisher.holes = holes_;
}

// --- subscriptions ---

void HistoryChecker::subscribe(std::uint64_t time, SubscriptionKey k, Offset first,
                               std::span<const std::string> topics) {
  now_ = time;
  if (first == 0 || subscriptions_.contains(k)) {
    return report(Rule::h0, "a subscription begins twice, or at offset 0");
  }
  Subscription& sub = subscriptions_[k];
  sub.first = first;
  sub.covered = sub.judged = first - 1;
  for (const std::string& topic : topics) sub.topics.push_back(topic_of(topic));
  std::sort(sub.topics.begin(), sub.topics.end());
}

void HistoryChecker::deliver(std::uint64_t time, SubscriptionKey k, Offset offset, Zxid zxid,
                             PublisherKey p, Sequence s, std::string_view topic,
                             std::uint64_t payload_hash) {
  now_ = time;
  ++counts_.delivered;
  const Place place{offset, zxid, p, s};
  const auto found = subscriptions_.find(k);
  if (found == subscriptions_.end() || found->second.ended) {
    return report(Rule::h0, place.text() + " is delivered to a subscription that is none");
  }
  Subscription& sub = found->second;
  if (offset == 0 || offset > slots_) {
    known_slot(place, "delivered");
    return;
  }
  Slot* const slot = known_slot(place, "delivered");
  const bool good = slot != nullptr && same_content(place, *slot, topic, payload_hash) &&
                    this->place(place, *slot, true);
  if (!good) sub.missing.push_back({offset, offset});
  in_order(sub, place);
  const auto known_topic = topics_.find(topic);
  if (known_topic == topics_.end() || !matches(sub, known_topic->second)) {
    report(Rule::o5,
           place.text() + " has a topic not asked for, " + std::string(topic.substr(0, 40)));
  }
}

bool HistoryChecker::matches(const Subscription& sub, Topic topic) const {
  return sub.topics.empty() || std::binary_search(sub.topics.begin(), sub.topics.end(), topic);
}

void HistoryChecker::in_order(Subscription& sub, const Place& place) {
  const bool late = place.offset <= sub.covered;
  if (place.offset < sub.first) {
    report(Rule::o2, place.text() + " is delivered to a subscription that began at offset " +
                         std::to_string(sub.first));
  } else if (place.offset <= sub.marked) {
    report(Rule::o4, place.text() + " is delivered behind the mark " + std::to_string(sub.marked));
  } else if (late) {
    const bool missed = std::any_of(sub.missing.begin(), sub.missing.end(), [&](Range r) {
      return r.first <= place.offset && place.offset <= r.last;
    });
    if (!missed) ++counts_.duplicated;
    report(Rule::o2, place.text() + " is delivered behind offset " + std::to_string(sub.covered));
  } else if (place.zxid < sub.zxid) {
    report(Rule::o2, place.text() + " is delivered behind zxid " + to_string(sub.zxid));
  }
  sub.zxid = std::max(sub.zxid, place.zxid);
  if (late) return;
  cover(sub, place.offset - 1, Rule::o3, place.text() + " is delivered");
  sub.covered = place.offset;
  if (sub.topics.empty()) return;
  sub.unjudged.push_back(place.offset);
  judge(sub, false);
}

// Everything up to `to` is said to have been there. With topics, judge() sees to it.
void HistoryChecker::cover(Subscription& sub, Offset to, Rule rule, const std::string& what) {
  if (to <= sub.covered) return;
  if (sub.topics.empty()) {
    sub.missing.push_back({sub.covered + 1, to});
    report(rule, what + ", and " + range_text(sub.covered + 1, to) + " never came");
  }
  sub.covered = to;
}

void HistoryChecker::mark(std::uint64_t time, SubscriptionKey k, Offset covered) {
  now_ = time;
  const auto found = subscriptions_.find(k);
  const std::string what = "a mark says " + std::to_string(covered);
  if (found == subscriptions_.end() || found->second.ended) {
    return report(Rule::h0, what + " for a subscription that is none");
  }
  if (covered > slots_) return report(Rule::o4, what + ", but so many were never invoked");
  Subscription& sub = found->second;
  cover(sub, covered, Rule::o4, what);
  sub.marked = std::max(sub.marked, covered);
  judge(sub, false);
}

void HistoryChecker::end(std::uint64_t time, SubscriptionKey k) {
  now_ = time;
  const auto found = subscriptions_.find(k);
  if (found == subscriptions_.end()) return report(Rule::h0, "a subscription ends that is none");
  found->second.ended = true;
}

// What a subscription with topics skipped must have other topics: judged in order, as far as it is
// known what stands there.
void HistoryChecker::judge(Subscription& sub, bool at_end) {
  if (sub.topics.empty()) return;
  while (sub.judged < std::min(sub.covered, top())) {
    const Offset offset = sub.judged + 1;
    if (!sub.unjudged.empty() && sub.unjudged.front() == offset) {
      sub.unjudged.pop_front();
    } else if (!known(offset)) {
      if (!at_end) return;
    } else if (matches(sub, log_[offset].topic)) {
      sub.missing.push_back({offset, offset});
      const Entry& entry = log_[offset];
      report(offset <= sub.marked ? Rule::o4 : Rule::o3,
             Place{offset, entry.zxid, entry.publisher, entry.sequence}.text() +
                 " has a topic asked for, and never came");
    }
    sub.judged = offset;
  }
}

// --- the end ---

void HistoryChecker::finish(std::span<const Drain> drains) {
  for (auto& [key, sub] : subscriptions_) judge(sub, true);
  walk(true);
  const bool let_go =
      std::any_of(drains.begin(), drains.end(), [](const Drain& drain) { return drain.first > 1; });
  std::vector<bool> lost(log_.size());
  for (const Drain& drain : drains) losses_.push_back(drained(drain, lost));
  counts_.lost = static_cast<std::uint64_t>(std::count(lost.begin(), lost.end(), true));
  for (const auto& [key, publisher] : publishers_) {
    for (Sequence s = 1; s < publisher.slots.size(); ++s) {
      const Slot& slot = publisher.slots[s];
      if (slot.offset != 0 || slot.refused) continue;
      // Without a receipt nobody knows where it stood: it may have been let go before it was seen.
      const bool promised = slot.acknowledged != 0 || (slot.confirmed && !let_go);
      if (!promised) ++counts_.unknown;
      if (!promised) continue;
      ++counts_.lost;
      report(Rule::d1, name_of(key, s) + " was acknowledged, and stands nowhere");
    }
  }
}

HistoryChecker::Loss HistoryChecker::drained(const Drain& drain, std::vector<bool>& lost) {
  Loss loss{.server = drain.server};
  const std::string who = "the final drain of server " + to_string(drain.server);
  const auto found = subscriptions_.find(drain.subscription);
  if (found == subscriptions_.end() || !found->second.topics.empty()) {
    report(Rule::h0, who + " is not a subscription to all topics");
    return loss;
  }
  const Subscription& sub = found->second;
  Offset example = 0;
  const auto lose = [&](Offset first, Offset last, std::uint64_t& count) {
    for (Offset offset = first; offset <= std::min(last, top()); ++offset) {
      if (!known(offset)) continue;
      ++count;
      lost[offset] = true;
      if (example == 0) example = offset;
    }
  };
  lose(drain.first, sub.first - 1, loss.prefix);
  for (const Range& range : sub.missing) lose(range.first, range.last, loss.middle);
  lose(sub.covered + 1, top(), loss.postfix);
  const Offset needed = std::max(drain.end, top());
  if (sub.covered < needed || example != 0) {
    report(Rule::d1, who + " covers offsets " + std::to_string(sub.first) + " to " +
                         std::to_string(sub.covered) + " of " + std::to_string(needed) +
                         "; lost: prefix " + std::to_string(loss.prefix) + ", middle " +
                         std::to_string(loss.middle) + ", postfix " + std::to_string(loss.postfix) +
                         ", the first at offset " + std::to_string(example));
  }
  return loss;
}

}  // namespace zabmq::sim
