// pub: publishes messages in order and reports each once it is durable on a quorum.
//
// Three threads: this one reads the input, the library's calls back, and a reporter prints. What
// has been read and not yet printed is bounded by --window, so a slow terminal slows the input down
// instead of growing a queue.
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

#include "cli/commands.hpp"
#include "cli/json_lines.hpp"
#include "cli/message_source.hpp"
#include "cli/output.hpp"
#include "zabmq/check.hpp"
#include "zabmq/publisher.hpp"

namespace zabmq::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis close_patience{1000};

// Readable once raised; wakes the wait for standard input.
class StopEvent {
 public:
  StopEvent() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { ZABMQ_CHECK(fd_ >= 0); }
  ~StopEvent() { close(fd_); }
  StopEvent(const StopEvent&) = delete;
  StopEvent& operator=(const StopEvent&) = delete;
  void raise() { ZABMQ_CHECK(eventfd_write(fd_, 1) == 0); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// What is on its way, from the input to standard output. Any thread.
class Pipeline {
 public:
  Pipeline(std::size_t window, StopEvent& stop) : window_(window), stop_(stop) {}

  // False: a message was not done before there was room.
  bool wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || outstanding_ < window_; });
    return !failure_;
  }

  std::uint64_t moves() const {
    const std::lock_guard lock(mutex_);
    return moved_;
  }

  // The library was busy: waits until something of ours has moved since moves() was `before`. False
  // at `until`, or on failure.
  bool wait_for_progress(std::uint64_t before, Clock::time_point until) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, until, [&] { return failure_ || moved_ != before; });
    return !failure_ && moved_ != before;
  }

  // The due time of a rate. False on failure.
  bool wait_until(Clock::time_point due) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, due, [&] { return failure_.has_value(); });
    return !failure_;
  }

  void offered() {
    const std::lock_guard lock(mutex_);
    ++outstanding_;
  }

  // Results come in the order of publication. Nothing behind a failure is reported: it may not have
  // happened either, and sequences are told without holes.
  void done(const Result<Receipt>& result) {
    if (!result) return fail(result.error());
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    receipts_.push_back(result.value());
    changed_.notify_all();
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    failure_ = error;
    stop_.raise();
    changed_.notify_all();
  }

  // The newest message was not taken. Those before it still get their outcome, and are reported.
  void withdraw(const Error& error) {
    const std::lock_guard lock(mutex_);
    --outstanding_;
    refusal_ = error;
    changed_.notify_all();
  }

  void finish() {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }

  // The receipts since the last call, in order; empty when there will be no more.
  std::deque<Receipt> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return !receipts_.empty() || failure_ || (finished_ && outstanding_ == 0); });
    return std::exchange(receipts_, {});
  }

  void reported(std::size_t count) {
    const std::lock_guard lock(mutex_);
    outstanding_ -= count;
    ++moved_;
    changed_.notify_all();
  }

  std::optional<Error> failure() const {
    const std::lock_guard lock(mutex_);
    return failure_ ? failure_ : refusal_;
  }

 private:
  const std::size_t window_;
  StopEvent& stop_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Receipt> receipts_;
  std::size_t outstanding_ = 0;  // offered to the library and not yet reported
  std::uint64_t moved_ = 0;
  bool finished_ = false;
  std::optional<Error> failure_;  // of the first message that was not done
  std::optional<Error> refusal_;  // of the message behind all others
};

// Prints receipts as they come, and remembers what a person wants to know at the end.
class Reporter {
 public:
  Reporter(Pipeline& pipeline, bool json) : pipeline_(pipeline), json_(json) {}

  void run() {
    try {
      for (auto receipts = pipeline_.take(); !receipts.empty(); receipts = pipeline_.take()) {
        report(receipts);
      }
    } catch (const OutputFailed&) {
      output_error_ = std::current_exception();
      pipeline_.fail(Error(Code::refused, Outcome::maybe, "standard output failed"));
    }
  }

  void rethrow_output_error() const {
    if (output_error_) std::rethrow_exception(output_error_);
  }

  std::string summary() const {
    if (count_ == 0) return "0 messages acknowledged\n";
    if (count_ == 1) {
      return "1 message acknowledged: offset " + std::to_string(last_.offset) + ", zxid " +
             to_string(last_.zxid) + "\n";
    }
    return std::to_string(count_) + " messages acknowledged: offsets " +
           std::to_string(first_.offset) + " to " + std::to_string(last_.offset) + ", zxids " +
           to_string(first_.zxid) + " to " + to_string(last_.zxid) + "\n";
  }

 private:
  void report(const std::deque<Receipt>& receipts) {
    if (count_ == 0) first_ = receipts.front();
    last_ = receipts.back();
    count_ += receipts.size();
    if (json_) {
      for (const Receipt& receipt : receipts) write_out(json_line(receipt));
      flush_out();
    }
    pipeline_.reported(receipts.size());
  }

  Pipeline& pipeline_;
  const bool json_;
  std::uint64_t count_ = 0;
  Receipt first_;
  Receipt last_;
  std::exception_ptr output_error_;
};

