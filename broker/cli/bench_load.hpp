// BenchLoad: what publishes in a measurement, closed loop or by a schedule.
//
// With --rate a message's latency counts from its intended time, so that a stall of the cluster is
// not hidden by a stall of the load (no coordinated omission).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cli/bench_meter.hpp"
#include "cli/commands.hpp"
#include "zabmq/result.hpp"

namespace zabmq::cli {

// What all loads of a measurement share.
struct BenchRun {
  const BenchArguments& arguments;
  BenchTimes times;
  std::atomic<bool>& stopped;
  std::uint64_t id = 0;  // of this run; not 0: each payload begins with a BenchStamp
};

// In front of a payload, for who receives it in the same process.
struct BenchStamp {
  std::uint64_t run = 0;
  std::int64_t intended_ns = 0;  // of the steady clock
};

class BenchLoad {
 public:
  virtual ~BenchLoad() = default;

  // Publishes until the end, then waits for what is on its way. Records into `meter` when a message
  // is acknowledged.
  virtual void run(const BenchRun& run, BenchMeter& meter) = 0;
  virtual void close() = 0;         // best effort
  virtual bool failed() const = 0;  // any thread
  virtual std::optional<Error> failure() const = 0;
  virtual std::uint64_t acknowledged() const = 0;  // in all, once run() has returned
};

// Opened publishers: a few have a Publisher each, with its thread; a crowd shares one thread.
// Throws Error when one cannot be opened.
std::vector<std::unique_ptr<BenchLoad>> open_loads(const BenchArguments& arguments);

}  // namespace zabmq::cli
