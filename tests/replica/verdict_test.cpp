// Verdicts: what ends a publisher for good is told by a leader that a quorum follows.
#include <doctest/doctest.h>

#include <vector>

#include "cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId bob{2};

}  // namespace

TEST_SUITE("replica/verdict") {
  // It may know nothing of a publisher that its successor has opened, and `expired` is for good.
  TEST_CASE("cluster: an unknown publisher at a leader that nobody follows -> not expired") {
    Cluster three(3);
    const ServerId leader = three.wait_for_leader();
    wire::Hello hello;
    hello.publisher = make_uuid(99);
    hello.instance = 1;
    const auto refusal = [&] {
      std::vector<wire::Refused> refusals;
      REQUIRE(three.wait([&] {
        refusals = three.at(leader).clients.take<wire::Refused>(bob);
        return !refusals.empty();
      }));
      return refusals.back();
    };
    three.at(leader).say(bob, hello);
    CHECK(refusal().code == Code::expired);

    three.isolate(leader, true);
    three.at(leader).say(bob, hello);
    three.settle();
    CHECK(three.at(leader).clients.take<wire::Refused>(bob).empty());
    const wire::Refused answer = refusal();
    CHECK(answer.code == Code::unavailable);
    CHECK(answer.outcome == Outcome::maybe);
  }
}
