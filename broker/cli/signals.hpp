// Signals: Ctrl-C and SIGTERM as something to ask for and wait on, not as an interruption.
#pragma once

#include <vector>

#include "zabmq/client.hpp"

namespace zabmq::cli {

// Blocks SIGINT, SIGTERM and SIGHUP for this thread and all it starts later. Construct it first in
// main; children that we start are told of our end in another way.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool arrived();
  // Waits for a signal or for one of `fds` to become readable. True: a signal has arrived.
  bool wait(const std::vector<int>& fds, Millis bound);

 private:
  int fd_;
  bool arrived_ = false;
};

}  // namespace zabmq::cli
