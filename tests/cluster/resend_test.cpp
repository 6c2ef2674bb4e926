// ResendTest: exactly once for each (publisher, sequence), asked as hard as the rules allow: every
// copy of every batch at any server, while leaders are killed and everything is restarted.
#include <doctest/doctest.h>
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/zmq_context.hpp"
#include "client/zmq_drive.hpp"
#include "resending_publisher.hpp"
#include "test_cluster.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cluster {

namespace {

constexpr std::uint32_t publishers = 50;
constexpr int leader_kills = 20;
constexpr int kills_before_restart = 10;
constexpr std::uint64_t receipts_between = 20 * publishers;  // batches, from one fault to the next
constexpr Millis step_bound{60000};                          // of whatever is waited for
constexpr long turn_ms = 5;
constexpr std::uint64_t question_ms = 50;
constexpr std::uint64_t answer_age_ms = 1000;

// Asks all servers who leads, without waiting for any.
class Watch {
 public:
  Watch(const std::vector<std::string>& endpoints, const std::shared_ptr<zmq::context_t>& context) {
    for (const std::string& endpoint : endpoints) {
      servers_.push_back(std::make_unique<Server>(context, endpoint));
    }
  }

  void turn(std::uint64_t now_ms) {
    for (const auto& server : servers_) {
      for (const wire::ServerMessage& message : server->link.turn({}, now_ms)) {
        if (std::holds_alternative<wire::Welcome>(message)) server->link.opened();
        if (std::holds_alternative<wire::Reset>(message)) server->link.drop(now_ms);
        if (const auto* answer = std::get_if<wire::StatusAnswer>(&message)) {
          server->last = *answer;
          server->answered_ms = now_ms;
        }
      }
      if (server->link.is_open() && now_ms >= server->asked_ms + question_ms) {
        server->asked_ms = now_ms;
        server->link.send(wire::StatusQuestion{1});
      }
    }
  }

  void forget() {
    for (const auto& server : servers_) server->answered_ms = 0;
  }

  // The server that leads all others, by the lately given word of each.
  std::optional<ServerId> leader_of_all(std::uint64_t now_ms) const {
    const ServerId leader = servers_.front()->last.leader;
    for (const auto& server : servers_) {
      const bool lately = server->answered_ms + answer_age_ms > now_ms;
      const wire::StatusAnswer& said = server->last;
      const Role role = said.server == leader ? Role::leading : Role::following;
      const bool serves = said.phase == Phase::broadcast && said.role == role;
      if (!lately || !serves || said.leader != leader) return std::nullopt;
    }
    return leader;
  }

  void add_links(std::vector<client::Connection*>& links) {
    for (const auto& server : servers_) links.push_back(&server->link.link());
  }

 private:
  struct Server {
    Server(const std::shared_ptr<zmq::context_t>& context, const std::string& endpoint)
        : link(context, endpoint) {}
    ServerLink link;
    wire::StatusAnswer last;
    std::uint64_t answered_ms = 0;
    std::uint64_t asked_ms = 0;
  };
  std::vector<std::unique_ptr<Server>> servers_;
};

// Publishers, watch and cluster, in one thread.
class Scene {
 public:
  ResendTally tally;

  Scene() : watch_(cluster_.servers().endpoints(), client::shared_context()) {
    for (std::uint32_t number = 1; number <= publishers; ++number) {
      publishers_.push_back(std::make_unique<ResendingPublisher>(
          number, cluster_.servers().endpoints(), client::shared_context(), tally));
    }
  }

  // Goes on until it is so.
  void until(const std::string& what, const std::function<bool()>& condition) {
    tally.now_ms = client::steady_now_ms();
    const std::uint64_t deadline = tally.now_ms + static_cast<std::uint64_t>(step_bound.count());
    while (!condition()) {
      turn();
      if (tally.now_ms < deadline) continue;
      std::string states;
      for (const auto& publisher : publishers_) states += "\n" + publisher->state();
      for (const std::string& complaint : tally.complaints) states += "\n" + complaint;
      FAIL("never came about: " << what << states);
    }
  }

  void until_all_serve() {
    until("one leader and two followers in broadcast",
          [this] { return watch_.leader_of_all(tally.now_ms).has_value(); });
  }
  void until_more_receipts() {
    const std::uint64_t enough = tally.receipts + receipts_between;
    until("more receipts", [this, enough] { return tally.receipts >= enough; });
  }
  void until_all_open() {
    const auto open = [](const auto& publisher) { return publisher->is_open(); };
    until("instances of all publishers",
          [&] { return std::all_of(publishers_.begin(), publishers_.end(), open); });
  }
  void until_all_known() {
    for (const auto& publisher : publishers_) publisher->make_no_more();
    const auto done = [](const auto& publisher) { return publisher->done(); };
    until("a receipt of every batch, and an answer to every copy",
          [&] { return std::all_of(publishers_.begin(), publishers_.end(), done); });
  }

  // It comes back at once, and may lead again, or when another one has led for a while.
  void kill_leader(bool back_at_once) {
    const ServerId leader = *watch_.leader_of_all(tally.now_ms);
    cluster_.servers().kill(leader, SIGKILL);
    watch_.forget();
    if (!back_at_once) until_more_receipts();
    cluster_.servers().launch(leader);
  }

