// PublisherCrowd: one epoll over the descriptors of all connections.
//
// The descriptor of a ZeroMQ socket tells only of what arrives after the socket was last asked, so
// whoever touches a member goes on until it neither receives nor sends.
#include "client/zmq_publisher_crowd.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "client/intake.hpp"
#include "client/posix_random.hpp"
#include "client/publisher_session.hpp"
#include "client/zmq_connection.hpp"
#include "client/zmq_drive.hpp"
#include "zabmq/check.hpp"

namespace zabmq::client {

namespace {

constexpr std::size_t opening_max = 64;     // at once: a listening socket's queue is short
constexpr std::uint64_t sweep_ms = 40;      // sessions want a tick at least every 50 ms
constexpr int sockets_of_a_connection = 3;  // the connection, its monitor's two ends
constexpr int descriptors_of_a_connection = 5;
constexpr int descriptors_of_others = 256;
constexpr int events_of_a_turn = 256;

using std::chrono::nanoseconds;

void ensure_descriptors(std::size_t count) {
  const rlim_t wanted = count * descriptors_of_a_connection + descriptors_of_others;
  rlimit files{};
  ZABMQ_CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
  if (files.rlim_cur >= wanted) return;
  if (files.rlim_max < wanted) {
    throw Error(Code::refused, Outcome::no,
                std::to_string(count) + " connections need " + std::to_string(wanted) +
                    " file descriptors, and this process may have " +
                    std::to_string(files.rlim_max) + ": raise ulimit -Hn");
  }
  files.rlim_cur = files.rlim_max;
  ZABMQ_CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

std::shared_ptr<zmq::context_t> context_for(std::size_t count) {
  const int sockets = static_cast<int>(count) * sockets_of_a_connection + 64;
  auto context = std::make_shared<zmq::context_t>(1, sockets);
  zmq_ctx_set(context->handle(), ZMQ_BLOCKY, 0);
  return context;
}

}  // namespace

class PublisherCrowd::Impl {
 public:
  Impl(const ClientOptions& options, std::size_t count, Done done)
      : options_(options), done_(std::move(done)) {
    ensure_descriptors(count);
    context_ = context_for(count);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    ZABMQ_CHECK(epoll_ >= 0);
    for (std::size_t i = 0; i < count; ++i) {
      members_.push_back(std::make_unique<Member>(session_options(), context_, i));
    }
  }
  ~Impl() { ::close(epoll_); }

  void open() {
    const std::uint64_t begin = steady_now_ms();
    std::uint64_t moved = begin;  // the time limit is for each wave, not for the crowd
    std::size_t opened = 0;
    while (opened < members_.size()) {
      started_ = std::min(members_.size(), opened + opening_max);
      turn(std::chrono::milliseconds{5});
      sweep();
      const std::size_t before = opened;
      while (opened < started_ && members_[opened]->session.opened()) ++opened;
      if (opened > before) moved = steady_now_ms();
      check_opening(*members_[std::min(opened, members_.size() - 1)], moved);
    }
  }

  Result<Sequence> try_publish(std::size_t publisher, std::string_view topic, Bytes payload) {
    Member& member = *members_[publisher];
    const wire::BatchMessage message{.topic = topic, .headers = {}, .payload = payload};
    Publisher::Done done = [this, publisher](const Result<Receipt>& result) {
      done_(publisher, result);
    };
    const std::uint64_t deadline =
        steady_now_ms() + static_cast<std::uint64_t>(options_.timeout.count());
    Result<Sequence> taken = member.intake.take(message, done, deadline);
    if (taken && !member.touched) touch(member);
    return taken;
  }

