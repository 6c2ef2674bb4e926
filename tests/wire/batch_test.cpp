// BatchTest: the body's golden bytes, what the leader's walk refuses, topics, message headers.
#include "wire/batch.hpp"

#include <doctest/doctest.h>
#include <cstring>
#include <random>
#include <string>

namespace zabmq::wire {
namespace {

using Buffer = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Buffer body_of(std::initializer_list<std::pair<std::string_view, std::string_view>> messages) {
  Buffer body;
  for (const auto& [topic, payload] : messages) {
    append_message(body, {.topic = topic, .headers = {}, .payload = bytes_of(payload)});
  }
  return body;
}

const BatchLimits limits;

}  // namespace

TEST_SUITE("wire/batch") {
  TEST_CASE("body: two messages -> the golden bytes") {
    Buffer body;
    append_message(
        body, {.topic = "t", .headers = bytes_of("\x81\xa1k\xa1v"), .payload = bytes_of("pay")});
    append_message(body, {.topic = "up", .headers = {}, .payload = {}});

    const std::string golden(
        "\x03\0\0\0\x01\0\x05\0"
        "t"
        "\x81\xa1k\xa1v"
        "pay"
        "\0\0\0\0\x02\0\0\0"
        "up",
        27);
    CHECK(text_of(body) == golden);
    CHECK(valid_batch(body, 2, limits));
  }

  TEST_CASE("reader: a body -> its messages in order, then nothing") {
    const Buffer body = body_of({{"a", "first"}, {"b", ""}, {"a", "third"}});
    BatchReader reader(body);

    const auto one = reader.next();
    const auto two = reader.next();
    const auto three = reader.next();

    REQUIRE((one && two && three));
    CHECK(one->topic == "a");
    CHECK(text_of(one->payload) == "first");
    CHECK(two->topic == "b");
    CHECK(two->payload.empty());
    CHECK(text_of(three->payload) == "third");
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.next());
  }

  TEST_CASE("walk: a count that does not fit the body -> refused") {
    const Buffer body = body_of({{"a", "1"}, {"b", "2"}});

    CHECK(valid_batch(body, 2, limits));
    CHECK_FALSE(valid_batch(body, 0, limits));
    CHECK_FALSE(valid_batch(body, 1, limits));
    CHECK_FALSE(valid_batch(body, 3, limits));
    CHECK_FALSE(valid_batch({}, 0, limits));
    CHECK_FALSE(valid_batch({}, 1, limits));
  }

  TEST_CASE("walk: every truncation and any byte more -> refused") {
    Buffer body = body_of({{"topic", "payload"}, {"u", "v"}});
    for (std::size_t size = 0; size < body.size(); ++size) {
      CHECK_FALSE(valid_batch(Bytes(body).first(size), 2, limits));
    }
    body.push_back(std::byte{0});
    CHECK_FALSE(valid_batch(body, 2, limits));
  }

  TEST_CASE("walk: flags, which version 1 does not know -> refused") {
    Buffer body = body_of({{"a", "1"}});
    body[5] = std::byte{1};

    CHECK_FALSE(valid_batch(body, 1, limits));
  }

  TEST_CASE("walk: limits -> at them taken, above refused") {
    const BatchLimits tight{.payload_max = 4, .batch_max = 26};
    CHECK(valid_batch(body_of({{"a", "1234"}, {"b", "1234"}}), 2, tight));
    CHECK_FALSE(valid_batch(body_of({{"a", "12345"}}), 1, tight));
    CHECK_FALSE(valid_batch(body_of({{"a", "1234"}, {"bc", "1234"}}), 2, tight));

    Buffer many;
    for (std::uint32_t i = 0; i < batch_count_max; ++i) append_message(many, {.topic = "t"});
    CHECK(valid_batch(many, batch_count_max, limits));
    append_message(many, {.topic = "t"});
    CHECK_FALSE(valid_batch(many, batch_count_max + 1, limits));
  }

  TEST_CASE("walk: an invalid topic anywhere -> refused") {
    CHECK_FALSE(valid_batch(body_of({{"", "1"}}), 1, limits));
    CHECK_FALSE(valid_batch(body_of({{"a", "1"}, {"a*", "2"}}), 2, limits));
    CHECK_FALSE(valid_batch(body_of({{"a", "1"}, {"", "2"}, {"a", "3"}}), 3, limits));
  }

