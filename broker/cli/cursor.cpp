// cursor: the durable cursors that the cluster keeps.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/output.hpp"
#include "zabmq/admin.hpp"

namespace zabmq::cli {

namespace {

std::string text_line(const DurableCursor& cursor) {
  std::string text = cursor.name + ": acknowledged " + std::to_string(cursor.acknowledged) + ", " +
                     std::to_string(cursor.behind) + " behind";
  if (cursor.lost > 0) text += ", of which " + std::to_string(cursor.lost) + " are no longer kept";
  return text + "\n";
}

// That there is none afterwards is what was asked for, so it is no failure when there was none.
ExitCode remove(ClientOptions client, const std::string& name) {
  const auto begin = std::chrono::steady_clock::now();
  const auto cursors = durable_cursors(client);
  const bool there = std::any_of(cursors.begin(), cursors.end(),
                                 [&](const DurableCursor& cursor) { return cursor.name == name; });
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin);
  client.timeout = std::max(client.timeout - took, Millis{1});
  remove_cursor(client, name);
  if (!there) std::fprintf(stderr, "zabmq cursor: there was no cursor '%s'\n", name.c_str());
  return ExitCode::done;
}

}  // namespace

ExitCode run(const CursorArguments& arguments) {
  if (arguments.removed) {
    return remove(arguments.client, *arguments.removed);
  }
  for (const DurableCursor& cursor : durable_cursors(arguments.client)) {
    write_out(arguments.json ? json_line(cursor) : text_line(cursor));
  }
  flush_out();
  return ExitCode::done;
}

}  // namespace zabmq::cli
