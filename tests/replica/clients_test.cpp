// Clients: HELLO first, mismatches, malformed frames, links that are full, silence, STATUS.
#include <doctest/doctest.h>

#include <algorithm>

#include "server.hpp"

using namespace zabmq;
using namespace zabmq::testing;
using Sent = replica::ClientLinks::Sent;

namespace {

constexpr ConnectionId alice{1};
constexpr ConnectionId bob{2};

template <class T>
T only(Solo& solo, ConnectionId who) {
  solo.server.settle();
  const auto answers = solo.server.clients.take<T>(who);
  REQUIRE(answers.size() == 1);
  return answers.front();
}

std::vector<std::byte> garbage() {
  return std::vector<std::byte>(40, std::byte{0x5a});
}

}  // namespace

TEST_SUITE("replica/clients") {
  TEST_CASE("connection: any frame before HELLO -> RESET, counted, nothing done") {
    Solo solo;
    solo.server.publish(alice, 1, {"a"});
    solo.server.say(bob, from_first(1));
    solo.server.settle();

    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
    CHECK(solo.server.clients.take<wire::Reset>(bob).size() == 1);
    CHECK(solo.replica().counters().resets == 2);
    CHECK(solo.replica().status().subscriptions == 0);
    CHECK(solo.server.log.records() == 0);
  }

  TEST_CASE("connection: a flood of strangers -> RESETs are limited within a second, all counted") {
    replica::Options options;
    options.resets_per_second_max = 3;
    Solo solo(options);
    for (std::uint64_t c = 100; c < 110; ++c) solo.server.say(ConnectionId{c}, wire::ClientPing{});
    CHECK(solo.server.clients.take().size() == 3);
    CHECK(solo.replica().counters().resets == 10);

    solo.server.tick(1000);
    solo.server.say(alice, wire::ClientPing{});
    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
  }

  TEST_CASE("connection: garbage -> RESET to a stranger, REFUSED protocol to a client, counted") {
    Solo solo;
    solo.server.say(bob, wire::Hello{});
    solo.server.settle();
    solo.server.clients.take();

    solo.replica().on_client_frame(alice, {}, garbage(), {});
    solo.replica().on_client_frame(bob, {}, garbage(), {});

    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
    CHECK(only<wire::Refused>(solo, bob).code == Code::protocol);
    CHECK(solo.replica().counters().client_frames_malformed == 2);
    solo.server.say(bob, wire::ClientPing{});
    CHECK(solo.server.clients.take<wire::ServerPong>(bob).size() == 1);
  }

  TEST_CASE("HELLO: without a publisher -> WELCOME with ids, leader and limits") {
    Solo solo;
    wire::Hello hello;
    hello.cluster = solo.server.identity.cluster;
    hello.history = solo.server.identity.history;
    solo.server.say(alice, hello);

    const auto welcome = only<wire::Welcome>(solo, alice);
    CHECK(!welcome.publisher_open);
    CHECK(welcome.cluster == solo.server.identity.cluster);
    CHECK(welcome.history == solo.server.identity.history);
    CHECK(welcome.server == ServerId{1});
    CHECK(welcome.leader == ServerId{1});
    CHECK(welcome.payload_max == solo.server.options.batch.payload_max);
    CHECK(welcome.batch_bytes_max == solo.server.options.batch.batch_max);
    CHECK(welcome.heartbeat_ms == solo.server.options.client_heartbeat_ms);
  }

  TEST_CASE("HELLO: something does not fit -> REFUSED with both values, no connection") {
    Solo solo;
    wire::Hello hello;
    std::string ours, theirs;
    SUBCASE("cluster") {
      hello.cluster = make_uuid(5);
      theirs = to_string(make_uuid(5));
      ours = to_string(solo.server.identity.cluster);
    }
    SUBCASE("history") {
      hello.history = make_uuid(5);
      theirs = to_string(make_uuid(5));
      ours = to_string(solo.server.identity.history);
    }
    SUBCASE("version") {
      hello.version_min = hello.version_max = 9;
      theirs = "9..9";
      ours = "1..1";
    }
    SUBCASE("configuration") {
      hello.config_version = 4;
      theirs = "has 4";
      ours = "has 0";
    }
    solo.server.say(alice, hello);

    const auto refused = only<wire::Refused>(solo, alice);
    CHECK(refused.about == wire::About::connection);
    CHECK(refused.code == Code::refused);
    CHECK(refused.text.find(theirs) != std::string::npos);
    CHECK(refused.text.find(ours) != std::string::npos);
    CHECK(solo.replica().status().connections == 0);
  }

  TEST_CASE("HELLO: of a cluster, to a server that is still empty -> unavailable, not a mismatch") {
    FakePeers peers;
    Server server(ServerId{1}, {ServerId{1}, ServerId{2}, ServerId{3}}, {}, peers);
    server.identity = {};
    server.start();
    wire::Hello hello;
    hello.cluster = make_uuid(5);

    server.say(alice, hello);

    const auto refused = server.clients.take<wire::Refused>(alice);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].code == Code::unavailable);
    CHECK(refused[0].text.find("empty") != std::string::npos);
  }

  TEST_CASE("HELLO: without a leader -> a publisher is told who is missing, others are welcome") {
    FakePeers peers;
    Server server(ServerId{1}, {ServerId{1}, ServerId{2}, ServerId{3}}, {}, peers);
    server.start();
    wire::Hello hello;
    hello.publisher = make_uuid(7);

    server.say(alice, hello);
    server.say(bob, wire::Hello{});

    const auto refused = server.clients.take<wire::Refused>(alice);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].about == wire::About::connection);
    CHECK(refused[0].code == Code::unavailable);
    CHECK(refused[0].not_leading);
    CHECK(refused[0].text.find("2 of 3 servers are needed") != std::string::npos);
    CHECK(refused[0].text.find("2 (tcp://server-2), 3 (tcp://server-3)") != std::string::npos);
    const auto welcome = server.clients.take<wire::Welcome>(bob);
    REQUIRE(welcome.size() == 1);
    CHECK(welcome[0].leader == ServerId::none);
  }

  TEST_CASE("connections: connections_max -> busy, one that says BYE makes room") {
    replica::Options options;
    options.connections_max = 1;
    Solo solo(options);
    solo.server.say(alice, wire::Hello{});
    only<wire::Welcome>(solo, alice);

    solo.server.say(bob, wire::Hello{});
    CHECK(only<wire::Refused>(solo, bob).code == Code::busy);

    solo.server.say(alice, wire::Bye{});
    CHECK(solo.server.clients.released == std::vector{alice});
    solo.server.say(bob, wire::Hello{});
    only<wire::Welcome>(solo, bob);
  }

  TEST_CASE("connections: connections_max -> one that missed its heartbeats makes room") {
    replica::Options options;
    options.connections_max = 2;
    Solo solo(options);
    constexpr ConnectionId carol{3};
    solo.server.say(alice, wire::Hello{});
    solo.server.say(bob, wire::Hello{});
    for (int i = 0; i < 40; ++i) {
      solo.server.tick(100);
      solo.server.say(bob, wire::ClientPing{});
    }
    solo.server.clients.take();

    solo.server.say(carol, wire::Hello{});
    only<wire::Welcome>(solo, carol);
    CHECK(solo.server.clients.released == std::vector{alice});
    solo.server.say(alice, wire::ClientPing{});
    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
    solo.server.say(alice, wire::Hello{});
    CHECK(only<wire::Refused>(solo, alice).code == Code::busy);  // the others do speak
  }

  TEST_CASE("connection: silent for longer than the time-out -> forgotten, RESET when it speaks") {
    Solo solo;
    solo.server.subscribe(alice, from_first(1));
    solo.server.say(bob, wire::Hello{});
    for (int s = 0; s < 17; ++s) {
      for (int i = 0; i < 10; ++i) solo.server.tick(100);
      solo.server.say(bob, wire::ClientPing{});
    }
    CHECK(solo.replica().status().connections == 1);
    CHECK(solo.replica().status().subscriptions == 0);
    CHECK(solo.replica().counters().connections_forgotten == 1);

    solo.server.say(alice, wire::ClientPing{});
    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
  }

  TEST_CASE("link: full -> answers are kept in order and sent later, nothing overtakes") {
    Solo solo;
    solo.server.open_publisher(alice, make_uuid(7));
    solo.server.clients.state[alice] = Sent::full;
    for (Sequence s = 1; s <= 3; ++s) {
      solo.server.publish(alice, s, {"x"});
      solo.server.settle();
    }
    CHECK(solo.server.clients.take().empty());

    solo.server.clients.state.clear();
    solo.server.publish(alice, 4, {"x"});
    solo.server.settle();
    CHECK(solo.server.clients.take().empty());  // behind the others
    solo.server.tick();

    const auto receipts = solo.server.clients.take<wire::Receipt>(alice);
    REQUIRE(receipts.size() == 4);
    for (Sequence s = 1; s <= 4; ++s) CHECK(receipts[s - 1].first_sequence == s);
  }

  TEST_CASE("link: full for more answers than are kept -> the connection is forgotten") {
    replica::Options options;
    options.answers_max = 2;
    Solo solo(options);
    solo.server.say(alice, wire::Hello{});
    solo.server.clients.state[alice] = Sent::full;
    for (int i = 0; i < 3; ++i) solo.server.say(alice, wire::ClientPing{});
    CHECK(solo.replica().queues().answers == 0);
    solo.server.tick();
    CHECK(solo.replica().status().connections == 0);

    solo.server.clients.state.clear();
    solo.server.clients.take();
    solo.server.say(alice, wire::ClientPing{});
    CHECK(solo.server.clients.take<wire::Reset>(alice).size() == 1);
  }

  // Found by review: each life of such a connection was one more to be tried, in every tick.
  TEST_CASE("link: full, forgotten and back again and again -> tried once in a tick") {
    replica::Options options;
    options.answers_max = 1;
    Solo solo(options);
    solo.server.clients.state[alice] = Sent::full;
    for (int lives = 0; lives < 10; ++lives) {
      for (int i = 0; i < 2; ++i) solo.server.say(alice, wire::Hello{});
    }
    solo.server.say(alice, wire::Hello{});
    CHECK(solo.replica().queues().answers == 1);

    solo.server.clients.refusals = 0;
    solo.server.tick();
    CHECK(solo.server.clients.refusals == 1);
  }

  TEST_CASE("link: full for more bytes of answers than are kept -> the connection is forgotten") {
    replica::Options options;
    SUBCASE("of one connection") {
      options.answers_bytes_max = 2000;
    }
    SUBCASE("of all connections") {
      options.answers_total_bytes_max = 2000;
    }
    Solo solo(options);
    for (const ConnectionId id : {alice, bob}) {
      solo.server.say(id, wire::Hello{});
      solo.server.clients.state[id] = Sent::full;
    }
    solo.server.say(bob, wire::StatusQuestion{1});
    CHECK(solo.replica().status().connections == 2);
    int answers = 0;
    while (solo.replica().status().connections == 2 && answers < 10) {
      solo.server.say(alice, wire::StatusQuestion{1});
      solo.server.tick();
      ++answers;
    }
    CHECK(answers >= 1);
    CHECK(solo.replica().status().connections == 1);
    CHECK(solo.replica().queues().answers == 1);  // bob's
    CHECK(solo.replica().queues().all_answer_bytes == solo.replica().queues().answer_bytes);

    solo.server.clients.state.clear();
    solo.server.tick();
    CHECK(solo.server.clients.take<wire::StatusAnswer>(bob).size() == 1);
    CHECK(solo.replica().queues().all_answer_bytes == 0);
  }

  // Found by review: it was whoever came last.
  TEST_CASE("link: all full for more bytes than are kept -> who let most gather is forgotten") {
    const auto wait_full = [](Solo& solo) {
      for (const ConnectionId id : {alice, bob}) {
        solo.server.say(id, wire::Hello{});
        solo.server.clients.state[id] = Sent::full;
      }
      solo.server.say(alice, wire::StatusQuestion{1});
    };
    Solo measured;
    wait_full(measured);
    replica::Options options;
    options.answers_total_bytes_max = measured.replica().queues().all_answer_bytes * 7 / 2;
    Solo solo(options);
    wait_full(solo);
    for (int i = 0; i < 2; ++i) solo.server.say(alice, wire::StatusQuestion{1});
    CHECK(solo.replica().queues().answers == 3);
    solo.server.say(bob, wire::StatusQuestion{1});
    CHECK(solo.replica().queues().answers == 1);

    solo.server.clients.state.clear();
    solo.server.tick();
    CHECK(solo.replica().status().connections == 1);
    CHECK(solo.server.clients.take<wire::StatusAnswer>(bob).size() == 1);
  }

  TEST_CASE("connection: gone while its publisher is being opened -> no harm, opened again later") {
    Solo solo;
    wire::Hello hello;
    hello.publisher = make_uuid(7);
    solo.server.say(alice, hello);
    solo.replica().step();
    solo.replica().on_disconnected(alice);
    solo.server.settle();
    CHECK(solo.server.clients.take<wire::Welcome>(alice).empty());

    CHECK(solo.server.open_publisher(bob, make_uuid(7)).instance == 2);
  }

  TEST_CASE("STATUS: role, epoch, positions, servers, standing, counters") {
    Solo solo;
    solo.server.open_publisher(alice, make_uuid(7));
    solo.server.publish(alice, 1, {"a", "b"});
    solo.server.settle();

    solo.server.say(alice, wire::StatusQuestion{77});

    const auto status = only<wire::StatusAnswer>(solo, alice);
    CHECK(status.request == 77);
    CHECK(status.server == ServerId{1});
    CHECK(status.role == Role::leading);
    CHECK(status.phase == Phase::broadcast);
    CHECK(status.epoch == status.last_committed.epoch);
    CHECK(status.last_committed.counter == 2);
    CHECK(status.last_logged == status.last_committed);
    CHECK(status.first_offset == 1);
    CHECK(status.last_offset == 2);
    CHECK(status.leader == ServerId{1});
    CHECK(status.servers == std::vector<wire::ServerAddress>{{ServerId{1}, "tcp://server-1"}});
    CHECK(status.durability == "fsync");
    CHECK(status.standing == "voter");
    CHECK(std::count(status.counters.begin(), status.counters.end(), "messages_delivered=2") == 1);
  }

  TEST_CASE("disk: a failure is final -> told once, nothing is done any more") {
    Solo solo;
    solo.server.open_publisher(alice, make_uuid(7));
    solo.replica().on_failed({false, "fdatasync 00000007.seg: Input/output error"});
    solo.replica().on_failed({false, "another"});

    CHECK(solo.server.fatal == "fdatasync 00000007.seg: Input/output error");
    solo.server.publish(alice, 1, {"a"});
    CHECK(!solo.replica().step());
    CHECK(solo.server.clients.take().empty());
    CHECK(solo.server.log.records() == 1);
  }
}
