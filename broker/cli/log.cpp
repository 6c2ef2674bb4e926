// log: looks into a data directory while its server does not run.
#include <cstdio>
#include <string>

#include "cli/advice.hpp"
#include "cli/commands.hpp"
#include "cli/dump_lines.hpp"
#include "cli/output.hpp"
#include "storage/verify.hpp"

namespace zabmq::cli {

namespace {

using Verdict = storage::VerifyReport::Verdict;

const char* headline(Verdict verdict) {
  switch (verdict) {
    case Verdict::clean:
      return "clean";
    case Verdict::torn:
      return "clean, with a torn end";
    case Verdict::corrupt:
      return "CORRUPT";
    case Verdict::unreadable:
      break;
  }
  return "unreadable";
}

std::string range(const std::string& first, const std::string& last) {
  return first + " to " + last;
}

std::string contents(const storage::VerifyReport& report) {
  std::string text = std::to_string(report.segments) + " segments, " +
                     std::to_string(report.records) + " records, " +
                     std::to_string(report.messages) + " messages, " +
                     std::to_string(report.bytes) + " bytes";
  if (report.snapshots > 0) {
    text +=
        "\n" + std::to_string(report.snapshots) + " snapshots, floor " + to_string(report.floor);
  }
  if (report.records > 0) {
    text += "\nzxids " + range(to_string(report.first), to_string(report.last)) + ", delivered " +
            to_string(report.delivered);
  }
  if (report.messages > 0) {
    text += "\noffsets " +
            range(std::to_string(report.first_offset), std::to_string(report.last_offset));
  }
  return text + "\n";
}

ExitCode unusable(const std::string& directory, const std::string& why) {
  std::fprintf(stderr, "zabmq log: --data-dir %s: %s\n", directory.c_str(), why.c_str());
  return ExitCode::usage;
}

// Standard error has what makes the exit code other than 0, and where a crash cut the end off:
// worth a line, and no error.
ExitCode end(const std::string& directory, const storage::VerifyReport& report) {
  flush_out();
  if (report.verdict == Verdict::unreadable) {
    return unusable(directory, report.text);
  }
  if (report.verdict == Verdict::clean) return ExitCode::done;
  std::fprintf(stderr, "zabmq log: %s: %s\n", directory.c_str(), report.text.c_str());
  return report.verdict == Verdict::torn ? ExitCode::done : ExitCode::refused;
}

}  // namespace

ExitCode run(const VerifyArguments& arguments) {
  const std::string directory = arguments.directory.string();
  const std::string problem = data_directory_problem(directory);
  if (!problem.empty()) return unusable(directory, problem);
  const storage::VerifyReport report = storage::verify_directory(directory);
  if (report.verdict != Verdict::unreadable) {
    write_out(arguments.json
                  ? json_line(report)
                  : directory + ": " + headline(report.verdict) + "\n" + contents(report));
  }
  return end(directory, report);
}

ExitCode run(const DumpArguments& arguments) {
  const std::string directory = arguments.directory.string();
  const std::string problem = data_directory_problem(directory);
  if (!problem.empty()) return unusable(directory, problem);
  const std::unique_ptr<DumpPrinter> printer = arguments.json ? json_dump() : text_dump();
  const storage::VerifyReport report = storage::dump_directory(directory, *printer);
  if (report.verdict != Verdict::unreadable) printer->on_verdict(report);
  return end(directory, report);
}

}  // namespace zabmq::cli
