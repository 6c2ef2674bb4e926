// bench: how many messages a cluster takes or gives out, and how long each one waits.
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "cli/bench_load.hpp"
#include "cli/bench_report.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/signals.hpp"
#include "zabmq/subscriber.hpp"

namespace zabmq::cli {

namespace {

constexpr Millis interval{1000};
constexpr Millis poll_bound{100};
constexpr std::size_t messages_of_a_poll = 4096;

using Loads = std::vector<std::unique_ptr<BenchLoad>>;
using Meters = std::vector<std::unique_ptr<BenchMeter>>;

BenchTimes times_from_now(const BenchArguments& arguments) {
  const auto begin = BenchClock::now();
  const auto warm = begin + arguments.warmup;
  return {begin, warm, warm + arguments.duration};
}

Meters meters_for(std::size_t count, const BenchTimes& times) {
  Meters meters;
  for (std::size_t i = 0; i < count; ++i) meters.push_back(std::make_unique<BenchMeter>(times));
  return meters;
}

std::uint64_t random_run() {
  std::random_device device;
  return (std::uint64_t{device()} << 32 | device()) | 1;  // not 0
}

// An interval line each second until the end, until somebody stops the run, or until `over`.
void watch(const Meters& meters, const BenchTimes& times, StopSignals& stop,
           std::atomic<bool>& stopped, const std::function<bool()>& over) {
  Progress progress;
  for (auto next = times.begin + interval; next <= times.end && !stopped; next += interval) {
    while (BenchClock::now() < next && !stopped && !over()) {
      const auto left = std::chrono::ceil<Millis>(next - BenchClock::now());
      stopped = stop.wait({}, std::clamp(left, Millis{0}, poll_bound));
    }
    const bool ended = over();
    BenchMeter::Interval sum;
    for (const auto& meter : meters) meter->move_interval_to(sum);
    const auto since = std::min(next, BenchClock::now()) - times.begin;
    progress.show(
        interval_line(std::chrono::duration<double>(since).count(), next <= times.warm, sum),
        std::chrono::duration<double>(since) / (times.end - times.begin));
    if (ended) break;
  }
  stopped = stopped || over();
}

// What the meters have counted, until `end` at the latest.
BenchResult result_of(const Meters& meters, const BenchTimes& times, BenchClock::time_point end) {
  BenchResult result;
  result.latency_us.emplace();
  for (const auto& meter : meters) {
    const BenchMeter::Total total = meter->total();
    result.messages += total.messages;
    result.bytes += total.bytes;
    result.latency_us->merge(total.latency_us);
  }
  const auto measured = std::min(end, times.end) - times.warm;
  result.seconds = std::max(0.0, std::chrono::duration<double>(measured).count());
  return result;
}

bool any_failed(const Loads& loads) {
  return std::any_of(loads.begin(), loads.end(), [](const auto& load) { return load->failed(); });
}

void throw_failure(const Loads& loads) {
  for (const auto& load : loads) {
    if (const auto failure = load->failure()) throw *failure;
  }
}

void run_loads(const Loads& loads, const BenchRun& run, const Meters& meters, const Meters& shown,
               StopSignals& stop) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    threads.emplace_back([&, i] {
      prctl(PR_SET_TIMERSLACK, 1UL);  // a schedule is kept to the microsecond
      loads[i]->run(run, *meters[i]);
    });
  }
  watch(shown, run.times, stop, run.stopped, [&loads] { return any_failed(loads); });
  for (std::thread& thread : threads) thread.join();
}

BenchResult measure_publishing(const BenchArguments& arguments, StopSignals& stop) {
  const Loads loads = open_loads(arguments);
  std::atomic<bool> stopped = false;
  const BenchRun run{arguments, times_from_now(arguments), stopped};
  const Meters meters = meters_for(loads.size(), run.times);
  run_loads(loads, run, meters, meters, stop);
  const auto end = BenchClock::now();
  throw_failure(loads);
  for (const auto& load : loads) load->close();
  return result_of(meters, run.times, end);
}

// Receives what this run has published, and times it.
class Receiver {
 public:
  Receiver(const BenchArguments& arguments, std::uint64_t run)
      : run_(run), subscriber_(options_for(arguments)) {
    const auto deadline = BenchClock::now() + arguments.client.timeout;
    while (subscriber_.next_offset() == 0) {
      if (BenchClock::now() >= deadline) {
        throw Error(Code::unavailable, Outcome::no, "no server took the subscription in time");
      }
      subscriber_.poll([](const Message&) {}, 1, Millis{1});
    }
  }

  void run(BenchMeter& meter, const std::atomic<bool>& enough) {
    const auto take = [&](const Message& message) { receive(message, meter); };
    try {
      while (!enough) subscriber_.poll(take, messages_of_a_poll, Millis{10});
    } catch (const Error& error) {
      failure_ = error;
      failed_ = true;
    }
  }

  std::uint64_t received() const { return received_; }
  bool failed() const { return failed_; }
  void rethrow() const {
    if (failed_) throw *failure_;
  }

 private:
  static SubscriberOptions options_for(const BenchArguments& arguments) {
    SubscriberOptions options;
    static_cast<ClientOptions&>(options) = arguments.client;
    options.topics = {arguments.topic};
    return options;
  }

  void receive(const Message& message, BenchMeter& meter) {
    BenchStamp stamp;
    if (message.payload.size() < sizeof stamp) return;
    std::memcpy(&stamp, message.payload.data(), sizeof stamp);
    if (stamp.run != run_) return;
    const BenchClock::time_point intended{std::chrono::nanoseconds(stamp.intended_ns)};
    meter.record(intended, BenchClock::now(), message.payload.size());
    ++received_;
  }

