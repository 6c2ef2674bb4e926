// Chaos: seeded random schedules of crashes, partitions, slow disks and cold logs over three
// replicas, with a publisher that sends again until it knows. What must hold at the end is what the
// system promises: every message once, in order, at every server, and every receipt true.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "cluster.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr Sequence messages_total = 200;
constexpr int turns_max = 60000;
const Uuid publisher = make_uuid(7);

// Publishes messages_total messages, one a batch, as the protocol demands of a client.
class Publisher {
 public:
  explicit Publisher(Cluster& cluster) : cluster_(cluster) {}

  bool done() const { return acknowledged_ == messages_total; }

  // Goes where a leader is, takes answers, sends on.
  void turn(std::mt19937_64& random) {
    if (server_ != ServerId::none && !cluster_.at(server_).up()) server_ = ServerId::none;
    if (server_ == ServerId::none) return connect(random);
    cluster_.at(server_).say(connection_, wire::ClientPing{});
    take_answers();
    if (!open_ || server_ == ServerId::none) return;
    const Sequence last = std::min(messages_total, acknowledged_ + 8);
    while (next_ <= last) {
      cluster_.at(server_).publish(connection_, next_, {std::to_string(next_)}, instance_);
      ++next_;
    }
  }

  void reconnect() { server_ = ServerId::none; }

 private:
  void connect(std::mt19937_64& random) {
    const ServerId server{static_cast<unsigned>(random() % 3 + 1)};
    if (!cluster_.at(server).up()) return;
    server_ = server;
    connection_ = ConnectionId{++connections_};
    open_ = false;
    wire::Hello hello;
    hello.publisher = publisher;
    hello.instance = instance_;
    cluster_.at(server).say(connection_, hello);
  }

  void take_answers() {
    FakeClients& links = cluster_.at(server_).clients;
    for (const wire::Welcome& welcome : links.take<wire::Welcome>(connection_)) {
      if (!welcome.publisher_open) return reconnect();
      REQUIRE(welcome.last_sequence >= acknowledged_);
      instance_ = welcome.instance;
      next_ = acknowledged_ + 1;  // also what was taken: the receipts are wanted
      open_ = true;
    }
    for (const wire::Receipt& receipt : links.take<wire::Receipt>(connection_)) check(receipt);
    for (const wire::Refused& refused : links.take<wire::Refused>(connection_)) {
      if (!refused.hole) return reconnect();
      next_ = std::min(next_, refused.last_sequence + 1);
    }
    if (!links.take<wire::Reset>(connection_).empty()) reconnect();
  }

  void check(const wire::Receipt& receipt) {
    const Sequence s = receipt.first_sequence;
    const auto [known, fresh] = receipts_.try_emplace(s, receipt);
    REQUIRE(known->second == receipt);  // a retry gets the first answer
    REQUIRE(receipt.base_offset == s);  // there is no other publisher
    if (s == acknowledged_ + 1) acknowledged_ = s;
  }

  Cluster& cluster_;
  ServerId server_ = ServerId::none;
  ConnectionId connection_ = ConnectionId::none;
  std::uint64_t connections_ = 0;
  Instance instance_ = 0;
  bool open_ = false;
  Sequence acknowledged_ = 0;
  Sequence next_ = 1;
  std::map<Sequence, wire::Receipt> receipts_;
};

// One at each server; subscribes again from its own next offset after its server was down.
class Reader {
 public:
  Reader(Cluster& cluster, ServerId server) : cluster_(cluster), server_(server) {}

  void turn() {
    Server& server = cluster_.at(server_);
    if (!server.up()) {
      connection_ = ConnectionId::none;
      return;
    }
    if (connection_ == ConnectionId::none) {
      connection_ = ConnectionId{++connections_};
      wire::Subscribe request = from_offset(1, next_);
      request.credit_messages = 3;
      server.subscribe(connection_, request);
      return;
    }
    // Refused: the server is behind and could not ask anybody.
    const bool refused = !server.clients.take<wire::Refused>(connection_).empty();
    const auto payloads = server.take_delivered(connection_);
    for (const std::string& payload : payloads) {
      REQUIRE(payload == std::to_string(next_));
      ++next_;
    }
    server.say(connection_, wire::Credit{1, payloads.size(), 1 << 20});  // and a sign of life
    const bool reset = !server.clients.take<wire::Reset>(connection_).empty();
    if (refused || reset) connection_ = ConnectionId::none;
  }
  Offset read() const { return next_ - 1; }

