// Trace: what has happened in a simulated world: a count and a hash always, words on demand. Two
// runs of one seed with the same hash did the same things at the same times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "sim/timeline.hpp"
#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::sim {

// What counts as an event of the simulation; ticks do not.
enum class EventKind : std::uint8_t { peer_frame, client_frame, disk, client_call };

class Trace {
 public:
  static constexpr std::size_t lines_max = 50'000;  // of the longest runs only the last ones

  Trace(const Timeline& timeline, bool words) : timeline_(timeline), words_(words) {}

  void count(EventKind kind, std::uint64_t a, std::uint64_t b) {
    ++events_;
    mix(timeline_.now() ^ static_cast<std::uint64_t>(kind) << 60);
    mix(a);
    mix(b);
  }
  // A frame that was delivered, with all its bytes.
  void count_frame(EventKind kind, std::uint64_t to, Bytes header, Bytes body) {
    count(kind, to, static_cast<std::uint64_t>(checksum(header)));
    if (!body.empty()) mix(static_cast<std::uint64_t>(checksum(body)));
  }
  std::uint64_t events() const { return events_; }
  std::uint64_t hash() const { return hash_; }

  // Callers build their text only when somebody wants it.
  bool words() const { return words_; }
  void say(std::string text) {
    if (!words_) return;
    if (lines_.size() == lines_max) lines_.pop_front();
    lines_.push_back(seconds(timeline_.now()) + " #" + std::to_string(events_) + " " +
                     std::move(text));
  }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  static std::string seconds(Micros at) {
    std::string micros = std::to_string(at % second);
    return std::to_string(at / second) + "." + std::string(6 - micros.size(), '0') + micros;
  }
  void mix(std::uint64_t value) {
    hash_ ^= value;
    hash_ *= 0x9fb2'1c65'1e98'df25;
    hash_ ^= hash_ >> 32;
  }

  const Timeline& timeline_;
  const bool words_;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0x2026;
  std::deque<std::string> lines_;
};

}  // namespace zabmq::sim
