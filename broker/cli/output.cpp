// Output: standard output, its errors not ignored.
#include "cli/output.hpp"

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

}  // namespace zabmq::cli
