// Syscall fault: strace, attached from outside.
#include "nemesis/engine/syscall_fault.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "nemesis/engine/network.hpp"

namespace zabmq::nemesis {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds attach_bound{3000};
constexpr std::chrono::milliseconds detach_bound{3000};
constexpr int look_again_ms = 5;

}  // namespace

bool is_traced(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:"))
      return line.substr(10).find_first_of("123456789") != line.npos;
  }
  return false;
}

bool SyscallFault::available() {
  return run_quietly({"strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO",
                      "true"}) == 0;
}

SyscallFault::SyscallFault(pid_t process, const std::string& injection,
                           const std::filesystem::path& log)
    : log_(log) {
  std::filesystem::remove(log_);
  tracer_ = std::make_unique<cli::ChildProcess>(
      searched({"strace", "-f", "-qq", "-o", log.string(), "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:" + injection, "-p", std::to_string(process)}),
      cli::ChildStreams{});
  const auto bound = Clock::now() + attach_bound;
  while (!attached_ && tracer_->running() && Clock::now() < bound) {
    attached_ = is_traced(process);
    if (!attached_) poll(nullptr, 0, look_again_ms);
  }
}

SyscallFault::~SyscallFault() {
  if (tracer_) detach();
}

// SIGTERM makes strace let go of the process. What it did stands in its log from then on.
std::uint64_t SyscallFault::detach() {
  tracer_->signal(SIGTERM);
  (void)tracer_->wait_for(detach_bound);
  tracer_.reset();
  std::uint64_t calls = 0;
  std::ifstream file(log_);
  for (std::string line; std::getline(file, line);) {
    if (line.find("INJECTED") != line.npos || line.find("DELAYED") != line.npos) ++calls;
  }
  return calls;
}

SyscallFault SyscallFault::failing_sync(pid_t process, const std::filesystem::path& log) {
  return {process, "error=EIO", log};
}

SyscallFault SyscallFault::slow_sync(pid_t process, std::chrono::milliseconds delay,
                                     const std::filesystem::path& log) {
  return {process, "delay_enter=" + std::to_string(delay.count() * 1000), log};
}

}  // namespace zabmq::nemesis
