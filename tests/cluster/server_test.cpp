// ServerTest: what zabmqd refuses at its start, and what it shrugs off while it runs.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <random>
#include <zmq.hpp>

#include "cli/free_ports.hpp"
#include "test_cluster.hpp"

namespace zabmq::cluster {

namespace {

constexpr Millis refusal_bound{3000};  // a second for a release build; sanitizers are slower

// zabmqd with the words of server 1 of `cluster`, some of them replaced.
Ended start_server(TestCluster& cluster,
                   const std::vector<std::pair<std::string, std::string>>& with) {
  Words words = cluster.servers().command_line(ServerId(1));
  words.erase(words.begin());
  for (const auto& [flag, value] : with) {
    const auto found = std::find(words.begin(), words.end(), flag);
    REQUIRE(found != words.end());
    *std::next(found) = value;
  }
  return run_program("zabmqd", words);
}

void check_refused(const Ended& ended, const std::vector<std::string>& parts) {
  CHECK(ended.code == 1);
  CHECK(ended.took < refusal_bound);
  INFO(ended.err);
  const auto lines = lines_of(ended.err);
  REQUIRE_FALSE(lines.empty());
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(contains(lines.back(), part));
  }
}

std::string other_ports(int servers) {
  const auto ports = cli::free_ports(static_cast<std::size_t>(2 * servers));
  std::string list;
  for (int i = 0; i < servers; ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    list += (list.empty() ? "" : ",") + std::to_string(i + 1) +
            "=127.0.0.1:" + std::to_string(ports[at]) + ":" + std::to_string(ports[at + 1]);
  }
  return list;
}

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Raw bytes into a port that speaks ZMTP.
void send_raw(std::uint16_t port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  close(fd);
}

// Frames of every wrong shape from a well-behaved socket.
void send_frames(std::uint16_t port, std::mt19937& random) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 2000);
  socket.connect("tcp://127.0.0.1:" + std::to_string(port));
  for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 64u, 1000u, 100000u}) {
    for (int parts = 1; parts <= 4; ++parts) {
      for (int part = 1; part <= parts; ++part) {
        const std::string bytes = random_bytes(random, size);
        const auto more = part < parts ? zmq::send_flags::sndmore : zmq::send_flags::none;
        REQUIRE(socket.send(zmq::buffer(bytes), more));
      }
    }
  }
}

}  // namespace

TEST_SUITE("cluster/server") {
  TEST_CASE("server: a port in use -> exit 1 within a second, one line with the port") {
    TestCluster cluster;
    const std::string directory = cluster.directory() / "other";

    const Ended ended = start_server(cluster, {{"--data-dir", directory}});

    const cli::LocalServer& server = cluster.servers().server(ServerId(1));
    const bool names_port = contains(ended.err, std::to_string(server.client_port)) ||
                            contains(ended.err, std::to_string(server.peer_port));
    check_refused(ended, {"in use"});
    CHECK(names_port);
  }

  TEST_CASE("server: a data directory in use -> exit 1, one line that names it") {
    TestCluster cluster;
    const std::string directory = cluster.servers().server(ServerId(1)).data_directory;

    check_refused(start_server(cluster, {{"--servers", other_ports(3)}}), {directory, "in use"});
  }

  TEST_CASE(
      "ZOOKEEPER-3829: a directory of another server or voter set -> exit 1 with both values") {
    TestCluster cluster;
    const std::string directory = cluster.servers().server(ServerId(1)).data_directory;
    cluster.servers().stop();

    check_refused(start_server(cluster, {{"--id", "2"}}), {directory, "1", "2"});
    check_refused(start_server(cluster, {{"--servers", other_ports(5)}}),
                  {directory, "1,2,3", "5"});
  }

  TEST_CASE("server: a directory of another cluster -> stops by name instead of mixing histories") {
    TestCluster cluster;
    TestCluster other;
    REQUIRE(cluster.tool({"pub", "t", "ours"}).code == 0);
    REQUIRE(other.tool({"pub", "t", "theirs"}).code == 0);
    cluster.servers().kill(ServerId(1), SIGKILL);
    other.servers().stop();
    const auto& ours = cluster.servers().server(ServerId(1)).data_directory;
    std::filesystem::remove_all(ours);
    std::filesystem::rename(other.servers().server(ServerId(1)).data_directory, ours);

    cluster.servers().launch(ServerId(1));

    CHECK(eventually([&] { return cluster.tool({"pub", "t", "more"}).code == 0; }));
    CHECK(cluster.everything_at(2) == "ours\nmore\n");
    CHECK(cluster.everything_at(3) == "ours\nmore\n");
    CHECK_FALSE(cluster.status_of(ServerId(1)).role == Role::following);
  }

  TEST_CASE("server: impossible words -> exit 1, one line with flag and value") {
    TestCluster cluster(1);
    cluster.servers().stop();

    check_refused(start_server(cluster, {{"--data-dir", "/dev/null/data"}}), {"/dev/null/data"});
    check_refused(start_server(cluster, {{"--id", "7"}}), {"--id", "7"});
    check_refused(start_server(cluster, {{"--servers", "1=0.0.0.0:9570:9470"}}),
                  {"0.0.0.0", "--insecure-allow-plaintext"});
    check_refused(start_server(cluster, {{"--servers", "1=127.0.0.1:9570:9470:observer"}}),
                  {"observer"});
    check_refused(start_server(cluster, {{"--servers", "1=127.0.0.1:9570"}}), {"--servers"});
    check_refused(run_program("zabmqd", {"--bogus"}), {"--bogus"});
    check_refused(run_program("zabmqd", {"--id", "1", "--servers", other_ports(1), "--data-dir",
                                         cluster.directory() / "x", "--config", "file"}),
                  {"--config"});
    check_refused(run_program("zabmqd", {"--id", "1", "--servers", other_ports(1), "--data-dir",
                                         cluster.directory() / "x", "--set", "limits.bogus=1"}),
                  {"limits.bogus"});
  }

  TEST_CASE("server: garbage at client and peer ports -> dropped, counted, nobody notices") {
    TestCluster cluster;
    std::mt19937 random(20240607);
    Running sub("zabmq", {"sub", "--from", "first", "--endpoints", cluster.endpoints()});
    REQUIRE(cluster.tool({"pub", "t", "before"}).code == 0);
    REQUIRE(sub.read_line() == "before");
    const Epoch epoch = cluster.status_of(cluster.leader()).epoch;

    for (const cli::LocalServer& server : cluster.servers().servers()) {
      for (const std::uint16_t port : {server.client_port, server.peer_port}) {
        send_raw(port, random_bytes(random, 5000));
        send_raw(port, "GET / HTTP/1.0\r\n\r\n");
        send_frames(port, random);
      }
    }

    CHECK(cluster.tool({"pub", "t", "after"}).code == 0);
    CHECK(sub.read_line() == "after");
    for (const int id : {1, 2, 3}) CHECK(cluster.everything_at(id) == "before\nafter\n");
    for (const int id : {1, 2, 3}) CHECK(cluster.servers().running(ServerId(id)));
    CHECK(cluster.status_of(cluster.leader()).epoch == epoch);
    std::string counters;
    for (const std::string& counter : cluster.status_of(cluster.leader()).counters) {
      counters += counter + " ";
    }
    CHECK(contains(counters, "client_frames_malformed="));
    CHECK_FALSE(contains(counters, "client_frames_malformed=0 "));
  }
}

}  // namespace zabmq::cluster
