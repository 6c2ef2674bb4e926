// Admit: its record, and servers without their disks among publishers and subscribers.
#include <doctest/doctest.h>

#include <algorithm>

#include "cluster.hpp"
#include "replica/records.hpp"

using namespace zabmq;
using namespace zabmq::testing;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};
constexpr ConnectionId carol{3};
const Uuid publisher = make_uuid(7);
constexpr std::array ids = {ServerId{1}, ServerId{2}, ServerId{3}};

struct Wiped : Cluster {
  explicit Wiped(replica::Options options = {}) : Cluster(3, options) {
    leader = wait_for_leader();
    wiped = followers_of(leader).front();
    other = followers_of(leader).back();
  }
  bool open_publisher() {
    wire::Hello hello;
    hello.publisher = publisher;
    at(leader).say(alice, hello);
    return wait([&] { return !at(leader).clients.take<wire::Welcome>(alice).empty(); });
  }
  void publish(Sequence first, Sequence last) {
    for (Sequence s = first; s <= last; ++s) {
      at(leader).publish(alice, s, {std::to_string(s)});
    }
  }
  std::size_t receipts() {
    settle();
    return at(leader).clients.take<wire::Receipt>(alice).size();
  }
  void lose_disk(ServerId id) {
    crash(id);
    at(id).lose_disk();
    start(id);
  }
  bool is_counted(ServerId id) {
    const auto* leads = std::get_if<zab::Leading>(&at(leader).replica->core().role_state());
    if (!leads) return false;
    const auto learner = leads->learners.find(id);
    return learner != leads->learners.end() && learner->second.counts &&
           learner->second.acked_leader;
  }
  std::size_t admits() {
    std::size_t count = 0;
    at(leader).log.for_each_record(
        [&](const RecordHeader& header, Bytes) { count += header.kind == RecordKind::admit; });
    return count;
  }
  std::vector<std::string> everything_at(ServerId id) {
    at(id).subscribe(carol, from_first(1));
    settle();
    return at(id).take_delivered(carol);
  }

  ServerId leader, wiped, other;
};

std::vector<std::string> numbers(Sequence first, Sequence last) {
  std::vector<std::string> texts;
  for (Sequence s = first; s <= last; ++s) texts.push_back(std::to_string(s));
  return texts;
}

}  // namespace

