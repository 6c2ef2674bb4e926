// Output: standard output, its errors not ignored.
#include "cli/output.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

namespace zabmq::cli {

namespace {

[[noreturn]] void fail() {
  throw OutputFailed("standard output: " + std::generic_category().message(errno));
}

}  // namespace

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail();
}

void flush_out() {
  if (std::fflush(stdout) != 0) fail();
}

void check_out() {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  if (poll(&out, 1, 0) <= 0 || (out.revents & (POLLERR | POLLHUP)) == 0) return;
  raise(SIGPIPE);  // the end of it, unless whoever started us has SIGPIPE ignored
  errno = EPIPE;
  fail();
}

}  // namespace zabmq::cli