  void restart_everything() {
    for (const auto& server : cluster_.servers().servers()) {
      cluster_.servers().kill(server.id, SIGKILL);
    }
    watch_.forget();
    cluster_.servers().launch_all();
  }

  // All that one server has, told to the checker; a line for each message.
  std::string drain(ServerId id, std::vector<sim::HistoryChecker::Drain>& drains);
  TestCluster& cluster() { return cluster_; }

 private:
  void turn() {
    std::vector<client::Connection*> links;
    watch_.add_links(links);
    for (const auto& publisher : publishers_) publisher->add_links(links);
    client::wait_for_input(links, turn_ms);
    tally.now_ms = client::steady_now_ms();
    watch_.turn(tally.now_ms);
    for (const auto& publisher : publishers_) publisher->turn();
  }

  TestCluster cluster_;
  Watch watch_;
  std::vector<std::unique_ptr<ResendingPublisher>> publishers_;
};

// "of/17" and "42 aaaa..." -> 17 and 42.
std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string Scene::drain(ServerId id, std::vector<sim::HistoryChecker::Drain>& drains) {
  const auto key = sim::SubscriptionKey{static_cast<std::uint64_t>(id)};
  Subscriber subscriber({{.endpoints = {cluster_.servers().endpoint(id)}, .timeout = step_bound},
                         {},
                         first(),
                         std::nullopt,
                         true});
  tally.checker.subscribe(tally.now_ms, key, 1);
  std::string lines;
  Offset end = 0;
  for (const Message& message : subscriber) {
    end = message.offset;
    const std::uint64_t publisher = number_in(message.topic.substr(3));
    const Sequence sequence = number_in(message.text());
    tally.checker.deliver(tally.now_ms, key, message.offset, message.zxid,
                          sim::PublisherKey{static_cast<std::uint32_t>(publisher)}, sequence,
                          message.topic, std::hash<std::string_view>{}(message.text()));
    lines += std::to_string(message.offset) + " " + to_string(message.zxid) + " " +
             std::to_string(message.time) + " " + std::string(message.topic) + " " +
             std::string(message.text()) + "\n";
  }
  tally.checker.end(tally.now_ms, key);
  drains.push_back({.server = id, .subscription = key, .end = end});
  return lines;
}

std::string numbers_of(const ResendTally& tally) {
  const sim::HistoryChecker::Counts& counts = tally.checker.counts();
  std::string text = "resend: " + std::to_string(publishers) + " publishers";
  const auto add = [&text](std::uint64_t number, const char* what) {
    text += ", " + std::to_string(number) + " " + what;
  };
  add(counts.acknowledged, "messages acknowledged");
  add(tally.receipts, "batches");
  add(tally.copies, "copies sent");
  add(tally.stored, "copies answered with the stored receipt");
  add(tally.holes, "refused as holes");
  add(tally.unavailable, "unavailable");
  add(tally.busy, "busy");
  add(tally.unanswered, "lost with their connection");
  add(tally.behind, "times a server was behind");
  add(tally.openings, "instances");
  add(leader_kills, "leader kills");
  add(1, "full restart");
  add(tally.longest_wait_ms, "ms without a receipt at the longest");
  add(counts.duplicated, "duplicates");
  add(counts.lost, "lost");
  return text;
}

void run_through_faults(Scene& scene) {
  scene.until_all_serve();
  scene.until_all_open();
  for (int kill = 0; kill < leader_kills; ++kill) {
    scene.until_more_receipts();
    if (kill == kills_before_restart) {
      scene.restart_everything();
      scene.until_more_receipts();
    }
    scene.until_all_serve();
    scene.kill_leader(kill % 2 == 0);
  }
  scene.until_more_receipts();
  scene.until_all_serve();
  scene.until_all_known();
}

}  // namespace

TEST_SUITE("cluster/resend") {
  TEST_CASE(
      "slow: 50 publishers send everything 1-4 times to any server, 20 leader kills, one full "
      "restart -> no duplicate") {
    Scene scene;
    run_through_faults(scene);
    REQUIRE(scene.cluster().even());

    std::vector<sim::HistoryChecker::Drain> drains;
    const std::string at_first = scene.drain(ServerId{1}, drains);
    CHECK((at_first == scene.drain(ServerId{2}, drains)));
    CHECK((at_first == scene.drain(ServerId{3}, drains)));
    scene.tally.checker.finish(drains);

    const ResendTally& tally = scene.tally;
    const sim::HistoryChecker::Counts& counts = tally.checker.counts();
    std::puts(numbers_of(tally).c_str());
    for (const std::string& complaint : tally.complaints) FAIL_CHECK(complaint);
    for (const sim::Violation& violation : tally.checker.violations()) {
      FAIL_CHECK(sim::to_string(violation.rule) << ": " << violation.text);
    }
    CHECK(counts.acknowledged == counts.invoked);
    CHECK(counts.delivered == 3 * counts.invoked);
    CHECK(counts.duplicated == 0);
    CHECK(tally.stored > tally.receipts / 2);  // else this has shown little
  }
}

}  // namespace zabmq::cluster
