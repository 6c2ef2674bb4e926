// BenchTest: what `zabmq bench` counts, says and draws.
#include <doctest/doctest.h>

#include <string>

#include "cli/bench_meter.hpp"
#include "cli/bench_report.hpp"
#include "cli/progress.hpp"

namespace zabmq::cli {

namespace {

using std::chrono::milliseconds;

struct Timed {
  const BenchClock::time_point begin{milliseconds{1000}};
  const BenchTimes times{begin, begin + milliseconds{100}, begin + milliseconds{200}};
  BenchMeter meter{times};

  void record(int intended_ms, int done_ms) {
    meter.record(begin + milliseconds{intended_ms}, begin + milliseconds{done_ms}, 10);
  }
};

BenchResult four_messages() {
  BenchResult result{.messages = 4, .bytes = 400, .seconds = 2, .latency_us = Histogram{}};
  for (const std::uint64_t latency : {10, 20, 30, 40}) result.latency_us->record(latency);
  return result;
}

Environment some_environment() {
  return {.version = "1.2.3",
          .commit = "abc",
          .cpu = "A CPU",
          .cores = 2,
          .kernel = "Linux 6",
          .servers = 3,
          .durability = "fsync"};
}

}  // namespace

TEST_SUITE("cli/bench") {
  TEST_CASE("meter: warm-up -> not counted, its latencies not either") {
    Timed timed;
    timed.record(0, 50);
    timed.record(90, 110);  // done in the measured time, intended before it

    const BenchMeter::Total total = timed.meter.total();
    CHECK(total.messages == 1);
    CHECK(total.bytes == 10);
    CHECK(total.latency_us.count() == 0);
  }

  TEST_CASE("meter: due before the end and done after it -> its latency counts, it does not") {
    Timed timed;
    timed.record(190, 290);

    const BenchMeter::Total total = timed.meter.total();
    CHECK(total.messages == 0);
    CHECK(total.latency_us.count() == 1);
    CHECK(total.latency_us.max() == 100'000);
  }

  TEST_CASE("meter: an interval -> everything since the last one, warm-up too") {
    Timed timed;
    timed.record(0, 1);
    timed.record(120, 121);
    BenchMeter::Interval first;
    timed.meter.move_interval_to(first);
    CHECK(first.messages == 2);
    CHECK(first.latency_us.count() == 2);

    BenchMeter::Interval second;
    timed.meter.move_interval_to(second);
    CHECK(second.messages == 0);
  }

  TEST_CASE("json: the fields of the last line") {
    BenchArguments arguments;
    arguments.rate = 2.5;

    CHECK(json_line(arguments, four_messages(), some_environment()) ==
          R"({"messages_per_second":2,"megabytes_per_second":0.0,)"
          R"("latency_us":{"p50":20,"p90":40,"p99":40,"p999":40,"max":40},"messages":4,)"
          R"("seconds":2.0,"mode":"pub","size":100,"window":8192,"rate":2.5,"publishers":1,)"
          R"("readers":null,"durability":"fsync","environment":{"version":"1.2.3",)"
          R"("commit":"abc","cpu":"A CPU","cores":2,"kernel":"Linux 6","servers":3,)"
          R"("durability":"fsync"}})"
          "\n");
  }

  TEST_CASE("json: reading -> no latency, no load") {
    BenchArguments arguments;
    arguments.mode = BenchMode::sub;
    arguments.readers = 20;
    BenchResult result = four_messages();
    result.latency_us.reset();

    const std::string line = json_line(arguments, result, some_environment());
    CHECK(line.find(R"("latency_us":null)") != line.npos);
    CHECK(line.find(R"("window":null)") != line.npos);
    CHECK(line.find(R"("readers":20)") != line.npos);
  }

  TEST_CASE("summary: rate, latencies, load, servers, durability and machine") {
    const std::string text = summary(BenchArguments{}, four_messages(), some_environment());
    for (const char* part :
         {"4 messages in 2.00 s: 2 messages/s", "p50 0.02", "p90 0.04", "max 0.04",
          "1 publishers, window 8192, 100 bytes", "3 servers, durability fsync",
          "A CPU, 2 cores, Linux 6", "zabmq 1.2.3, commit abc"}) {
      CAPTURE(part);
      CHECK(text.find(part) != text.npos);
    }
  }

  TEST_CASE("left behind: how much, which topic, how to get rid of it") {
    BenchResult result = four_messages();
    result.bytes = 12'300'000;
    const std::string text = left_behind(BenchArguments{}, result);
    for (const char* part : {"12 MB", "topic 'bench'", "retention", "remove its directory\n"}) {
      CAPTURE(part);
      CHECK(text.find(part) != text.npos);
    }
  }

  TEST_CASE("interval line: latencies only when there are any, warm-up is named") {
    BenchMeter::Interval interval;
    interval.messages = 1234;
    CHECK(interval_line(3, false, interval) == "   3 s        1234 messages/s");
    interval.latency_us.record(1500);
    CHECK(interval_line(1, true, interval) ==
          "   1 s        1234 messages/s  p50 1.50 ms  p99 1.50 ms  (warm-up)");
  }

  TEST_CASE("bar: empty, half, full, never longer") {
    CHECK(bar(0, 4) == "[----]   0 %");
    CHECK(bar(0.5, 4) == "[##--]  50 %");
    CHECK(bar(1, 4) == "[####] 100 %");
    CHECK(bar(7, 4) == "[####] 100 %");
  }

  TEST_CASE("cpu model: the first one that is named, else unknown") {
    CHECK(cpu_model("processor\t: 0\nmodel name\t: A CPU @ 3 GHz\nflags\t: a\n") ==
          "A CPU @ 3 GHz");
    CHECK(cpu_model("processor\t: 0\n") == "unknown");
    CHECK(cpu_model("") == "unknown");
  }
}

}  // namespace zabmq::cli
