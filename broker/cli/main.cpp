// zabmq: the tool. Reads the command line, runs one command, ends with its exit code.
#include <cstdio>
#include <exception>
#include <string>

#include "cli/advice.hpp"
#include "cli/arguments.hpp"
#include "zabmq/publisher.hpp"

namespace {

using zabmq::cli::ExitCode;

int end(ExitCode code) {
  return static_cast<int>(code);
}

int fail(const std::string& command, const std::string& text, ExitCode code) {
  std::fflush(stdout);
  const std::string front = command.empty() ? "zabmq" : "zabmq " + command;
  std::fprintf(stderr, "%s: %s\n", front.c_str(), text.c_str());
  return end(code);
}

constexpr zabmq::Millis look_patience{300};

// Of a command that asked for a cluster and found none.
std::string advice(const zabmq::Error& error, const zabmq::cli::Arguments& arguments) {
  if (zabmq::cli::exit_code_of(error) != ExitCode::unavailable) return "";
  return std::visit(
      [](const auto& chosen) -> std::string {
        if constexpr (requires { chosen.client; }) {
          if (!zabmq::cli::asks_dev(chosen.client)) {
            return zabmq::cli::advice_about_hosts(chosen.client, look_patience);
          }
          return zabmq::cli::advice_without_cluster(
              chosen.client, zabmq::cluster_status(chosen.client, look_patience));
        }
        return "";
      },
      arguments);
}

int run(const std::string& command, const zabmq::cli::Arguments& arguments) {
  try {
    return end(std::visit([](const auto& chosen) { return zabmq::cli::run(chosen); }, arguments));
  } catch (const zabmq::UsageError& error) {
    return fail(command, error.what(), ExitCode::usage);
  } catch (const zabmq::Error& error) {
    return fail(command, error.what() + advice(error, arguments), zabmq::cli::exit_code_of(error));
  } catch (const std::exception& error) {
    return fail(command, error.what(), ExitCode::usage);
  }
}

}  // namespace

int main(int count, char** words) {
  const zabmq::cli::Parsed parsed = zabmq::cli::parse_arguments(count, words);
  if (const auto* answer = std::get_if<zabmq::cli::Answer>(&parsed.result)) {
    if (answer->code != ExitCode::done) return fail(parsed.command, answer->text, answer->code);
    std::fputs(answer->text.c_str(), stdout);
    return end(ExitCode::done);
  }
  return run(parsed.command, std::get<zabmq::cli::Arguments>(parsed.result));
}
