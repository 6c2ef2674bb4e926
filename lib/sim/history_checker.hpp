// HistoryChecker: judges what clients saw. It is told every invocation, acknowledgement and
// delivery in the order in which they happened, and knows nothing of servers: only the promises
// made to publishers and subscribers. Atomic broadcast is the easy case of such checking, because
// every message tells its place: one sweep does it, O(1) amortised for each call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::sim {

enum class PublisherKey : std::uint32_t {};
enum class SubscriptionKey : std::uint64_t {};  // of one incarnation: a resume is a new one

enum class Rule : std::uint8_t {
  h0,  // the history itself makes no sense: a delivery to nobody, an invocation with a hole
  p1,  // integrity: what is acknowledged or delivered was invoked before
  p2,  // integrity: with the topic and the payload it was invoked with
  o1,  // agreement: one record at one offset, whoever tells of it
  o2,  // total order: offsets rise along a subscription, zxids do not fall
  o3,  // no gap: a subscription misses nothing that it asked for
  o4,  // bookmarks: a mark covers only what was delivered, and nothing comes at or below it
  o5,  // filter: only topics that were asked for
  a1,  // a message has one receipt
  a2,  // and stands where its receipt says
  x1,  // exactly once: a message stands at one offset
  r1,  // what was definitely refused never happens
  d1,  // durability: acknowledged or ever delivered is in the final drain of every server
  f1,  // publisher order: sequences rise along the offsets
  f2,  // and without holes
  t1,  // real time: invoked after another was known to be placed, placed behind it
  g1,  // epochs do not fall, a zxid is one transaction: one publisher, neighbouring sequences
  b1,  // what was published as one batch is one transaction, all of it or nothing
  c1   // what was published on a condition stands where the condition says
};

std::string_view to_string(Rule);  // "P1", ...; no name is one of Invariants'

struct Violation {
  Rule rule = Rule::h0;
  std::uint64_t time = 0;  // of the call that showed it
  std::string text;
};

class HistoryChecker {
 public:
  static constexpr std::size_t violations_kept = 1000;  // the others are only counted

  struct Counts {
    std::uint64_t invoked = 0;
    std::uint64_t acknowledged = 0;  // with a receipt
    std::uint64_t refused = 0;
    std::uint64_t delivered = 0;   // deliveries of all subscriptions together
    std::uint64_t placed = 0;      // messages with a known offset
    std::uint64_t unknown = 0;     // at the end: neither placed nor refused
    std::uint64_t lost = 0;        // messages that some final drain does not have
    std::uint64_t duplicated = 0;  // O2 at the same or a lower offset, X1
    std::uint64_t misordered = 0;  // O2, F1, T1, G1
    std::uint64_t violations = 0;
  };

  // The last subscription to one server, from its first offset to its end, after all else.
  struct Drain {
    ServerId server = ServerId::none;
    SubscriptionKey subscription{};
    Offset end = 0;    // what it must reach; at least the greatest offset anybody was told
    Offset first = 1;  // below, retention has let messages go
  };
  struct Loss {  // messages that the server's final drain does not have
    ServerId server = ServerId::none;
    std::uint64_t prefix = 0;   // below what it began with
    std::uint64_t middle = 0;   // skipped, or replaced by others
    std::uint64_t postfix = 0;  // above what it ended with
  };

  // What its publisher asked for, beside being taken.
  struct Terms {
    bool joined = false;             // in one transaction with the sequence before it
    std::optional<Offset> behind{};  // only directly behind this offset
  };

  // Calls come in the order in which things happened; `time` (any unit) is only for the reports.
  // An invocation is told before the message is handed over, an acknowledgement and a delivery
  // after they arrived; `invoke` is the first sending only. A sequence that was refused may be
  // invoked again, with another message.
  void invoke(std::uint64_t time, PublisherKey p, Sequence s, std::string_view topic,
              std::uint64_t payload_hash, const Terms& terms);
  void invoke(std::uint64_t time, PublisherKey p, Sequence s, std::string_view topic,
              std::uint64_t payload_hash) {
    invoke(time, p, s, topic, payload_hash, {});
  }
  void acknowledge(std::uint64_t time, PublisherKey p, Sequence s, Offset offset, Zxid zxid);
  // The cluster has it, the receipt is no longer known: it must be delivered.
  void confirm(std::uint64_t time, PublisherKey p, Sequence s);
  // Definite: it did not happen, and never will. (An open outcome is told by no call at all.)
  void refuse(std::uint64_t time, PublisherKey p, Sequence s);

