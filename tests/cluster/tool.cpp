// Tool: child processes with their streams in memory.
#include "tool.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fstream>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/local_cluster.hpp"

namespace zabmq::cluster {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis look_interval{5};

// Bytes that a child reads or writes, without a pipe that could fill up.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content = {}) : fd_(memfd_create("stream", MFD_CLOEXEC)) {
    REQUIRE(fd_ >= 0);
    REQUIRE(write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    REQUIRE(lseek(fd_, 0, SEEK_SET) == 0);
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string content_of(int fd) {
  std::string text(static_cast<std::size_t>(std::max<off_t>(lseek(fd, 0, SEEK_END), 0)), '\0');
  const ssize_t count = pread(fd, text.data(), text.size(), 0);
  REQUIRE(count == static_cast<ssize_t>(text.size()));
  return text;
}

Words command(const std::string& program, const Words& arguments) {
  Words words{cli::sibling_program(program)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += word + " ";
  return text;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "zabmq-test.XXXXXX";
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Ended run_program(const std::string& program, const Words& arguments, std::string_view input,
                  Millis bound) {
  const MemoryFile in(input);
  const MemoryFile out;
  const MemoryFile err;
  const auto begin = Clock::now();
  cli::ChildProcess process(command(program, arguments),
                            {.in = in.fd(), .out = out.fd(), .err = err.fd()});
  const auto code = process.wait_for(bound);
  INFO(program << " " << joined(arguments) << ": " << content_of(err.fd()));
  REQUIRE_MESSAGE(code, "it did not end in time");
  const auto took = std::chrono::duration_cast<Millis>(Clock::now() - begin);
  return {*code, content_of(out.fd()), content_of(err.fd()), took};
}

Running::Running(const std::string& program, const Words& arguments) {
  int in[2];
  int out[2];
  REQUIRE(pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(pipe2(out, O_CLOEXEC) == 0);
  error_ = memfd_create("error output", MFD_CLOEXEC);
  process_ = std::make_unique<cli::ChildProcess>(
      command(program, arguments), cli::ChildStreams{.in = in[0], .out = out[1], .err = error_});
  close(in[0]);
  close(out[1]);
  input_ = in[1];
  output_ = out[0];
}

Running::~Running() {
  process_.reset();
  for (const int fd : {input_, output_, error_}) {
    if (fd >= 0) close(fd);
  }
}

void Running::write(std::string_view text) {
  REQUIRE(::write(input_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void Running::close_input() {
  close(input_);
  input_ = -1;
}

void Running::close_output() {
  close(output_);
  output_ = -1;
}

std::optional<std::string> Running::read_line(Millis bound) {
  const auto deadline = Clock::now() + bound;
  std::size_t newline = 0;
  while ((newline = buffer_.find('\n')) == std::string::npos) {
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now());
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    const int ready = poll(&readable, 1, static_cast<int>(std::max<Millis::rep>(left.count(), 0)));
    INFO("error output: " << error_output());
    REQUIRE_MESSAGE(ready == 1, "no further line of output in time");
    if (!read_more()) return std::nullopt;
  }
  std::string line = buffer_.substr(0, newline);
  buffer_.erase(0, newline + 1);
  return line;
}

bool Running::has_line() {
  pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
  while (!contains(buffer_, "\n") && poll(&readable, 1, 0) == 1 && read_more()) continue;
  return contains(buffer_, "\n");
}

bool Running::read_more() {
  char bytes[4096];
  const ssize_t count = read(output_, bytes, sizeof bytes);
  if (count > 0) buffer_.append(bytes, static_cast<std::size_t>(count));
  return count > 0;
}

int Running::wait(Millis bound) {
  const auto code = process_->wait_for(bound);
  INFO("error output: " << error_output());
  REQUIRE_MESSAGE(code, "it did not end in time");
  return *code;
}

std::string Running::error_output() const {
  return content_of(error_);
}

bool eventually(const std::function<bool()>& condition, Millis bound) {
  const auto deadline = Clock::now() + bound;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    poll(nullptr, 0, static_cast<int>(look_interval.count()));
  }
  return true;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t newline = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, newline - at));
    at = newline + 1;
  }
  return lines;
}

std::vector<nlohmann::ordered_json> objects_of(const std::string& text) {
  std::vector<nlohmann::ordered_json> objects;
  for (const std::string& line : lines_of(text)) {
    objects.push_back(nlohmann::ordered_json::parse(line, nullptr, false));
    INFO(line);
    REQUIRE(objects.back().is_object());
  }
  return objects;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool is_one_line(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n') == 1 && text.back() == '\n';
}

std::string numbered_lines(int first, int last, const std::string& front) {
  std::string text;
  for (int i = first; i <= last; ++i) text += front + std::to_string(i) + "\n";
  return text;
}

}  // namespace zabmq::cluster
