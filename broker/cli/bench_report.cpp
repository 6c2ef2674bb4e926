// BenchReport: the fields, their order, and the same in words.
#include "cli/bench_report.hpp"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace zabmq::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<const char*, double> percentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
// What `latency` shows to people: further out, where its one number matters.
constexpr std::pair<const char*, double> ladder[] = {
    {"10 %", 0.1},  {"50 %", 0.5},     {"75 %", 0.75},      {"90 %", 0.9},
    {"99 %", 0.99}, {"99.9 %", 0.999}, {"99.99 %", 0.9999}, {"100 %", 1}};

double thousandths(double value) {
  return std::round(value * 1000) / 1000;
}

template <class... Values>
std::string format(const char* form, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, form, values...);
  return text;
}

Json latency_object(const std::optional<Histogram>& latency) {
  if (!latency) return nullptr;
  Json object;
  for (const auto& [name, share] : percentiles) object[name] = latency->percentile(share);
  object["max"] = latency->max();
  return object;
}

Json environment_object(const Environment& environment) {
  return {{"version", environment.version},
          {"commit", environment.commit},
          {"cpu", environment.cpu},
          {"cores", environment.cores},
          {"kernel", environment.kernel},
          {"servers", environment.servers},
          {"durability", environment.durability}};
}

double milliseconds(std::uint64_t microseconds) {
  return static_cast<double>(microseconds) / 1000;
}

std::string percentile_text(const Histogram& latency) {
  std::string text = "latency ms:";
  for (const auto& [name, share] : percentiles) {
    text += format(" %s %.2f ", name, milliseconds(latency.percentile(share)));
  }
  return text + format(" max %.2f\n", milliseconds(latency.max()));
}

std::string ladder_text(const Histogram& latency) {
  std::string text = "of all messages, so many took at most so many ms:\n";
  for (const auto& [name, share] : ladder) {
    text += format("  %8s  %10.2f\n", name, milliseconds(latency.percentile(share)));
  }
  return text;
}

std::string load_text(const BenchArguments& arguments) {
  if (arguments.mode == BenchMode::sub) {
    return std::to_string(arguments.readers) + " readers, all together";
  }
  std::string text = std::to_string(arguments.publishers) + " publishers, window " +
                     std::to_string(arguments.window) + ", " + std::to_string(arguments.size) +
                     " bytes";
  if (arguments.mode == BenchMode::e2e && arguments.readers > 1) {
    text += ", " + std::to_string(arguments.readers) + " readers, all together";
  }
  return text + (arguments.rate ? format(", %g messages/s asked for", *arguments.rate) : "");
}

}  // namespace

double BenchResult::messages_per_second() const {
  return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
}

double BenchResult::megabytes_per_second() const {
  return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e6 : 0;
}

std::string name_of(BenchMode mode) {
  switch (mode) {
    case BenchMode::pub:
      return "pub";
    case BenchMode::sub:
      return "sub";
    case BenchMode::e2e:
      return "e2e";
    case BenchMode::latency:
      return "latency";
  }
  return "pub";
}

std::string json_line(const BenchArguments& arguments, const BenchResult& result,
                      const Environment& environment) {
  const bool reads = arguments.mode == BenchMode::sub;
  const bool has_readers = reads || arguments.mode == BenchMode::e2e;
  const auto unless_reading = [reads](const auto& value) { return reads ? Json() : Json(value); };
  const Json object{{"messages_per_second", std::llround(result.messages_per_second())},
                    {"megabytes_per_second", thousandths(result.megabytes_per_second())},
                    {"latency_us", latency_object(result.latency_us)},
                    {"messages", result.messages},
                    {"seconds", thousandths(result.seconds)},
                    {"mode", name_of(arguments.mode)},
                    {"size", unless_reading(arguments.size)},
                    {"window", unless_reading(arguments.window)},
                    {"rate", arguments.rate ? Json(*arguments.rate) : Json()},
                    {"publishers", unless_reading(arguments.publishers)},
                    {"readers", has_readers ? Json(arguments.readers) : Json()},
                    {"durability", environment.durability},
                    {"environment", environment_object(environment)}};
  return object.dump() + '\n';
}

std::string left_behind(const BenchArguments& arguments, const BenchResult& result) {
  return format(
             "zabmq bench: these %.0f MB, and those of the warm-up, stay in the cluster, topic '",
             static_cast<double>(result.bytes) / static_cast<double>(arguments.readers) / 1e6) +
         arguments.topic +
         "', until retention lets them go; with `zabmq dev`: stop it and remove its directory\n";
}

std::string summary(const BenchArguments& arguments, const BenchResult& result,
                    const Environment& environment) {
  std::string text =
      format("%s: %llu messages in %.2f s: %.0f messages/s, %.2f MB/s\n",
             name_of(arguments.mode).c_str(), static_cast<unsigned long long>(result.messages),
             result.seconds, result.messages_per_second(), result.megabytes_per_second());
  if (result.latency_us) {
    text += arguments.mode == BenchMode::latency ? ladder_text(*result.latency_us)
                                                 : percentile_text(*result.latency_us);
  }
  text += load_text(arguments) + "; " + std::to_string(environment.servers) +
          " servers, durability " + environment.durability + "\n";
  return text + environment.cpu + ", " + std::to_string(environment.cores) + " cores, " +
         environment.kernel + "; zabmq " + environment.version + ", commit " + environment.commit +
         "\n";
}

}  // namespace zabmq::cli
