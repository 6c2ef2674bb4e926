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

  TEST_CASE("examples: asked for help -> usage and 0, a mistake -> exit 1 at once, one line") {
    for (const char* program : {"zabmq-publish", "zabmq-subscribe"}) {
      CAPTURE(program);
      const Ended help = run_program(program, {"--help"});
      CHECK(help.code == 0);
      CHECK(help.out.starts_with(std::string("usage: ") + program));
      CHECK(run_program(program, {"--nonsense"}).code == 1);
      const EndpointsInEnvironment endpoints("nonsense");
      const Ended wrong = run_program(program, {"orders"});
      CHECK(wrong.code == 1);
      CHECK(is_one_line(wrong.err));
      CHECK(contains(wrong.err, "'nonsense' is no endpoint: expected tcp://HOST:PORT"));
    }
    CHECK(run_program("zabmq-publish", {}).code == 1);
  }
}

}  // namespace zabmq::cluster
