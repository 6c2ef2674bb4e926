// Admin: asks all servers at once, each over a connection of its own.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/status_query.hpp"
#include "client/zmq_connection.hpp"
#include "client/zmq_context.hpp"
#include "client/zmq_drive.hpp"
#include "zabmq/admin.hpp"

namespace zabmq {

using client::Connect;
using client::Connection;
using client::SendFrame;
using client::StatusQuery;
using client::steady_now_ms;

namespace {

constexpr std::uint64_t poll_slice_ms = 50;

struct Asked {
  std::string endpoint;
  std::uint64_t deadline_ms = 0;
  std::unique_ptr<Connection> connection;
};

class Asking {
 public:
  Asking(const ClientOptions& options, Millis patience)
      : query_(options.endpoints),
        patience_ms_(static_cast<std::uint64_t>(std::max<std::int64_t>(patience.count(), 0))) {}

  ClusterStatus run() {
    while (ask_new() || !asked_.empty()) {
      wait();
      for (Asked& asked : asked_) receive(asked);
      drop_finished();
    }
    return query_.result();
  }

 private:
  bool ask_new() {
    const std::vector<std::string> endpoints = query_.take_new_endpoints();
    for (const std::string& endpoint : endpoints) {
      Asked asked{endpoint, steady_now_ms() + patience_ms_, std::make_unique<Connection>(context_)};
      asked.connection->perform(Connect{endpoint});
      asked.connection->perform(SendFrame{wire::Hello{}, nullptr});
      asked.connection->perform(SendFrame{wire::StatusQuestion{1}, nullptr});
      asked_.push_back(std::move(asked));
    }
    return !endpoints.empty();
  }

  void wait() {
    std::vector<Connection*> connections;
    std::uint64_t wait_ms = poll_slice_ms;
    const std::uint64_t now = steady_now_ms();
    for (const Asked& asked : asked_) {
      connections.push_back(asked.connection.get());
      wait_ms = std::min(wait_ms, asked.deadline_ms - std::min(asked.deadline_ms, now));
    }
    client::wait_for_input(connections, wait_ms);
  }

  void receive(Asked& asked) {
    asked.connection->flush();
    while (const auto frame = asked.connection->receive()) {
      const auto* answer = std::get_if<wire::StatusAnswer>(&frame->message);
      if (!answer) continue;  // WELCOME
      query_.on_answer(asked.endpoint, *answer);
      asked.deadline_ms = 0;
      return;
    }
    if (asked.connection->take_event() == Connection::Event::lost) asked.deadline_ms = 0;
  }

  void drop_finished() {
    const std::uint64_t now = steady_now_ms();
    std::erase_if(asked_, [now](const Asked& asked) { return now >= asked.deadline_ms; });
  }

  std::shared_ptr<zmq::context_t> context_ = client::shared_context();
  StatusQuery query_;
  std::uint64_t patience_ms_;
  std::vector<Asked> asked_;
};

}  // namespace

ClusterStatus cluster_status(const ClientOptions& options, Millis patience) {
  return Asking(options, patience).run();
}

}  // namespace zabmq
