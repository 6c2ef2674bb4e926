// SessionLinks tests: sessions end to end over a transport that loses, repeats and restarts.
#include "net/session_links.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>

#include "net_support.hpp"

namespace zabmq::net {
namespace {

struct Parcel {
  std::vector<std::byte> header;
  Slice records;
  Life sender;
};

// What is under way from one server to another.
using Wire = std::deque<Parcel>;

// One process of a server, with its queues in the fake network.
class Process final : public Transport, public PeerLinks::Listener {
 public:
  Process(ServerId self, ServerId peer, std::uint64_t seed, Wire& out)
      : self_(self), peer_(peer), links_(self, {peer}, seeded(seed), *this), out_(out) {
    links_.set_cluster(cluster_a);
  }

  bool transmit(ServerId, Lane, std::vector<std::byte> header, Slice records) override {
    if (refuse_) return false;
    out_.push_back({std::move(header), std::move(records), {self_, links_.incarnation()}});
    return true;
  }
  void drop_queued(ServerId) override { ++drops_; }
  void reconnect(ServerId) override { ++reconnects_; }

  void on_peer_message(ServerId, zab::Message message, Slice) override {
    delivered_.push_back(std::move(message));
  }
  void on_session_lost(ServerId) override { ++lost_; }

  void take(Wire& in) {
    const Parcel parcel = std::move(in.front());
    in.pop_front();
    links_.receive(parcel.header, parcel.records, parcel.sender, *this);
  }
  void take_all(Wire& in) {
    while (!in.empty()) take(in);
  }

  SessionLinks& links() { return links_; }
  ServerId peer() const { return peer_; }
  const std::vector<zab::Message>& delivered() const { return delivered_; }
  void forget() { delivered_.clear(); }
  int lost() const { return lost_; }
  int drops() const { return drops_; }
  int reconnects() const { return reconnects_; }
  void refuse(bool yes) { refuse_ = yes; }

 private:
  ServerId self_;
  ServerId peer_;
  SessionLinks links_;
  Wire& out_;
  std::vector<zab::Message> delivered_;
  int lost_ = 0;
  int drops_ = 0;
  int reconnects_ = 0;
  bool refuse_ = false;
};

struct Pair {
  Wire to_leader;
  Wire to_learner;
  std::unique_ptr<Process> leader = std::make_unique<Process>(one, two, 1, to_learner);
  std::unique_ptr<Process> learner = std::make_unique<Process>(two, one, 2, to_leader);

