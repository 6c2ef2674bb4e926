// IntakeTest: windows, bodies, deadlines.
#include "client/intake.hpp"

#include <doctest/doctest.h>

#include "client/publisher_fixture.hpp"

namespace zabmq::client {
namespace {

using testing::bytes_of;
using testing::payloads_of;
using Strings = std::vector<std::string>;

Result<Sequence> take(Intake& intake, const std::string& payload, std::uint64_t deadline = 100) {
  Publisher::Done done = [](const Result<Receipt>&) {};
  return intake.take({.topic = "t", .payload = bytes_of(payload)}, done, deadline);
}

void fill(Intake& intake, std::size_t messages, const std::string& payload) {
  for (std::size_t i = 0; i < messages; ++i) REQUIRE(take(intake, payload));
}

}  // namespace

TEST_SUITE("client/intake") {
  TEST_CASE("bodies: closed when full, oldest first, sequences without holes") {
    Intake intake({.body_bytes = 20});
    fill(intake, 5, "x");  // 10 bytes each

    CHECK(intake.has_full_body());
    const BatchPtr one = intake.cut();
    const BatchPtr two = intake.cut();
    CHECK_FALSE(intake.has_full_body());
    const BatchPtr three = intake.cut();

    CHECK(one->first == 1);
    CHECK(one->count() == 2);
    CHECK(two->first == 3);
    CHECK(three->first == 5);
    CHECK(three->last() == 5);
    CHECK(intake.empty());
  }

  TEST_CASE("bodies: never over the batch's limits in bytes and messages") {
    Intake bytes({.body_bytes = 1000, .batch = {.payload_max = 100, .batch_max = 120}});
    REQUIRE(take(bytes, std::string(60, 'x')));
    REQUIRE(take(bytes, std::string(60, 'y')));
    CHECK(bytes.cut()->count() == 1);
    CHECK(bytes.cut()->count() == 1);

    Intake count({.window_messages = 200000, .body_bytes = 10 << 20, .batch = {1 << 20, 10 << 20}});
    fill(count, wire::batch_count_max + 1, "");
    CHECK(count.cut()->count() == wire::batch_count_max);
    CHECK(count.cut()->count() == 1);
  }

  TEST_CASE("too large: payload or message over the limit -> refused, no sequence taken") {
    Intake intake({.batch = {.payload_max = 10, .batch_max = 100}});
    const Result<Sequence> refused = take(intake, std::string(11, 'x'));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::too_large);
    CHECK(take(intake, std::string(10, 'x')).value() == 1);
  }

  TEST_CASE("a batch of its own: nothing joins it, sequences go on, one callback") {
    Intake intake({});
    fill(intake, 1, "a");
    int told = 0;
    Publisher::Done done = [&told](const Result<Receipt>&) { ++told; };
    const auto one = bytes_of("b");
    const std::vector<wire::BatchMessage> two(2, {.topic = "t", .payload = one});

    const Result<Sequence> taken = intake.take_batch(two, done, 100);
    fill(intake, 1, "c");

    CHECK(taken.value() == 2);
    CHECK(intake.cut()->count() == 1);
    const BatchPtr batch = intake.cut();
    CHECK(batch->first == 2);
    CHECK(payloads_of(batch->body) == Strings{"b", "b"});
    REQUIRE(batch->done.front());
    CHECK_FALSE(batch->done.back());
    CHECK(intake.cut()->first == 4);
  }

  TEST_CASE("a batch of its own: too large in any way -> none of it is taken") {
    Intake intake({.window_messages = 200000, .batch = {.payload_max = 10, .batch_max = 100}});
    Publisher::Done done;
    const auto small = bytes_of("b");
    const auto large = bytes_of(std::string(11, 'x'));
    const auto code_of = [&](const std::vector<wire::BatchMessage>& messages) {
      return intake.take_batch(messages, done, 100).error().code;
    };
    CHECK(code_of({{.topic = "t", .payload = small}, {.topic = "t", .payload = large}}) ==
          Code::too_large);
    CHECK(code_of(std::vector<wire::BatchMessage>(20, {.topic = "t", .payload = small})) ==
          Code::too_large);
    Intake wide({.window_messages = 200000, .batch = {1 << 20, 10 << 20}});
    const std::vector<wire::BatchMessage> many(wire::batch_count_max + 1, {.topic = "t"});
    CHECK(wide.take_batch(many, done, 100).error().code == Code::too_large);
    CHECK(intake.next_sequence() == 1);
    CHECK(intake.empty());
  }

  TEST_CASE("window: full in messages or bytes -> busy, released -> open again") {
    Intake messages({.window_messages = 2});
    fill(messages, 2, "x");
    CHECK(take(messages, "x").error().code == Code::busy);
    messages.release(*messages.cut());
    CHECK(take(messages, "x"));

    Intake bytes({.window_bytes = 25});
    fill(bytes, 2, "x");
    CHECK_FALSE(bytes.has_room(10));
    CHECK(take(bytes, "x").error().code == Code::busy);
    bytes.release(*bytes.cut());
    CHECK(take(bytes, std::string(1000, 'x')));  // alone, a message may be larger than the window
    CHECK_FALSE(take(bytes, "x"));
  }

  TEST_CASE("busy: the callback stays with the caller") {
    Intake intake({.window_messages = 1});
    fill(intake, 1, "x");
    Publisher::Done done = [](const Result<Receipt>&) {};
    REQUIRE_FALSE(intake.take({.topic = "t"}, done, 1));
    CHECK(done);
  }

  TEST_CASE("deadlines: of a batch, its first message's, never before that of an earlier batch") {
    Intake intake({.body_bytes = 1});
    REQUIRE(take(intake, "x", 500));
    REQUIRE(take(intake, "x", 100));
    CHECK(intake.cut()->deadline_ms == 500);
    CHECK(intake.deadline_ms() == 500);
  }

  TEST_CASE("wake: once, and only for what the session waits for") {
    Intake intake({.body_bytes = 20});
    intake.wake_on(Intake::WakeOn::message);
    REQUIRE(take(intake, "x"));
    CHECK(intake.take_wake());
    CHECK_FALSE(intake.take_wake());

    intake.wake_on(Intake::WakeOn::full_body);
    CHECK_FALSE(intake.take_wake());
    REQUIRE(take(intake, "x"));
    CHECK(intake.take_wake());
  }

  TEST_CASE("give up: everything comes out, in order, and the sequence goes back") {
    Intake intake({.window_messages = 3, .body_bytes = 20});
    fill(intake, 3, "x");
    const std::vector<BatchPtr> batches = intake.give_up(1);
    REQUIRE(batches.size() == 2);
    CHECK(batches[0]->first == 1);
    CHECK(batches[1]->first == 3);
    CHECK(take(intake, "y").value() == 1);
    CHECK(payloads_of(intake.cut()->body) == Strings{"y"});
  }
}

}  // namespace zabmq::client
