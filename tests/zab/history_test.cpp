// History: the epoch table's arithmetic, and where two histories part.
#include <random>

#include "zab/harness/build.hpp"

namespace zabmq::zab::test {
namespace {

// Found at this zxid, or the kind.
std::string common(std::string_view leader, std::string_view learner) {
  const CommonPoint point = common_point(parse_history(leader), parse_history(learner));
  switch (point.kind) {
    case CommonPoint::Kind::found:
      return to_string(point.zxid);
    case CommonPoint::Kind::none:
      return "none";
    case CommonPoint::Kind::conflicting:
      return "conflicting";
  }
  return "?";
}

TEST_SUITE("zab/history") {
  TEST_CASE("history: a floor that is no transaction -> not valid") {
    const auto with_floor = [](Zxid z) { return History{{z, 0, Digest::none}, {{Epoch{4}, 2}}}; };

    CHECK(with_floor({}).valid());
    CHECK(with_floor(zxid(3, 1)).valid());
    CHECK_FALSE(with_floor(zxid(3, 0)).valid());
    CHECK_FALSE(with_floor(zxid(0, 1)).valid());
  }

  TEST_CASE("history: last, contains and continues") {
    const History empty;
    CHECK(empty.last() == zxid(0, 0));
    CHECK(empty.contains(zxid(0, 0)));
    CHECK(empty.continues({epoch(3), 1, 9}));
    CHECK_FALSE(empty.continues({epoch(3), 2, 9}));

    const History history = parse_history("1:3 4:2");
    CHECK(history.last() == zxid(4, 2));
    CHECK(history.contains(zxid(0, 0)));
    CHECK(history.contains(zxid(1, 1)));
    CHECK(history.contains(zxid(1, 3)));
    CHECK(history.contains(zxid(4, 2)));
    CHECK_FALSE(history.contains(zxid(1, 0)));
    CHECK_FALSE(history.contains(zxid(1, 4)));
    CHECK_FALSE(history.contains(zxid(2, 1)));
    CHECK_FALSE(history.contains(zxid(4, 3)));
    CHECK_FALSE(history.contains(zxid(5, 1)));
    CHECK(history.continues({epoch(4), 3, 3}));
    CHECK(history.continues({epoch(6), 1, 1}));
    CHECK_FALSE(history.continues({epoch(4), 4, 4}));
    CHECK_FALSE(history.continues({epoch(4), 2, 3}));
    CHECK_FALSE(history.continues({epoch(3), 1, 1}));
    CHECK_FALSE(history.continues({epoch(4), 3, 2}));
  }

  TEST_CASE("history: a floor is its beginning") {
    const History history = parse_history("floor=2.5 2:7 3:1");

    CHECK(history.contains(zxid(2, 5)));
    CHECK(history.contains(zxid(2, 6)));
    CHECK_FALSE(history.contains(zxid(2, 4)));
    CHECK_FALSE(history.contains(zxid(1, 1)));
    CHECK_FALSE(history.contains(zxid(0, 0)));
    CHECK(parse_history("floor=2.5").last() == zxid(2, 5));
    CHECK(parse_history("floor=2.5").continues({epoch(2), 6, 6}));
  }

  TEST_CASE("history: append and truncate_after are inverse") {
    History history = parse_history("1:3");
    history.append({epoch(1), 4, 6});
    history.append({epoch(3), 1, 2});
    CHECK(history == parse_history("1:6 3:2"));

    history.truncate_after(zxid(3, 1));
    CHECK(history == parse_history("1:6 3:1"));
    history.truncate_after(zxid(1, 6));
    CHECK(history == parse_history("1:6"));
    history.truncate_after(zxid(1, 2));
    CHECK(history == parse_history("1:2"));
    history.truncate_after(zxid(0, 0));
    CHECK(history == History{});

    History above_floor = parse_history("floor=2.5 2:7");
    above_floor.truncate_after(zxid(2, 5));
    CHECK(above_floor == parse_history("floor=2.5"));
  }

  TEST_CASE("history: valid -> epochs rise, no epoch is empty, nothing below the floor") {
    CHECK(History{}.valid());
    CHECK(parse_history("1:3 4:2").valid());
    CHECK(parse_history("floor=1.2 1:3").valid());
    CHECK_FALSE(parse_history("1:3 1:4").valid());
    CHECK_FALSE(parse_history("4:2 1:3").valid());
    CHECK_FALSE(parse_history("1:0").valid());
    CHECK_FALSE(parse_history("floor=1.3 1:3").valid());
    CHECK_FALSE(parse_history("floor=2.1 1:3").valid());
  }

  TEST_CASE("history: newest -> the last entries, the floor stays") {
    const History history = parse_history("1:1 2:2 3:3");
    CHECK(history.newest(2) == parse_history("2:2 3:3"));
    CHECK(history.newest(3) == history);
    CHECK(history.newest(9) == history);
  }

  TEST_CASE("history: common point of histories that kept everything") {
    CHECK(common("", "") == "0.0");
    CHECK(common("1:5", "") == "0.0");
    CHECK(common("", "1:5") == "0.0");
    CHECK(common("1:5 2:3", "1:5 2:3") == "2.3");
    CHECK(common("1:5 2:3", "1:5 2:7") == "2.3");
    CHECK(common("1:5 2:9", "1:5 2:7") == "2.7");
    CHECK(common("1:5 2:3", "1:4") == "1.4");
    CHECK(common("1:5 2:3", "1:7") == "1.5");      // ZOOKEEPER-1154
    CHECK(common("1:5 4:2", "1:5 2:3") == "1.5");  // an epoch the leader never had
    CHECK(common("1:5 4:2", "1:9 2:3 3:1") == "1.5");
    CHECK(common("1:5", "1:5 2:3") == "1.5");
    CHECK(common("3:2", "2:4") == "0.0");
  }

  TEST_CASE("history: older entries that differ -> conflicting, never a DIFF") {
    CHECK(common("1:5 3:2", "1:4 3:2") == "conflicting");
    CHECK(common("1:5 3:2", "1:6 3:2") == "conflicting");
    CHECK(common("1:5 3:2", "3:2") == "conflicting");
    CHECK(common("3:2", "1:5 3:2") == "conflicting");
    CHECK(common("1:5 2:1 3:2", "1:5 3:4") == "conflicting");
  }

  TEST_CASE("history: common point above and at a floor") {
    CHECK(common("floor=2.5 2:9", "1:3 2:7") == "2.7");
    CHECK(common("floor=2.5 3:1", "1:3 2:5") == "2.5");
    CHECK(common("floor=2.5 3:1", "1:3 2:7") == "2.5");
    CHECK(common("1:3 2:9 3:1", "floor=2.5 2:7") == "2.7");
    CHECK(common("floor=2.5 2:9", "floor=2.7 2:8") == "2.8");
    CHECK(common("floor=2.5 2:9 4:1", "floor=3.1 4:1") == "4.1");
    CHECK(common("floor=2.5 2:9 3:2 4:1", "floor=3.1 3:2 4:1") == "4.1");
    CHECK(common("floor=2.5 2:9 3:3 4:1", "floor=3.1 3:2 4:1") == "conflicting");
  }

  TEST_CASE("history: nothing in common that is still kept -> none, or below the leader's floor") {
    CHECK(common("floor=2.5 2:9", "1:3") == "none");
    CHECK(common("floor=2.5 2:9", "") == "none");
    CHECK(common("floor=2.5 3:1", "2:3") == "2.3");  // the leader compares it with its floor
  }

  TEST_CASE("history: the floor rises -> entries at or below it go, the end stays") {
    struct Row {
      const char* before;
      Zxid to;
      const char* after;
    };
    for (const Row& row :
         {Row{"1:5 3:4", zxid(1, 2), "floor=1.2 1:5 3:4"},
          Row{"1:5 3:4", zxid(1, 5), "floor=1.5 3:4"}, Row{"1:5 3:4", zxid(3, 4), "floor=3.4"},
          Row{"floor=1.2 1:5", zxid(1, 2), "floor=1.2 1:5"}}) {
      History history = parse_history(row.before);
      const Zxid last = history.last();
      history.raise_floor({row.to, 0, Digest::none});
      CHECK(text(history) == row.after);
      CHECK(history.last() == last);
      CHECK(history.valid());
    }
  }

  TEST_CASE("history: more epochs than an ACK-E carries -> the newest decide") {
    History leader;
    for (unsigned e = 1; e <= 3000; ++e) leader.append({epoch(e), 1, 2});
    History learner = leader;
    learner.append({epoch(3001), 1, 1});

    const CommonPoint point = common_point(leader, learner.newest(epoch_entries_sent_max));

    CHECK(point.kind == CommonPoint::Kind::found);
    CHECK(point.zxid == zxid(3000, 2));
  }

  // Against the definition: two branches of one tree of records have a longest common prefix.
  TEST_CASE("history: common point of random branches is their longest common prefix") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 500; ++round) {
      History trunk;
      unsigned e = 1;
      const auto grow = [&](History& history, unsigned steps) {
        for (unsigned i = 0; i < steps; ++i) {
          if (random() % 3 == 0) ++e;
          const Zxid last = history.last();
          const Epoch wanted{e};
          const std::uint64_t first = last.epoch == wanted ? last.counter + 1 : 1;
          history.append({wanted, first, first + random() % 3});
        }
      };
      grow(trunk, static_cast<unsigned>(random() % 6));
      History leader = trunk;
      History learner = trunk;
      grow(learner, static_cast<unsigned>(random() % 4));
      ++e;  // the branches part: an epoch has one leader
      grow(leader, static_cast<unsigned>(random() % 4));
      if (leader.last() == trunk.last() || learner.last() == trunk.last()) {
        // One is a prefix of the other.
        const Zxid expected = std::min(leader.last(), learner.last());
        CHECK(common_point(leader, learner).zxid == expected);
        continue;
      }
      const CommonPoint point = common_point(leader, learner);
      CHECK(point.kind == CommonPoint::Kind::found);
      CHECK_MESSAGE(point.zxid == trunk.last(), text(leader) << " and " << text(learner));
    }
  }
}

}  // namespace
}  // namespace zabmq::zab::test
