// MessageSource: a given message, generated ones, standard input whole or by lines.
#include "cli/message_source.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace zabmq::cli {

namespace {

constexpr std::size_t read_size = 64 * 1024;

// Bytes of a descriptor as they arrive.
class Input {
 public:
  Input(int fd, int stop_fd) : fd_(fd), stop_fd_(stop_fd) {}

  enum class Got { bytes, end, stopped };

  // Waits for bytes without limit and appends them.
  Got read_more(std::string& into) {
    if (!wait()) return Got::stopped;
    const std::size_t before = into.size();
    into.resize(before + read_size);
    ssize_t count = 0;
    do {
      count = read(fd_, into.data() + before, read_size);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      throw InputFailed("standard input: " + std::generic_category().message(errno));
    }
    into.resize(before + static_cast<std::size_t>(count));
    return count == 0 ? Got::end : Got::bytes;
  }

 private:
  bool wait() const {
    pollfd fds[] = {{.fd = fd_, .events = POLLIN, .revents = 0},
                    {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    return (fds[1].revents & POLLIN) == 0;
  }

  int fd_;
  int stop_fd_;
};

void check_size(std::size_t size) {
  if (size <= input_message_max) return;
  throw Error(Code::too_large, Outcome::no,
              "a message of standard input has more than " + std::to_string(input_message_max) +
                  " bytes: is --lines missing?");
}

// The same payload `count` times.
class Repeated final : public MessageSource {
 public:
  Repeated(std::string payload, std::uint64_t count) : payload_(std::move(payload)), left_(count) {}

  std::optional<Payload> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    return payload_;
  }

 private:
  std::string payload_;
  std::uint64_t left_;
};

// All of standard input as one message, `count` times. Without a byte it is none: who pipes nothing
// has nothing to say, and an empty message can be given as such.
class WholeInput final : public MessageSource {
 public:
  WholeInput(Input input, std::uint64_t count) : input_(input), left_(count) {}

  std::optional<Payload> next() override {
    if (left_ == 0 || (!read_ && !read_all())) return std::nullopt;
    --left_;
    return payload_;
  }

 private:
  bool read_all() {
    Input::Got got = Input::Got::bytes;
    while (got == Input::Got::bytes) {
      got = input_.read_more(payload_);
      check_size(payload_.size());
    }
    read_ = got == Input::Got::end && !payload_.empty();
    return read_;
  }

  Input input_;
  std::uint64_t left_;
  std::string payload_;
  bool read_ = false;
};

// Each line of standard input without its '\n', as soon as it is there. Bytes behind the last '\n'
// are a line as well.
class Lines final : public MessageSource {
 public:
  Lines(Input input, std::uint64_t count) : input_(input), left_(count) {}

  std::optional<Payload> next() override {
    if (left_ == 0) return std::nullopt;
    std::size_t searched = at_;
    std::size_t newline = 0;
    while ((newline = buffer_.find('\n', searched)) == std::string::npos) {
      if (ended_) return last_line();
      drop_taken();
      searched = buffer_.size();
      check_size(searched);
      const Input::Got got = input_.read_more(buffer_);
      if (got == Input::Got::stopped) return std::nullopt;
      ended_ = got == Input::Got::end;
    }
    return take(newline, newline + 1);
  }

 private:
  std::optional<Payload> last_line() {
    if (at_ == buffer_.size()) return std::nullopt;
    return take(buffer_.size(), buffer_.size());
  }

  Payload take(std::size_t end, std::size_t next) {
    const Payload line = Payload(buffer_).substr(at_, end - at_);
    at_ = next;
    --left_;
    return line;
  }

  void drop_taken() {
    buffer_.erase(0, at_);
    at_ = 0;
  }

  Input input_;
  std::uint64_t left_;
  std::string buffer_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<MessageSource> make_source(const PubArguments& arguments, int input, int stop_fd) {
  const std::uint64_t once = arguments.count.value_or(1);
  if (arguments.size) {
    return std::make_unique<Repeated>(std::string(*arguments.size, 'x'), once);
  }
  if (arguments.message) return std::make_unique<Repeated>(*arguments.message, once);
  const Input source(input, stop_fd);
  if (!arguments.lines) return std::make_unique<WholeInput>(source, once);
  return std::make_unique<Lines>(source, arguments.count.value_or(UINT64_MAX));
}

}  // namespace zabmq::cli
