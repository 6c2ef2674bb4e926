// BenchLoad: a Publisher and the thread that feeds it, or a crowd.
#include "cli/bench_load.hpp"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "client/zmq_publisher_crowd.hpp"
#include "zabmq/publisher.hpp"

namespace zabmq::cli {

namespace {

constexpr std::size_t threads_max = 16;  // more publishers than this are a crowd
constexpr Millis busy_pause{1};
constexpr Millis turn_max{10};

// When the messages of one load are due.
class Schedule {
 public:
  Schedule() = default;
  Schedule(BenchClock::time_point begin, double rate, std::size_t number, std::size_t loads)
      : begin_(begin),
        gap_(static_cast<double>(loads) / rate),
        phase_(static_cast<double>(number) / rate) {}

  BenchClock::time_point due(std::uint64_t message) const {
    const auto after = phase_ + gap_ * static_cast<double>(message);
    return begin_ + std::chrono::duration_cast<BenchClock::duration>(after);
  }

 private:
  BenchClock::time_point begin_{};
  std::chrono::duration<double> gap_{0};
  std::chrono::duration<double> phase_{0};
};

// For messages that are published without a pause between them: of 100 bytes a client handles
// millions in a second, and would spend a quarter of its time asking for the time.
class FeedingClock {
 public:
  BenchClock::time_point now() {
    if (calls_++ % reads_apart == 0) now_ = BenchClock::now();
    return now_;
  }
  void time_has_passed() { calls_ = 0; }

 private:
  static constexpr unsigned reads_apart = 16;
  unsigned calls_ = 0;
  BenchClock::time_point now_{};
};

void stamp(std::string& payload, std::uint64_t run, BenchClock::time_point intended) {
  if (run == 0) return;
  const BenchStamp stamp{run, std::chrono::nanoseconds(intended.time_since_epoch()).count()};
  std::memcpy(payload.data(), &stamp, sizeof stamp);
}

// The first one counts.
class Failure {
 public:
  void set(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    failed_ = true;
  }
  bool failed() const { return failed_; }
  std::optional<Error> error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
  std::atomic<bool> failed_ = false;
};

Error late(Millis timeout) {
  return Error(Code::unknown_outcome, Outcome::maybe,
               "not everything was acknowledged within " + std::to_string(timeout.count()) +
                   " ms after the end");
}

class PublisherLoad : public BenchLoad {
 public:
  PublisherLoad(const BenchArguments& arguments, std::size_t number)
      : arguments_(arguments),
        number_(number),
        refill_below_(arguments.window - (arguments.window + 7) / 8),
        payload_(arguments.size, 'x'),
        publisher_(options_for(arguments)) {}

  void run(const BenchRun& run, BenchMeter& meter) override {
    meter_ = &meter;
    if (arguments_.rate) {
      schedule_ = {run.times.begin, *arguments_.rate, number_, arguments_.publishers};
    }
    try {
      for (std::uint64_t n = 0; !run.stopped && !failed(); ++n) {
        const auto intended = wait_for_turn(n, run);
        if (intended >= run.times.end || !publish(intended, run)) break;
      }
      if (!publisher_.flush(arguments_.client.timeout) && !failed()) {
        failure_.set(late(arguments_.client.timeout));
      }
    } catch (const Error& error) {
      failure_.set(error);
    }
  }

  void close() override {
    try {
      publisher_.close(arguments_.client.timeout);
    } catch (const Error&) {
      // The measurement is over; the cluster forgets the publisher after its time to live.
    }
  }
  bool failed() const override { return failure_.failed(); }
  std::optional<Error> failure() const override { return failure_.error(); }
  std::uint64_t acknowledged() const override { return acknowledged_; }

 private:
  static PublisherOptions options_for(const BenchArguments& arguments) {
    PublisherOptions options;
    static_cast<ClientOptions&>(options) = arguments.client;
    options.window_messages = arguments.window;
    return options;
  }

  // When message `n` should go out: with a rate by the schedule, else as soon as the window allows.
  BenchClock::time_point wait_for_turn(std::uint64_t n, const BenchRun& run) {
    if (!arguments_.rate) return wait_for_room();
    const auto due = std::min(schedule_.due(n), run.times.end);
    std::this_thread::sleep_until(due);
    (void)wait_for_room();
    return due;
  }

  // Waits, once the window is full, until an eighth of it is free: waking up for each message
  // would cost more than the message.
  BenchClock::time_point wait_for_room() {
    if (in_flight_ >= arguments_.window && !failed()) {
      std::unique_lock lock(mutex_);
      const auto room = [this] { return in_flight_ <= refill_below_ || failed(); };
      // Who wakes us clears it, also when meant for the wait before.
      for (waiting_ = true; !room(); waiting_ = true) changed_.wait(lock);
      waiting_ = false;
      feeding_clock_.time_has_passed();
    }
    return feeding_clock_.now();
  }

  bool publish(BenchClock::time_point intended, const BenchRun& run) {
    stamp(payload_, run.id, intended);
    ++in_flight_;
    const Bytes bytes = std::as_bytes(std::span(payload_));
    while (true) {
      const auto done = [this, intended](const Result<Receipt>& result) {
        on_done(result, intended);
      };
      const auto taken = publisher_.try_publish(arguments_.topic, bytes, done);
      if (taken) return true;
      if (taken.error().code != Code::busy || BenchClock::now() >= run.times.end) {
        --in_flight_;
        if (taken.error().code != Code::busy) failure_.set(taken.error());
        return false;
      }
      std::this_thread::sleep_for(busy_pause);  // bytes, not messages, have filled the window
    }
  }

