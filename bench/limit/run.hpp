// Run: what one run of the limit program is told, and what its processes leave behind.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/histogram.hpp"

namespace zabmq::limit {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

// What stands on the disk when a group is written, and whether its write is awaited.
enum class LogState : std::uint8_t {
  growing,   // a file that grows; fdatasync after each group
  recycled,  // a file that was written before, from its beginning again and again; fdatasync
  unsynced,  // a file that grows, never synced
  none       // no file
};

struct Run {
  std::size_t servers = 3;
  std::size_t size = 1024;  // bytes of a message
  std::uint64_t window = 1024;
  bool packed = true;  // many messages in a frame, else each its own
  std::size_t frame_bytes = 64 << 10;
  LogState log = LogState::growing;
  std::size_t recycled_bytes = std::size_t{512} << 20;
  std::optional<double> rate;  // messages in a second
  std::size_t sockets = 1;     // more: each has one message outstanding, whatever the window
  bool reader = false;         // behind the first follower
  Millis warmup{1000};
  Millis duration{5000};
  std::filesystem::path directory;

  std::string client_endpoint;                  // bound by the leader
  std::vector<std::string> follower_endpoints;  // bound by the followers
  std::string reader_endpoint;                  // bound by the first follower

  std::string log_file(std::size_t server) const {
    return (directory / ("limit-" + std::to_string(server) + ".log")).string();
  }
};

// What a server or a reader says of itself at its end; in memory that all processes share.
struct Account {
  double user_seconds = 0;
  double system_seconds = 0;
  std::uint64_t syncs = 0;
  double sync_seconds = 0;
  std::uint64_t bytes = 0;     // written, or received by a reader
  std::uint64_t messages = 0;  // received by a reader
};

struct Measured {
  std::uint64_t messages = 0;  // acknowledged behind the warm-up
  double seconds = 0;
  cli::Histogram latency_us;
};

// In front of each frame from the client, and of each group from the leader. Zero messages: the
// end.
struct GroupHeader {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t size = 0;
};

void lead(const Run& run, Account& account);
void follow(const Run& run, std::size_t number, Account& account);  // number: 0, 1, ...
void read(const Run& run, Account& account);
Measured publish(const Run& run);             // over one socket
Measured publish_from_crowd(const Run& run);  // over run.sockets of them

}  // namespace zabmq::limit
