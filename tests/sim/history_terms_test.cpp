// History terms tests: what a publisher asked for beside being taken: whole batches, conditions.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sim/history_checker.hpp"

namespace zabmq::sim {
namespace {

std::set<std::string> rules_of(const HistoryChecker& checker) {
  std::set<std::string> rules;
  for (const Violation& violation : checker.violations()) rules.emplace(to_string(violation.rule));
  return rules;
}

// Three messages of one publisher, the last two as one batch; placed as told, and drained.
std::set<std::string> rules_of_batch(const std::function<void(std::vector<Zxid>&)>& change) {
  HistoryChecker checker;
  const PublisherKey p{1};
  const SubscriptionKey drain{1};
  checker.invoke(1, p, 1, "t", 1);
  checker.invoke(1, p, 2, "t", 2);
  checker.invoke(1, p, 3, "t", 3, {.joined = true});
  checker.invoke(1, PublisherKey{2}, 1, "t", 9);
  std::vector<Zxid> zxids = {{Epoch{1}, 1}, {Epoch{1}, 2}, {Epoch{1}, 2}};  // by offset
  change(zxids);
  checker.subscribe(2, drain, 1, {});
  for (Offset offset = 1; offset <= zxids.size(); ++offset) {
    const Zxid zxid = zxids[offset - 1];
    const bool other = zxid.counter == 9;
    checker.deliver(3, drain, offset, zxid, other ? PublisherKey{2} : p, other ? 1 : offset, "t",
                    other ? 9 : offset);
  }
  const std::array drains{HistoryChecker::Drain{ServerId{1}, drain, zxids.size()}};
  checker.finish(drains);
  return rules_of(checker);
}

}  // namespace

TEST_CASE("history checker: a batch that is no transaction of its own, or not whole -> B1") {
  CHECK(rules_of_batch([](auto&) {}).empty());
  CHECK(rules_of_batch([](auto& zxids) { zxids[2].counter = 3; }).contains("B1"));
  CHECK(rules_of_batch([](auto& zxids) { zxids[2].counter = 9; }).contains("B1"));
  CHECK(rules_of_batch([](auto& zxids) { zxids.pop_back(); }).contains("B1"));
}

TEST_CASE("history checker: a batch that was refused binds nothing that comes in its place") {
  HistoryChecker checker;
  const PublisherKey p{1};
  checker.invoke(1, p, 1, "t", 1);
  checker.invoke(1, p, 2, "t", 2, {.joined = true});
  checker.refuse(2, p, 1);
  checker.refuse(2, p, 2);
  checker.invoke(3, p, 1, "t", 3);
  checker.acknowledge(4, p, 1, 1, {Epoch{1}, 1});
  checker.invoke(5, PublisherKey{2}, 1, "t", 4);
  checker.acknowledge(6, PublisherKey{2}, 1, 2, {Epoch{1}, 2});
  checker.finish({});
  CHECK(checker.clean());
}

TEST_CASE("history checker: taken on a condition that did not hold -> C1") {
  for (const Offset behind : {Offset{0}, Offset{1}, Offset{2}}) {
    CAPTURE(behind);
    HistoryChecker checker;
    checker.invoke(1, PublisherKey{1}, 1, "t", 1);
    checker.acknowledge(2, PublisherKey{1}, 1, 1, {Epoch{1}, 1});
    checker.invoke(3, PublisherKey{2}, 1, "t", 2, {.behind = behind});
    checker.acknowledge(4, PublisherKey{2}, 1, 2, {Epoch{1}, 2});
    checker.finish({});
    const std::set<std::string> expected =
        behind == 1 ? std::set<std::string>{} : std::set<std::string>{"C1"};
    CHECK(rules_of(checker) == expected);
  }
}

}  // namespace zabmq::sim
