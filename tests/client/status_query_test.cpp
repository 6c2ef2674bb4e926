// StatusQueryTest: one table from the answers of many servers.
#include "client/status_query.hpp"

#include <doctest/doctest.h>

namespace zabmq::client {
namespace {

wire::StatusAnswer answer(std::uint32_t server, Role role, Phase phase, std::uint32_t epoch) {
  wire::StatusAnswer a;
  a.server = ServerId{server};
  a.role = role;
  a.phase = phase;
  a.epoch = Epoch{epoch};
  for (std::uint32_t id = 1; id <= 3; ++id) {
    a.servers.push_back({ServerId{id}, "tcp://s" + std::to_string(id)});
  }
  return a;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_SUITE("client/status_query") {
  TEST_CASE("servers that an answer names -> asked too, each once") {
    StatusQuery query({"tcp://s2", "tcp://s2"});
    CHECK(query.take_new_endpoints() == Strings{"tcp://s2"});
    query.on_answer("tcp://s2", answer(2, Role::following, Phase::broadcast, 7));
    CHECK(query.take_new_endpoints() == Strings{"tcp://s1", "tcp://s3"});
    CHECK(query.take_new_endpoints().empty());
  }

  TEST_CASE("result: every configured server by id, the silent ones unreachable") {
    StatusQuery query({"tcp://s2"});
    query.on_answer("tcp://s2", answer(2, Role::following, Phase::broadcast, 7));
    query.on_answer("tcp://s3", answer(3, Role::leading, Phase::broadcast, 7));

    const ClusterStatus cluster = query.result();

    REQUIRE(cluster.servers.size() == 3);
    CHECK(cluster.servers[0].id == ServerId{1});
    CHECK_FALSE(cluster.servers[0].reachable);
    CHECK(cluster.servers[0].client == "tcp://s1");
    CHECK(cluster.servers[1].reachable);
    CHECK(cluster.servers[2].role == Role::leading);
    CHECK(cluster.leader == ServerId{3});
  }

  TEST_CASE("leader: who says so itself, in broadcast, with the greatest epoch") {
    StatusQuery query({"tcp://s1"});
    query.on_answer("tcp://s1", answer(1, Role::leading, Phase::broadcast, 6));
    query.on_answer("tcp://s2", answer(2, Role::leading, Phase::synchronization, 8));
    CHECK(query.result().leader == ServerId{1});
    query.on_answer("tcp://s3", answer(3, Role::leading, Phase::broadcast, 7));
    CHECK(query.result().leader == ServerId{3});
  }

  TEST_CASE("nobody answers -> what was given, without ids") {
    const ClusterStatus cluster = StatusQuery({"tcp://x", "tcp://y"}).result();
    REQUIRE(cluster.servers.size() == 2);
    CHECK(cluster.servers[0].id == ServerId::none);
    CHECK(cluster.servers[0].client == "tcp://x");
    CHECK(cluster.leader == ServerId::none);
  }

  TEST_CASE("answers that name ever more servers -> bounded") {
    StatusQuery query({"tcp://s1"});
    for (std::uint32_t i = 0; i < 200; ++i) {
      wire::StatusAnswer a = answer(1, Role::following, Phase::broadcast, 1);
      a.servers = {{ServerId{100 + i}, "tcp://more" + std::to_string(i)}};
      query.on_answer("tcp://s1", a);
    }
    CHECK(query.take_new_endpoints().size() == StatusQuery::endpoints_max);
  }
}

}  // namespace zabmq::client
