// BreachProxy: stands before a real server as its client endpoint and breaks one rule of
// docs/wire.md on purpose.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "cli/conformance/value.hpp"

namespace zabmq::cluster {

using Parts = std::vector<std::string>;
// Changes a message on its way. False: it is lost.
using Change = std::function<bool(Parts&)>;

struct Breach {
  Change to_server = [](Parts&) { return true; };
  Change to_client = [](Parts&) { return true; };
};

class BreachProxy {
 public:
  BreachProxy(std::string server, Breach breach);
  ~BreachProxy();
  BreachProxy(const BreachProxy&) = delete;
  BreachProxy& operator=(const BreachProxy&) = delete;

  const std::string& endpoint() const { return endpoint_; }

 private:
  void run();
  void from_client();
  void from_server(const std::string& client, zmq::socket_t& socket);
  zmq::socket_t& to_server(const std::string& client);

  std::string server_;
  Breach breach_;
  zmq::context_t context_;
  zmq::socket_t clients_;
  std::string endpoint_;
  std::map<std::string, zmq::socket_t> servers_;  // a connection for each client
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// A change of the frames of one command, as the array that their header is.
Change change_frames(std::uint64_t command, std::function<void(cli::conformance::List&)> change);
Change lose_frames(std::uint64_t command);

}  // namespace zabmq::cluster