  const std::uint64_t run_;
  Subscriber subscriber_;
  std::atomic<std::uint64_t> received_ = 0;
  std::optional<Error> failure_;
  std::atomic<bool> failed_ = false;
};

using Receivers = std::vector<std::unique_ptr<Receiver>>;

void wait_for_delivery(const Receivers& receivers, const Loads& loads, Millis timeout) {
  std::uint64_t acknowledged = 0;
  for (const auto& load : loads) acknowledged += load->acknowledged();
  const auto deadline = BenchClock::now() + timeout;
  for (const auto& receiver : receivers) {
    while (receiver->received() < acknowledged && !receiver->failed()) {
      if (BenchClock::now() >= deadline) {
        throw Error(Code::unavailable, Outcome::maybe,
                    std::to_string(acknowledged - receiver->received()) +
                        " acknowledged messages were not delivered within " +
                        std::to_string(timeout.count()) + " ms");
      }
      std::this_thread::sleep_for(Millis{1});
    }
  }
}

BenchResult measure_end_to_end(const BenchArguments& arguments, StopSignals& stop) {
  const std::uint64_t id = random_run();
  Receivers receivers;
  for (std::size_t i = 0; i < arguments.readers; ++i) {
    receivers.push_back(std::make_unique<Receiver>(arguments, id));
  }
  const Loads loads = open_loads(arguments);
  std::atomic<bool> stopped = false;
  std::atomic<bool> enough = false;
  const BenchRun run{arguments, times_from_now(arguments), stopped, id};
  const Meters acknowledged = meters_for(loads.size(), run.times);
  const Meters delivered = meters_for(arguments.readers, run.times);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < arguments.readers; ++i) {
    threads.emplace_back([&, i] { receivers[i]->run(*delivered[i], enough); });
  }
  run_loads(loads, run, acknowledged, delivered, stop);
  const auto end = BenchClock::now();
  std::exception_ptr problem;
  try {
    throw_failure(loads);
    wait_for_delivery(receivers, loads, arguments.client.timeout);
  } catch (const Error&) {
    problem = std::current_exception();
  }
  enough = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& receiver : receivers) receiver->rethrow();
  if (problem) std::rethrow_exception(problem);
  for (const auto& load : loads) load->close();
  return result_of(delivered, run.times, end);
}

// Reads everything up to what is the end when it begins.
class Reader {
 public:
  explicit Reader(const BenchArguments& arguments) : subscriber_(options_for(arguments)) {}

  void run(BenchMeter& meter, const std::atomic<bool>& stopped) {
    try {
      while (!stopped && !subscriber_.at_end()) {
        std::uint64_t bytes = 0;
        const auto take = [&bytes](const Message& message) { bytes += message.payload.size(); };
        const std::size_t messages = subscriber_.poll(take, messages_of_a_poll, poll_bound);
        meter.count(messages, bytes, BenchClock::now());
      }
    } catch (const Error& error) {
      failure_ = error;
    }
    ended_at_ = BenchClock::now();
    ended_ = true;
  }

  bool ended() const { return ended_; }
  BenchClock::time_point ended_at() const { return ended_at_; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  static SubscriberOptions options_for(const BenchArguments& arguments) {
    SubscriberOptions options;
    static_cast<ClientOptions&>(options) = arguments.client;
    options.from = arguments.from;
    options.until_end = true;
    return options;
  }

  Subscriber subscriber_;
  BenchClock::time_point ended_at_;
  std::optional<Error> failure_;
  std::atomic<bool> ended_ = false;
};

BenchResult measure_reading(const BenchArguments& arguments, StopSignals& stop) {
  std::atomic<bool> stopped = false;
  const auto begin = BenchClock::now();
  const BenchTimes times{begin, begin, begin + arguments.duration};
  const Meters meters = meters_for(arguments.readers, times);
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < arguments.readers; ++i) {
    readers.push_back(std::make_unique<Reader>(arguments));
    threads.emplace_back([&, i] { readers[i]->run(*meters[i], stopped); });
  }
  const auto all_ended = [&readers] {
    return std::all_of(readers.begin(), readers.end(), [](const auto& r) { return r->ended(); });
  };
  watch(meters, times, stop, stopped, all_ended);
  stopped = true;
  for (std::thread& thread : threads) thread.join();
  auto end = begin;
  for (const auto& reader : readers) {
    if (reader->failure()) throw *reader->failure();
    end = std::max(end, reader->ended_at());
  }
  BenchResult result = result_of(meters, times, end);
  result.latency_us.reset();
  return result;
}

BenchResult measure(const BenchArguments& arguments, StopSignals& stop) {
  switch (arguments.mode) {
    case BenchMode::sub:
      return measure_reading(arguments, stop);
    case BenchMode::e2e:
      return measure_end_to_end(arguments, stop);
    case BenchMode::pub:
    case BenchMode::latency:
      break;
  }
  return measure_publishing(arguments, stop);
}

}  // namespace

ExitCode run(const BenchArguments& arguments) {
  StopSignals stop;  // before the library's threads start
  const Environment environment = environment_of(arguments.client);
  const BenchResult result = measure(arguments, stop);
  write_out(arguments.json ? json_line(arguments, result, environment)
                           : summary(arguments, result, environment));
  flush_out();
  if (arguments.mode != BenchMode::sub) {
    std::fputs(left_behind(arguments, result).c_str(), stderr);
  }
  return ExitCode::done;
}

}  // namespace zabmq::cli
