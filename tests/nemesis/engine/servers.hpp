// Servers: the zabmqd processes under test, where they live, and what became of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/child_process.hpp"
#include "nemesis/engine/network.hpp"
#include "nemesis/engine/proxy.hpp"
#include "zabmq/admin.hpp"
#include "zabmq/types.hpp"

namespace zabmq::nemesis {

inline constexpr int exit_refused = 1;     // cannot start or go on as asked: a damaged directory
inline constexpr int exit_fail_stop = 70;  // a write or a sync failed

// Of all time-outs that the servers are given.
inline constexpr std::chrono::seconds longest_time_out{3};

// Use it from one thread that outlives it (see child_process.hpp).
class Servers {
 public:
  Servers(std::size_t count, const Network& network, std::filesystem::path directory);

  std::vector<ServerId> ids() const;
  std::size_t count() const { return servers_.size(); }
  std::vector<ProxyLink> links() const;         // between servers
  std::vector<ProxyLink> client_links() const;  // from all clients to each server

  void launch(ServerId id);
  void launch_all();  // that do not run
  void signal(ServerId id, int number);
  void kill(ServerId id);  // SIGKILL, and its end awaited
  void stop_all();         // SIGTERM, then SIGKILL
  bool running(ServerId id);
  bool stands_still(ServerId id) const;  // by SIGSTOP
  pid_t process_id(ServerId id) const;
  std::optional<int> wait_for_end(ServerId id, Millis bound);

  ClusterStatus status(Millis patience = Millis{300}) const;
  ServerStatus status_of(ServerId id) const;
  std::optional<ServerId> leader() const;

  std::filesystem::path data_directory(ServerId id) const;
  std::filesystem::path log_file(ServerId id) const;
  std::string last_words(ServerId id) const;    // the last line of its log
  std::string endpoint(ServerId id) const;      // for clients, through the proxy
  std::string own_endpoint(ServerId id) const;  // for questions of ours
  std::vector<std::string> endpoints() const;
  std::vector<std::string> own_endpoints() const;

 private:
  struct Server {
    ServerId id = ServerId::none;
    std::string host;
    std::uint16_t client_port = 0;
    std::uint16_t client_proxy = 0;  // where clients connect
    std::uint16_t peer_port = 0;
    std::map<ServerId, std::uint16_t> proxies;  // where others connect to reach its peer port
    std::unique_ptr<cli::ChildProcess> process;
  };
  Server& at(ServerId id);
  const Server& at(ServerId id) const;
  std::string server_list(ServerId for_whom) const;
  std::vector<std::string> command_line(ServerId id) const;

  const Network& network_;
  std::filesystem::path directory_;
  std::vector<Server> servers_;
};

}  // namespace zabmq::nemesis
