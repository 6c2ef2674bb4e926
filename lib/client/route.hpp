// Route: which server to try next, and when. Pauses grow and carry jitter, so that the clients of a
// server that went away do not come back all at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zabmq::client {

class Route {
 public:
  static constexpr std::uint64_t pause_min_ms = 50;
  static constexpr std::uint64_t pause_max_ms = 1000;
  // A server that answers but knows of no leader: an election is short, so is the pause.
  static constexpr std::uint64_t election_pause_max_ms = 200;
  static constexpr unsigned redirects_max = 4;  // in a row without a pause

  struct Next {
    std::string endpoint;
    std::uint64_t at_ms = 0;
  };

  // `endpoints` is not empty. The same seed gives the same pauses.
  Route(std::vector<std::string> endpoints, std::uint64_t seed);

  const std::vector<std::string>& endpoints() const { return endpoints_; }

  Next first(std::uint64_t now_ms) const { return {endpoints_[current_], now_ms}; }
  // The server cannot be reached, was silent, or broke the protocol.
  Next after_failure(std::uint64_t now_ms) { return next_after_pause(now_ms, pause_max_ms); }
  // The server is well, but cannot serve now.
  Next without_leader(std::uint64_t now_ms) {
    return next_after_pause(now_ms, election_pause_max_ms);
  }
  // The server named the leader: there at once, but not round and round.
  Next redirected(const std::string& endpoint, std::uint64_t now_ms);
  // For trying again at the same server, which said `refusals` times before that it cannot now.
  std::uint64_t again_at(std::uint64_t now_ms, unsigned refusals) {
    return now_ms + pause(refusals, pause_max_ms);
  }
  // Progress: pauses and redirects are counted from the beginning again.
  void succeeded();

 private:
  Next next_after_pause(std::uint64_t now_ms, std::uint64_t max_ms);
  std::uint64_t pause(unsigned before, std::uint64_t max_ms);
  std::uint64_t random();

  std::vector<std::string> endpoints_;
  std::size_t current_ = 0;
  unsigned failures_ = 0;   // in a row
  unsigned redirects_ = 0;  // in a row
  std::uint64_t random_state_;
};

}  // namespace zabmq::client
