// Arguments: the command line, checked as a whole before anything is done.
#pragma once

#include <string>
#include <variant>

#include "cli/commands.hpp"

namespace zabmq::cli {

using Arguments =
    std::variant<DevArguments, PubArguments, SubArguments, CursorArguments, StatusArguments,
                 BenchArguments, ConformanceArguments, VerifyArguments, DumpArguments>;

// Nothing to run: `text` is the help or version (exit 0, standard output), or the one line that
// says what is wrong (exit 1, standard error).
struct Answer {
  ExitCode code = ExitCode::done;
  std::string text;
};

struct Parsed {
  std::string command;  // "pub", for the front of error lines
  std::variant<Arguments, Answer> result;
};

Parsed parse_arguments(int count, const char* const* words);

}  // namespace zabmq::cli
