// Fault tally tests: only what was done counts, and what was not is told with its reason.
#include "nemesis/engine/fault_tally.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "nemesis/engine/verdict.hpp"

namespace zabmq::nemesis {
namespace {

bool contains(const std::vector<std::string>& lines, const std::string& front,
              const std::string& back) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.starts_with(front) && line.ends_with(" " + back);
  });
}

}  // namespace

TEST_CASE("fault tally: what could not be done is no fault, and makes no run valid") {
  FaultTally tally;
  Timeline::Summary summary;
  summary.seconds = 60;
  summary.per_fault_free_second = acknowledged_per_second_min;
  for (int i = 0; i < 9; ++i) tally.done(Fault::kill_leader);
  for (int i = 0; i < 5; ++i) tally.not_done(Fault::sync_delay, "strace did not attach");

  CHECK(tally.total() == 9);
  CHECK(tally.total_not_done() == 5);
  CHECK(tally.times(Fault::sync_delay) == 0);
  const auto invalid = [&] { return !why_invalid(summary, {tally.total(), 2, 2}).empty(); };
  CHECK(invalid());

  tally.done(Fault::sync_delay);
  CHECK(tally.times(Fault::sync_delay) == 1);
  CHECK_FALSE(invalid());
}

TEST_CASE("fault tally: the report has each fault, and below it what was not done, and why") {
  FaultTally tally;
  tally.done(Fault::kill_leader);
  tally.not_done(Fault::full_disk, "it would not fill");
  tally.not_done(Fault::full_disk, "it would not fill");
  tally.not_done(Fault::full_disk, "another reason");

  const std::vector<std::string> lines = tally.lines({Fault::sync_error});

  CHECK(lines.size() == 1 + fault_count + 2);
  CHECK(contains(lines, "SIGKILL of the leader ", "1"));
  CHECK(contains(lines, "full disk ", "0"));
  CHECK(contains(lines, "  could not be done: it would not fill ", "2"));
  CHECK(contains(lines, "  could not be done: another reason ", "1"));
  CHECK(contains(lines, "EIO from fdatasync ", "covered"));
  const auto disk = std::find_if(lines.begin(), lines.end(),
                                 [](const auto& line) { return line.starts_with("full disk "); });
  CHECK((disk + 1)->starts_with("  could not be done: "));
}

TEST_CASE("fault tally: every fault has a name of its own") {
  std::vector<std::string_view> names;
  for (const Fault fault : all_faults()) names.push_back(to_string(fault));
  std::sort(names.begin(), names.end());
  CHECK(names.size() == fault_count);
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK_FALSE(names.front().empty());
}

}  // namespace zabmq::nemesis