 private:
  Cluster& cluster_;
  ServerId server_;
  ConnectionId connection_ = ConnectionId::none;
  std::uint64_t connections_ = 1000000;
  Offset next_ = 1;
};

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : random_(seed), cluster_(3, options(random_)) {
    for (unsigned i = 1; i <= 3; ++i) readers_.emplace_back(cluster_, ServerId{i});
  }

  void run() {
    for (int turn = 0; turn < turns_max && !publisher_.done(); ++turn) {
      act();
      if (random_() % 20 == 0) publisher_.turn(random_);
      if (random_() % 20 == 0) read();
    }
    heal();
    const bool finished = cluster_.wait(
        [this] {
          publisher_.turn(random_);
          read();
          return publisher_.done() && all_read();
        },
        3000);
    REQUIRE(finished);
  }

  void check() {
    for (unsigned i = 1; i <= 3; ++i) {
      const Server& server = cluster_.at(ServerId{i});
      CHECK(server.fatal.empty());
      CHECK(server.replica->state().delivered_offset() == messages_total);
      CHECK(server.replica->counters().alarms == 0);
    }
  }

 private:
  static replica::Options options(std::mt19937_64& random) {
    replica::Options options;
    options.learner_window_bytes = random() % 2 == 0 ? 600 : 16 << 20;
    options.read_bytes_max = random() % 2 == 0 ? 300 : 1 << 20;
    options.group_bytes_max = random() % 2 == 0 ? 1 : 1 << 20;
    return options;
  }

  void act() {
    const auto dice = random_() % 1000;
    const ServerId any{static_cast<unsigned>(random_() % 3 + 1)};
    Server& server = cluster_.at(any);
    if (dice < 550) {
      cluster_.deliver_any(random_);
    } else if (dice < 900) {
      if (server.up()) server.finish();
    } else if (dice < 985) {
      cluster_.tick_only();
    } else if (dice < 988) {
      server.disk_works = !server.disk_works;
    } else if (dice < 991) {
      server.log.cold = !server.log.cold;
    } else if (dice < 994) {
      cluster_.isolate(any, random_() % 3 == 0);
    } else if (dice < 996) {
      publisher_.reconnect();
    } else if (dice < 997) {
      if (server.up()) cluster_.crash(any);
    } else if (!server.up()) {
      cluster_.start(any);
    }
  }

  void heal() {
    for (unsigned i = 1; i <= 3; ++i) {
      const ServerId id{i};
      cluster_.isolate(id, false);
      cluster_.at(id).disk_works = true;
      if (!cluster_.at(id).up()) cluster_.start(id);
    }
  }

  void read() {
    for (Reader& reader : readers_) reader.turn();
  }
  bool all_read() const {
    return std::all_of(readers_.begin(), readers_.end(),
                       [](const Reader& r) { return r.read() == messages_total; });
  }

  std::mt19937_64 random_;
  Cluster cluster_;
  Publisher publisher_{cluster_};
  std::vector<Reader> readers_;
};

std::uint64_t first_seed() {
  const char* given = std::getenv("ZABMQ_SEED");
  return given ? std::strtoull(given, nullptr, 10) : 1;
}

}  // namespace

TEST_SUITE("replica/chaos") {
  TEST_CASE("chaos: crashes, partitions, slow disks -> every message once, in order, everywhere") {
    const std::uint64_t seeds = std::getenv("ZABMQ_SEED") ? 1 : 12;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds; ++seed) {
      CAPTURE(seed);
      Chaos chaos(seed);
      chaos.run();
      chaos.check();
    }
  }
}
