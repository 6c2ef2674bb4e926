// History checker tests: correct histories pass, and each damage to one is found by its rule's
// name.
#include "sim/history_checker.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "sim/history_event.hpp"

namespace zabmq::sim {
namespace {

using Kind = HistoryEvent::Kind;
using History = std::vector<HistoryEvent>;

constexpr std::uint64_t seed = 20240607;
constexpr std::uint32_t publishers = 3;
constexpr SubscriptionKey early{1};     // everything, from the beginning, while it is published
constexpr SubscriptionKey filtered{2};  // topic t1 only, with marks
constexpr SubscriptionKey resumed{3};   // where `filtered` ended
constexpr SubscriptionKey drain_a{11};
constexpr SubscriptionKey drain_b{12};
const std::vector<std::string> one_topic = {"t1"};

std::uint64_t hash_of(PublisherKey p, Sequence s) {
  return (static_cast<std::uint64_t>(p) + 1) * 1'000'003 + s;
}

// Writes down what a correct cluster would do: each publisher's batches, a new epoch now and then,
// two subscriptions under way and a drain of each of two servers at the end.
class CorrectCluster {
 public:
  History history;

  CorrectCluster() {
    add({.kind = Kind::subscribe, .subscription = early, .offset = 1});
    add({.kind = Kind::subscribe, .subscription = filtered, .offset = 1, .topics = one_topic});
    for (int batch = 0; batch < 120; ++batch) {
      if (batch % 40 == 39) zxid_ = {next(zxid_.epoch), 1};
      publish(PublisherKey{static_cast<std::uint32_t>(random_() % publishers)}, 1 + random_() % 4);
      if (batch == 60) resume();
    }
    refuse(PublisherKey{0});
    leave_open(PublisherKey{1});
    drain(drain_a, ServerId{1});
    drain(drain_b, ServerId{2});
  }

 private:
  void add(HistoryEvent event) {
    event.time = history.size();
    history.push_back(std::move(event));
  }

  HistoryEvent message(Kind kind, PublisherKey p, Sequence s) {
    HistoryEvent event{.kind = kind, .publisher = p, .sequence = s};
    event.payload_hash = hash_of(p, s);
    event.topic = (s + static_cast<std::uint32_t>(p)) % 3 == 0 ? "t1" : "t2";
    return event;
  }

  void publish(PublisherKey p, std::uint64_t count) {
    zxid_ = next(zxid_);
    History batch;
    for (std::uint64_t i = 0; i < count; ++i) {
      HistoryEvent event = message(Kind::invoke, p, ++last_[p]);
      add(event);
      event.offset = log_.size() + 1;
      event.zxid = zxid_;
      log_.push_back(event);
      batch.push_back(event);
    }
    const bool delivered_first = random_() % 2 == 0;
    if (delivered_first) deliver_to_subscribers(batch);
    for (HistoryEvent event : batch) {
      event.kind = Kind::acknowledge;
      add(event);
    }
    if (!delivered_first) deliver_to_subscribers(batch);
  }

  void deliver(SubscriptionKey k, HistoryEvent event) {
    event.kind = Kind::deliver;
    event.subscription = k;
    add(event);
  }

  void deliver_to_subscribers(const History& batch) {
    for (const HistoryEvent& event : batch) {
      deliver(early, event);
      if (event.topic == "t1") deliver(narrow_, event);
    }
    add({.kind = Kind::mark, .subscription = narrow_, .offset = log_.size()});
  }

  void resume() {
    add({.kind = Kind::end, .subscription = filtered});
    narrow_ = resumed;
    add({.kind = Kind::subscribe,
         .subscription = resumed,
         .offset = log_.size() + 1,
         .topics = one_topic});
  }

  // A refused sequence carries another message afterwards.
  void refuse(PublisherKey p) {
    HistoryEvent event = message(Kind::invoke, p, last_[p] + 1);
    event.payload_hash = 99;
    add(event);
    event.kind = Kind::refuse;
    add(event);
    publish(p, 1);
  }

  void leave_open(PublisherKey p) { add(message(Kind::invoke, p, last_[p] + 1)); }

  void drain(SubscriptionKey k, ServerId server) {
    add({.kind = Kind::subscribe, .subscription = k, .offset = 1});
    for (const HistoryEvent& event : log_) deliver(k, event);
    add({.kind = Kind::end, .subscription = k});
    add({.kind = Kind::drain, .subscription = k, .server = server, .offset = log_.size()});
  }

