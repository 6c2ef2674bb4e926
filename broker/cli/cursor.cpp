// cursor: the durable cursors that the cluster keeps.
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

}  // namespace

ExitCode run(const CursorArguments& arguments) {
  if (arguments.removed) {
    remove_cursor(arguments.client, *arguments.removed);
    return ExitCode::done;
  }
  for (const DurableCursor& cursor : durable_cursors(arguments.client)) {
    write_out(arguments.json ? json_line(cursor) : text_line(cursor));
  }
  flush_out();
  return ExitCode::done;
}

}  // namespace zabmq::cli
