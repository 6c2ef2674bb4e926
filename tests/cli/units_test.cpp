// UnitsTest: every word that a flag takes, and those that it does not.
#include "cli/units.hpp"

#include <doctest/doctest.h>

namespace zabmq::cli {

TEST_SUITE("cli/units") {
  TEST_CASE("duration: milliseconds, seconds, minutes, hours") {
    CHECK(parse_duration("500ms") == Millis{500});
    CHECK(parse_duration("5s") == Millis{5000});
    CHECK(parse_duration("1m") == Millis{60000});
    CHECK(parse_duration("24h") == duration_max);
    CHECK(parse_duration("1d") == duration_max);
  }

  TEST_CASE("duration: no unit, no number, nothing, too long, more than a word -> refused") {
    for (const char* text : {"", "5", "s", "0s", "0ms", "-1s", "+1s", "1.5s", "5 s", "5sec", "25h",
                             "2d", "5S", "99999999999999999999s", "18446744073709551615h"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_duration(text));
    }
  }

  TEST_CASE("size: bytes and binary units") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("100") == 100);
    CHECK(parse_size("7B") == 7);
    CHECK(parse_size("64KiB") == 65536);
    CHECK(parse_size("1MiB") == 1048576);
    CHECK(parse_size("2GiB") == 2147483648);
    for (const char* text : {"", "KiB", "1K", "1kb", "1.5KiB", "-1", "99999999999GiB"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_size(text));
    }
  }

  TEST_CASE("number: the bounds belong to it") {
    CHECK(parse_number("1", 1, 9) == 1);
    CHECK(parse_number("9", 1, 9) == 9);
    CHECK_FALSE(parse_number("0", 1, 9));
    CHECK_FALSE(parse_number("10", 1, 9));
    CHECK(parse_number("18446744073709551615", 0) == UINT64_MAX);
    CHECK_FALSE(parse_number("18446744073709551616", 0));
    CHECK_FALSE(parse_number("1 ", 0));
    CHECK_FALSE(parse_number("0x1", 0));
  }

  TEST_CASE("rate: positive decimal numbers") {
    CHECK(parse_rate("5000") == 5000.0);
    CHECK(parse_rate("0.5") == 0.5);
    for (const char* text : {"", "0", "-1", "nan", "inf", "1e3", "5/s", "10000000000"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_rate(text));
    }
  }

  TEST_CASE("from: first, new, an offset, a zxid") {
    CHECK(std::holds_alternative<FromFirst>(*parse_from("first", 0)));
    CHECK(std::holds_alternative<FromNew>(*parse_from("new", 0)));
    CHECK(std::get<FromOffset>(*parse_from("1001", 0)).offset == 1001);
    CHECK(std::get<FromZxidStart>(*parse_from("zxid:7.42", 0)).zxid == Zxid{Epoch{7}, 42});
    for (const char* text :
         {"", "0", "last", "First", "-10", "zxid:", "zxid:7", "zxid:7.", "zxid:.42", "zxid:7.42.1",
          "zxid:4294967296.1", "zxid 7.42", "time:10m", "time:-10"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_from(text, 0));
    }
  }

  TEST_CASE("endpoint: tcp, a host and a port") {
    CHECK(is_endpoint("tcp://127.0.0.1:9470"));
    CHECK(is_endpoint("tcp://[::1]:1"));
    CHECK(is_endpoint("tcp://some.host:65535"));
    for (const char* text : {"", "127.0.0.1:9470", "tcp://127.0.0.1", "tcp://:9470", "tcp://a:0",
                             "tcp://a:65536", "tcp://a:", "ipc:///x", "tcp://a:9470x"}) {
      CAPTURE(text);
      CHECK_FALSE(is_endpoint(text));
    }
  }

  TEST_CASE("header: the first equals sign divides") {
    CHECK(parse_header("k=v") == std::pair<std::string, std::string>("k", "v"));
    CHECK(parse_header("k=a=b") == std::pair<std::string, std::string>("k", "a=b"));
    CHECK(parse_header("k=") == std::pair<std::string, std::string>("k", ""));
    CHECK_FALSE(parse_header("k"));
    CHECK_FALSE(parse_header("=v"));
    CHECK_FALSE(parse_header(""));
  }

  TEST_CASE("utf-8: well-formed only") {
    for (const char* text : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                             "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"}) {
      CAPTURE(text);
      CHECK(is_utf8(text));
    }
    for (const char* text :
         {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80",
          "\xf4\x90\x80\x80", "\xff", "\xe2\x82", "a\xc3(", "\xf8\x88\x80\x80\x80"}) {
      CHECK_FALSE(is_utf8(text));
    }
  }

  TEST_CASE("time: RFC 3339 in any zone, or so long ago") {
    constexpr LogTime hour = 3'600'000'000;
    constexpr LogTime noon = 1'764'072'000'000'000;  // 2025-11-25T12:00:00Z
    CHECK(parse_time("2025-11-25T12:00:00Z", 0) == noon);
    CHECK(parse_time("2025-11-25T13:00:00+01:00", 0) == noon);
    CHECK(parse_time("2025-11-25T06:30:00-05:30", 0) == noon);
    CHECK(parse_time("2025-11-25T12:00:00.25Z", 0) == noon + 250'000);
    CHECK(parse_time("2025-11-25T12:00:00.1234567Z", 0) == noon + 123'456);
    CHECK(parse_time("1970-01-01T00:00:00Z", 0) == 0);
    CHECK(parse_time("2025-11-25", 0) == noon - 12 * hour);
    CHECK_FALSE(parse_time("2025-13-25", 0));
    CHECK(parse_time("-1h", noon) == noon - hour);
    CHECK(parse_time("-1h", 5) == 0);
    CHECK(parse_time("-48h", noon) == noon - 48 * hour);
    CHECK(parse_time("-7d", noon) == noon - 7 * 24 * hour);
    CHECK(parse_time("-18446744073709551615ms", noon) == 0);
    for (const char* bad :
         {"", "-", "-10", "-0d", "-99999999999999999999d", "10m", "2025-11-25T12:00:00",
          "2025-11-25 12:00:00Z", "2025-02-30T12:00:00Z", "2025-11-25T12:00:00.Z",
          "2025-11-25T12:00:00+1:00", "1969-12-31T23:59:59Z", "now"}) {
      CAPTURE(bad);
      CHECK_FALSE(parse_time(bad, noon));
    }
    CHECK(std::get<FromTime>(*parse_from("time:-1h", noon)).time == noon - hour);
    CHECK_FALSE(parse_from("time:", noon));
  }

  TEST_CASE("topic: 1 to 200 bytes of UTF-8 without control characters and '*'") {
    CHECK(topic_problem("orders").empty());
    CHECK(topic_problem("gr\xc3\xbc\xc3\x9f"
                        "e/heute")
              .empty());
    CHECK(topic_problem(std::string(200, 'a')).empty());
    CHECK_FALSE(topic_problem("").empty());
    CHECK_FALSE(topic_problem(std::string(201, 'a')).empty());
    CHECK_FALSE(topic_problem("a\nb").empty());
    CHECK_FALSE(topic_problem("\x7f").empty());
    CHECK_FALSE(topic_problem("\xff").empty());
    CHECK_FALSE(topic_problem("a/*").empty());
  }

  TEST_CASE("topic filter: a topic, or its beginning and '*'") {
    for (const char* good : {"orders", "orders/*", "*"}) CHECK(topic_filter_problem(good).empty());
    for (const char* bad : {"", "*a", "**", "a\n*", "\xff*"}) {
      CAPTURE(bad);
      CHECK_FALSE(topic_filter_problem(bad).empty());
    }
    CHECK_FALSE(topic_filter_problem(std::string(200, 'a') + "*").empty());
  }
}

}  // namespace zabmq::cli
