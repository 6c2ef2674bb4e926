// Measures tests: the numbers of a report, when a run counts, and damage to files.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <random>

#include "nemesis/engine/disk_damage.hpp"
#include "nemesis/engine/payload.hpp"
#include "nemesis/engine/timeline.hpp"
#include "nemesis/engine/verdict.hpp"
#include "nemesis/temporary_directory.hpp"

namespace zabmq::nemesis {
namespace {

constexpr Nanos start = 1'000'000'000'000;
constexpr Nanos at(double seconds) {
  return start + static_cast<Nanos>(seconds * 1e9);
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("timeline: silence and the rate while there is no fault") {
  Timeline timeline;
  timeline.begin(start);
  Offset offset = 0;
  for (int i = 0; i < 1000; ++i) {
    const double second = i * 0.01 + 0.001;  // 100 a second for 10 s, silent from 3 to 5
    if (second > 3 && second < 5) continue;
    timeline.acknowledged(at(second) - 1, at(second), ++offset);
  }
  timeline.fault(at(3), at(4));
  timeline.finish(at(10));
  timeline.acknowledged(at(11), at(12), 900);  // too late to count, not too late to be known

  const Timeline::Summary summary = timeline.summary();

  CHECK(summary.acknowledged == 800);
  CHECK(summary.seconds == doctest::Approx(10));
  CHECK(summary.longest_silence == doctest::Approx(2.01).epsilon(0.01));
  CHECK(summary.total_silence == doctest::Approx(2.0));
  CHECK(summary.fault_free_seconds == doctest::Approx(7.9));  // a second behind the fault is out
  CHECK(summary.per_fault_free_second == doctest::Approx(100).epsilon(0.02));
  CHECK(timeline.top() == 900);
  CHECK(timeline.newest() == at(11));
}

TEST_CASE("verdict: too little of load, faults, retention or cursors makes a run invalid") {
  Timeline::Summary summary;
  summary.seconds = 120;
  summary.per_fault_free_second = 500;
  CHECK(why_invalid(summary, {20, 4, 4}).empty());
  CHECK_FALSE(why_invalid(summary, {19, 4, 4}).empty());
  CHECK_FALSE(why_invalid(summary, {20, 3, 4}).empty());
  CHECK_FALSE(why_invalid(summary, {20, 4, 3}).empty());
  summary.per_fault_free_second = 499;
  CHECK_FALSE(why_invalid(summary, {20, 4, 4}).empty());
}

TEST_CASE("payload: says whose it is") {
  std::mt19937_64 random(1);
  const std::string payload = make_payload({sim::PublisherKey{4}, 77}, random);
  const auto identity = identity_of(bytes_of(payload));
  REQUIRE(identity);
  CHECK(identity->publisher == sim::PublisherKey{4});
  CHECK(identity->ticket == 77);
  CHECK_FALSE(identity_of(bytes_of(payload.substr(0, 8))));
  CHECK_FALSE(identity_of(bytes_of(std::string(64, 'x'))));
}

TEST_CASE("disk damage: the tail is cut where the newest segment's bytes end") {
  const TemporaryDirectory directory;
  const auto newest = directory.path() / "00000002.seg";
  std::ofstream(directory.path() / "00000001.seg") << std::string(9000, 'a');
  std::ofstream(newest) << std::string(100'000, 'b') + std::string(50'000, '\0');
  std::mt19937_64 random(1);

  CHECK(truncate_tail(directory.path(), random));

  const std::string left = content_of(newest);
  CHECK(left.size() < 100'000);
  CHECK(left.size() >= 4096);
  CHECK(left.find_last_not_of('b') == left.npos);
  CHECK(content_of(directory.path() / "00000001.seg").size() == 9000);
}

TEST_CASE("disk damage: nothing to damage, and a disk that is none -> not done") {
  const TemporaryDirectory directory;
  std::mt19937_64 random(1);
  CHECK_FALSE(truncate_tail(directory.path(), random));
  CHECK_FALSE(flip_bit(directory.path(), random));
  const auto begun = directory.path() / "00000001.seg";
  std::ofstream(begun) << std::string(4096, 'a') + std::string(50'000, '\0');
  CHECK_FALSE(truncate_tail(directory.path(), random));
  CHECK(content_of(begun).size() == 54'096);

  SmallDisk nowhere(directory.path() / "nowhere", 1 << 20);
  CHECK_FALSE(nowhere.mounted());
  CHECK_FALSE(nowhere.fill(0));
}

TEST_CASE("disk damage: one bit of one file is flipped") {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "00000001.seg";
  const std::string good(9000, 'a');
  std::ofstream(file) << good;
  std::ofstream(directory.path() / "spare-1") << good;
  std::mt19937_64 random(1);

  CHECK(flip_bit(directory.path(), random));

  const std::string bad = content_of(file);
  REQUIRE(bad.size() == good.size());
  int bits = 0;
  for (std::size_t i = 0; i < good.size(); ++i) bits += __builtin_popcount(bad[i] ^ good[i]);
  CHECK(bits == 1);
  CHECK(content_of(directory.path() / "spare-1") == good);
}

}  // namespace zabmq::nemesis
