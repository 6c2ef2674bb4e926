// ZmqWakeup: lets other threads end a background thread's zmq_poll.
#pragma once

namespace zabmq::client {

class ZmqWakeup {
 public:
  ZmqWakeup();  // throws std::system_error: no file descriptors left
  ~ZmqWakeup();
  ZmqWakeup(const ZmqWakeup&) = delete;
  ZmqWakeup& operator=(const ZmqWakeup&) = delete;

  int fd() const { return fd_; }
  void signal();  // any thread; several before a clear() count as one
  void clear();

 private:
  int fd_;
};

}  // namespace zabmq::client