  TEST_CASE("topics: UTF-8 of 1 to 200 bytes without controls and '*'") {
    for (const char* good :
         {"a", "a/b", "prices eur", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x8d", "\xc2\xa0",
          "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
      CAPTURE(good);
      CHECK(valid_topic(good));
    }
    CHECK(valid_topic(std::string(200, 't')));
    CHECK_FALSE(valid_topic(std::string(201, 't')));
    CHECK_FALSE(valid_topic(""));
    for (const char* bad : {"*", "a/*", "a\n", "\x01", "\x7f", "\xc2\x80", "\xc2\x9f"}) {
      CAPTURE(bad);
      CHECK_FALSE(valid_topic(bad));
    }
    CHECK_FALSE(valid_topic(std::string_view("a\0b", 3)));
  }

  TEST_CASE("topic filters: a name, or its beginning and '*'") {
    for (const char* good : {"a", "a/*", "*", "\xc3\xa9*", "orders*"}) {
      CAPTURE(good);
      CHECK(valid_topic_filter(good));
    }
    for (const char* bad : {"", "**", "a*b", "*a", "a*/*", "\xc3*", "a\n*"}) {
      CAPTURE(bad);
      CHECK_FALSE(valid_topic_filter(bad));
    }
    CHECK(valid_topic_filter(std::string(199, 't') + "*"));
    CHECK_FALSE(valid_topic_filter(std::string(200, 't') + "*"));

    CHECK(matches("a", "a"));
    CHECK_FALSE(matches("a", "a/b"));
    CHECK(matches("a/*", "a/b"));
    CHECK(matches("a/*", "a/"));
    CHECK_FALSE(matches("a/*", "a"));
    CHECK_FALSE(matches("a/*", "b/a/"));
    CHECK(matches("*", "anything"));
  }

  TEST_CASE("UTF-8: overlong, surrogate, too great, cut or stray bytes -> refused") {
    for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                            "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                            "\xf0\x9f\x90", "\xff", "a\xc3(", "\xe2(\x82"}) {
      CAPTURE(bad);
      CHECK_FALSE(valid_utf8(bad));
      CHECK_FALSE(valid_topic(bad));
    }
    CHECK(valid_utf8(""));
    CHECK(valid_utf8("\n*"));
  }

  TEST_CASE("fuzz: mutated bodies -> what the walk takes, the reader reads whole") {
    std::uint64_t taken = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      std::mt19937_64 random(seed);
      for (int i = 0; i < 5000; ++i) {
        Buffer body = body_of({{"orders", "payload"}, {"p", ""}, {"orders", "x"}});
        for (std::uint64_t edits = random() % 3; edits > 0; --edits) {
          body[random() % body.size()] = static_cast<std::byte>(random() % 9);
        }
        const auto count = static_cast<std::uint32_t>(random() % 5);
        if (!valid_batch(body, count, limits)) continue;
        ++taken;
        BatchReader reader(body);
        std::uint32_t messages = 0;
        std::size_t size = 0;
        while (const auto message = reader.next()) {
          ++messages;
          size += encoded_size(*message);
          CHECK(valid_topic(message->topic));
        }
        CHECK(messages == count);
        CHECK(size == body.size());
      }
    }
    CHECK(taken > 100);
  }
}

TEST_SUITE("wire/headers") {
  TEST_CASE("headers: a list -> a msgpack map in the same order, and back") {
    const HeaderList headers = {{"b", "2"}, {"a", std::string("1\0", 2)}, {"b", ""}};

    const auto bytes = encode_headers(headers);

    REQUIRE(bytes);
    CHECK(text_of(*bytes) == std::string("\x83\xa1"
                                         "b\xa1"
                                         "2\xa1"
                                         "a\xa2"
                                         "1\0\xa1"
                                         "b\xa0",
                                         13));
    CHECK(decode_headers(*bytes) == headers);
  }

  TEST_CASE("headers: none -> no bytes, and back") {
    CHECK(encode_headers({}) == Buffer{});
    CHECK(decode_headers({}) == HeaderList{});
  }

  TEST_CASE("headers: over a limit -> refused") {
    CHECK(encode_headers(HeaderList(header_entries_max, {"k", "v"})));
    CHECK_FALSE(encode_headers(HeaderList(header_entries_max + 1, {"k", "v"})));
    // One map byte, two name bytes, three for the value's length.
    CHECK(encode_headers({{"k", std::string(message_headers_max - 6, 'v')}}));
    CHECK_FALSE(encode_headers({{"k", std::string(message_headers_max - 5, 'v')}}));
  }

  TEST_CASE("headers: bytes that are no map of texts -> refused") {
    for (const std::string_view bad :
         {std::string_view("\x90", 1), std::string_view("\x81\xa1k", 3),
          std::string_view("\x81\xa1k\x01", 4), std::string_view("\x81\x01\xa1v", 4),
          std::string_view("\x80\x80", 2), std::string_view("\xdf\xff\xff\xff\xff", 5),
          std::string_view("\x81\xa1k\x81\xa1k\xa1v", 7)}) {
      CHECK_FALSE(decode_headers(bytes_of(bad)));
    }
    CHECK(decode_headers(bytes_of(std::string_view("\x80", 1))) == HeaderList{});
  }
}

}  // namespace zabmq::wire
