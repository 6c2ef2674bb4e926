// ExitCode: what scripts learn from a command's end.
#pragma once

#include "zabmq/result.hpp"

namespace zabmq::cli {

enum class ExitCode : int {
  done = 0,
  usage = 1,        // the command line or this machine: nothing was asked of the cluster
  unavailable = 2,  // did not happen; trying again later helps
  refused = 3,      // did not happen; trying again does not help
  unknown = 4       // may have happened
};

ExitCode exit_code_of(const Error& error);

}  // namespace zabmq::cli
