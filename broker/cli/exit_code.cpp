// ExitCode: from errors.
#include "cli/exit_code.hpp"

namespace zabmq::cli {

ExitCode exit_code_of(const Error& error) {
  if (error.outcome == Outcome::maybe) return ExitCode::unknown;
  switch (error.code) {
    case Code::unavailable:
    case Code::busy:
    case Code::no_space:  // ends by itself, as the other two do
      return ExitCode::unavailable;
    case Code::unknown_outcome:
      return ExitCode::unknown;
    case Code::refused:
    case Code::too_large:
    case Code::gap:
    case Code::expired:
    case Code::duplicate:
    case Code::not_authorized:
    case Code::protocol:
      return ExitCode::refused;
  }
  return ExitCode::refused;
}

}  // namespace zabmq::cli
