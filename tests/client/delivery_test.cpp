// DeliveryTest: what a DELIVER frame may hold, and walking it.
#include "client/delivery.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "client/record_builder.hpp"

namespace zabmq::client {
namespace {

using testing::RecordBuilder;
using testing::slice_of;
using testing::TopicAndPayload;

std::vector<std::string> all(MessageCursor& cursor) {
  std::vector<std::string> texts;
  while (const Message* message = cursor.next()) {
    texts.push_back(std::to_string(message->offset) + " " + std::string(message->topic) + " " +
                    std::string(message->text()));
  }
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_SUITE("client/delivery") {
  TEST_CASE("records: whole, in order, up to what was announced -> nothing wrong") {
    const Slice records = RecordBuilder(5).batch_of(3).no_op().batch_of(2).take();
    CHECK_FALSE(wrong_with_records(records.bytes(), 5, 9, false));
    CHECK_FALSE(wrong_with_records({}, 5, 4, false));
    CHECK_FALSE(wrong_with_records(RecordBuilder(5).no_op().take().bytes(), 5, 4, false));
  }

  TEST_CASE("records: a gap, a repetition, too few or too many -> told") {
    const Slice records = RecordBuilder(5).batch_of(3).take();
    CHECK(wrong_with_records(records.bytes(), 4, 7, false));
    CHECK(wrong_with_records(records.bytes(), 6, 7, false));
    CHECK(wrong_with_records(records.bytes(), 5, 6, false));
    CHECK(wrong_with_records(records.bytes(), 5, 8, false));
    std::vector<std::byte> twice = RecordBuilder(5).batch_of(1).bytes();
    const std::vector<std::byte> again = twice;
    twice.insert(twice.end(), again.begin(), again.end());
    CHECK(wrong_with_records(twice, 5, 5, false));
  }

  TEST_CASE("records: only the first batch may begin below the start, and must reach it") {
    const Slice records = RecordBuilder(5).batch_of(3).batch_of(1).take();
    CHECK_FALSE(wrong_with_records(records.bytes(), 7, 8, true));
    CHECK(wrong_with_records(records.bytes(), 7, 8, false));
    CHECK(wrong_with_records(RecordBuilder(5).batch_of(2).take().bytes(), 7, 6, true));
  }

  TEST_CASE("records: any flipped bit -> told") {
    const std::vector<std::byte> good = RecordBuilder().batch({{"t", "payload"}}).no_op().bytes();
    REQUIRE_FALSE(wrong_with_records(good, 1, 1, false));
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      CHECK(wrong_with_records(bad, 1, 1, false));
    }
  }

  TEST_CASE("records: cut anywhere inside one -> told") {
    const std::vector<std::byte> good = RecordBuilder().batch({{"t", "payload"}}).bytes();
    for (std::size_t size = 0; size < good.size(); ++size) {
      CHECK(wrong_with_records(Bytes(good).first(size), 1, 1, false));
    }
  }

  TEST_CASE("cursor: the messages with their offsets, zxids and times, other records skipped") {
    RecordBuilder builder(5);
    builder.no_op().batch({{"a", "1"}, {"b", "2"}}).no_op().batch({{"c", ""}});
    MessageCursor cursor({});

    cursor.start({.records = builder.take(), .first = 5, .last = 7});

    const Message* one = cursor.next();
    REQUIRE(one);
    CHECK(one->offset == 5);
    CHECK(one->zxid == Zxid{Epoch{1}, 2});
    CHECK(one->time == 1'000'002);
    CHECK(one->headers.empty());
    CHECK(cursor.next_offset() == 6);
    CHECK(all(cursor) == Texts{"6 b 2", "7 c "});
    CHECK(cursor.next_offset() == 8);
    CHECK_FALSE(cursor.malformed());
  }

  TEST_CASE("cursor: only what lies between first and last") {
    MessageCursor cursor({});
    cursor.start(
        {.records = RecordBuilder(1).batch_of(4).batch_of(4).take(), .first = 3, .last = 6});
    CHECK(all(cursor) == Texts{"3 t 3", "4 t 4", "5 t 5", "6 t 6"});
    CHECK(cursor.next_offset() == 7);
  }

  TEST_CASE("cursor: topics -> the others are left out while the resume point moves") {
    const std::vector<TopicAndPayload> messages = {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"b", "4"}};
    MessageCursor cursor({"b", "c"});
    cursor.start({.records = RecordBuilder().batch(messages).batch({{"a", "5"}}).take(),
                  .first = 1,
                  .last = 5});
    CHECK(all(cursor) == Texts{"2 b 2", "3 c 3", "4 b 4"});
    CHECK(cursor.next_offset() == 6);
  }

  TEST_CASE("cursor: prefixes of topics, several at once") {
    const std::vector<TopicAndPayload> messages = {
        {"orders/eu", "1"}, {"orders", "2"}, {"prices", "3"}, {"orders/us", "4"}, {"price", "5"}};
    MessageCursor cursor({"orders/*", "price"});
    cursor.start({.records = RecordBuilder().batch(messages).take(), .first = 1, .last = 5});
    CHECK(all(cursor) == Texts{"1 orders/eu 1", "4 orders/us 4", "5 price 5"});
    CHECK(cursor.next_offset() == 6);
  }

  TEST_CASE("cursor: what is older than the start's time is left out") {
    const Slice records = RecordBuilder().batch_of(2).batch_of(2).take();
    RecordHeader second;
    const auto first = parse_record(records.bytes());
    REQUIRE(first);
    second = *parse_record(records.bytes().subspan(record_size(first->body_size)));
    REQUIRE(second.time > first->time);
    MessageCursor cursor({});
    cursor.start({.records = records, .first = 1, .last = 4, .since = second.time});
    CHECK(all(cursor) == Texts{"3 t 3", "4 t 4"});
    CHECK(cursor.next_offset() == 5);
  }

  TEST_CASE("cursor: a body that is no batch though its checksum fits -> malformed") {
    RecordBuilder builder;
    builder.add(RecordKind::batch, std::vector<std::byte>(20, std::byte{0xff}), 2);
    MessageCursor cursor({});
    cursor.start({.records = builder.take(), .first = 1, .last = 2});
    CHECK_FALSE(cursor.next());
    CHECK(cursor.malformed());
  }

  TEST_CASE("cursor: a new delivery begins anew") {
    MessageCursor cursor({});
    cursor.start({.records = RecordBuilder(1).batch_of(3).take(), .first = 1, .last = 3});
    REQUIRE(cursor.next());
    cursor.start({.records = RecordBuilder(4).batch_of(1).take(), .first = 4, .last = 4});
    CHECK(all(cursor) == Texts{"4 t 4"});
  }
}

}  // namespace zabmq::client