  void turn(nanoseconds wait) {
    if (!touched_.empty()) wait = nanoseconds{0};
    const timespec bound{.tv_sec = wait.count() / 1'000'000'000,
                         .tv_nsec = wait.count() % 1'000'000'000};
    std::array<epoll_event, events_of_a_turn> events;
    const int count = epoll_pwait2(epoll_, events.data(), events_of_a_turn, &bound, nullptr);
    for (int i = 0; i < count; ++i) {
      Member& member = *static_cast<Member*>(events[static_cast<std::size_t>(i)].data.ptr);
      member.connection.look_again();
      if (!member.touched) touch(member);
    }
    if (steady_now_ms() >= swept_ms_ + sweep_ms) sweep();
    std::vector<Member*> now;
    now.swap(touched_);
    for (Member* member : now) {
      member->touched = false;
      drive(*member);
    }
  }

  void close() {
    const std::uint64_t deadline =
        steady_now_ms() + static_cast<std::uint64_t>(options_.timeout.count());
    std::size_t left = members_.size();
    for (const auto& member : members_) {
      member->session.close(deadline, [&left](const std::optional<Error>&) { --left; });
      touch(*member);
    }
    while (left > 0 && steady_now_ms() < deadline) turn(std::chrono::milliseconds{5});
    for (const auto& member : members_) member->session.abandon();
    for (const auto& member : members_) finish(*member);
  }

 private:
  struct Member {
    Member(PublisherSession::Options options, const std::shared_ptr<zmq::context_t>& context,
           std::size_t i)
        : number(i), session(std::move(options)), intake({}), connection(context) {}
    const std::size_t number;
    PublisherSession session;
    Intake intake;
    Connection connection;
    bool touched = false;
  };

  PublisherSession::Options session_options() const {
    PublisherSession::Options session{.endpoints = options_.endpoints, .publisher = random_uuid()};
    session.seed = random_seed();
    session.id_is_ours = true;
    return session;
  }

  void check_opening(Member& next, std::uint64_t moved) const {
    if (next.session.dead()) throw Error(*next.session.dead());
    if (steady_now_ms() < moved + static_cast<std::uint64_t>(options_.timeout.count())) return;
    throw Error(Code::unavailable, Outcome::no,
                "publisher " + std::to_string(next.number + 1) + " of " +
                    std::to_string(members_.size()) + " was not opened within " +
                    std::to_string(options_.timeout.count()) + " ms: " + next.session.trouble());
  }

  void touch(Member& member) {
    member.touched = true;
    touched_.push_back(&member);
  }

  // Every session gets its tick, and hears what has become of its connection.
  void sweep() {
    swept_ms_ = steady_now_ms();
    for (std::size_t i = 0; i < started_; ++i) {
      Member& member = *members_[i];
      feed(member.session, member.connection, swept_ms_);
      drive(member);
    }
  }

  void drive(Member& member) {
    const std::uint64_t now = steady_now_ms();
    bool more = true;
    while (more) {
      receive(member, now);
      member.session.tick(now);
      member.session.exchange(member.intake, now);
      const bool told = tell(member);  // who is told may publish
      more = perform(member) || told;
    }
  }

  // Without asking for the connection's events, which costs as much again: once it has opened, that
  // is left to the sweep, which asks only those that were touched.
  void receive(Member& member, std::uint64_t now) {
    if (!member.session.opened()) return feed(member.session, member.connection, now);
    while (const auto frame = member.connection.receive()) {
      member.session.receive(frame->message, frame->body, now);
    }
  }

  // True: something was asked for.
  bool perform(Member& member) {
    std::vector<Output> outputs = member.session.take_outputs();
    bool reopened = false;
    for (Output& output : outputs) {
      reopened = reopened || std::holds_alternative<Connect>(output);
      member.connection.perform(std::move(output));
    }
    member.connection.flush();
    if (reopened) watch(member);
    return !outputs.empty();
  }

  // The descriptors of a connection that was closed have left the epoll by themselves.
  void watch(Member& member) {
    for (const pollfd& item : member.connection.poll_items()) {
      if (item.fd < 0) continue;
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &member}};
      ZABMQ_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, item.fd, &event) == 0);
    }
  }

  bool tell(Member& member) {
    const auto replies = member.session.take_replies();
    const auto completions = member.session.take_completions();
    for (const Completion& completion : completions) tell(completion);
    for (const auto& reply : replies) reply();
    return !completions.empty() || !replies.empty();
  }

  static void tell(const Completion& completion) {
    Batch& batch = *completion.batch;
    for (std::uint32_t i = 0; i < batch.count(); ++i) {
      const Publisher::Done done = std::exchange(batch.done[i], nullptr);
      if (!done) continue;
      const Sequence sequence = batch.first + i;
      if (const auto* receipt = std::get_if<wire::Receipt>(&completion.outcome)) {
        done(Receipt{
            .offset = receipt->base_offset + i, .zxid = receipt->zxid, .sequence = sequence});
      } else {
        Error error = std::get<Error>(completion.outcome);
        error.sequence = sequence;
        done(std::move(error));
      }
    }
  }

  void finish(Member& member) {
    member.session.exchange(member.intake, steady_now_ms());
    tell(member);
    perform(member);
  }

  const ClientOptions options_;
  const Done done_;
  std::shared_ptr<zmq::context_t> context_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Member*> touched_;  // each once
  std::size_t started_ = 0;       // members that are to have connections
  std::uint64_t swept_ms_ = 0;
};

PublisherCrowd::PublisherCrowd(const ClientOptions& options, std::size_t count, Done done)
    : impl_(std::make_unique<Impl>(options, count, std::move(done))) {}
PublisherCrowd::~PublisherCrowd() = default;

void PublisherCrowd::open() {
  impl_->open();
}
Result<Sequence> PublisherCrowd::try_publish(std::size_t publisher, std::string_view topic,
                                             Bytes payload) {
  return impl_->try_publish(publisher, topic, payload);
}
void PublisherCrowd::turn(nanoseconds wait) {
  impl_->turn(wait);
}
void PublisherCrowd::close() {
  impl_->close();
}

}  // namespace zabmq::client
