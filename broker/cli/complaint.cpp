// Complaint: from what the parsing library says and what it left over.
#include "cli/complaint.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

namespace zabmq::cli {

namespace {

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// What is missing is told first by the library, and is often the value of a mistyped flag.
std::string unknown_flag(const CLI::App& app) {
  for (const std::string& word : app.remaining(true)) {
    if (word.size() > 1 && word.starts_with('-') && word != "--") return word;
  }
  return "";
}

std::string unexpected_word(const CLI::App& app) {
  for (const std::string& word : app.remaining(true)) {
    if (word != "--") return word;
  }
  return "";
}

// The chosen action of a command that has some; none yet: empty.
std::string action_of(const CLI::App& command) {
  const auto actions = command.get_subcommands();
  return actions.empty() ? "" : actions.front()->get_name();
}

std::string help_of(const CLI::App& command) {
  const std::string action = action_of(command);
  return "zabmq " + command.get_name() + (action.empty() ? "" : " " + action) + " --help";
}

// "--timeout: 1 required DURATION missing" is the parsing library's.
std::string in_words(const std::string& text) {
  constexpr std::string_view middle = ": 1 required ";
  constexpr std::string_view end = " missing";
  const std::size_t at = text.find(middle);
  if (at == text.npos || !text.ends_with(end)) return text;
  const std::size_t name = at + middle.size();
  return text.substr(0, at) + " lacks its " + text.substr(name, text.size() - end.size() - name);
}

// Of one command. What it refuses itself has its own words.
std::string about(const CLI::App& command, const CLI::ParseError& error, const std::string& extra) {
  const std::string next = ": see " + help_of(command);
  if (!extra.empty() && command.get_name() == "log") {
    return "'" + extra + "': expected verify or dump, and nothing else";
  }
  if (!extra.empty() && command.get_name() == "pub") {
    return "'" + extra + "' is one word too many: a MESSAGE with blanks needs quotes";
  }
  if (command.get_name() == "cursor" && action_of(command).empty()) {
    return (extra.empty() ? "" : "'" + extra + "': ") + "expected list or remove" + next;
  }
  if (!extra.empty()) return "'" + extra + "' is one word too many" + next;
  const std::string text = one_line(error.what());
  const bool ours = dynamic_cast<const CLI::ValidationError*>(&error) != nullptr;
  return ours ? text : in_words(text) + next;
}

}  // namespace

// An unknown command is not "a subcommand is required".
std::string complaint(const CLI::App& app, const CLI::ParseError& error, int count,
                      const char* const* words) {
  const auto commands = app.get_subcommands();
  const std::string flag = unknown_flag(app);
  if (!flag.empty()) return "unknown flag '" + flag + "': see --help";
  if (!commands.empty()) return about(*commands.front(), error, unexpected_word(app));
  if (count > 1 && words[1][0] != '-') {
    return "unknown command '" + std::string(words[1]) +
           "': expected dev, pub, sub, cursor, status, bench, conformance or log";
  }
  return count == 1 ? "no command: see zabmq --help" : one_line(error.what());
}

}  // namespace zabmq::cli
