// ExamplesTest: the programs that the README quotes do what it says.
#include <doctest/doctest.h>
#include <stdlib.h>

#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

// The examples find the cluster as a user's program would.
class EndpointsInEnvironment {
 public:
  explicit EndpointsInEnvironment(const std::string& endpoints) {
    setenv("ZABMQ_ENDPOINTS", endpoints.c_str(), 1);
  }
  ~EndpointsInEnvironment() { unsetenv("ZABMQ_ENDPOINTS"); }
  EndpointsInEnvironment(const EndpointsInEnvironment&) = delete;
  EndpointsInEnvironment& operator=(const EndpointsInEnvironment&) = delete;
};

}  // namespace

TEST_SUITE("cluster/examples") {
  TEST_CASE("examples: publish prints a receipt a line, subscribe prints the messages") {
    TestCluster cluster;
    const EndpointsInEnvironment endpoints(cluster.endpoints());

    const Ended publish = run_program("zabmq-publish", {"orders"}, "first\nsecond\n");
    Running subscribe("zabmq-subscribe", {"orders"});

    CHECK(publish.code == 0);
    const auto receipts = lines_of(publish.out);
    REQUIRE(receipts.size() == 2);
    CHECK(receipts[0].starts_with("offset 1 zxid 1."));
    CHECK(receipts[1].starts_with("offset 2 zxid 1."));
    for (const char* ending : {" orders: first", " orders: second"}) {
      const auto line = subscribe.read_line();
      REQUIRE(line);
      CHECK(line->ends_with(ending));
    }
  }
}

}  // namespace zabmq::cluster
