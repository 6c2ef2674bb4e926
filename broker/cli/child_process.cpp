// ChildProcess: fork, exec, signal, reap.
#include "cli/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace zabmq::cli {

namespace {

using Clock = std::chrono::steady_clock;

// glibc 2.36 declares pidfd_open without C linkage, so C++ cannot call its wrapper.
int open_pidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

// Everything below runs between fork and exec, where only async-signal-safe calls are allowed.
bool attach(int from, int to) {
  const int source = from >= 0 ? from : open("/dev/null", O_RDWR);
  return source >= 0 && dup2(source, to) >= 0;
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(char* const* words, const ChildStreams& streams, pid_t parent,
                         int report) {
  // A parent that died before prctl would never be noticed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);  // Ctrl-C is for us; we stop the child in our own way
  unblock_signals();
  const bool attached = attach(streams.in, STDIN_FILENO) && attach(streams.out, STDOUT_FILENO) &&
                        attach(streams.err, STDERR_FILENO);
  if (attached) execv(words[0], words);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(report, &error, sizeof error);
  _exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void throw_errno(int error, const std::string& what) {
  throw std::runtime_error(what + ": " + std::generic_category().message(error));
}

// What the child reports before exec; 0: the program runs.
int read_report(int fd) {
  int error = 0;
  ssize_t count = 0;
  do {
    count = read(fd, &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  return count == sizeof error ? error : 0;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, const ChildStreams& streams) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  const std::vector<char*> arguments = pointers(words);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(arguments.data(), streams, parent, report[1]);
  const int fork_error = errno;
  close(report[1]);
  const int error = pid_ < 0 ? fork_error : read_report(report[0]);
  close(report[0]);
  if (pid_ > 0) fd_ = open_pidfd(pid_);
  if (error == 0 && fd_ >= 0) return;
  const int reason = error != 0 ? error : errno;
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  throw_errno(reason, "cannot start " + words.front());
}

ChildProcess::~ChildProcess() {
  if (!status_) {
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);
}

void ChildProcess::signal(int number) {
  if (!status_) kill(pid_, number);  // not reaped yet, so the id is still this process's
}

std::optional<int> ChildProcess::wait_for(std::chrono::milliseconds bound) {
  const auto deadline = Clock::now() + bound;
  while (!status_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd ended{.fd = fd_, .events = POLLIN, .revents = 0};
    const int ready = poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready == 0) return std::nullopt;
    if (ready < 0) continue;  // EINTR
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) continue;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

std::string ended_by(int status) {
  if (status <= 128) return "exit code " + std::to_string(status);
  const int number = status - 128;
  return "killed by signal " + std::to_string(number) + " (" + strsignal(number) + ")";
}

}  // namespace zabmq::cli
