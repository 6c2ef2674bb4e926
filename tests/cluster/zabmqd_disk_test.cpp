// ZabmqdDiskTest: how a server ends, and what it makes of a disk that lies.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

#include "test_cluster.hpp"
#include "zabmq/record.hpp"

namespace zabmq::cluster {

namespace {

constexpr ServerId one{1};
constexpr Millis stop_bound{2000};
constexpr Millis refusal_bound{3000};  // a second for a release build; sanitizers are slower
constexpr std::size_t first_record = 4096 + 64;  // behind segment header and mark

void replace(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  REQUIRE(file.flush().good());
}

void flip_bit(const std::filesystem::path& path, std::size_t position) {
  std::string content = content_of(path);
  REQUIRE(content.size() > position);
  content[position] = static_cast<char>(content[position] ^ 4);
  replace(path, content);
}

// An identity record as a later version would write it: still with a valid checksum.
void set_identity_version(const std::filesystem::path& path, char version) {
  std::string content = content_of(path);
  REQUIRE(content.size() > 4 + sizeof(Digest));
  content[4] = version;
  const std::size_t checksum_at = content.size() - sizeof(Digest);
  const Digest digest = checksum(std::as_bytes(std::span(content)).first(checksum_at));
  std::memcpy(content.data() + checksum_at, &digest, sizeof digest);
  replace(path, content);
}

// Starts a stopped server where its end can be watched.
Ended start_again(TestCluster& cluster, ServerId id) {
  Words words = cluster.servers().command_line(id);
  words.erase(words.begin());
  return run_program("zabmqd", words);
}

void check_refused(const Ended& ended, const std::vector<std::string>& parts) {
  INFO(ended.err);
  CHECK(ended.code == 1);
  CHECK(ended.took < refusal_bound);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(contains(ended.err, part));
  }
}

}  // namespace

TEST_SUITE("cluster/zabmqd") {
  TEST_CASE("zabmqd: SIGTERM and SIGINT -> exit 0 within two seconds, no write is torn") {
    for (const int signal : {SIGTERM, SIGINT}) {
      CAPTURE(signal);
      TestCluster cluster(1);
      REQUIRE(cluster.tool({"pub", "t", "--lines"}, numbered_lines(1, 1000)).code == 0);

      cluster.servers().kill(one, signal);

      CHECK(cluster.servers().wait_for_end(one, stop_bound) == 0);
      cluster.servers().launch(one);
      REQUIRE(cluster.servers().wait_for_leader(Millis{15000}));
      const std::string log = content_of(cluster.servers().server(one).log_file);
      CHECK_FALSE(contains(log, "interrupted"));
      CHECK(contains(log, "offset 1000, delivered up to"));
      CHECK(cluster.everything_at(1) == numbered_lines(1, 1000));
    }
  }

  TEST_CASE("zabmqd: a write fails -> one line, exit 70, the others go on, it comes back") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "before"}).code == 0);
    REQUIRE(cluster.even());
    const ServerId victim = cluster.follower();
    const rlimit limit{8192, 8192};  // the log file may not grow beyond its first page
    REQUIRE(prlimit(cluster.servers().process_id(victim), RLIMIT_FSIZE, &limit, nullptr) == 0);

    const Ended pub = cluster.tool({"pub", "t", std::string(20000, 'x')});

    INFO(pub.err);
    CHECK(pub.code == 0);
    CHECK(cluster.servers().wait_for_end(victim, Millis{10000}) == 70);
    const std::string line = cluster.servers().last_log_line(victim);
    CHECK(contains(line, "00000001.seg"));
    CHECK(contains(line, cluster.servers().server(victim).data_directory.string()));
    cluster.servers().launch(victim);
    CHECK(eventually([&] { return cluster.status_of(victim).role == Role::following; }));
    CHECK(cluster.even());
    CHECK(cluster.everything_at(static_cast<int>(victim)) ==
          "before\n" + std::string(20000, 'x') + "\n");
  }

  TEST_CASE("zabmqd: a bit changed before a later write -> exit 1 with file, place and way out") {
    TestCluster cluster(1);
    REQUIRE(cluster.tool({"pub", "t", "first"}).code == 0);
    REQUIRE(cluster.tool({"pub", "t", "second"}).code == 0);
    cluster.servers().stop();
    const auto directory = cluster.servers().server(one).data_directory;

    flip_bit(directory / "00000001.seg", first_record + 20);

    const Ended ended = start_again(cluster, one);
    check_refused(ended,
                  {directory.string(), "00000001.seg", "byte " + std::to_string(first_record),
                   "behind transaction 0.0", "start this server empty"});
    CHECK(is_one_line(ended.err));
  }

  TEST_CASE("zabmqd: the identity changed by a bit, or lost -> exit 1, nothing is overwritten") {
    TestCluster cluster(1);
    REQUIRE(cluster.tool({"pub", "t", "first"}).code == 0);
    cluster.servers().stop();
    const auto identity = cluster.servers().server(one).data_directory / "identity";

    flip_bit(identity, 30);
    const std::string damaged = content_of(identity);
    check_refused(start_again(cluster, one), {"identity", "damaged", "start this server empty"});
    CHECK(content_of(identity) == damaged);

    std::filesystem::remove(identity);
    check_refused(start_again(cluster, one), {"00000001.seg", "no file identity"});
    CHECK_FALSE(std::filesystem::exists(identity));
  }

  TEST_CASE("zabmqd: a directory of a newer version -> exit 1 with both versions") {
    TestCluster cluster(1);
    cluster.servers().stop();
    const auto directory = cluster.servers().server(one).data_directory;

    set_identity_version(directory / "identity", 9);

    check_refused(start_again(cluster, one), {directory.string(), "version 9", "knows 1"});
  }

  TEST_CASE("zabmqd: the leader paused beyond the time-out -> another leads, it comes back") {
    TestCluster cluster;
    REQUIRE(cluster.tool({"pub", "t", "before"}).code == 0);
    const ServerId old = cluster.leader();

    cluster.servers().kill(old, SIGSTOP);
    const Ended pub = cluster.tool({"pub", "t", "meanwhile", "--timeout", "20s"});
    cluster.servers().kill(old, SIGCONT);

    INFO(pub.err);
    CHECK(pub.code == 0);
    CHECK(eventually([&] { return cluster.status_of(old).role == Role::following; }));
    CHECK(cluster.leader() != old);
    CHECK(cluster.even());
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == "before\nmeanwhile\n");
  }
}

}  // namespace zabmq::cluster
