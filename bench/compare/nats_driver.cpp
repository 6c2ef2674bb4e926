// NatsDriver: publishes to a JetStream stream with three replicas by the text protocol, over plain
// sockets; each message has a reply subject, on which its acknowledgement comes.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <vector>

#include "driver.hpp"

namespace {

using namespace zabmq::compare;

constexpr const char* subject = "bench";
constexpr std::size_t read_bytes = 256 << 10;
constexpr int patience_ms = 10000;

class Connection {
 public:
  Connection(const Arguments& arguments, std::size_t window)
      : fd_(socket(AF_INET, SOCK_STREAM, 0)), payload_(arguments.size, 'x'), sent_(window) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(arguments.port));
    inet_pton(AF_INET, arguments.host.c_str(), &at.sin_addr);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("connect");
    const int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    inbox_ = "_I" + std::to_string(fd_) + ".";
    out_ = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB " + inbox_ + "* 1\r\n";
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  bool wants_to_write() const { return !out_.empty(); }
  std::size_t open() const { return open_; }

  // Everything that has room goes out.
  void publish_all() {
    for (std::size_t slot = 0; slot < sent_.size(); ++slot) publish(slot);
    flush();
  }

  void flush() {
    while (!out_.empty()) {
      const ssize_t done = send(fd_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (done < 0) {
        if (errno == EAGAIN) return;
        die("send");
      }
      out_.erase(0, static_cast<std::size_t>(done));
    }
  }

  // True while more may be there.
  bool take(Meter& meter) {
    const std::size_t before = in_.size();
    in_.resize(before + read_bytes);
    const ssize_t got = recv(fd_, in_.data() + before, read_bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) die("the server has closed the connection");
    in_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    std::size_t at = 0;
    while (take_line(at, meter)) {
    }
    in_.erase(0, at);
    flush();
    return got == static_cast<ssize_t>(read_bytes);
  }

 private:
  void publish(std::size_t slot) {
    out_ += "PUB ";
    out_ += subject;
    out_ += " " + inbox_ + std::to_string(slot) + " " + std::to_string(payload_.size()) + "\r\n";
    out_ += payload_;
    out_ += "\r\n";
    sent_[slot] = Clock::now();
    ++open_;
  }

  // False: the line, or what belongs to it, is not all there.
  bool take_line(std::size_t& at, Meter& meter) {
    const std::size_t end = in_.find("\r\n", at);
    if (end == in_.npos) return false;
    const std::string_view line(in_.data() + at, end - at);
    std::size_t next = end + 2;
    if (line.starts_with("MSG ")) {
      const std::size_t size = number_behind(line, line.rfind(' ') + 1);
      if (in_.size() < next + size + 2) return false;
      const std::string_view body(in_.data() + next, size);
      on_answer(number_behind(line, 4 + inbox_.size()), body, meter);
      next += size + 2;
    } else if (line == "PING") {
      out_ += "PONG\r\n";
    } else if (line.starts_with("-ERR")) {
      die(std::string(line));
    }
    at = next;
    return true;
  }

  static std::size_t number_behind(std::string_view line, std::size_t from) {
    std::size_t number = 0;
    std::from_chars(line.data() + from, line.data() + line.size(), number);
    return number;
  }

  void on_answer(std::size_t slot, std::string_view body, Meter& meter) {
    if (body.find("\"seq\"") == body.npos) die("refused: " + std::string(body));
    meter.record(sent_[slot], Clock::now());
    --open_;
    if (!meter.over()) publish(slot);
  }

  const int fd_;
  const std::string payload_;
  std::string inbox_;
  std::string out_;
  std::string in_;
  std::vector<Clock::time_point> sent_;
  std::size_t open_ = 0;
};

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = arguments_of(count, words);
  const std::size_t window = std::max<std::size_t>(1, arguments.window / arguments.sessions);
  std::vector<std::unique_ptr<Connection>> connections;
  for (std::size_t i = 0; i < arguments.sessions; ++i) {
    connections.push_back(std::make_unique<Connection>(arguments, window));
  }
  Meter meter(arguments);
  for (const auto& connection : connections) connection->publish_all();
  std::vector<pollfd> polled(connections.size());
  std::size_t open = 1;
  while (open > 0) {
    for (std::size_t i = 0; i < connections.size(); ++i) {
      const int out = connections[i]->wants_to_write() ? POLLOUT : 0;
      polled[i] = {connections[i]->fd(), static_cast<short>(POLLIN | out), 0};
    }
    if (poll(polled.data(), polled.size(), patience_ms) == 0) die("no answer");
    open = 0;
    for (std::size_t i = 0; i < connections.size(); ++i) {
      if ((polled[i].revents & POLLOUT) != 0) connections[i]->flush();
      while ((polled[i].revents & POLLIN) != 0 && connections[i]->take(meter)) {
      }
      open += connections[i]->open();
    }
  }
  meter.print("nats", arguments);
}
