// SocketTest: Publisher, Subscriber and cluster_status over real sockets, against fake servers.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "client/fake_server.hpp"
#include "zabmq/admin.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq {
namespace {

using client::testing::FakeCluster;
using client::testing::FakeServer;
using Strings = std::vector<std::string>;

constexpr Millis long_enough{20000};  // a bound, not a wait

struct Cluster {
  std::shared_ptr<FakeCluster> state = std::make_shared<FakeCluster>();
  std::unique_ptr<FakeServer> server = std::make_unique<FakeServer>(state);
  std::unique_ptr<FakeServer> second = std::make_unique<FakeServer>(state);

  Cluster() {
    second->id = 2;
    server->lead();
  }
  Strings endpoints() const { return {server->endpoint(), second->endpoint()}; }
  PublisherOptions publisher() const {
    PublisherOptions options;
    options.endpoints = endpoints();
    options.timeout = long_enough;
    return options;
  }
  SubscriberOptions subscriber(From from = first()) const {
    SubscriberOptions options;
    options.endpoints = endpoints();
    options.timeout = long_enough;
    options.from = from;
    return options;
  }
};

Strings numbers(int from, int to) {
  Strings list;
  for (int i = from; i <= to; ++i) list.push_back(std::to_string(i));
  return list;
}

Error error_of(std::future<Receipt> future) {
  try {
    future.get();
  } catch (const Error& error) {
    return error;
  }
  FAIL("it was acknowledged");
  return {Code::protocol, Outcome::no, ""};
}

std::string take(Subscriber& subscriber) {
  const Message* message = subscriber.next(long_enough);
  REQUIRE(message);
  return std::string(message->text());
}

Strings take(Subscriber& subscriber, std::size_t count) {
  Strings texts;
  while (texts.size() < count) texts.push_back(take(subscriber));
  return texts;
}

}  // namespace

