// Output: results on standard output, whole lines that no later line holds back.
#pragma once

#include <stdexcept>
#include <string_view>

namespace zabmq::cli {

// Standard output could not be written (disk full, closed).
struct OutputFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Write any number of lines, then flush() before waiting for anything. Throws OutputFailed.
void write_out(std::string_view text);
void flush_out();
// For a command that may wait long with nothing to write: ends it as the next write would when
// nobody reads standard output any more.
void check_out();

}  // namespace zabmq::cli