TEST_SUITE("replica/admit") {
  TEST_CASE("admit: its body -> the golden bytes of version 1, and back") {
    zab::Admit admit{ServerId{3}, {}};
    for (std::size_t i = 0; i < 16; ++i) {
      admit.incarnation.bytes[i] = static_cast<std::byte>(0x30 + i);
    }
    const Slice body = replica::admit_body(admit);

    std::vector<std::byte> golden(24);
    golden[0] = std::byte{3};
    for (std::size_t i = 0; i < 16; ++i) golden[8 + i] = static_cast<std::byte>(0x30 + i);
    CHECK(std::equal(body.bytes().begin(), body.bytes().end(), golden.begin(), golden.end()));
    CHECK(replica::parse_admit(body.bytes()) == admit);

    CHECK_FALSE(replica::parse_admit(Bytes(golden).first(23)));
    std::vector<std::byte> longer = golden;
    longer.resize(25);
    CHECK_FALSE(replica::parse_admit(longer));
    golden[5] = std::byte{1};
    CHECK_FALSE(replica::parse_admit(golden));
    CHECK_FALSE(replica::parse_admit(replica::admit_body({}).bytes()));
  }

  TEST_CASE("admit: a disk is lost under load -> one admit between the batches, offsets go on") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.publish(1, 10);
    CHECK(cluster.receipts() == 10);

    cluster.lose_disk(cluster.wiped);
    Sequence sent = 10;
    REQUIRE(cluster.wait([&] {
      ++sent;
      cluster.publish(sent, sent);
      return cluster.is_counted(cluster.wiped);
    }));
    cluster.publish(sent + 1, sent + 5);

    CHECK(cluster.receipts() == sent + 5 - 10);
    CHECK(cluster.admits() == 1);
    for (ServerId id : ids) {
      CHECK(cluster.at(id).identity.standing == zab::Standing::voter);
      CHECK(cluster.everything_at(id) == numbers(1, sent + 5));
    }
  }

  TEST_CASE("admit: counted again -> publishing goes on without the third") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.lose_disk(cluster.wiped);
    REQUIRE(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));

    cluster.crash(cluster.other);
    cluster.publish(1, 5);

    CHECK(cluster.receipts() == 5);
    CHECK(cluster.everything_at(cluster.wiped) == numbers(1, 5));
  }

  TEST_CASE("admit: the other follower's disk hangs -> synchronized, and no receipt comes of it") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.at(cluster.other).disk_works = false;
    cluster.lose_disk(cluster.wiped);
    REQUIRE(cluster.wait([&] { return cluster.admits() == 1; }));
    cluster.publish(1, 3);

    CHECK(cluster.receipts() == 0);
    CHECK(cluster.at(cluster.wiped).log.durable() == cluster.at(cluster.leader).log.durable());
    CHECK(cluster.at(cluster.wiped).identity.standing == zab::Standing::wiped);
    cluster.at(cluster.other).disk_works = true;
    CHECK(cluster.receipts() == 3);
    CHECK(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
  }

  TEST_CASE("admit: delivered from a slow disk -> the mark comes when it has been read") {
    Wiped cluster;
    cluster.at(cluster.wiped).log.cold = true;
    cluster.crash(cluster.wiped);
    cluster.at(cluster.wiped).lose_disk();
    cluster.at(cluster.wiped).log.cold = true;
    cluster.start(cluster.wiped);

    CHECK(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
  }

  TEST_CASE("admit: asked for while the leader's disk hangs -> at most one waits for a server") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.at(cluster.leader).disk_works = false;
    cluster.at(cluster.other).disk_works = false;
    cluster.publish(1, 1);  // its write does not end: everything else waits
    cluster.lose_disk(cluster.wiped);
    const auto* leads =
        std::get_if<zab::Leading>(&cluster.at(cluster.leader).replica->core().role_state());
    REQUIRE(leads);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(cluster.wait([&] {
        const auto learner = leads->learners.find(cluster.wiped);
        return learner != leads->learners.end() && learner->second.admit_asked;
      }));
      cluster.crash(cluster.wiped);
      cluster.start(cluster.wiped);
    }
    CHECK(cluster.admits() == 0);

    cluster.at(cluster.leader).disk_works = true;
    cluster.at(cluster.other).disk_works = true;
    REQUIRE(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
    CHECK(cluster.admits() <= 2);
  }

  TEST_CASE(
      "admit: the leader stops leading while one waits -> gone, the next leader's own counts") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.at(cluster.leader).disk_works = false;
    cluster.publish(1, 1);
    cluster.lose_disk(cluster.wiped);
    cluster.wait([&] { return false; }, 30);
    cluster.isolate(cluster.leader, true);
    cluster.wait(
        [&] { return cluster.at(cluster.leader).replica->core().role() == Role::looking; });
    cluster.isolate(cluster.leader, false);
    cluster.at(cluster.leader).disk_works = true;

    cluster.leader = cluster.wait_for_leader();
    CHECK(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
  }

  TEST_CASE("old copy: log and identity put back -> found out, nothing is lost") {
    Wiped cluster;
    REQUIRE(cluster.open_publisher());
    cluster.publish(1, 3);
    CHECK(cluster.receipts() == 3);
    Server& server = cluster.at(cluster.wiped);
    cluster.crash(cluster.wiped);
    const FakeLog log = server.log;
    const zab::Identity identity = server.identity;
    cluster.start(cluster.wiped);
    REQUIRE(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
    cluster.publish(4, 6);
    CHECK(cluster.receipts() == 3);
    cluster.crash(cluster.wiped);
    server.log = log;
    server.identity = identity;
    cluster.start(cluster.wiped);

    REQUIRE(cluster.wait([&] { return cluster.is_counted(cluster.wiped); }));
    CHECK(server.identity.incarnation != identity.incarnation);
    CHECK(server.replica->counters().alarms == 1);
    CHECK(cluster.everything_at(cluster.wiped) == numbers(1, 6));
  }
}