  void establish() {
    learner->links().open_session(one);
    REQUIRE(learner->links().send(one, zab::CEpoch{}));
    leader->take_all(to_leader);
    REQUIRE(leader->links().send(two, zab::NewEpoch{}));
    learner->take_all(to_learner);
    REQUIRE(learner->delivered().size() == 1);
  }
  void settle() {
    while (!to_leader.empty() || !to_learner.empty()) {
      leader->take_all(to_leader);
      learner->take_all(to_learner);
    }
  }
};

zab::CEpoch cepoch_of(std::uint64_t tag) {
  zab::CEpoch message;
  message.accepted = Epoch{static_cast<std::uint32_t>(tag)};
  return message;
}

const zab::Propose propose{.runs = {{Epoch{1}, 1, 1}}, .commit = {}};

}  // namespace

TEST_SUITE("net/session_links") {
  TEST_CASE("session links: PROPOSE -> arrives with its records, shared and not copied") {
    Pair p;
    p.establish();
    const Slice records = slice_of(100, 7);
    CHECK(p.leader->links().send_records(two, propose, records));
    REQUIRE(p.to_learner.size() == 1);
    CHECK(p.to_learner.front().records.bytes().data() == records.bytes().data());

    p.learner->take(p.to_learner);

    REQUIRE(p.learner->delivered().size() == 2);
    CHECK(std::holds_alternative<zab::Propose>(p.learner->delivered().back()));
    CHECK(p.leader->links().counters().bytes_sent == p.learner->links().counters().bytes_received);
    CHECK(p.leader->links().counters().frames_sent == 2);
  }

  TEST_CASE("session links: PROPOSE without records, records without PROPOSE -> malformed") {
    for (const bool is_propose : {true, false}) {
      Pair p;
      p.establish();
      if (is_propose) {
        p.leader->links().send_records(two, propose, slice_of(8, 1));
        p.to_learner.front().records = {};
      } else {
        p.leader->links().send(two, zab::Ping{});
        p.to_learner.front().records = slice_of(8, 1);
      }

      p.learner->take(p.to_learner);

      CHECK(p.learner->lost() == 1);
      CHECK(p.learner->links().counters().malformed == 1);
      CHECK(p.learner->links().counters().ended_by_corruption == 1);
    }
  }

  TEST_CASE("session links: FORWARD -> with the body of its client's frame, or without one") {
    Pair p;
    p.establish();
    const zab::Forward request{.number = 1, .publisher = {}, .frame = {std::byte{1}}};

    CHECK(p.learner->links().send(one, request));
    CHECK(p.learner->links().send_records(one, request, slice_of(100, 7)));
    p.settle();

    REQUIRE(p.leader->delivered().size() == 3);
    CHECK(p.leader->delivered()[1] == zab::Message(request));
    CHECK(p.leader->delivered()[2] == zab::Message(request));
    CHECK(p.leader->lost() == 0);
  }

  TEST_CASE("session links: transport refuses a session frame -> over, and not reported") {
    Pair p;
    p.establish();
    p.leader->refuse(true);
    CHECK_FALSE(p.leader->links().send(two, zab::Ping{}));
    p.leader->refuse(false);
    CHECK_FALSE(p.leader->links().send(two, zab::Ping{}));
    CHECK(p.leader->lost() == 0);
    CHECK(p.leader->drops() == 1);
    CHECK(p.leader->links().counters().ended_by_full_queue == 1);

    p.learner->links().send(one, zab::Pong{});  // the other side learns it by its next frame
    p.settle();
    CHECK(p.learner->lost() == 1);
  }

  TEST_CASE("session links: transport refuses a datagram -> false, the session stands") {
    Pair p;
    p.establish();
    p.leader->refuse(true);
    CHECK_FALSE(p.leader->links().send(two, zab::Vote{}));
    p.leader->refuse(false);
    CHECK(p.leader->links().send(two, zab::Ping{}));
    p.settle();
    CHECK(p.learner->lost() == 0);
    CHECK(p.leader->links().counters().datagrams_unsent == 1);
  }

  TEST_CASE("session links: closed on one side -> the other side is told at once") {
    Pair p;
    p.establish();
    p.leader->links().close_session(two);
    p.settle();
    CHECK(p.leader->lost() == 0);
    CHECK(p.learner->lost() == 1);
    CHECK(p.leader->drops() == 1);
    CHECK(p.learner->drops() == 2);  // opened, lost
  }

  TEST_CASE("session links: a peer that answers -> its connection stays") {
    Pair p;
    const auto tick = [&p](std::uint64_t ms) {
      p.leader->links().tick(ms, 4000, *p.leader);
      p.learner->links().tick(ms, 4000, *p.learner);
      p.settle();
    };
    SUBCASE("without a session") {
      for (std::uint64_t ms = 10'000; ms < 60'000; ms += 100) tick(ms);
      CHECK(p.leader->links().counters().frames_sent == 0);
    }
    SUBCASE("in a session") {
      p.establish();
      for (std::uint64_t ms = 10'000; ms < 60'000; ms += 100) tick(ms);
      CHECK(p.learner->lost() == 0);
    }
    CHECK(p.leader->reconnects() == 0);
    CHECK(p.learner->reconnects() == 0);
  }

  TEST_CASE("session links: a peer that does not hear us -> asked, then connected anew") {
    Pair p;
    p.establish();
    // What the learner says arrives; what the leader says does not.
    const auto tick = [&p](std::uint64_t ms) {
      p.leader->links().tick(ms, 4000, *p.leader);
      p.to_learner.clear();
      p.leader->take_all(p.to_leader);
    };
    for (std::uint64_t ms = 10'000; ms <= 14'000; ms += 100) tick(ms);
    CHECK(p.leader->reconnects() == 0);
    tick(14'001);
    CHECK(p.leader->reconnects() == 1);
    CHECK(p.leader->lost() == 1);
    CHECK(p.leader->links().counters().reconnected == 1);

    for (std::uint64_t ms = 14'100; ms <= 17'000; ms += 100) tick(ms);
    for (std::uint64_t ms = 17'100; ms <= 30'000; ms += 100) {
      p.leader->links().tick(ms, 4000, *p.leader);
      p.settle();  // now it answers
    }
    CHECK(p.leader->reconnects() == 1);
  }

  TEST_CASE("session links: bytes that are no frame -> only the session they come from suffers") {
    Pair p;
    p.establish();
    const std::vector<std::byte> garbage(100, std::byte{0x5a});
    p.leader->links().receive(garbage, {}, std::nullopt, *p.leader);
    p.leader->links().receive(garbage, {}, Life{two, 12345}, *p.leader);
    p.leader->links().receive(garbage, {}, Life{ServerId{77}, 1}, *p.leader);
    CHECK(p.leader->lost() == 0);
    p.leader->links().receive(garbage, {}, Life{two, p.learner->links().incarnation()}, *p.leader);
    CHECK(p.leader->lost() == 1);
    CHECK(p.leader->links().counters().malformed == 4);
  }

  // A peer restart with frames in flight in both directions: the learner's process ends while the
  // network holds frames of both, and its next process opens a session of its own.
  TEST_CASE("session links: learner restarts with frames in flight -> none is delivered stale") {
    Pair p;
    p.establish();
    for (std::uint64_t i = 0; i < 10; ++i) {
      p.leader->links().send_records(two, propose, slice_of(64, 1));
      p.learner->links().send(one, zab::Ack{.durable = {Epoch{1}, 1000 + i}});
    }
    p.leader->take(p.to_leader);  // some arrive in time
    p.leader->forget();

    p.learner = std::make_unique<Process>(two, one, 3, p.to_leader);
    p.learner->links().open_session(one);
    REQUIRE(p.learner->links().send(one, cepoch_of(5)));
    Wire leftovers;  // a second connection: the new process overtakes the old one's last frames
    for (int i = 0; i < 5; ++i) {
      leftovers.push_back(p.to_leader[static_cast<std::size_t>(4 + i)]);
    }
    p.settle();
    p.leader->take_all(leftovers);

    // The old process's frames in front of CEPOCH were sent, in order, in a standing session. Then
    // the loss is told, and after it nothing of the old process is delivered.
    REQUIRE(p.leader->delivered().size() == 10);
    CHECK(p.leader->lost() == 1);
    CHECK(std::get<zab::CEpoch>(p.leader->delivered().back()).accepted == Epoch{5});
    CHECK(p.leader->links().counters().stale_life == 5);
    CHECK(p.learner->delivered().empty());
    CHECK(p.learner->lost() == 0);
    REQUIRE(p.leader->links().send(two, zab::NewEpoch{}));
    p.settle();
    CHECK(p.learner->delivered().size() == 1);
  }

  TEST_CASE(
      "session links: leader restarts with frames in flight -> the learner hears of the loss") {
    Pair p;
    p.establish();
    for (int i = 0; i < 10; ++i) {
      p.leader->links().send(two, zab::Ping{});
      p.learner->links().send(one, zab::Pong{});
    }
    p.learner->forget();

    p.leader = std::make_unique<Process>(one, two, 4, p.to_learner);
    p.leader->take_all(p.to_leader);
    CHECK(p.leader->delivered().empty());
    CHECK(p.leader->lost() == 0);
    p.settle();

    CHECK(p.learner->delivered().size() == 10);  // sent before the restart, in order, none missing
    CHECK(p.learner->lost() == 1);
    CHECK_FALSE(p.learner->links().send(one, zab::Pong{}));
  }
}

namespace {

// Random faults on the way; every message says which session it belongs to and its number there.
class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : random_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
  }

  // Without faults, the two come together again.
  bool heal() {
    deliver_all();
    open();
    deliver_all();
    if (!say(*pair_.learner, learner_side_) || !say(*pair_.leader, leader_side_)) return false;
    const std::uint64_t before = delivered_;
    deliver_all();
    return delivered_ == before + 2;
  }

  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t restarts() const { return restarts_; }
  std::uint64_t lost() const { return lost_; }

 private:
  // What one side knows of its session: its name, how far it has said and heard.
  struct Side {
    std::uint64_t session = 0;
    std::uint64_t said = 0;
    std::uint64_t heard = 0;
    int lost = 0;
  };

  void step() {
    const std::uint64_t dice = random_() % 100;
    if (dice < 30) {
      say(*pair_.learner, learner_side_);
    } else if (dice < 60) {
      say(*pair_.leader, leader_side_);
    } else if (dice < 75) {
      if (!pair_.to_leader.empty()) deliver(*pair_.leader, leader_side_, pair_.to_leader);
    } else if (dice < 90) {
      if (!pair_.to_learner.empty()) deliver(*pair_.learner, learner_side_, pair_.to_learner);
    } else if (dice < 94) {
      open();
    } else if (dice < 98) {
      disturb(random_() % 2 ? pair_.to_leader : pair_.to_learner);
    } else {
      restart();
    }
  }

  void open() {
    pair_.learner->links().open_session(one);
    learner_side_ = {.session = ++sessions_, .said = 0, .heard = 0, .lost = pair_.learner->lost()};
    opened_by_[sessions_] = pair_.learner->links().incarnation();
    pair_.learner->links().send(one, cepoch_of(sessions_));
  }

  bool say(Process& process, Side& side) {
    const Zxid tag{Epoch{static_cast<std::uint32_t>(side.session)}, side.said + 1};
    const bool learner = &process == pair_.learner.get();
    const bool sent = learner ? process.links().send(one, zab::Ack{tag})
                              : process.links().send(two, zab::Commit{tag});
    if (sent) ++side.said;
    return sent;
  }

  void deliver_all() {
    while (!pair_.to_leader.empty() || !pair_.to_learner.empty()) {
      while (!pair_.to_leader.empty()) deliver(*pair_.leader, leader_side_, pair_.to_leader);
      while (!pair_.to_learner.empty()) deliver(*pair_.learner, learner_side_, pair_.to_learner);
    }
  }

  void deliver(Process& process, Side& side, Wire& wire) {
    process.forget();
    process.take(wire);
    if (process.lost() != side.lost) {
      ++lost_;
      side = {.session = 0, .said = 0, .heard = 0, .lost = process.lost()};
      CHECK(process.delivered().size() <= 1);
    }
    for (const zab::Message& message : process.delivered()) check(side, message);
  }

  void check(Side& side, const zab::Message& message) {
    ++delivered_;
    if (const auto* cepoch = std::get_if<zab::CEpoch>(&message)) {
      // The sessions of one process are opened in its order, each once.
      const auto session = static_cast<std::uint32_t>(cepoch->accepted);
      std::uint32_t& newest = newest_opened_[opened_by_.at(session)];
      CHECK(session > newest);
      newest = session;
      side = {.session = session, .said = 0, .heard = 0, .lost = side.lost};
      return;
    }
    const auto* ack = std::get_if<zab::Ack>(&message);
    const Zxid tag = ack ? ack->durable : std::get<zab::Commit>(message).commit;
    CHECK(static_cast<std::uint32_t>(tag.epoch) == side.session);  // of this session,
    CHECK(tag.counter == side.heard + 1);                          // and behind the last one
    side.heard = tag.counter;
  }

  void disturb(Wire& wire) {
    if (wire.empty()) return;
    const auto at = static_cast<std::ptrdiff_t>(random_() % wire.size());
    switch (random_() % 6) {
      case 0:  // a hole
        wire.erase(wire.begin() + at);
        break;
      case 1:  // the connection breaks: the rest is lost
        wire.erase(wire.begin() + at, wire.end());
        if (random_() % 2) notice_break(wire);
        break;
      case 2:  // twice
        wire.push_back(wire[static_cast<std::size_t>(at)]);
        break;
      case 3:
        std::swap(wire.front(), wire[static_cast<std::size_t>(at)]);
        break;
      case 4:
        wire[static_cast<std::size_t>(at)].header[random_() % 20] ^= std::byte{4};
        break;
      default:  // kept back for long
        archive_.push_back({&wire, wire[static_cast<std::size_t>(at)]});
        if (archive_.size() > 5) {
          archive_.front().first->push_back(archive_.front().second);
          archive_.pop_front();
        }
    }
  }

  // The transport of the sender notices, as ZeroMQ's monitor does.
  void notice_break(const Wire& wire) {
    const bool by_leader = &wire == &pair_.to_learner;
    Process& process = by_leader ? *pair_.leader : *pair_.learner;
    Side& side = by_leader ? leader_side_ : learner_side_;
    process.links().disconnected(process.peer(), process);
    if (process.lost() == side.lost) return;
    side = {.session = 0, .said = 0, .heard = 0, .lost = process.lost()};
  }

  void restart() {
    ++restarts_;
    const std::uint64_t seed = random_();
    if (random_() % 2) {
      pair_.leader = std::make_unique<Process>(one, two, seed, pair_.to_learner);
      leader_side_ = {};
      newest_opened_.clear();
    } else {
      pair_.learner = std::make_unique<Process>(two, one, seed, pair_.to_leader);
      learner_side_ = {};
    }
  }

  std::mt19937_64 random_;
  Pair pair_;
  Side leader_side_;
  Side learner_side_;
  std::deque<std::pair<Wire*, Parcel>> archive_;
  std::uint64_t sessions_ = 0;
  std::map<std::uint64_t, std::uint64_t> opened_by_;      // session -> incarnation
  std::map<std::uint64_t, std::uint32_t> newest_opened_;  // of each incarnation, at this leader
  std::uint64_t delivered_ = 0;
  std::uint64_t restarts_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace

TEST_SUITE("net/session_links") {
  TEST_CASE("session links: losses, repeats, restarts, all seeded -> each session is a prefix") {
    std::uint64_t delivered = 0;
    std::uint64_t restarts = 0;
    std::uint64_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      Chaos chaos(seed);
      chaos.run(600);
      CHECK(chaos.heal());
      delivered += chaos.delivered();
      restarts += chaos.restarts();
      lost += chaos.lost();
    }
    CHECK(delivered > 1000);
    CHECK(restarts > 100);
    CHECK(lost > 500);
  }
}

}  // namespace zabmq::net
