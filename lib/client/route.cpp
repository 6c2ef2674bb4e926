// Route: the next endpoint in the list, or the one a server named.
#include "client/route.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::client {

Route::Route(std::vector<std::string> endpoints, std::uint64_t seed)
    : endpoints_(std::move(endpoints)), random_state_(seed) {
  ZABMQ_CHECK(!endpoints_.empty());
}

Route::Next Route::next_after_pause(std::uint64_t now_ms, std::uint64_t max_ms) {
  redirects_ = 0;
  current_ = (current_ + 1) % endpoints_.size();
  return {endpoints_[current_], now_ms + pause(failures_++, max_ms)};
}

Route::Next Route::redirected(const std::string& endpoint, std::uint64_t now_ms) {
  if (++redirects_ <= redirects_max) return {endpoint, now_ms};
  // Two servers that name each other know less than they think: give them time to find out.
  return {endpoint, now_ms + pause(failures_++, election_pause_max_ms)};
}

void Route::succeeded() {
  failures_ = 0;
  redirects_ = 0;
}

// Half of it fixed, half of it random.
std::uint64_t Route::pause(unsigned before, std::uint64_t max_ms) {
  constexpr unsigned doublings_max = 5;
  const std::uint64_t full = std::min(pause_min_ms << std::min(before, doublings_max), max_ms);
  return full / 2 + random() % (full - full / 2 + 1);
}

// SplitMix64: any seed will do.
std::uint64_t Route::random() {
  random_state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace zabmq::client
