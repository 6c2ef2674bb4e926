// SeedRun: running, and counting together.
#include "seed_run.hpp"

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

Tally tally_of(const RunResult& result) {
  Tally tally;
  tally.seeds = 1;
  tally.events = result.events;
  tally.trace_hash = mixed(result.seed, result.trace_hash);
  tally.hours = static_cast<double>(result.simulated) / micros_per_hour;
  const std::uint64_t seconds = std::max<std::uint64_t>(result.simulated / second, 1);
  if (result.history.invoked / seconds >= load) tally.hours_under_load = tally.hours;
  tally.liveness_seconds = static_cast<double>(result.liveness) / static_cast<double>(second);
  tally.epochs = result.epochs;
  tally.transactions = result.transactions;
  tally.published = result.history.invoked;
  tally.acknowledged = result.history.acknowledged;
  tally.delivered = result.history.delivered;
  tally.hits = result.hits;
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
  liveness_seconds = std::max(liveness_seconds, other.liveness_seconds);
  epochs += other.epochs;
  transactions += other.transactions;
  published += other.published;
  acknowledged += other.acknowledged;
  delivered += other.delivered;
  hits += other.hits;
  violations.insert(violations.end(), other.violations.begin(), other.violations.end());
}

Json to_json(const Tally& tally) {
  Json json;
  json["seeds"] = tally.seeds;
  json["events"] = tally.events;
  json["trace_hash"] = tally.trace_hash;
  json["hours"] = tally.hours;
  json["hours_under_load"] = tally.hours_under_load;
  json["liveness_seconds"] = tally.liveness_seconds;
  json["epochs"] = tally.epochs;
  json["transactions"] = tally.transactions;
  json["published"] = tally.published;
  json["acknowledged"] = tally.acknowledged;
  json["delivered"] = tally.delivered;
  json["hits"] = tally.hits.counts;
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
  tally.liveness_seconds = json.at("liveness_seconds");
  tally.epochs = json.at("epochs");
  tally.transactions = json.at("transactions");
  tally.published = json.at("published");
  tally.acknowledged = json.at("acknowledged");
  tally.delivered = json.at("delivered");
  tally.hits.counts = json.at("hits");
  for (const Json& v : json.at("violations")) {
    tally.violations.push_back({v.at("check"), v.at("seed"), v.at("event"), v.at("text")});
  }
  return tally;
}

}  // namespace zabmq::sim::program
