// Complaint: what is wrong with a command line, in one line and in words of ours.
#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace zabmq::cli {

// Of a command line that `app` did not take. It says what to do next.
std::string complaint(const CLI::App& app, const CLI::ParseError& error, int count,
                      const char* const* words);

}  // namespace zabmq::cli
