// Outbox tests: order, bound, what overtakes what.
#include "net/outbox.hpp"

#include <doctest/doctest.h>

#include "net_support.hpp"

namespace zabmq::net {
namespace {

Outbox::Entry entry(Lane lane, unsigned char mark, std::size_t records = 0) {
  return {lane, {std::byte{mark}}, records ? slice_of(records, mark) : Slice()};
}

unsigned pop_mark(Outbox& outbox) {
  REQUIRE(outbox.front());
  const unsigned mark = std::to_integer<unsigned>(outbox.front()->header.at(0));
  outbox.pop();
  return mark;
}

}  // namespace

TEST_SUITE("net/outbox") {
  TEST_CASE("Z12: session frames -> leave in order, datagrams ahead of them") {
    Outbox outbox(1 << 20);
    outbox.push(entry(Lane::session, 1));
    outbox.push(entry(Lane::session, 2));
    outbox.push(entry(Lane::vote, 3));
    outbox.push(entry(Lane::standing, 4));
    CHECK(pop_mark(outbox) == 3);
    CHECK(pop_mark(outbox) == 4);
    CHECK(pop_mark(outbox) == 1);
    CHECK(pop_mark(outbox) == 2);
    CHECK(outbox.empty());
    CHECK(outbox.front() == nullptr);
  }

  TEST_CASE(
      "outbox: a newer datagram of a lane -> replaces the older, and goes behind the others") {
    Outbox outbox(1 << 20);
    outbox.push(entry(Lane::vote, 1));
    outbox.push(entry(Lane::standing, 2));
    outbox.push(entry(Lane::vote, 3));
    CHECK(pop_mark(outbox) == 2);
    CHECK(pop_mark(outbox) == 3);
    CHECK(outbox.empty());
  }

  TEST_CASE("Z9: over the bound -> refused, datagrams are not") {
    Outbox outbox(10000);
    CHECK(outbox.push(entry(Lane::session, 1, 6000)));
    CHECK_FALSE(outbox.push(entry(Lane::session, 2, 6000)));
    CHECK(outbox.push(entry(Lane::vote, 3)));
    CHECK(pop_mark(outbox) == 3);
    CHECK(pop_mark(outbox) == 1);
    CHECK(outbox.push(entry(Lane::session, 4, 6000)));
  }

  TEST_CASE("outbox: empty frames without end -> bounded by their overhead") {
    Outbox outbox(10000);
    int taken = 0;
    while (outbox.push(entry(Lane::session, 1))) ++taken;
    CHECK(taken > 10);
    CHECK(taken < 100);
    CHECK(outbox.bytes() <= 10000);
  }

  TEST_CASE("outbox: one frame over the bound -> taken when nothing else waits") {
    Outbox outbox(10);
    CHECK(outbox.push(entry(Lane::session, 1, 5000)));
    CHECK_FALSE(outbox.push(entry(Lane::session, 2)));
  }

  TEST_CASE("outbox: session dropped -> its frames and their memory go, datagrams stay") {
    Outbox outbox(10000);
    Slice records = slice_of(6000, 1);
    outbox.push({Lane::session, {std::byte{1}}, records});
    outbox.push(entry(Lane::vote, 2));
    CHECK(records.owner().use_count() == 2);

    outbox.drop_session();

    CHECK(records.owner().use_count() == 1);
    CHECK(outbox.bytes() == 0);
    CHECK(pop_mark(outbox) == 2);
    outbox.push(entry(Lane::vote, 3));
    outbox.clear();
    CHECK(outbox.empty());
  }
}

}  // namespace zabmq::net
