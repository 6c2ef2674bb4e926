// ZmqContext: the one ZeroMQ context of this process's clients. It lives as long as one of them
// does.
#pragma once

#include <memory>
#include <zmq.hpp>

namespace zabmq::client {

// Thread-safe. Sockets made in the context must be gone before the last pointer is.
std::shared_ptr<zmq::context_t> shared_context();

}  // namespace zabmq::client
