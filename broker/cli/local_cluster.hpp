// LocalCluster: a real cluster of zabmqd processes on loopback, for `zabmq dev`, the demo and
// tests.
//
// Use it from one thread that outlives the cluster (see child_process.hpp). Each server has a data
// directory DIR/<id> and a log DIR/<id>.log, both kept; the processes end with this object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/child_process.hpp"
#include "zabmq/admin.hpp"
#include "zabmq/client.hpp"
#include "zabmq/types.hpp"

namespace zabmq::cli {

struct LocalClusterOptions {
  std::size_t servers = 3;
  std::filesystem::path directory = {};
  std::uint16_t first_port = 0;  // client ports from here, ten apart, peer 100 above; 0: free ones
  std::vector<std::string> arguments = {};  // further ones for every zabmqd
  Millis stop_patience{10000};              // from SIGTERM to SIGKILL
};

struct LocalServer {
  ServerId id = ServerId::none;
  std::uint16_t client_port = 0;
  std::uint16_t peer_port = 0;
  std::filesystem::path data_directory;
  std::filesystem::path log_file;
};

// A server ended before the cluster was there; the text says which, and how it ended.
struct StartFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class LocalCluster {
 public:
  using GiveUp = std::function<bool()>;  // asked while something is awaited

  explicit LocalCluster(LocalClusterOptions options);  // chooses ports; starts nothing
  ~LocalCluster();                                     // stop()

  // Starts all servers and waits until one leads. Other free ports are taken when a chosen one is
  // lost to another program meanwhile. False: `give_up` said so. Throws StartFailed when a server
  // ended, Error(unavailable) when none leads in time.
  bool start(Millis bound, const GiveUp& give_up = {});

  // A chosen port that somebody else has; asked before the start. Servers that answer there would
  // be taken for ours.
  std::optional<std::uint16_t> taken_port() const;

  void launch(ServerId id);              // one process; it must not be running
  void launch_all();                     // all that do not run
  void kill(ServerId id, int signal);    // sends it, and waits for the end when it is SIGKILL
  std::optional<int> stop(ServerId id);  // SIGTERM, then SIGKILL; the exit status, if it ran
  void stop();                           // all at once
  bool running(ServerId id);
  std::optional<int> wait_for_end(ServerId id, Millis bound);
  pid_t process_id(ServerId id) const;  // -1: none
  int ready_fd(ServerId id) const;      // readable once its process has ended; -1: none

  // The server that leads, once there is one. nullopt: none within `bound`, a server ended that was
  // running when this began, or `give_up` said so.
  std::optional<ServerId> wait_for_leader(Millis bound, const GiveUp& give_up = {});
  ClusterStatus status() const;

  const std::vector<LocalServer>& servers() const { return servers_; }
  const LocalServer& server(ServerId id) const;
  std::string endpoint(ServerId id) const;
  std::vector<std::string> endpoints() const;
  std::string last_log_line(ServerId id) const;
  // How a server that has ended did: by which signal, or its exit code and what it said last.
  std::string how_ended(ServerId id);
  std::vector<std::string> command_line(ServerId id) const;  // of its zabmqd

 private:
  void choose_ports();
  std::vector<ServerId> running_servers();
  std::optional<ServerId> ended_of(const std::vector<ServerId>& started);
  bool lost_a_port(ServerId id) const;
  std::string server_list() const;

  LocalClusterOptions options_;
  std::filesystem::path program_;
  std::vector<LocalServer> servers_;
  std::map<ServerId, std::unique_ptr<ChildProcess>> processes_;
};

// A program of this project: it stands beside the running one.
std::filesystem::path sibling_program(const std::string& name);

}  // namespace zabmq::cli
