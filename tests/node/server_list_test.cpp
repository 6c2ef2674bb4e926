// ServerList tests: the text of --servers.
#include "node/server_list.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "zabmq/record.hpp"

using namespace zabmq;
using node::Problem;
using node::ServerList;

namespace {

ServerList parsed(const std::string& text) {
  auto result = ServerList::parse(text);
  if (const auto* problem = std::get_if<Problem>(&result)) FAIL(problem->text);
  return std::get<ServerList>(result);
}

std::string problem_of(const std::string& text) {
  const auto result = ServerList::parse(text);
  const auto* problem = std::get_if<Problem>(&result);
  return problem ? problem->text : "";
}

}  // namespace

TEST_SUITE("node/server_list") {
  TEST_CASE("server list: three servers in any order -> sorted by id, with endpoints") {
    const ServerList list =
        parsed("3=127.0.0.1:9590:9490,1=localhost:9570:9470,2=[::1]:9580:9480:voter");

    REQUIRE(list.all().size() == 3);
    CHECK(list.voters() == std::vector{ServerId{1}, ServerId{2}, ServerId{3}});
    CHECK(list.find(ServerId{1})->peer_endpoint() == "tcp://localhost:9570");
    CHECK(list.find(ServerId{2})->client_endpoint() == "tcp://[::1]:9480");
    CHECK(list.find(ServerId{2})->is_ipv6());
    CHECK(list.find(ServerId{4}) == nullptr);
  }

  TEST_CASE("ZOOKEEPER-2164: the voter set is ids and roles -> the same at other addresses") {
    const ServerList here = parsed("1=127.0.0.1:9570:9470,2=127.0.0.1:9580:9480");
    const ServerList there = parsed("2=10.0.0.2:1:2,1=10.0.0.1:1:2");
    const ServerList larger = parsed("1=127.0.0.1:9570:9470,2=127.0.0.1:9580:9480,3=127.0.0.1:1:2");

    CHECK(here.voter_set() == "1,2");
    CHECK(there.voter_set() == "1,2");
    CHECK(here.voter_set_hash() == there.voter_set_hash());
    CHECK(here.voter_set_hash() != larger.voter_set_hash());
    constexpr std::string_view text = "1:voter,2:voter";
    const Bytes bytes = std::as_bytes(std::span(text));
    CHECK(here.voter_set_hash() == static_cast<std::uint64_t>(checksum(bytes)));
  }

  TEST_CASE("server list: loopback is told from what only looks like it") {
    CHECK(parsed("1=127.0.0.1:1:2").all()[0].is_loopback());
    CHECK(parsed("1=127.9.8.7:1:2").all()[0].is_loopback());
    CHECK(parsed("1=localhost:1:2").all()[0].is_loopback());
    CHECK(parsed("1=[::1]:1:2").all()[0].is_loopback());
    CHECK_FALSE(parsed("1=127.example.org:1:2").all()[0].is_loopback());
    CHECK_FALSE(parsed("1=10.0.0.1:1:2").all()[0].is_loopback());
    CHECK_FALSE(parsed("1=0.0.0.0:1:2").all()[0].is_loopback());
    CHECK_FALSE(parsed("1=[::]:1:2").all()[0].is_loopback());
  }

  TEST_CASE("server list: malformed entries -> a problem naming entry and reason") {
    CHECK(problem_of("") == "--servers : expected ID=HOST:PEERPORT:CLIENTPORT");
    CHECK(problem_of("1=h:1:2,") == "--servers : expected ID=HOST:PEERPORT:CLIENTPORT");
    CHECK(problem_of("h:1:2") == "--servers h:1:2: expected ID=HOST:PEERPORT:CLIENTPORT");
    CHECK(problem_of("1=h:1") == "--servers 1=h:1: expected ID=HOST:PEERPORT:CLIENTPORT");
    CHECK(problem_of("0=h:1:2") == "--servers 0=h:1:2: the id must be a number from 1");
    CHECK(problem_of("x=h:1:2") == "--servers x=h:1:2: the id must be a number from 1");
    CHECK(problem_of("1=h:0:2") == "--servers 1=h:0:2: bad port '0' (1 to 65535)");
    CHECK(problem_of("1=h:1:70000") == "--servers 1=h:1:70000: bad port '70000' (1 to 65535)");
    CHECK(problem_of("1=h h:1:2") == "--servers 1=h h:1:2: bad host 'h h' (IPv6 goes in brackets)");
    CHECK(problem_of("1=[::1:1:2") == "--servers 1=[::1:1:2: expected ID=HOST:PEERPORT:CLIENTPORT");
    CHECK(problem_of("1=h:1:2:king") == "--servers 1=h:1:2:king: unknown role 'king'");
    CHECK(problem_of("1=h:1:2:observer") ==
          "--servers 1=h:1:2:observer: observers are not supported by this version");
  }

  TEST_CASE("server list: an id or an address given twice -> a problem naming it") {
    CHECK(problem_of("1=h:1:2,1=h:3:4") == "--servers: id 1 is given twice");
    CHECK(problem_of("1=h:1:2,2=h:3:2") == "--servers: tcp://h:2 is given twice");
    CHECK(problem_of("1=h:5:5") == "--servers: tcp://h:5 is given twice");
    CHECK(problem_of("1=h:1:2,2=i:1:2").empty());
  }

  TEST_CASE("server list: more servers than the wire carries -> a problem naming the bound") {
    std::string text;
    for (int id = 1; id <= 17; ++id) {
      text += (id > 1 ? "," : "") + std::to_string(id) + "=h:" + std::to_string(2 * id) + ":" +
              std::to_string(2 * id + 1);
    }
    CHECK(problem_of(text) == "--servers: 17 servers, at most 16");
  }
}
