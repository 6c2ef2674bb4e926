// Log: what a person sees of a running server, on stderr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "node/node.hpp"

namespace zabmq::broker {

// Lines begin with time, level and "zabmqd ID:".
void start_log(ServerId self, node::LogLevel level);

// At most lines_per_second of one cause; the next line of that cause says how many were left out.
class RateLimitedLog {
 public:
  static constexpr std::uint64_t lines_per_second = 10;
  static constexpr std::size_t causes_max = 64;

  void operator()(const node::Notice& notice);

 private:
  struct Cause {
    std::uint64_t second = 0;
    std::uint64_t lines = 0;
    std::uint64_t left_out = 0;
  };
  bool allows(Cause& cause);

  std::map<std::string, Cause, std::less<>> causes_;
};

}  // namespace zabmq::broker
