// History file tests: what was written is read, and no damaged file passes for a whole one.
#include "nemesis/engine/history_file.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "nemesis/temporary_directory.hpp"

namespace zabmq::nemesis {
namespace {

namespace fs = std::filesystem;
using Kind = sim::HistoryEvent::Kind;

constexpr sim::PublisherKey publisher{7};
constexpr sim::SubscriptionKey steady{1};
constexpr sim::SubscriptionKey last{2};

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replace(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::vector<RecordedEvent> read_all(const fs::path& path) {
  std::vector<RecordedEvent> events;
  HistoryReader reader(path);
  while (auto event = reader.next()) events.push_back(*event);
  return events;
}

RecordedEvent message(Kind kind, std::uint64_t time, Sequence sequence, std::uint64_t ticket) {
  RecordedEvent event;
  event.kind = kind;
  event.time = time;
  event.publisher = publisher;
  event.sequence = sequence;
  event.ticket = ticket;
  event.offset = sequence;
  event.zxid = {Epoch{1}, sequence};
  event.topic = "orders";
  event.payload_hash = ticket * 17;
  return event;
}

// Three messages, ticket n + 10 for sequence n, acknowledged, delivered and drained.
void write_histories(const fs::path& directory, bool with_drain = true) {
  HistoryWriter invocations(directory / "1-invocations.history");
  HistoryWriter outcomes(directory / "2-outcomes.history");
  HistoryWriter deliveries(directory / "3-deliveries.history");
  const auto subscription = [&](Kind kind, std::uint64_t time, sim::SubscriptionKey key) {
    RecordedEvent event;
    event.kind = kind;
    event.time = time;
    event.subscription = key;
    event.server = ServerId{1};
    event.offset = kind == Kind::subscribe ? 1 : 3;
    deliveries.add(event);
  };
  const auto deliver = [&](std::uint64_t time, sim::SubscriptionKey key, Sequence sequence) {
    RecordedEvent event = message(Kind::deliver, time, sequence, sequence + 10);
    event.sequence = 0;  // a subscriber knows only the ticket
    event.subscription = key;
    deliveries.add(event);
  };
  subscription(Kind::subscribe, 1, steady);
  for (Sequence s = 1; s <= 3; ++s) {
    invocations.add(message(Kind::invoke, 10 * s, s, s + 10));
    outcomes.add(message(Kind::acknowledge, 10 * s + 2, s, 0));
    deliver(10 * s + 1, steady, s);
  }
  subscription(Kind::end, 50, steady);
  subscription(Kind::subscribe, 51, last);
  for (Sequence s = 1; s <= 3; ++s) deliver(51 + s, last, s);
  if (with_drain) subscription(Kind::drain, 60, last);
}

}  // namespace

TEST_CASE("history file: every field comes back") {
  const TemporaryDirectory directory;
  RecordedEvent event = message(Kind::subscribe, 1'000'000'000'000, 5, 6);
  event.subscription = sim::SubscriptionKey{~std::uint64_t{0}};
  event.server = ServerId{3};
  event.first = 77;
  event.topics = {"a", "", "b"};
  {
    HistoryWriter writer(directory.path() / "x.history");
    writer.add(event);
    for (int i = 0; i < 10000; ++i) writer.add(message(Kind::invoke, event.time + 1, 9, 10));
  }

  const std::vector<RecordedEvent> events = read_all(directory.path() / "x.history");

  REQUIRE(events.size() == 10001);
  CHECK(events[0].kind == event.kind);
  CHECK(events[0].time == event.time);
  CHECK(events[0].publisher == event.publisher);
  CHECK(events[0].sequence == event.sequence);
  CHECK(events[0].ticket == event.ticket);
  CHECK(events[0].subscription == event.subscription);
  CHECK(events[0].server == event.server);
  CHECK(events[0].offset == event.offset);
  CHECK(events[0].first == event.first);
  CHECK(events[0].zxid == event.zxid);
  CHECK(events[0].payload_hash == event.payload_hash);
  CHECK(events[0].topic == event.topic);
  CHECK(events[0].topics == event.topics);
  CHECK(events[10000].time == event.time + 1);
}

TEST_CASE("history file: any byte changed is found") {
  const TemporaryDirectory directory;
  write_histories(directory.path());
  const fs::path path = directory.path() / "3-deliveries.history";
  const std::string good = content_of(path);
  REQUIRE(read_all(path).size() == 10);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    replace(path, bad);
    CAPTURE(i);
    CHECK_THROWS_AS(read_all(path), std::runtime_error);
  }
}

TEST_CASE("history file: any end cut off, and anything added, is found") {
  const TemporaryDirectory directory;
  write_histories(directory.path());
  const fs::path path = directory.path() / "3-deliveries.history";
  const std::string good = content_of(path);
  for (std::size_t size = 0; size < good.size(); ++size) {
    replace(path, good.substr(0, size));
    CAPTURE(size);
    CHECK_THROWS_AS(read_all(path), std::runtime_error);
  }
  replace(path, good + '\0');
  CHECK_THROWS_AS(read_all(path), std::runtime_error);
}

TEST_CASE("history file: files are merged by time, and tickets become sequences") {
  const TemporaryDirectory directory;
  write_histories(directory.path());

  const Judgement judgement = judge(directory.path());

  for (const auto& violation : judgement.checker.violations()) MESSAGE(violation.text);
  CHECK(judgement.checker.clean());
  CHECK(judgement.files == 3);
  CHECK(judgement.events == 16);
  CHECK(judgement.checker.counts().acknowledged == 3);
  CHECK(judgement.checker.counts().delivered == 6);
  CHECK(judgement.checker.losses().size() == 1);
}

TEST_CASE("history file: a history without a final drain is no verdict") {
  const TemporaryDirectory directory;
  CHECK_THROWS_AS(judge(directory.path()), std::runtime_error);
  const std::string missing = directory.path() / "missing";
  CHECK_THROWS_WITH(judge(missing), (missing + ": No such file or directory").c_str());
  write_histories(directory.path(), false);
  CHECK_THROWS_AS(judge(directory.path()), std::runtime_error);
}

TEST_CASE("history file: a recorded file left out is a violation") {
  const TemporaryDirectory directory;
  write_histories(directory.path());
  fs::remove(directory.path() / "1-invocations.history");
  CHECK_FALSE(judge(directory.path()).checker.clean());
}

}  // namespace zabmq::nemesis
