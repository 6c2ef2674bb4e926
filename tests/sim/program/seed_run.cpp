// SeedRun: running, and counting together.
#include "seed_run.hpp"

#include <time.h>

#include <algorithm>

namespace zabmq::sim::program {
namespace {

constexpr double micros_per_hour = 3600e6;
constexpr std::uint64_t load = 100;  // messages a simulated second

std::uint64_t mixed(std::uint64_t seed, std::uint64_t hash) {
  return Random(seed * 0x9e37'79b9'7f4a'7c15 ^ hash).next();
}

}  // namespace

Running running;

RunResult run_seed(std::uint64_t seed, const RunOptions& options) {
  World world(draw_parameters(seed, options.fault_free), options);
  running = {seed, &world};
  RunResult result = world.run();
  running = {};
  return result;
}

double cpu_seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Tally tally_of(const RunResult& result, double cpu_seconds) {
  Tally tally;
  tally.seeds = 1;
  tally.events = result.events;
  tally.trace_hash = mixed(result.seed, result.trace_hash);
  tally.hours = static_cast<double>(result.simulated) / micros_per_hour;
  const std::uint64_t seconds = std::max<std::uint64_t>(result.simulated / second, 1);
  tally.cpu_seconds = tally.slowest_seconds = cpu_seconds;
  tally.slowest = result.seed;
  if (result.history.invoked / seconds >= load) {
    tally.hours_under_load = tally.hours;
    tally.cpu_under_load = cpu_seconds;
  }
  tally.liveness_seconds = static_cast<double>(result.liveness) / static_cast<double>(second);
  tally.epochs = result.epochs;
  tally.transactions = result.transactions;
  tally.published = result.history.invoked;
  tally.acknowledged = result.history.acknowledged;
  tally.delivered = result.history.delivered;
  tally.hits = result.hits;
  tally.old_copies_found = result.old_copies_found;
  tally.publishers = result.publishers;
  tally.forwarded = result.forwarded;
  tally.cursors_removed = result.cursors_removed;
  for (const Finding& finding : result.findings) {
    tally.violations.push_back({finding.check, result.seed, finding.event, finding.text});
  }
  return tally;
}

void Tally::add(const Tally& other) {
  seeds += other.seeds;
  events += other.events;
  trace_hash ^= other.trace_hash;
  hours += other.hours;
  hours_under_load += other.hours_under_load;
  cpu_seconds += other.cpu_seconds;
  cpu_under_load += other.cpu_under_load;
  if (other.slowest_seconds > slowest_seconds) {
    slowest_seconds = other.slowest_seconds;
    slowest = other.slowest;
  }
  liveness_seconds = std::max(liveness_seconds, other.liveness_seconds);
  epochs += other.epochs;
  transactions += other.transactions;
  published += other.published;
  acknowledged += other.acknowledged;
  delivered += other.delivered;
  hits += other.hits;
  old_copies_found += other.old_copies_found;
  publishers += other.publishers;
  forwarded += other.forwarded;
  cursors_removed += other.cursors_removed;
  violations.insert(violations.end(), other.violations.begin(), other.violations.end());
}

Json to_json(const Tally& tally) {
  Json json;
  json["seeds"] = tally.seeds;
  json["events"] = tally.events;
  json["trace_hash"] = tally.trace_hash;
  json["hours"] = tally.hours;
  json["hours_under_load"] = tally.hours_under_load;
  json["cpu_seconds"] = tally.cpu_seconds;
  json["cpu_under_load"] = tally.cpu_under_load;
  json["slowest_seconds"] = tally.slowest_seconds;
  json["slowest"] = tally.slowest;
  json["liveness_seconds"] = tally.liveness_seconds;
  json["epochs"] = tally.epochs;
  json["transactions"] = tally.transactions;
  json["published"] = tally.published;
  json["acknowledged"] = tally.acknowledged;
  json["delivered"] = tally.delivered;
  json["hits"] = tally.hits.counts;
  json["old_copies_found"] = tally.old_copies_found;
  const PublisherCounts& p = tally.publishers;
  json["batches"] = p.batches;
  json["batch_messages"] = p.batch_messages;
  json["conditions_met"] = p.conditions_met;
  json["conditions_refused"] = p.conditions_refused;
  json["renumbered"] = p.renumbered;
  json["staying"] = p.staying;
  json["forwarded"] = tally.forwarded;
  json["closed"] = p.closed;
  json["cursors_removed"] = tally.cursors_removed;
  json["violations"] = Json::array();
  for (const Violation& v : tally.violations) {
    json["violations"].push_back(
        {{"check", v.check}, {"seed", v.seed}, {"event", v.event}, {"text", v.text}});
  }
  return json;
}

Tally tally_from(const Json& json) {
  Tally tally;
  tally.seeds = json.at("seeds");
  tally.events = json.at("events");
  tally.trace_hash = json.at("trace_hash");
  tally.hours = json.at("hours");
  tally.hours_under_load = json.at("hours_under_load");
  tally.cpu_seconds = json.at("cpu_seconds");
  tally.cpu_under_load = json.at("cpu_under_load");
  tally.slowest_seconds = json.at("slowest_seconds");
  tally.slowest = json.at("slowest");
  tally.liveness_seconds = json.at("liveness_seconds");
  tally.epochs = json.at("epochs");
  tally.transactions = json.at("transactions");
  tally.published = json.at("published");
  tally.acknowledged = json.at("acknowledged");
  tally.delivered = json.at("delivered");
  tally.hits.counts = json.at("hits");
  tally.old_copies_found = json.at("old_copies_found");
  PublisherCounts& p = tally.publishers;
  p.batches = json.at("batches");
  p.batch_messages = json.at("batch_messages");
  p.conditions_met = json.at("conditions_met");
  p.conditions_refused = json.at("conditions_refused");
  p.renumbered = json.at("renumbered");
  p.staying = json.at("staying");
  tally.forwarded = json.at("forwarded");
  p.closed = json.at("closed");
  tally.cursors_removed = json.at("cursors_removed");
  for (const Json& v : json.at("violations")) {
    tally.violations.push_back({v.at("check"), v.at("seed"), v.at("event"), v.at("text")});
  }
  return tally;
}

}  // namespace zabmq::sim::program
