// Crowd: many client sockets in one thread, one message outstanding on each.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "run.hpp"
#include "sockets.hpp"

namespace zabmq::limit {

namespace {

constexpr int patience_ms = 5000;  // without any acknowledgement
constexpr int events_of_a_turn = 256;

void raise_descriptor_limit() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

class Crowd {
 public:
  explicit Crowd(const Run& run)
      : run_(run),
        context_(new_context()),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        frame_(sizeof(GroupHeader) + run.size, 'x'),
        warm_(Clock::now() + run.warmup),
        end_(warm_ + run.duration) {
    const GroupHeader header{0, 1, static_cast<std::uint32_t>(run.size)};
    std::memcpy(frame_.data(), &header, sizeof header);
    for (std::size_t i = 0; i < run.sockets; ++i) {
      members_.push_back({open_connected(context_, ZMQ_DEALER, run.client_endpoint), {}});
    }
    for (Member& member : members_) {
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &member}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, event_fd(member.socket), &event);
      send_next(member);
      take_answers(member);  // its descriptor tells only of what comes after this
    }
  }

  Measured publish() {
    while (outstanding_ > 0) turn();
    measured_.seconds = std::chrono::duration<double>(end_ - warm_).count();
    finish();
    return measured_;
  }

 private:
  struct Member {
    void* socket = nullptr;
    Clock::time_point sent;
  };

  void turn() {
    std::array<epoll_event, events_of_a_turn> events;
    const int count = epoll_wait(epoll_, events.data(), events_of_a_turn, patience_ms);
    if (count == 0) die("no acknowledgement");
    for (int i = 0; i < count; ++i) {
      take_answers(*static_cast<Member*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }

  void send_next(Member& member) {
    member.sent = Clock::now();
    if (member.sent >= end_) return;
    send(member.socket, frame_.data(), frame_.size());
    ++outstanding_;
  }

  void take_answers(Member& member) {
    std::uint64_t up_to = 0;
    while (zmq_recv(member.socket, &up_to, sizeof up_to, ZMQ_DONTWAIT) == sizeof up_to) {
      const auto now = Clock::now();
      --outstanding_;
      if (now >= warm_ && now < end_) {
        const auto latency = now - member.sent;
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(latency).count();
        measured_.latency_us.record(static_cast<std::uint64_t>(us));
        ++measured_.messages;
      }
      send_next(member);
    }
  }

  void finish() {
    const GroupHeader last{};
    send(members_.front().socket, &last, sizeof last);
    std::vector<void*> sockets;
    for (const Member& member : members_) sockets.push_back(member.socket);
    close(epoll_);
    end(context_, sockets);
  }

  const Run& run_;
  void* context_;
  const int epoll_;
  std::vector<char> frame_;
  std::vector<Member> members_;
  const Clock::time_point warm_;
  const Clock::time_point end_;
  std::size_t outstanding_ = 0;
  Measured measured_;
};

}  // namespace

Measured publish_from_crowd(const Run& run) {
  raise_descriptor_limit();
  return Crowd(run).publish();
}

}  // namespace zabmq::limit
