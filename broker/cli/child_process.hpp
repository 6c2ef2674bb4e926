// ChildProcess: one process that we started. It dies with us, and we touch no other.
//
// The kernel ties "dies with us" to the thread that started the child: start children only from a
// thread that lives as long as they shall.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace zabmq::cli {

// File descriptors of the child's standard streams; -1 is /dev/null. Not closed here.
struct ChildStreams {
  int in = -1;
  int out = -1;
  int err = -1;
};

class ChildProcess {
 public:
  // Throws std::runtime_error when the program cannot be started.
  ChildProcess(const std::vector<std::string>& words, const ChildStreams& streams);
  ~ChildProcess();  // SIGKILL when it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  int ready_fd() const { return fd_; }  // readable once the process has ended
  bool running() { return !status_ && !wait_for(std::chrono::milliseconds{0}); }
  void signal(int number);  // nothing once it has been found ended

  // Waits for the end. Its exit status as a shell shows it: 0..255, or 128 + signal.
  std::optional<int> wait_for(std::chrono::milliseconds bound);

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  std::optional<int> status_;
};

// "exit code 1" or "killed by signal 9 (Killed)", of what wait_for() returned.
std::string ended_by(int status);

}  // namespace zabmq::cli