  std::mt19937 random_{seed};
  std::map<PublisherKey, Sequence> last_;
  History log_;
  Zxid zxid_{Epoch{1}, 0};
  SubscriptionKey narrow_ = filtered;
};

const History& correct() {
  static const History history = CorrectCluster().history;
  return history;
}

std::set<std::string> rules_of(const HistoryChecker& checker) {
  std::set<std::string> rules;
  for (const Violation& violation : checker.violations()) rules.emplace(to_string(violation.rule));
  return rules;
}

using Test = std::function<bool(const HistoryEvent&)>;

Test is(Kind kind) {
  return [kind](const HistoryEvent& e) { return e.kind == kind; };
}

Test is(Kind kind, SubscriptionKey k) {
  return [kind, k](const HistoryEvent& e) { return e.kind == kind && e.subscription == k; };
}

// The n-th event, from 0, that is such a one.
History::iterator nth(History& history, const Test& such, std::size_t n) {
  auto at = std::find_if(history.begin(), history.end(), such);
  for (; n > 0 && at != history.end(); --n) at = std::find_if(at + 1, history.end(), such);
  REQUIRE(at != history.end());
  return at;
}

bool same_message(const HistoryEvent& a, const HistoryEvent& b) {
  return a.publisher == b.publisher && a.sequence == b.sequence;
}

void erase_if(History& history, const Test& such) {
  history.erase(std::remove_if(history.begin(), history.end(), such), history.end());
}

// Both drains and `early` tell the same: changes what stands in the sequence for all of them.
void change_deliveries(History& history, Offset offset,
                       const std::function<void(HistoryEvent&)>& change) {
  for (HistoryEvent& event : history) {
    const bool told = event.kind == Kind::deliver || event.kind == Kind::acknowledge;
    if (told && event.offset == offset) change(event);
  }
}

struct Damage {
  const char* name;
  const char* rule;  // that must be among those found
  std::function<void(History&)> damage;
};

const std::vector<Damage> damages_to_publishing = {
    {"a message that nobody published", "P1",
     [](History& h) {
       const HistoryEvent lost = *nth(h, is(Kind::invoke), 50);
       erase_if(h, [&](const HistoryEvent& e) {
         return e.kind == Kind::invoke && e.publisher == lost.publisher &&
                e.sequence >= lost.sequence;
       });
     }},
    {"a delivery before the invocation", "P1",
     [](History& h) {
       auto first = nth(h, is(Kind::invoke), 0);
       std::rotate(first, first + 1, nth(h, is(Kind::deliver), 0) + 1);
     }},
    {"another payload", "P2",
     [](History& h) { nth(h, is(Kind::deliver, early), 20)->payload_hash ^= 1; }},
    {"another topic", "P2",
     [](History& h) { nth(h, is(Kind::deliver, drain_a), 20)->topic = "t3"; }},
    {"a second receipt", "A1",
     [](History& h) {
       const auto ack = nth(h, is(Kind::acknowledge), 30);
       HistoryEvent second = *ack;
       --second.offset;
       h.insert(ack + 1, second);
     }},
    {"a receipt with the place of another message", "O1",
     [](History& h) { ++nth(h, is(Kind::acknowledge), 30)->offset; }},
    {"a receipt of a place where the message does not stand", "A2",
     [](History& h) {
       const auto ack = nth(h, is(Kind::acknowledge), 30);
       const HistoryEvent moved = *ack;
       erase_if(h, [&](const HistoryEvent& e) { return e.offset == 20; });
       for (HistoryEvent& e : h) {
         if (e.kind == Kind::acknowledge && same_message(e, moved)) e.offset = 20;
       }
     }},
    {"a message that was refused is delivered", "R1",
     [](History& h) {
       const HistoryEvent event = *nth(h, is(Kind::invoke), 40);
       const auto at = std::find_if(h.begin(), h.end(), [&](const HistoryEvent& e) {
         return e.kind == Kind::deliver && same_message(e, event);
       });
       HistoryEvent refusal = event;
       refusal.kind = Kind::refuse;
       h.insert(at, refusal);
     }},
    {"a message that was delivered is refused", "R1",
     [](History& h) {
       HistoryEvent refusal = *nth(h, is(Kind::deliver, early), 40);
       refusal.kind = Kind::refuse;
       h.push_back(refusal);
     }},
    {"what was refused is delivered in the place of what came later", "R1",
     [](History& h) {
       const HistoryEvent refused = *nth(h, is(Kind::refuse), 0);
       for (HistoryEvent& e : h) {
         if (e.kind == Kind::deliver && same_message(e, refused)) e.payload_hash = 99;
       }
     }},
    {"a sequence is invoked twice", "H0",
     [](History& h) { h.push_back(*nth(h, is(Kind::invoke), 5)); }},
};

const std::vector<Damage> damages_to_the_sequence = {
    {"one server has another record at an offset", "O1",
     [](History& h) {
       auto a = nth(h, is(Kind::deliver, drain_b), 20);
       auto b = nth(h, is(Kind::deliver, drain_b), 21);
       std::swap(*a, *b);
       std::swap(a->offset, b->offset);
       std::swap(a->zxid, b->zxid);
     }},
    {"one server has another zxid at an offset", "O1",
     [](History& h) { ++nth(h, is(Kind::deliver, drain_b), 20)->zxid.counter; }},
    {"a message stands at two offsets", "X1",
     [](History& h) {
       const HistoryEvent first = *nth(h, is(Kind::deliver, early), 30);
       for (const SubscriptionKey k : {drain_a, drain_b}) {
         HistoryEvent again = first;
         again.subscription = k;
         again.offset = nth(h, is(Kind::drain), 0)->offset + 1;
         again.zxid = {Epoch{9}, 1};
         h.insert(nth(h, is(Kind::end, k), 0), again);
       }
     }},
    {"sequences of a publisher change places", "F1",
     [](History& h) {
       const HistoryEvent one = *nth(h, is(Kind::deliver, early), 30);
       const auto other = std::find_if(h.begin(), h.end(), [&](const HistoryEvent& e) {
         return e.kind == Kind::deliver && e.publisher == one.publisher &&
                e.sequence == one.sequence + 5;
       });
       const HistoryEvent two = *other;
       const auto take = [](const HistoryEvent& from) {
         return [from](HistoryEvent& to) {
           to.sequence = from.sequence;
           to.topic = from.topic;
           to.payload_hash = from.payload_hash;
         };
       };
       change_deliveries(h, one.offset, take(two));
       change_deliveries(h, two.offset, take(one));
     }},
    {"a sequence of a publisher is missing before a later one", "F2",
     [](History& h) {
       const HistoryEvent gone = *nth(h, is(Kind::deliver, early), 30);
       erase_if(h, [&](const HistoryEvent& e) {
         return e.kind != Kind::invoke && e.publisher == gone.publisher && same_message(e, gone);
       });
       for (HistoryEvent& e : h) {
         if (e.offset > gone.offset && e.kind != Kind::invoke) --e.offset;
       }
     }},
    {"a message overtakes one that was acknowledged before it was invoked", "T1",
     [](History& h) {
       const auto ack = std::find_if(h.begin() + 100, h.end(), is(Kind::acknowledge));
       const HistoryEvent early_one = *ack;
       const auto later = std::find_if(ack, h.end(), [&](const HistoryEvent& e) {
         return e.kind == Kind::acknowledge && e.publisher != early_one.publisher;
       });
       const HistoryEvent late_one = *later;
       const auto take = [](const HistoryEvent& from) {
         return [from](HistoryEvent& to) {
           to.publisher = from.publisher;
           to.sequence = from.sequence;
           to.topic = from.topic;
           to.payload_hash = from.payload_hash;
         };
       };
       erase_if(h, [](const HistoryEvent& e) {
         return e.kind == Kind::deliver && e.subscription != drain_a && e.subscription != drain_b;
       });
       change_deliveries(h, early_one.offset, take(late_one));
       change_deliveries(h, late_one.offset, take(early_one));
     }},
    {"an epoch falls", "G1",
     [](History& h) {
       const Offset from = nth(h, is(Kind::deliver, early), 200)->offset;
       for (HistoryEvent& e : h) {
         if (e.offset >= from && !is_none(e.zxid)) e.zxid.epoch = Epoch{1};
       }
     }},
    {"two publishers share a zxid", "G1",
     [](History& h) {
       const auto one =
           std::adjacent_find(h.begin(), h.end(), [](const HistoryEvent& a, const HistoryEvent& b) {
             return a.subscription == drain_a && b.subscription == drain_a &&
                    a.kind == Kind::deliver && b.kind == Kind::deliver &&
                    a.publisher != b.publisher && a.zxid.epoch == b.zxid.epoch;
           });
       REQUIRE(one != h.end());
       const Zxid from = (one + 1)->zxid;
       const Zxid to = one->zxid;
       for (HistoryEvent& e : h) {
         if (e.zxid == from) e.zxid = to;
       }
     }},
};

const std::vector<Damage> damages_to_subscriptions = {
    {"a delivery comes again", "O2",
     [](History& h) {
       const auto at = nth(h, is(Kind::deliver, early), 33);
       h.insert(at + 1, *at);
     }},
    {"two deliveries change places", "O2",
     [](History& h) {
       std::swap(*nth(h, is(Kind::deliver, drain_b), 20), *nth(h, is(Kind::deliver, drain_b), 25));
     }},
    {"a delivery is left out", "O3",
     [](History& h) { h.erase(nth(h, is(Kind::deliver, early), 33)); }},
    {"a delivery is left out under a filter", "O3",
     [](History& h) {
       h.erase(nth(h, is(Kind::deliver, filtered), 5));
       erase_if(h, is(Kind::mark, filtered));
     }},
    {"a mark runs ahead of its stream", "O4",
     [](History& h) {
       HistoryEvent mark = *nth(h, is(Kind::mark), 3);
       mark.subscription = early;
       mark.offset += 40;
       h.insert(nth(h, is(Kind::deliver, early), 40), mark);
     }},
    {"a mark covers what was left out under a filter", "O4",
     [](History& h) { h.erase(nth(h, is(Kind::deliver, resumed), 5)); }},
    {"a delivery comes behind a mark that covers it", "O4",
     [](History& h) {
       const auto at = nth(h, is(Kind::deliver, filtered), 5);
       std::rotate(at, at + 1, std::find_if(at, h.end(), is(Kind::mark, filtered)) + 1);
     }},
    {"a topic that was not asked for", "O5",
     [](History& h) {
       HistoryEvent event = *nth(h, is(Kind::deliver, early), 0);
       for (std::size_t n = 1; event.topic == "t1"; ++n) {
         event = *nth(h, is(Kind::deliver, early), n);
       }
       const auto at = std::find_if(h.begin(), h.end(), [&](const HistoryEvent& e) {
         return e.kind == Kind::mark && e.offset >= event.offset;
       });
       event.subscription = filtered;
       h.insert(at, event);
     }},
    {"a delivery behind the end of its subscription", "H0",
     [](History& h) {
       HistoryEvent event = *nth(h, is(Kind::deliver, resumed), 3);
       event.subscription = filtered;
       h.push_back(event);
     }},
};

const std::vector<Damage> damages_to_drains = {
    {"a server lost the end", "D1",
     [](History& h) {
       const Offset last = h.back().offset;
       erase_if(h, [&](const HistoryEvent& e) {
         return e.kind == Kind::deliver && e.subscription == drain_b && e.offset > last - 7;
       });
     }},
    {"a server lost the middle", "D1",
     [](History& h) {
       erase_if(h, [](const HistoryEvent& e) {
         return e.kind == Kind::deliver && e.subscription == drain_b && e.offset >= 50 &&
                e.offset < 55;
       });
     }},
    {"a server lost the beginning", "D1",
     [](History& h) {
       nth(h, is(Kind::subscribe, drain_b), 0)->offset = 4;
       erase_if(h, [](const HistoryEvent& e) {
         return e.kind == Kind::deliver && e.subscription == drain_b && e.offset < 4;
       });
     }},
    {"all servers lost what was acknowledged at the end", "D1",
     [](History& h) {
       const Offset last = h.back().offset;
       erase_if(h,
                [&](const HistoryEvent& e) { return e.kind == Kind::deliver && e.offset == last; });
       for (HistoryEvent& e : h) {
         if (e.kind == Kind::drain) --e.offset;
       }
     }},
    {"all servers lost what was delivered only", "D1",
     [](History& h) {
       const Offset last = h.back().offset;
       erase_if(h, [&](const HistoryEvent& e) {
         const bool drained = e.subscription == drain_a || e.subscription == drain_b;
         return e.offset == last &&
                (e.kind == Kind::acknowledge || (e.kind == Kind::deliver && drained));
       });
     }},
    {"what was confirmed stands nowhere", "D1",
     [](History& h) {
       const auto open = std::find_if(h.rbegin(), h.rend(), is(Kind::invoke));
       HistoryEvent event = *open;
       event.kind = Kind::confirm;
       h.push_back(event);
     }},
    {"a drain that never was", "H0",
     [](History& h) { h.back().subscription = SubscriptionKey{77}; }},
};

void check_damages(const std::vector<Damage>& damages) {
  for (const Damage& damage : damages) {
    INFO("damage: " << std::string(damage.name));
    History history = correct();
    damage.damage(history);
    const HistoryChecker checker = checked(history);
    const std::set<std::string> rules = rules_of(checker);
    std::string found;
    for (const std::string& rule : rules) found += rule + " ";
    INFO("found: " << found);
    CHECK(rules.contains(damage.rule));
  }
}

}  // namespace

// What lies below the first offset that retention kept is in no drain, and nobody need have seen
// it.
TEST_CASE("history checker: let go by retention -> not lost, and a gap above it is") {
  HistoryChecker checker;
  const PublisherKey p{1};
  const SubscriptionKey drain{1};
  for (Sequence s = 1; s <= 5; ++s) checker.invoke(s, p, s, "t", s);
  for (Sequence s = 1; s <= 4; ++s) checker.acknowledge(10, p, s, s + 1, {Epoch{1}, s + 1});
  checker.confirm(10, p, 5);
  Offset first = 4;
  SUBCASE("from the first that is kept") {}
  SUBCASE("from one behind it") {
    first = 5;
  }
  checker.subscribe(20, drain, first, {});
  for (Offset offset = first; offset <= 5; ++offset) {
    checker.deliver(20, drain, offset, {Epoch{1}, offset}, p, offset - 1, "t", offset - 1);
  }
  const std::array drains{HistoryChecker::Drain{ServerId{1}, drain, 5, 4}};
  checker.finish(drains);
  CHECK(checker.clean() == (first == 4));
}

TEST_CASE("history checker: a correct history passes") {
  const HistoryChecker checker = checked(correct());
  for (const Violation& v : checker.violations()) MESSAGE(to_string(v.rule) << ": " << v.text);
  CHECK(checker.clean());
  CHECK(checker.counts().acknowledged > 200);
  CHECK(checker.counts().placed == checker.counts().acknowledged);
  CHECK(checker.counts().refused == 1);
  CHECK(checker.counts().unknown == 1);
  CHECK(checker.counts().lost == 0);
  CHECK(checker.losses().size() == 2);
}

TEST_CASE("history checker: an empty history passes") {
  CHECK(checked({}).clean());
}

TEST_CASE("history checker: damage to publishing is found") {
  check_damages(damages_to_publishing);
}

TEST_CASE("history checker: damage to the sequence is found") {
  check_damages(damages_to_the_sequence);
}

TEST_CASE("history checker: damage to a subscription is found") {
  check_damages(damages_to_subscriptions);
}

TEST_CASE("history checker: damage to a final drain is found") {
  check_damages(damages_to_drains);
}

TEST_CASE("history checker: a loss is told as prefix, middle and postfix of a server") {
  History history = correct();
  const Offset last = history.back().offset;
  nth(history, is(Kind::subscribe, drain_b), 0)->offset = 4;
  erase_if(history, [&](const HistoryEvent& e) {
    return e.kind == Kind::deliver && e.subscription == drain_b &&
           (e.offset < 4 || e.offset == 50 || e.offset == 51 || e.offset == last);
  });
  const HistoryChecker checker = checked(history);
  REQUIRE(checker.losses().size() == 2);
  const HistoryChecker::Loss& good = checker.losses()[0];
  const HistoryChecker::Loss& bad = checker.losses()[1];
  CHECK(good.prefix + good.middle + good.postfix == 0);
  CHECK(bad.server == ServerId{2});
  CHECK(bad.prefix == 3);
  CHECK(bad.middle == 2);
  CHECK(bad.postfix == 1);
  CHECK(checker.counts().lost == 6);
}

TEST_CASE("history checker: a receipt may come again, as it was") {
  History history = correct();
  const auto ack = nth(history, is(Kind::acknowledge), 30);
  history.insert(ack + 1, *ack);
  CHECK(checked(history).clean());
}

TEST_CASE("history checker: what nobody can have been told costs no memory") {
  HistoryChecker checker;
  checker.invoke(1, PublisherKey{1}, 1, "t", 5);
  checker.subscribe(2, SubscriptionKey{1}, 1);
  checker.deliver(3, SubscriptionKey{1}, ~Offset{0} - 1, {Epoch{1}, 1}, PublisherKey{1}, 1, "t", 5);
  checker.acknowledge(4, PublisherKey{1}, ~Sequence{0}, 1, {Epoch{1}, 1});
  checker.mark(5, SubscriptionKey{1}, ~Offset{0});
  CHECK(checker.top() == 0);
  CHECK(rules_of(checker) == std::set<std::string>{"P1", "O4"});
}

TEST_CASE("history checker: violations are kept up to a bound, and all are counted") {
  HistoryChecker checker;
  for (std::size_t i = 0; i < HistoryChecker::violations_kept + 10; ++i) {
    checker.end(i, SubscriptionKey{1});
  }
  CHECK(checker.violations().size() == HistoryChecker::violations_kept);
  CHECK(checker.counts().violations == HistoryChecker::violations_kept + 10);
}

}  // namespace zabmq::sim