  void on_done(const Result<Receipt>& result, BenchClock::time_point intended) {
    if (result) {
      // Messages of one transaction are acknowledged together.
      if (result.value().zxid != answered_zxid_) {
        answered_zxid_ = result.value().zxid;
        answered_at_ = BenchClock::now();
      }
      meter_->record(intended, answered_at_, arguments_.size);
      ++acknowledged_;
    } else {
      failure_.set(result.error());
    }
    const std::size_t open = --in_flight_;
    if ((open > refill_below_ && result) || !waiting_.exchange(false)) return;
    const std::lock_guard lock(mutex_);
    changed_.notify_one();
  }

  const BenchArguments& arguments_;
  const std::size_t number_;
  const std::size_t refill_below_;
  FeedingClock feeding_clock_;
  std::string payload_;
  Schedule schedule_;
  BenchMeter* meter_ = nullptr;
  std::atomic<std::size_t> in_flight_ = 0;
  std::atomic<bool> waiting_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t acknowledged_ = 0;  // this and the next: the callbacks' thread, till flush()
  Zxid answered_zxid_;
  BenchClock::time_point answered_at_;
  Failure failure_;
  Publisher publisher_;  // last: its thread calls back into all of the above
};

class CrowdLoad : public BenchLoad {
 public:
  explicit CrowdLoad(const BenchArguments& arguments)
      : arguments_(arguments),
        payload_(arguments.size, 'x'),
        intended_(arguments.publishers),
        crowd_(arguments.client, arguments.publishers,
               [this](std::size_t publisher, const Result<Receipt>& result) {
                 on_done(publisher, result);
               }) {
    crowd_.open();
    for (std::size_t i = 0; i < arguments.publishers; ++i) {
      for (std::size_t j = 0; j < arguments.window; ++j) free_.push_back(i);
    }
  }

  void run(const BenchRun& run, BenchMeter& meter) override {
    run_ = &run;
    meter_ = &meter;
    if (arguments_.rate) schedule_ = {run.times.begin, *arguments_.rate, 0, 1};
    while (!run.stopped && !failed() && BenchClock::now() < run.times.end) {
      crowd_.turn(publish_due());
    }
    const auto deadline = BenchClock::now() + arguments_.client.timeout;
    while (in_flight_ > 0 && !failed() && BenchClock::now() < deadline) crowd_.turn(turn_max);
    if (in_flight_ > 0 && !failed()) failure_.set(late(arguments_.client.timeout));
  }

  void close() override { crowd_.close(); }
  bool failed() const override { return failure_.failed(); }
  std::optional<Error> failure() const override { return failure_.error(); }
  std::uint64_t acknowledged() const override { return acknowledged_; }

 private:
  // Whoever has room publishes what is due. How long nothing will be.
  std::chrono::nanoseconds publish_due() {
    while (!free_.empty() && !failed()) {
      const auto now = BenchClock::now();
      const auto due = arguments_.rate ? schedule_.due(published_) : now;
      if (due > now) return std::min<std::chrono::nanoseconds>(due - now, turn_max);
      const std::size_t publisher = free_.front();
      free_.pop_front();
      publish(publisher, due);
    }
    return turn_max;
  }

  void publish(std::size_t publisher, BenchClock::time_point intended) {
    stamp(payload_, run_->id, intended);
    intended_[publisher].push_back(intended);
    const auto taken =
        crowd_.try_publish(publisher, arguments_.topic, std::as_bytes(std::span(payload_)));
    if (!taken) return failure_.set(taken.error());
    ++published_;
    ++in_flight_;
  }

  void on_done(std::size_t publisher, const Result<Receipt>& result) {
    if (!result) return failure_.set(result.error());
    const auto now = BenchClock::now();
    meter_->record(intended_[publisher].front(), now, arguments_.size);
    intended_[publisher].pop_front();
    ++acknowledged_;
    --in_flight_;
    const bool goes_on = !arguments_.rate && !run_->stopped && now < run_->times.end;
    if (goes_on) return publish(publisher, now);
    free_.push_back(publisher);
  }

  const BenchArguments& arguments_;
  std::string payload_;
  std::vector<std::deque<BenchClock::time_point>> intended_;  // of what is on its way
  std::deque<std::size_t> free_;  // a publisher is in it as often as it has room
  Schedule schedule_;
  const BenchRun* run_ = nullptr;
  BenchMeter* meter_ = nullptr;
  std::uint64_t published_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint64_t acknowledged_ = 0;
  Failure failure_;
  client::PublisherCrowd crowd_;  // last: it calls back into all of the above
};

}  // namespace

std::vector<std::unique_ptr<BenchLoad>> open_loads(const BenchArguments& arguments) {
  std::vector<std::unique_ptr<BenchLoad>> loads;
  if (arguments.publishers > threads_max) {
    loads.push_back(std::make_unique<CrowdLoad>(arguments));
    return loads;
  }
  for (std::size_t i = 0; i < arguments.publishers; ++i) {
    loads.push_back(std::make_unique<PublisherLoad>(arguments, i));
  }
  return loads;
}

}  // namespace zabmq::cli
