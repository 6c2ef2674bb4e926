// RouteTest: rotation, pauses and redirects.
#include "client/route.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "zabmq/client.hpp"

namespace zabmq::client {

using Strings = std::vector<std::string>;

TEST_SUITE("client/route") {
  TEST_CASE("failures: the given servers in turn, after pauses that grow up to a second") {
    Route route({"a", "b", "c"}, 1);
    CHECK(route.first(5).endpoint == "a");
    CHECK(route.first(5).at_ms == 5);
    const Strings order = {"b", "c", "a", "b", "c", "a", "b", "c"};
    std::uint64_t full = Route::pause_min_ms;
    for (const std::string& endpoint : order) {
      const Route::Next next = route.after_failure(1000);
      CHECK(next.endpoint == endpoint);
      CHECK(next.at_ms >= 1000 + full / 2);
      CHECK(next.at_ms <= 1000 + full);
      full = std::min<std::uint64_t>(2 * full, Route::pause_max_ms);
    }
    route.succeeded();
    CHECK(route.after_failure(1000).at_ms <= 1000 + Route::pause_min_ms);
  }

  TEST_CASE("an election is waited for in shorter pauses") {
    Route route({"a", "b"}, 1);
    for (int i = 0; i < 20; ++i) {
      CHECK(route.without_leader(0).at_ms <= Route::election_pause_max_ms);
    }
  }

  TEST_CASE("redirects: at once, but not round and round") {
    Route route({"a"}, 1);
    for (unsigned i = 0; i < Route::redirects_max; ++i) {
      CHECK(route.redirected("leader", 7).endpoint == "leader");
      CHECK(route.redirected("leader", 7).at_ms >= 7);
      route.succeeded();
      CHECK(route.redirected("leader", 7).at_ms == 7);
      route.succeeded();
    }
    for (unsigned i = 0; i < Route::redirects_max; ++i) route.redirected("leader", 7);
    CHECK(route.redirected("leader", 7).at_ms > 7);
  }

  TEST_CASE("jitter: different seeds, different pauses") {
    std::set<std::uint64_t> pauses;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Route route({"a"}, seed);
      for (int i = 0; i < 6; ++i) route.after_failure(0);
      pauses.insert(route.after_failure(0).at_ms);
    }
    CHECK(pauses.size() > 10);
  }

  TEST_CASE("endpoints: from the environment, else what zabmq dev opens") {
    ::unsetenv("ZABMQ_ENDPOINTS");
    CHECK(default_endpoints() ==
          Strings{"tcp://127.0.0.1:9470", "tcp://127.0.0.1:9480", "tcp://127.0.0.1:9490"});
    ::setenv("ZABMQ_ENDPOINTS", "tcp://x:1,,tcp://y:2,", 1);
    CHECK(default_endpoints() == Strings{"tcp://x:1", "tcp://y:2"});
    ::setenv("ZABMQ_ENDPOINTS", ",", 1);
    CHECK(default_endpoints().size() == 3);
    ::unsetenv("ZABMQ_ENDPOINTS");
  }
}

}  // namespace zabmq::client
