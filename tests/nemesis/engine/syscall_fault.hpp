// SyscallFault: makes fdatasync of a running process fail or take its time, by strace.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/child_process.hpp"

namespace zabmq::nemesis {

class SyscallFault {
 public:
  static bool available();  // strace is here, and may trace a process of ours
  // Attached when these return; detached by the destructor.
  static SyscallFault failing_sync(pid_t process, const std::filesystem::path& log);
  static SyscallFault slow_sync(pid_t process, std::chrono::milliseconds delay,
                                const std::filesystem::path& log);
  ~SyscallFault();
  SyscallFault(SyscallFault&&) = default;

 private:
  SyscallFault(pid_t process, const std::string& injection, const std::filesystem::path& log);
  std::unique_ptr<cli::ChildProcess> tracer_;
};

// Whether some thread of the process is being traced.
bool is_traced(pid_t process);

}  // namespace zabmq::nemesis
