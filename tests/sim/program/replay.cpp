// Replay: parsing, halving, printing.
#include "replay.hpp"

#include <charconv>

namespace zabmq::sim::program {
namespace {

constexpr int tries_max = 8;

std::optional<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return seed;
}

// In seconds, to the microsecond.
std::string seconds_text(Micros time) {
  const std::string micros = std::to_string(time % second);
  return std::to_string(time / second) + "." + std::string(6 - micros.size(), '0') + micros;
}

}  // namespace

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_seeds(const std::string& text) {
  const std::string_view all = text;
  const std::size_t dots = all.find("..");
  if (dots == all.npos) return std::nullopt;
  const auto first = parse_seed(all.substr(0, dots));
  const auto last = parse_seed(all.substr(dots + 2));
  if (!first || !last || *first > *last) return std::nullopt;
  return std::pair{*first, *last};
}

Micros shortest_safety(Micros whole, const std::function<bool(Micros)>& fails) {
  Micros fails_at = whole;
  Micros clean_at = 0;
  for (int i = 0; i < tries_max && fails_at - clean_at > second / 10; ++i) {
    const Micros middle = clean_at + (fails_at - clean_at) / 2;
    (fails(middle) ? fails_at : clean_at) = middle;
  }
  return fails_at;
}

std::string command_of(std::uint64_t seed, const RunOptions& options, const std::string& mutant) {
  std::string command = "zabmq-sim --seed " + std::to_string(seed);
  if (options.safety) command += " --safety " + seconds_text(*options.safety);
  if (options.fault_free) command += " --fault-free";
  if (options.client_rules) command += " --client-rules";
  if (!mutant.empty()) command += " --mutant " + mutant;
  return command + " --trace";
}

}  // namespace zabmq::sim::program
