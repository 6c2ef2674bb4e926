// ZmqContext: made by the first client, ended with the last.
#include "client/zmq_context.hpp"

#include <mutex>

namespace zabmq::client {

std::shared_ptr<zmq::context_t> shared_context() {
  static std::mutex mutex;
  static std::weak_ptr<zmq::context_t> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<zmq::context_t> context = current.lock();
  if (!context) {
    context = std::make_shared<zmq::context_t>(1);
    zmq_ctx_set(context->handle(), ZMQ_BLOCKY, 0);  // no socket may hold up the process's end
    current = context;
  }
  return context;
}

}  // namespace zabmq::client
