// ZmqWakeup: an eventfd.
#include "client/zmq_wakeup.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace zabmq::client {

ZmqWakeup::ZmqWakeup() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

ZmqWakeup::~ZmqWakeup() {
  ::close(fd_);
}

// Neither can fail in a way that matters: a full counter is a signal already, an empty one is
// clear.
void ZmqWakeup::signal() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void ZmqWakeup::clear() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
}

}  // namespace zabmq::client
