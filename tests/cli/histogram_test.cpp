// HistogramTest: percentiles against a sorted list.
#include "cli/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

namespace zabmq::cli {

TEST_SUITE("cli/histogram") {
  TEST_CASE("histogram: empty -> zeros") {
    const Histogram histogram;

    CHECK(histogram.count() == 0);
    CHECK(histogram.max() == 0);
    CHECK(histogram.percentile(0.99) == 0);
  }

  TEST_CASE("histogram: small values are exact") {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 60; ++value) histogram.record(value);

    CHECK(histogram.percentile(0.5) == 30);
    CHECK(histogram.percentile(1.0) == 60);
    CHECK(histogram.max() == 60);
  }

  TEST_CASE("histogram: any value -> at most 1.6 % above it, never below") {
    for (unsigned bit = 0; bit < 64; ++bit) {
      for (const std::uint64_t less : {0, 1}) {
        const std::uint64_t value = (std::uint64_t{1} << bit) - less;
        Histogram histogram;
        histogram.record(value);
        histogram.record(UINT64_MAX);
        const std::uint64_t median = histogram.percentile(0.5);

        CAPTURE(value);
        CHECK(median >= value);
        CHECK(median - value <= value / 64);
      }
    }
  }

  TEST_CASE("histogram: percentiles of random values -> those of the sorted list") {
    const char* given = std::getenv("ZABMQ_SEED");
    const unsigned long seed = given ? std::strtoul(given, nullptr, 10) : std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::vector<std::uint64_t> values;
    Histogram one;
    Histogram other;
    for (int i = 0; i < 20000; ++i) {
      values.push_back(random() >> (random() % 50));
      (i % 2 == 0 ? one : other).record(values.back());
    }
    one.merge(other);
    std::sort(values.begin(), values.end());

    CHECK(one.count() == values.size());
    CHECK(one.max() == values.back());
    for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(share * 20000)) - 1;
      CAPTURE(share);
      CHECK(one.percentile(share) >= values[rank]);
      CHECK(one.percentile(share) - values[rank] <= values[rank] / 64);
    }
  }
}

}  // namespace zabmq::cli
