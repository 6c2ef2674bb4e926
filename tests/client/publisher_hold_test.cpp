// PublisherSession: what is refused for now is held, and sent again in order after a pause.
#include "client/publisher_fixture.hpp"
#include "client/publisher_session.hpp"

namespace zabmq::client {
namespace {

using testing::PublisherFixture;
using testing::three_servers;
using testing::uuid;
using Strings = std::vector<std::string>;

}  // namespace

TEST_SUITE("client/publisher_hold") {
  TEST_CASE("busy -> the same batches again, in order, once all behind were refused as holes") {
    PublisherFixture f;
    f.open();
    f.put("1");
    f.put("2");
    f.take_sent();

    f.give(f.refusal(1, Code::busy));
    f.advance(1000);
    CHECK(f.sent.empty());  // a copy of 2 is still on its way
    f.put("3");
    CHECK(f.sent.empty());
    f.give(f.hole(2, 0));
    f.advance(Route::pause_max_ms);

    auto again = f.take_sent();
    REQUIRE(again.size() >= 2);
    CHECK(again[0].payloads == Strings{"1"});
    CHECK(again[1].payloads == Strings{"2"});
    CHECK(f.connects.size() == 1);
  }

  // Each of a full window's batches counted as a failure, and the next pause was a second.
  TEST_CASE("busy, and many holes behind it -> one pause, the shortest") {
    PublisherFixture f({.endpoints = three_servers, .publisher = uuid(7)}, {.body_bytes = 1});
    f.open();
    constexpr Sequence batches = 10;
    for (Sequence s = 1; s <= batches; ++s) f.put(std::to_string(s));
    REQUIRE(f.take_sent().size() == batches);

    f.give(f.refusal(1, Code::busy));
    for (Sequence s = 2; s <= batches; ++s) f.give(f.hole(s, 0));
    f.advance(Route::pause_min_ms);

    CHECK(f.take_sent().size() == batches);
  }

  // Found by review: each PONG ended the row of failures, and the window went out again and again.
  TEST_CASE("busy again and again -> pauses grow, though pings are answered, until all are taken") {
    PublisherFixture f;
    f.open();
    f.put("1", 60000);
    f.take_sent();
    std::size_t copies = 0;
    for (int ms = 0; ms < 10000; ms += 10) {
      if (copies == 0 || !f.take_sent().empty()) {
        ++copies;
        f.give(f.refusal(1, Code::busy));
      }
      f.give(wire::ServerPong{});
      f.advance(10);
    }
    CHECK(copies >= 10);
    CHECK(copies <= 25);

    f.advance(Route::pause_max_ms);
    f.give(f.receipt(1, 1, 1));
    f.put("2");
    f.take_sent();
    f.give(f.refusal(2, Code::busy));
    f.advance(Route::pause_min_ms);
    CHECK(f.take_sent().size() == 1);
  }
}

}  // namespace zabmq::client
