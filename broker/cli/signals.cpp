// Signals: by signalfd.
#include "cli/signals.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "zabmq/check.hpp"

namespace zabmq::cli {

StopSignals::StopSignals() {
  sigset_t stops;
  sigemptyset(&stops);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stops, signal);
  ZABMQ_CHECK(pthread_sigmask(SIG_BLOCK, &stops, nullptr) == 0);
  fd_ = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
  ZABMQ_CHECK(fd_ >= 0);
}

StopSignals::~StopSignals() {
  close(fd_);
}

bool StopSignals::arrived() {
  return wait({}, Millis{0});
}

bool StopSignals::wait(const std::vector<int>& fds, Millis bound) {
  if (arrived_) return true;
  std::vector<pollfd> polled{{.fd = fd_, .events = POLLIN, .revents = 0}};
  for (const int fd : fds) polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  poll(polled.data(), polled.size(), static_cast<int>(bound.count()));
  arrived_ = (polled.front().revents & POLLIN) != 0;
  return arrived_;
}

}  // namespace zabmq::cli
