// Client: one socket that keeps its window full, or follows a schedule; then a message's latency
// counts from its intended time.
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "run.hpp"
#include "sockets.hpp"

namespace zabmq::limit {

namespace {

constexpr std::size_t remembered = std::size_t{1} << 21;  // intended times; more than any window
constexpr int patience_ms = 5000;                         // without an acknowledgement

using Nanos = std::chrono::nanoseconds;

class Client {
 public:
  explicit Client(const Run& run)
      : run_(run),
        context_(new_context()),
        leader_(open_connected(context_, ZMQ_DEALER, run.client_endpoint)),
        fd_(event_fd(leader_)),
        packed_max_(run.packed ? std::max<std::size_t>(1, run.frame_bytes / run.size) : 1),
        intended_(remembered),
        frame_(sizeof(GroupHeader) + packed_max_ * run.size, 'x'),
        begin_(Clock::now()),
        warm_(begin_ + run.warmup),
        end_(warm_ + run.duration) {
    zmq_setsockopt(leader_, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  }

  Measured publish() {
    for (now_ = begin_; now_ < end_; now_ = Clock::now()) {
      send_due();
      const bool full = sent_ - acknowledged_ >= run_.window;
      if (full || !run_.rate) {
        take_acknowledgements(full ? 0 : ZMQ_DONTWAIT);
      } else {
        wait_until(due_time(sent_));
        take_acknowledgements(ZMQ_DONTWAIT);
      }
    }
    measured_.seconds = std::chrono::duration<double>(now_ - std::max(warm_, begin_)).count();
    const Measured measured = measured_;
    finish();
    return measured;
  }

 private:
  // Closing before the last acknowledgements were read would reset the connection, and the end on
  // its way to the leader would be lost.
  void finish() {
    while (acknowledged_ < sent_) take_acknowledgements(0);
    const GroupHeader last{};
    send(leader_, &last, sizeof last);
    end(context_, {leader_});
  }

  Clock::time_point due_time(std::uint64_t message) const {
    const std::chrono::duration<double> after(static_cast<double>(message) / *run_.rate);
    return begin_ + std::chrono::duration_cast<Clock::duration>(after);
  }

  std::uint64_t room() const {
    const std::uint64_t room = run_.window - (sent_ - acknowledged_);
    if (!run_.rate) return room;
    const double passed = std::chrono::duration<double>(Clock::now() - begin_).count();
    const auto due = static_cast<std::uint64_t>(passed * *run_.rate) + 1;
    return due > sent_ ? std::min(room, due - sent_) : 0;
  }

  // Frames of their own leave room for acknowledgements after each 64.
  void send_due() {
    for (std::uint64_t left = room(); left > 0; left = room()) {
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(packed_max_, left));
      const GroupHeader header{sent_, count, static_cast<std::uint32_t>(run_.size)};
      std::memcpy(frame_.data(), &header, sizeof header);
      const auto now = Clock::now();
      send(leader_, frame_.data(), sizeof header + count * run_.size);
      for (std::uint32_t i = 0; i < count; ++i, ++sent_) {
        intended_[sent_ % remembered] = run_.rate ? due_time(sent_) : now;
      }
      if (!run_.packed && sent_ % 64 == 0) return;
    }
  }

  void take_acknowledgements(int flags) {
    std::uint64_t up_to = 0;
    while (zmq_recv(leader_, &up_to, sizeof up_to, flags) == sizeof up_to) {
      flags = ZMQ_DONTWAIT;
      const auto now = Clock::now();
      for (; acknowledged_ < up_to; ++acknowledged_) {
        if (now < warm_) continue;
        const auto latency = now - intended_[acknowledged_ % remembered];
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(latency).count();
        measured_.latency_us.record(us > 0 ? static_cast<std::uint64_t>(us) : 0);
        ++measured_.messages;
      }
    }
    if (flags == 0) die("no acknowledgement");
  }

  // For an acknowledgement, or for the time: to the nanosecond, which zmq_poll cannot.
  void wait_until(Clock::time_point due) {
    int events = 0;
    std::size_t size = sizeof events;
    zmq_getsockopt(leader_, ZMQ_EVENTS, &events, &size);
    if ((events & ZMQ_POLLIN) != 0) return;
    const Nanos left = std::max<Nanos>(due - Clock::now(), Nanos{0});
    const timespec bound{.tv_sec = left.count() / 1'000'000'000,
                         .tv_nsec = left.count() % 1'000'000'000};
    pollfd polled{fd_, POLLIN, 0};
    ppoll(&polled, 1, &bound, nullptr);
  }

  const Run& run_;
  void* context_;
  void* leader_;
  const int fd_;
  const std::size_t packed_max_;
  std::vector<Clock::time_point> intended_;
  std::vector<char> frame_;
  const Clock::time_point begin_;
  const Clock::time_point warm_;
  const Clock::time_point end_;
  Clock::time_point now_;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  Measured measured_;
};

}  // namespace

Measured publish(const Run& run) {
  return Client(run).publish();
}

}  // namespace zabmq::limit
