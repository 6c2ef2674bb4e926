// SeedRun: one seed from its parameters to its verdict, and how its outcome passes a pipe.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/faults.hpp"
#include "sim/world.hpp"

namespace zabmq::sim::program {

using Json = nlohmann::ordered_json;

struct Violation {
  std::string check;
  std::uint64_t seed = 0;
  std::uint64_t event = 0;
  std::string text;
};

// Of one seed, or of many together.
struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;  // of many: independent of their order
  double hours = 0;              // simulated
  double hours_under_load = 0;   // with at least 100 messages published a second
  double cpu_seconds = 0;        // of one core
  double cpu_under_load = 0;     // the same seeds as the hours
  double slowest_seconds = 0;    // of the seed that needs most
  std::uint64_t slowest = 0;     // that seed
  double liveness_seconds = 0;   // the longest a healed cluster took
  std::uint64_t epochs = 0;
  std::uint64_t transactions = 0;
  std::uint64_t published = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t delivered = 0;
  HitTable hits;
  std::uint64_t old_copies_found = 0;
  PublisherCounts publishers;
  std::uint64_t forwarded = 0;
  std::uint64_t cursors_removed = 0;
  std::vector<Violation> violations;

  void add(const Tally& other);
};

Tally tally_of(const RunResult& result, double cpu_seconds);
Json to_json(const Tally& tally);
Tally tally_from(const Json& json);

// While a seed runs in this process: what an abort is told to.
struct Running {
  std::uint64_t seed = 0;
  const World* world = nullptr;
};
extern Running running;

double cpu_seconds_now();  // of this process

RunResult run_seed(std::uint64_t seed, const RunOptions& options);

}  // namespace zabmq::sim::program
