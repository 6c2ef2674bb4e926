// log: looks into a data directory while its server does not run.
#include "cli/commands.hpp"

namespace zabmq::cli {

ExitCode run(const VerifyArguments&) {
  return ExitCode::refused;
}

}  // namespace zabmq::cli