// Reads messages and offers them to the library, at the asked rate.
class Feeder {
 public:
  Feeder(const PubArguments& arguments, Publisher& publisher, Pipeline& pipeline)
      : arguments_(arguments), publisher_(publisher), pipeline_(pipeline) {
    options_.headers = arguments.headers;
    options_.expect_last_offset = arguments.expect_last_offset;
  }

  void run(MessageSource& source) {
    const auto first = skip_taken(source);
    const auto start = Clock::now();
    for (std::uint64_t sent = 0; pipeline_.wait_for_room(); ++sent) {
      const auto payload = sent == 0 ? first : source.next();
      if (!payload) return;
      const auto read_at = Clock::now();
      if (arguments_.rate && !pipeline_.wait_until(due(start, sent))) return;
      if (!offer(*payload, arguments_.rate ? Clock::now() : read_at)) return;
    }
  }

 private:
  // Message n of the input is sequence n: what an earlier run got through is not sent again. The
  // first message that is to be sent.
  std::optional<Payload> skip_taken(MessageSource& source) {
    std::uint64_t skipped = 0;
    auto payload = source.next();
    for (; payload && publisher_.skip(arguments_.topic, *payload); payload = source.next()) {
      ++skipped;
    }
    if (skipped < publisher_.resumed_after()) throw too_short(skipped);
    if (skipped > 0) tell_skipped(skipped);
    return payload;
  }

  // What it lacks may be what another input had: nothing can be said of this one.
  UsageError too_short(std::uint64_t messages) const {
    return UsageError(
        "session file " + arguments_.session + ": " + std::to_string(publisher_.resumed_after()) +
        " messages were taken with it, and this input has only " + std::to_string(messages) +
        ": go on with the same input, or take another session file for this "
        "one");
  }

  void tell_skipped(std::uint64_t skipped) const {
    const std::uint64_t unknown = skipped - publisher_.compared_until();
    const std::string note =
        unknown == 0 ? ""
                     : " (" + (unknown == skipped ? std::string() : std::to_string(unknown) + " ") +
                           "taken earlier, not compared)";
    std::fprintf(stderr, "zabmq pub: %llu messages skipped: the cluster has them already%s\n",
                 static_cast<unsigned long long>(skipped), note.c_str());
  }

  Clock::time_point due(Clock::time_point start, std::uint64_t sent) const {
    const std::chrono::duration<double> after(static_cast<double>(sent) / *arguments_.rate);
    return start + std::chrono::duration_cast<Clock::duration>(after);
  }

  bool offer(Payload payload, Clock::time_point read_at) {
    const auto deadline = read_at + arguments_.client.timeout;
    pipeline_.offered();
    while (true) {
      const std::uint64_t before = pipeline_.moves();
      const auto taken = try_publish(payload, deadline);
      if (taken) return true;
      const bool busy = taken.error().code == Code::busy;
      if (busy && pipeline_.wait_for_progress(before, deadline)) continue;
      pipeline_.withdraw(taken.error());
      return false;
    }
  }

  Result<Sequence> try_publish(Payload payload, Clock::time_point deadline) {
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now());
    options_.timeout = std::max(left, Millis{1});
    const Bytes bytes(reinterpret_cast<const std::byte*>(payload.data()), payload.size());
    // The call comes when this feeder may be gone; the pipeline outlives the publisher.
    const auto done = [&pipeline = pipeline_](const Result<Receipt>& result) {
      pipeline.done(result);
    };
    return publisher_.try_publish(arguments_.topic, bytes, done, options_);
  }

  const PubArguments& arguments_;
  Publisher& publisher_;
  Pipeline& pipeline_;
  PublishOptions options_;
};

PublisherOptions publisher_options(const PubArguments& arguments) {
  PublisherOptions options;
  static_cast<ClientOptions&>(options) = arguments.client;
  options.session_file = arguments.session;
  options.window_messages = arguments.window;
  return options;
}

// Without a session nobody will ever come back for this publisher.
void release(Publisher& publisher, const PubArguments& arguments) {
  if (!arguments.session.empty()) return;
  try {
    publisher.close(std::min(arguments.client.timeout, close_patience));
  } catch (const Error&) {
    // Everything was acknowledged; the cluster forgets the publisher after its time to live.
  }
}

}  // namespace

ExitCode run(const PubArguments& arguments) {
  StopEvent stop;
  Pipeline pipeline(arguments.window, stop);
  Reporter reporter(pipeline, arguments.json);
  const auto source = make_source(arguments, STDIN_FILENO, stop.fd());
  Publisher publisher(publisher_options(arguments));
  std::thread reporting([&reporter] { reporter.run(); });
  std::exception_ptr input_error;
  try {
    Feeder(arguments, publisher, pipeline).run(*source);
  } catch (const std::exception&) {
    input_error = std::current_exception();  // what was read before it is still completed
  }
  pipeline.finish();
  reporting.join();
  reporter.rethrow_output_error();
  if (const auto failure = pipeline.failure()) throw *failure;
  if (input_error) std::rethrow_exception(input_error);
  release(publisher, arguments);
  if (!arguments.json) write_out(reporter.summary());
  flush_out();
  return ExitCode::done;
}

}  // namespace zabmq::cli