TEST_SUITE("client/sockets") {
  TEST_CASE("publish and subscribe: the same messages in the same order, with headers") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    Subscriber subscriber(cluster.subscriber());

    std::future<Receipt> one = publisher.publish("a", "1", {.headers = {{"k", "v"}}});
    std::future<Receipt> two = publisher.publish("b", "2");
    const Receipt receipt = one.get();
    CHECK(receipt.offset == 1);
    CHECK(receipt.sequence == 1);
    CHECK(two.get().offset == 2);

    const Message* message = subscriber.next(long_enough);
    REQUIRE(message);
    CHECK(message->offset == 1);
    CHECK(message->topic == "a");
    CHECK(message->text() == "1");
    CHECK(message->zxid == receipt.zxid);
    CHECK(decode_headers(message->headers) == Headers{{"k", "v"}});
    CHECK(take(subscriber) == "2");
    CHECK(subscriber.next_offset() == 3);
    CHECK(publisher.flush(long_enough));
  }

  TEST_CASE("publisher: many messages, callbacks in order, receipts match the log") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    std::atomic<int> done{0};
    std::atomic<bool> in_order{true};
    constexpr int count = 20000;
    for (int i = 1; i <= count; ++i) {
      const std::string payload = std::to_string(i);
      const Bytes bytes{reinterpret_cast<const std::byte*>(payload.data()), payload.size()};
      const auto callback = [&, i](const Result<Receipt>& result) {
        const bool fits = result && result.value().offset == static_cast<Offset>(i) && ++done == i;
        if (!fits) in_order = false;
      };
      while (!publisher.try_publish("t", bytes, callback)) std::this_thread::yield();
    }
    CHECK(publisher.flush(long_enough));
    CHECK(done == count);
    CHECK(in_order);
    CHECK(cluster.state->payloads() == numbers(1, count));
  }

  TEST_CASE("publisher: from several threads -> each thread's messages in its order") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&publisher, t] {
        for (int i = 0; i < 500; ++i) {
          publisher.publish("t", std::to_string(t) + " " + std::to_string(i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(publisher.flush(long_enough));
    std::vector<int> next(4, 0);
    for (const std::string& payload : cluster.state->payloads()) {
      const auto t = static_cast<std::size_t>(payload[0] - '0');
      CHECK(std::stoi(payload.substr(2)) == next[t]++);
    }
    CHECK(next == std::vector<int>(4, 500));
  }

  TEST_CASE("publisher: the leader is killed -> the next one, nothing lost, nothing twice") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    publisher.publish("t", "1").get();
    cluster.server->forget_answers = true;
    std::vector<std::future<Receipt>> futures;
    for (int i = 2; i <= 100; ++i) futures.push_back(publisher.publish("t", std::to_string(i)));
    while (cluster.state->payloads().size() < 2) std::this_thread::yield();

    cluster.second->lead();
    cluster.server.reset();

    for (auto& future : futures) CHECK_NOTHROW(future.get());
    CHECK(cluster.state->payloads() == numbers(1, 100));
    CHECK(publisher.instance() == 1);
  }

  TEST_CASE("publisher: restarted server does not know the connection -> all goes on") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    publisher.publish("t", "1").get();
    const std::string endpoint = cluster.server->endpoint();
    cluster.server.reset();
    std::future<Receipt> future = publisher.publish("t", "2");
    cluster.server = std::make_unique<FakeServer>(cluster.state, endpoint);
    CHECK(future.get().offset == 2);
  }

  TEST_CASE("publisher: nobody there -> unavailable at the time-out, not later, not never") {
    PublisherOptions options;
    options.endpoints = {"tcp://127.0.0.1:1"};
    options.timeout = Millis{300};
    const auto begin = std::chrono::steady_clock::now();
    try {
      const Publisher publisher(options);
      FAIL("it opened");
    } catch (const Error& error) {
      CHECK(error.code == Code::unavailable);
      CHECK(error.outcome == Outcome::no);
      CHECK(std::string(error.what()).find("127.0.0.1:1") != std::string::npos);
    }
    // The deadline is counted in whole milliseconds.
    CHECK(std::chrono::steady_clock::now() - begin >= Millis{299});
  }

  TEST_CASE("publisher: impossible endpoints -> a clear error") {
    PublisherOptions options;
    options.timeout = Millis{200};
    options.endpoints = {"nonsense"};
    CHECK_THROWS_AS(Publisher{options}, Error);
    options.endpoints = {};
    CHECK_THROWS_AS(Publisher{options}, Error);
  }

  TEST_CASE("publisher: no answer -> unknown outcome, retry() -> the receipt, then it goes on") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    cluster.server->forget_answers = true;
    const Error error = error_of(publisher.publish("t", "1", {.timeout = Millis{200}}));
    CHECK(error.code == Code::unknown_outcome);
    CHECK(error.outcome == Outcome::maybe);
    CHECK(error.sequence == 1);
    CHECK_FALSE(publisher.flush(long_enough));
    CHECK(error_of(publisher.publish("t", "2")).code == Code::refused);
    CHECK_THROWS_AS(publisher.retry(1, Millis{100}), Error);

    cluster.server->forget_answers = false;
    cluster.second->lead();
    cluster.server.reset();
    CHECK(publisher.retry(1, long_enough).offset == 1);
    CHECK(publisher.publish("t", "3").get().sequence == 2);
    CHECK(cluster.state->payloads() == Strings{"1", "3"});
  }

  TEST_CASE("publisher: invalid messages -> told at once, no sequence taken") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    CHECK(error_of(publisher.publish("", "x")).code == Code::protocol);
    CHECK(error_of(publisher.publish("a*", "x")).code == Code::protocol);
    CHECK(error_of(publisher.publish("t", std::string((1 << 20) + 1, 'x'))).code ==
          Code::too_large);
    const Headers huge = {{"k", std::string(70000, 'v')}};
    CHECK(error_of(publisher.publish("t", "x", {.headers = huge})).code == Code::too_large);
    CHECK(publisher.publish("t", std::string(1 << 20, 'x')).get().sequence == 1);
  }

  TEST_CASE("publisher: a full window -> try_publish is busy, publish waits, or gives up in time") {
    Cluster cluster;
    PublisherOptions options = cluster.publisher();
    options.window_messages = 2;
    Publisher publisher(options);
    cluster.server->paused = true;
    std::future<Receipt> one = publisher.publish("t", "1");
    std::future<Receipt> two = publisher.publish("t", "2");
    const Result<Sequence> third = publisher.try_publish("t", {}, nullptr);
    REQUIRE_FALSE(third);
    CHECK(third.error().code == Code::busy);
    const Error waited = error_of(publisher.publish("t", "3", {.timeout = Millis{100}}));
    CHECK(waited.code == Code::unavailable);
    CHECK(waited.outcome == Outcome::no);

    cluster.server->paused = false;

    CHECK(publisher.publish("t", "4").get().sequence == 3);
    CHECK(two.get().offset == 2);
    CHECK(one.get().offset == 1);
  }

  TEST_CASE("publisher: destroyed with messages unacknowledged -> each call has an outcome") {
    Cluster cluster;
    std::future<Receipt> sent;
    {
      Publisher publisher(cluster.publisher());
      cluster.server->forget_answers = true;
      sent = publisher.publish("t", "1");
      while (cluster.state->payloads().empty()) std::this_thread::yield();
    }
    CHECK(error_of(std::move(sent)).code == Code::unknown_outcome);
  }

  TEST_CASE("publisher: a session file -> the sequence goes on after a restart") {
    std::string name = std::filesystem::temp_directory_path() / "zabmq-socket-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    Cluster cluster;
    PublisherOptions options = cluster.publisher();
    options.session_file = name + "/session";
    Uuid id;
    {
      Publisher publisher(options);
      id = publisher.id();
      CHECK(publisher.resumed_after() == 0);
      CHECK_THROWS_AS(Publisher{options}, Error);  // in use
      publisher.publish("t", "1").get();
      publisher.publish("t", "2").get();
    }
    {
      Publisher publisher(options);
      CHECK(publisher.id() == id);
      CHECK(publisher.resumed_after() == 2);
      CHECK(publisher.instance() == 2);
      CHECK(publisher.publish("t", "3").get().sequence == 3);
    }
    {
      const std::lock_guard lock(cluster.state->mutex);
      cluster.state->publishers.clear();  // the cluster has forgotten it
    }
    try {
      const Publisher publisher(options);
      FAIL("it opened");
    } catch (const Error& error) {
      CHECK(error.code == Code::expired);
    }
    std::filesystem::remove_all(name);
  }

  TEST_CASE("publisher: skip -> only what was taken, compared as far as the file knows it") {
    std::string name = std::filesystem::temp_directory_path() / "zabmq-socket-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    Cluster cluster;
    PublisherOptions options = cluster.publisher();
    options.session_file = name + "/session";
    {
      Publisher publisher(options);
      CHECK_FALSE(publisher.skip("t", "1"));
      for (const char* payload : {"1", "2", "3"}) publisher.publish("t", payload).get();
      // What a kill -9 would leave: noted whenever it has doubled.
      std::filesystem::copy_file(name + "/session", name + "/killed");
    }
    for (const char* third : {"3", "other"}) {
      options.session_file = name + "/session";
      Publisher publisher(options);
      CHECK(publisher.compared_until() == 3);
      CHECK(publisher.skip("t", "1"));
      CHECK(publisher.skip("t", "2"));
      if (third == std::string("other")) {
        CHECK_THROWS_AS(publisher.skip("t", third), UsageError);
        CHECK_THROWS_AS(publisher.skip("t", third), UsageError);  // it stays so
      } else {
        CHECK(publisher.skip("t", third));
        CHECK_FALSE(publisher.skip("t", "4"));
      }
    }
    options.session_file = name + "/killed";
    for (int run = 0; run < 2; ++run) {  // the refusal leaves the file as it was
      Publisher publisher(options);
      CHECK(publisher.resumed_after() == 3);
      CHECK(publisher.compared_until() == 2);
      CHECK(publisher.skip("t", "1"));
      CHECK_THROWS_AS(publisher.skip("u", "2"), UsageError);
    }
    {
      Publisher publisher(options);
      for (const char* payload : {"1", "2", "3"}) CHECK(publisher.skip("t", payload));
      CHECK(publisher.publish("t", "4").get().sequence == 4);
    }
    CHECK(Publisher(options).compared_until() == 4);
    std::filesystem::remove_all(name);
  }

  TEST_CASE("publisher: a batch is one transaction, and what is wrong in it stops all of it") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    CHECK(publisher.publish_sync("t", "1").offset == 1);
    const std::string payload = "x";
    const Bytes bytes = std::as_bytes(std::span(payload));

    const std::vector<OutgoingMessage> three = {{"a", bytes, {}}, {"b", {}, {}}, {"c", bytes, {}}};
    const Receipt receipt = publisher.publish_batch(three).get();
    CHECK(receipt.offset == 2);
    CHECK(receipt.sequence == 2);
    CHECK(cluster.state->payloads() == Strings{"1", "x", "", "x"});
    {
      const std::lock_guard lock(cluster.state->mutex);
      CHECK(cluster.state->log.back().count == 3);
    }

    const std::vector<OutgoingMessage> bad = {{"a", bytes, {}}, {"*", bytes, {}}};
    CHECK(error_of(publisher.publish_batch(bad)).code == Code::protocol);
    CHECK(error_of(publisher.publish_batch({})).code == Code::protocol);
    CHECK(publisher.publish_sync("t", "5").offset == 5);
    CHECK(publisher.flush(long_enough));  // what was not taken is no failure
  }

  TEST_CASE("publisher: a condition -> taken behind that offset only, the others go on") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    CHECK(publisher.publish_sync("t", "1", {.expect_last_offset = 0}).offset == 1);

    auto late = publisher.publish("t", "2", {.expect_last_offset = 0});
    auto behind = publisher.publish("t", "3");

    const Error error = error_of(std::move(late));
    CHECK(error.code == Code::refused);
    CHECK(error.outcome == Outcome::no);
    CHECK(error.first == Offset{1});
    CHECK(behind.get().sequence == 2);
    const std::vector<OutgoingMessage> two = {{"a", {}, {}}, {"b", {}, {}}};
    CHECK(publisher.publish_batch(two, {.expect_last_offset = 2}).get().offset == 3);
    CHECK(cluster.state->payloads() == Strings{"1", "3", "", ""});
  }

  TEST_CASE("publisher: close -> the cluster forgets it, nothing more is taken") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    publisher.publish("t", "1");
    publisher.close(long_enough);
    CHECK(cluster.state->payloads() == Strings{"1"});
    CHECK(error_of(publisher.publish("t", "2")).code == Code::refused);
    const std::lock_guard lock(cluster.state->mutex);
    CHECK(cluster.state->publishers.empty());
  }

  TEST_CASE("publisher: malformed answers -> another server, nothing believed") {
    Cluster cluster;
    cluster.server->garble = true;
    cluster.second->lead();
    Publisher publisher(cluster.publisher());
    CHECK(publisher.publish("t", "1").get().offset == 1);
  }

  TEST_CASE("subscriber: its server is killed -> the other, no gap, no duplicate") {
    Cluster cluster;
    cluster.second->lead();
    Publisher publisher(cluster.publisher());
    Subscriber subscriber(cluster.subscriber());
    for (int i = 1; i <= 50; ++i) publisher.publish("t", std::to_string(i));
    CHECK(take(subscriber, 30) == numbers(1, 30));

    cluster.server.reset();
    for (int i = 51; i <= 100; ++i) publisher.publish("t", std::to_string(i));

    CHECK(take(subscriber, 70) == numbers(31, 100));
    CHECK(subscriber.next_offset() == 101);
  }

  TEST_CASE("subscriber: small credit, large stream -> everything still comes") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    SubscriberOptions options = cluster.subscriber();
    options.credit_messages = 10;
    options.credit_bytes = 2000;
    Subscriber subscriber(options);
    for (int i = 1; i <= 2000; ++i) publisher.publish("t", std::to_string(i));
    CHECK(take(subscriber, 2000) == numbers(1, 2000));
  }

  TEST_CASE("subscriber: push, a thread that does nothing but poll with a handler") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    Subscriber subscriber(cluster.subscriber());
    std::atomic<std::uint64_t> handled{0};
    std::atomic<bool> stopping{false};
    Strings texts;
    std::thread pushing([&] {
      while (!stopping) {
        subscriber.poll([&](const Message& m) { texts.emplace_back(m.text()), ++handled; }, 100,
                        Millis{50});
      }
    });
    for (int i = 1; i <= 1000; ++i) publisher.publish("t", std::to_string(i));
    const auto until = std::chrono::steady_clock::now() + long_enough;
    while (handled < 1000 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    stopping = true;
    pushing.join();
    CHECK(texts == numbers(1, 1000));
  }

  TEST_CASE("subscriber: topics, poll and the loop of an until-end subscription") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    for (int i = 1; i <= 10; ++i) publisher.publish(i % 2 ? "odd" : "even", std::to_string(i));
    REQUIRE(publisher.flush(long_enough));
    SubscriberOptions options = cluster.subscriber();
    options.until_end = true;
    options.topics = {"odd"};
    Subscriber subscriber(options);
    Strings texts;
    std::size_t taken = 0;
    while (taken < 2) {
      taken += subscriber.poll([&](const Message& m) { texts.emplace_back(m.text()); }, 2 - taken,
                               long_enough);
    }
    for (const Message& message : subscriber) texts.emplace_back(message.text());
    CHECK(texts == Strings{"1", "3", "5", "7", "9"});
    CHECK(subscriber.at_end());
    CHECK(subscriber.next(Millis{0}) == nullptr);
    CHECK(subscriber.next_offset() == 11);
  }

  TEST_CASE("subscriber: new -> nothing old, quiet -> nullptr at the time-out, no error") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    publisher.publish("t", "old").get();
    Subscriber subscriber(cluster.subscriber(fresh()));
    CHECK(subscriber.next(Millis{300}) == nullptr);
    CHECK(subscriber.next_offset() == 2);
    publisher.publish("t", "new").get();
    CHECK(take(subscriber) == "new");
  }

  TEST_CASE("subscriber: beyond the end -> refused with the last offset, every time it is asked") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    publisher.publish("t", "1").get();
    Subscriber subscriber(cluster.subscriber(at_offset(500)));
    for (int i = 0; i < 2; ++i) {
      try {
        subscriber.next(long_enough);
        FAIL("it began");
      } catch (const Error& error) {
        CHECK(error.code == Code::refused);
        CHECK(error.first == 1);
      }
    }
  }

  TEST_CASE("subscriber: below what is kept -> gap, or a jump that is told before its message") {
    Cluster cluster;
    Publisher publisher(cluster.publisher());
    for (int i = 1; i <= 5; ++i) publisher.publish_sync("t", std::to_string(i));
    {
      const std::lock_guard lock(cluster.state->mutex);
      cluster.state->first_offset = 4;
    }

    Subscriber stopping(cluster.subscriber(at_offset(2)));
    try {
      stopping.next(long_enough);
      FAIL("it began");
    } catch (const Error& error) {
      CHECK(error.code == Code::gap);
      CHECK(error.first == Offset{4});
    }

    SubscriberOptions options = cluster.subscriber(at_offset(2));
    std::vector<Gap> gaps;
    options.on_gap = [&gaps](const Gap& gap) { gaps.push_back(gap); };
    Subscriber jumping(options);
    const Message* message = jumping.next(long_enough);
    REQUIRE(message);
    CHECK(message->offset == 4);
    REQUIRE(gaps.size() == 1);
    CHECK(gaps[0].from == 2);
    CHECK(gaps[0].first_available == 4);
    const auto token = jumping.resume_token();
    REQUIRE(token);
    CHECK(token->offset == 5);
    Subscriber resumed(cluster.subscriber(at_token(*token)));
    message = resumed.next(long_enough);
    REQUIRE(message);
    CHECK(message->offset == 5);
  }

  TEST_CASE("subscriber: no server -> unavailable, one that comes back -> it goes on") {
    auto cluster = std::make_unique<Cluster>();
    SubscriberOptions options = cluster->subscriber();
    options.endpoints = {cluster->server->endpoint()};
    options.timeout = Millis{200};
    const std::string endpoint = cluster->server->endpoint();
    cluster->server.reset();
    Subscriber subscriber(options);
    try {
      subscriber.next(long_enough);
      FAIL("something came");
    } catch (const Error& error) {
      CHECK(error.code == Code::unavailable);
    }
    cluster->server = std::make_unique<FakeServer>(cluster->state, endpoint);
    cluster->server->lead();
    Publisher publisher(cluster->publisher());
    publisher.publish("t", "1").get();
    const Message* message = nullptr;
    for (int i = 0; i < 100 && !message; ++i) {
      try {
        message = subscriber.next(Millis{200});
      } catch (const Error& error) {
        CHECK(error.code == Code::unavailable);
      }
    }
    REQUIRE(message);
    CHECK(message->text() == "1");
  }

  TEST_CASE("status: all servers at once, those that are named too, the silent ones unreachable") {
    Cluster cluster;
    ClientOptions options;
    options.endpoints = cluster.endpoints();
    const auto begin = std::chrono::steady_clock::now();
    const ClusterStatus status = cluster_status(options, Millis{1000});
    CHECK(std::chrono::steady_clock::now() - begin < Millis{5000});
    CHECK(status.leader == ServerId{1});
    REQUIRE(status.servers.size() == 3);
    CHECK(status.servers[0].reachable);
    CHECK(status.servers[0].role == Role::leading);
    CHECK(status.servers[1].role == Role::following);
    CHECK(status.servers[2].id == ServerId{9});
    CHECK_FALSE(status.servers[2].reachable);
  }
}

}  // namespace zabmq
