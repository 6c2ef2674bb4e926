// Node: one running server: directory, sockets, clock and randomness around one replica. The only
// place where they meet.
//
// open() takes the directory and the ports, or says in one line why it cannot. run() is the server;
// it uses the calling thread and returns when asked to stop, or when it must.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "node/event_fd.hpp"
#include "node/node_config.hpp"
#include "node/notice.hpp"
#include "node/problem.hpp"

namespace zabmq::node {

struct Ending {
  enum class Kind : std::uint8_t {
    stopped,  // as asked; the final mark is durable
    failed,   // fail-stop: a disk error, or going on would lose committed data
    corrupt   // stored bytes are not what was written
  };
  Kind kind = Kind::stopped;
  std::string text;  // what happened, to what, what to do; empty when stopped
};

class Node {
 public:
  // `stop` must outlive the node; raising it at any time, before open() too, ends run().
  static std::variant<std::unique_ptr<Node>, Problem> open(const NodeConfig& config,
                                                           const StopSignal& stop,
                                                           Observer observer);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Ending run();

 private:
  class Parts;
  explicit Node(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace zabmq::node
