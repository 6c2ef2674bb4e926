// Conditions: batches that are taken only behind a certain offset.
#include <doctest/doctest.h>

#include "leader_fixture.hpp"

using namespace zabmq;
using namespace zabmq::testing;

TEST_SUITE("replica/condition") {
  TEST_CASE("condition: the last offset is the expected one -> taken, in flight counts as last") {
    replica::Options options;
    options.group_bytes_max = 1;
    Leader leader(options);

    leader.server.publish(alice, 1, {"a", "b"}, 1, 0);
    leader.server.publish(alice, 3, {"c"}, 1, 2);  // nothing is committed yet

    const auto receipts = leader.receipts();
    REQUIRE(receipts.size() == 2);
    CHECK(receipts[0].base_offset == 1);
    CHECK(receipts[1].base_offset == 3);
  }

  TEST_CASE("condition: another last offset -> refused for good, its sequence is still free") {
    Leader leader;
    leader.server.publish(alice, 1, {"a", "b"});
    leader.receipts();

    leader.server.publish(alice, 3, {"c"}, 1, 1);

    const wire::Refused answer = leader.refusal();
    CHECK(answer.about == wire::About::publish);
    CHECK(answer.id == 3);
    CHECK(answer.code == Code::refused);
    CHECK(answer.outcome == Outcome::no);
    CHECK(answer.expect_last_offset == Offset{1});
    CHECK(answer.last_offset == 2);
    CHECK(answer.last_sequence == 2);
    CHECK_FALSE(answer.hole);
    CHECK(answer.text == "expected 1 as the last offset: the last one committed is 2");
    leader.server.publish(alice, 3, {"d"});
    CHECK(leader.receipts().size() == 1);
    CHECK(leader.server.replica->status().last_offset == 3);
  }

  TEST_CASE("condition: refused for what is in flight -> no offset of it is told") {
    replica::Options options;
    options.group_bytes_max = 1;
    Leader leader(options);
    leader.server.publish(alice, 1, {"a"});
    leader.receipts();
    leader.server.disk_works = false;
    leader.server.publish(alice, 2, {"b"});
    leader.replica().step();

    leader.server.publish(alice, 3, {"c"}, 1, 1);
    leader.server.settle();
    leader.server.disk_works = true;

    const wire::Refused answer = leader.refusal();
    CHECK(answer.last_offset == 1);
    CHECK(answer.text ==
          "expected 1 as the last offset: the last one committed is 1, and newer messages are in "
          "flight");
  }

  TEST_CASE("condition: of a batch taken before -> its receipt, whatever came since") {
    Leader leader;
    leader.server.publish(alice, 1, {"a"}, 1, 0);
    leader.server.publish(alice, 2, {"b"});
    CHECK(leader.receipts().size() == 2);

    leader.server.publish(alice, 1, {"a"}, 1, 0);

    const auto receipts = leader.receipts();
    REQUIRE(receipts.size() == 1);
    CHECK(receipts[0].base_offset == 1);
    CHECK(leader.server.replica->status().last_offset == 2);
  }

  TEST_CASE("condition: refused -> what was sent behind it is a hole") {
    Leader leader;

    leader.server.publish(alice, 1, {"a"}, 1, 7);
    leader.server.publish(alice, 2, {"b"});

    leader.server.settle();
    const auto refusals = leader.server.clients.take<wire::Refused>(alice);
    REQUIRE(refusals.size() == 2);
    CHECK(refusals[0].hole);  // the refused condition waits for a quorum round
    CHECK(refusals[0].id == 2);
    CHECK(refusals[0].last_sequence == 0);
    CHECK(refusals[1].expect_last_offset == Offset{7});
  }
}
