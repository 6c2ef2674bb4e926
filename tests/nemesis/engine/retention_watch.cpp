// Retention watch: floors and counters as they are seen, and gaps held against them.
#include "nemesis/engine/retention_watch.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace zabmq::nemesis {

namespace {

std::string text_of(const RetentionWatch::Gap& gap) {
  return gap.who + " was told that what is below offset " + std::to_string(gap.first) + " is gone";
}

std::uint64_t counter(const ServerStatus& server, std::string_view name) {
  for (const std::string_view entry : server.counters) {
    if (!entry.starts_with(name) || entry.size() <= name.size() || entry[name.size()] != '=') {
      continue;
    }
    std::uint64_t value = 0;
    std::from_chars(entry.data() + name.size() + 1, entry.data() + entry.size(), value);
    return value;
  }
  return 0;
}

}  // namespace

void RetentionWatch::gap(Nanos now, const Gap& gap) {
  const std::lock_guard lock(mutex_);
  ++counts_.gaps;
  if (gap.first <= gap.from) {
    violations_.push_back(text_of(gap) + ", and was to be given offset " +
                          std::to_string(gap.from));
  }
  told_.push_back({gap, now, 0, gap.first <= counts_.first_offset});
}

void RetentionWatch::saw(Nanos asked, const ClusterStatus& status) {
  const std::lock_guard lock(mutex_);
  std::size_t well = 0;
  Offset first = 0;
  for (const ServerStatus& server : status.servers) {
    if (!server.reachable) continue;
    first = std::max(first, server.first_offset);
    if (server.phase == Phase::broadcast) ++well;
    // A process that was started again counts from 0.
    const auto added = [&](std::string_view name) {
      const std::uint64_t now = counter(server, name);
      std::uint64_t& before = counters_[to_string(server.id) + " " + std::string(name)];
      const std::uint64_t more = now >= before ? now - before : now;
      before = now;
      return more;
    };
    counts_.installed += added("snapshots_installed");
    counts_.overtaken += added("cursors_overtaken");
  }
  if (first > counts_.first_offset) {
    if (counts_.first_offset > 0) ++counts_.let_go;
    counts_.first_offset = first;
  }
  for (Told& told : told_) {
    if (told.shown || told.at >= asked) continue;
    told.shown = told.gap.first <= counts_.first_offset;
    if (told.shown || well < servers_ || ++told.looks != looks_max) continue;
    violations_.push_back(text_of(told.gap) + ", and all servers begin with " +
                          std::to_string(first) + " or below");
  }
}

RetentionWatch::Counts RetentionWatch::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::vector<std::string> RetentionWatch::violations(bool at_end) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all = violations_;
  if (!at_end) return all;
  for (const Told& told : told_) {
    if (!told.shown && told.looks < looks_max) {
      all.push_back(text_of(told.gap) + ", and no server has come to begin there");
    }
    if (told.gap.of_cursor && counts_.overtaken == 0) {
      all.push_back(text_of(told.gap) + ", and retention has passed no durable cursor");
    }
  }
  return all;
}

}  // namespace zabmq::nemesis
