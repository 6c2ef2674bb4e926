// SyscallFault: makes fdatasync of a running process fail or take its time, by strace.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/child_process.hpp"

namespace zabmq::nemesis {

class SyscallFault {
 public:
  static bool available();  // strace is here, and may trace a process of ours
  // Attached when these return, if attached() says so. `log` is strace's, for this one alone.
  static SyscallFault failing_sync(pid_t process, const std::filesystem::path& log);
  static SyscallFault slow_sync(pid_t process, std::chrono::milliseconds delay,
                                const std::filesystem::path& log);
  ~SyscallFault();
  SyscallFault(SyscallFault&&) = default;

  bool attached() const { return attached_; }
  std::uint64_t detach();  // the process goes on; how many calls were made to fail or to wait

 private:
  SyscallFault(pid_t process, const std::string& injection, const std::filesystem::path& log);

  std::filesystem::path log_;
  std::unique_ptr<cli::ChildProcess> tracer_;
  bool attached_ = false;
};

// Whether some thread of the process is being traced.
bool is_traced(pid_t process);

}  // namespace zabmq::nemesis
