// EventFd: a counter in the kernel that poll() can wait for; and the request to stop made of it.
#pragma once

namespace zabmq::node {

class EventFd {
 public:
  EventFd();  // throws std::system_error when the process has no descriptor left
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const { return fd_; }
  void raise() noexcept;  // any thread, and signal handlers
  void clear() noexcept;

 private:
  int fd_;
};

// Asks a Node to stop; may be raised before the Node exists, and stays raised.
class StopSignal {
 public:
  void raise() noexcept { event_.raise(); }
  int fd() const { return event_.fd(); }

 private:
  EventFd event_;
};

}  // namespace zabmq::node
