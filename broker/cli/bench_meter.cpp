// BenchMeter: what falls into which time.
#include "cli/bench_meter.hpp"

namespace zabmq::cli {

namespace {

std::uint64_t microseconds(BenchClock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

}  // namespace

void BenchMeter::record(BenchClock::time_point intended, BenchClock::time_point done,
                        std::size_t bytes) {
  const std::uint64_t latency = microseconds(done - intended);
  const std::lock_guard lock(mutex_);
  ++interval_.messages;
  interval_.latency_us.record(latency);
  if (intended >= times_.warm && intended < times_.end) total_.latency_us.record(latency);
  if (done < times_.warm || done >= times_.end) return;
  ++total_.messages;
  total_.bytes += bytes;
}

void BenchMeter::count(std::uint64_t messages, std::uint64_t bytes, BenchClock::time_point done) {
  const std::lock_guard lock(mutex_);
  interval_.messages += messages;
  if (done < times_.warm || done >= times_.end) return;
  total_.messages += messages;
  total_.bytes += bytes;
}

void BenchMeter::move_interval_to(Interval& sum) {
  const std::lock_guard lock(mutex_);
  sum.messages += interval_.messages;
  sum.latency_us.merge(interval_.latency_us);
  interval_ = {};
}

BenchMeter::Total BenchMeter::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace zabmq::cli
