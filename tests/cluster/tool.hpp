// Tool: runs zabmq and zabmqd as a script would, with everything bounded.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/child_process.hpp"

namespace zabmq::cluster {

using Millis = std::chrono::milliseconds;
using Words = std::vector<std::string>;

// A temporary directory with all it holds.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// How a program ended and what it said. `code` is 128 + signal when a signal ended it.
struct Ended {
  int code = -1;
  std::string out;
  std::string err;
  Millis took{0};
};

// Runs `program` of this build to its end; fails the test when that takes longer than `bound`.
Ended run_program(const std::string& program, const Words& arguments, std::string_view input = {},
                  Millis bound = Millis{30000});
inline Ended zabmq_tool(const Words& arguments, std::string_view input = {}) {
  return run_program("zabmq", arguments, input);
}

// A program that runs while the test goes on.
class Running {
 public:
  Running(const std::string& program, const Words& arguments);
  ~Running();

  void write(std::string_view text);
  void close_input();
  void close_output();  // nobody reads it any more
  // The next line of standard output, without its '\n'; nullopt at the end of output. Fails the
  // test after `bound`.
  std::optional<std::string> read_line(Millis bound = Millis{15000});
  // Whether read_line would return at once.
  bool has_line();
  bool runs_for(Millis time) { return !process_->wait_for(time); }
  void signal(int number) { process_->signal(number); }
  // Its exit status; fails the test after `bound`.
  int wait(Millis bound = Millis{15000});
  pid_t pid() const { return process_->pid(); }
  std::string error_output() const;

 private:
  bool read_more();

  int input_ = -1;
  int output_ = -1;
  int error_ = -1;
  std::string buffer_;
  std::unique_ptr<cli::ChildProcess> process_;
};

// True as soon as `condition` is; false after `bound`.
bool eventually(const std::function<bool()>& condition, Millis bound = Millis{15000});

std::vector<std::string> lines_of(const std::string& text);
std::vector<nlohmann::ordered_json> objects_of(const std::string& text);
bool contains(const std::string& text, std::string_view part);
std::string content_of(const std::filesystem::path& file);
bool is_one_line(const std::string& text);
std::string numbered_lines(int first, int last, const std::string& front = "message ");

}  // namespace zabmq::cluster