  // `first` is the first offset that it may deliver; no topics: all.
  void subscribe(std::uint64_t time, SubscriptionKey k, Offset first,
                 std::span<const std::string> topics = {});
  void deliver(std::uint64_t time, SubscriptionKey k, Offset offset, Zxid zxid, PublisherKey p,
               Sequence s, std::string_view topic, std::uint64_t payload_hash);
  void mark(std::uint64_t time, SubscriptionKey k, Offset covered);  // all up to there was there
  void end(std::uint64_t time, SubscriptionKey k);

  void finish(std::span<const Drain> drains);  // once, after everything

  const std::vector<Violation>& violations() const { return violations_; }
  const Counts& counts() const { return counts_; }
  const std::vector<Loss>& losses() const { return losses_; }  // after finish(): one a drain
  bool clean() const { return counts_.violations == 0; }
  Offset top() const { return log_.size() - 1; }  // greatest offset anybody was told

 private:
  using Topic = std::uint32_t;

  struct Entry {  // of the one sequence, by offset
    Zxid zxid;
    Sequence sequence = 0;  // 0: nobody has told yet
    PublisherKey publisher{};
    Topic topic = 0;
    bool delivered = false;
  };
  struct Slot {  // of a publisher, by sequence
    std::uint64_t hash = 0;
    Offset above = 0;         // placed higher than this: T1
    Offset offset = 0;        // where it stands
    Offset acknowledged = 0;  // where its receipt says it stands
    Topic topic = 0;
    bool refused = false;
    bool confirmed = false;
    Terms terms;
  };
  struct RefusedContent {
    Sequence sequence = 0;
    std::uint64_t hash = 0;
  };
  struct Publisher {
    std::vector<Slot> slots = std::vector<Slot>(1);  // sequences count from 1
    std::vector<RefusedContent> replaced;            // refused, then invoked with other content
    Sequence walked = 0;                             // the last one that the sweep has met
    Offset holes = 0;                                // unknown offsets the sweep had passed by then
  };
  struct Range {
    Offset first = 0;
    Offset last = 0;
  };
  struct Subscription {
    Offset first = 1;
    Offset covered = 0;  // delivered or marked, all of it
    Offset marked = 0;
    Zxid zxid;
    std::vector<Topic> topics;  // sorted; empty: all
    bool ended = false;
    std::vector<Range> missing;  // found by O3 or O1: what a drain does not have
    // With topics: what was skipped is judged when the sequence there is known.
    Offset judged = 0;
    std::deque<Offset> unjudged;  // deliveries above `judged`
  };
  struct Place {
    Offset offset = 0;
    Zxid zxid;
    PublisherKey publisher{};
    Sequence sequence = 0;
    std::string text() const;
  };
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };

  void report(Rule rule, std::string text);
  Topic topic_of(std::string_view topic);
  Slot* find_slot(PublisherKey p, Sequence s);
  Slot* known_slot(const Place& place, std::string_view what);
  bool same_content(const Place& place, const Slot& slot, std::string_view topic,
                    std::uint64_t hash);
  bool place(const Place& place, Slot& slot, bool delivered);
  void in_order(Subscription& sub, const Place& place);
  void cover(Subscription& sub, Offset to, Rule rule, const std::string& what);
  void judge(Subscription& sub, bool at_end);
  void walk(bool at_end);
  void walk_entry(Offset offset, const Entry& entry);
  void walk_batch(Offset offset, const Entry& entry);
  bool joined(PublisherKey p, Sequence s);
  void walk_publisher(Offset offset, const Entry& entry);
  Loss drained(const Drain& drain, std::vector<bool>& lost);
  bool matches(const Subscription& sub, Topic topic) const;
  bool known(Offset offset) const { return offset < log_.size() && log_[offset].sequence != 0; }

  std::vector<Entry> log_ = std::vector<Entry>(1);  // offsets count from 1
  std::unordered_map<PublisherKey, Publisher> publishers_;
  std::unordered_map<SubscriptionKey, Subscription> subscriptions_;
  std::unordered_map<std::string, Topic, StringHash, std::equal_to<>> topics_;
  std::uint64_t slots_ = 0;  // of all publishers: no offset can be greater
  Offset completed_ = 0;     // greatest offset that anybody was told
  Offset walked_ = 0;        // up to here the sweep along the sequence has been
  Offset last_known_ = 0;    // the last one it met
  Offset holes_ = 0;         // unknown ones that it passed
  std::uint64_t now_ = 0;
  std::vector<Violation> violations_;
  std::vector<Loss> losses_;
  Counts counts_;
};

}  // namespace zabmq::sim
