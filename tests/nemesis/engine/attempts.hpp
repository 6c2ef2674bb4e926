// Attempts: what one publisher handed over and what became of each, written down as a history.
//
// The client library names a sequence only when it has taken a message, and its answer may come on
// another thread before the call returns; a sequence that failed is given to another message. So
// attempts have tickets, and the sequence is written down when it is first heard of.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/timeline.hpp"
#include "zabmq/publisher.hpp"
#include "zabmq/result.hpp"

namespace zabmq::nemesis {

class Attempts {
 public:
  Attempts(const std::filesystem::path& directory, sim::PublisherKey key, Timeline& timeline);

  // --- the publishing thread ---

  void begin(std::uint64_t ticket, const std::string& topic, std::uint64_t hash);
  void taken(std::uint64_t ticket, Sequence sequence);
  void withdraw(std::uint64_t ticket);  // it was not taken

  // Waits until every attempt has an answer, be it an open one. False: not in time.
  bool wait_for_answers(Millis bound);
  bool failed() const;  // since recovered()
  void recovered();
  std::size_t pending() const;
  struct Open {
    std::uint64_t ticket = 0;
    Sequence sequence = 0;
  };
  std::vector<Open> open() const;  // answered with an open outcome
  // A new instance was opened, behind that sequence: what is not known yet is known now.
  void reopened(Sequence resumed_after);

  // --- any thread ---

  void answered(std::uint64_t ticket, const Result<Receipt>& result);

 private:
  enum class State : std::uint8_t { pending, open };
  struct Attempt {
    std::uint64_t ticket = 0;
    Nanos invoked = 0;
    Sequence sequence = 0;  // 0: not heard of yet
    std::string topic;
    std::uint64_t hash = 0;
    State state = State::pending;
  };

  Attempt* find(std::uint64_t ticket);
  void erase(Attempt& attempt);
  void name(std::uint64_t ticket, Sequence sequence);
  void refuse(Sequence sequence);
  void confirm(Sequence sequence);

  const sim::PublisherKey key_;
  Timeline& timeline_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Attempt> attempts_;  // tickets rise; without an outcome yet
  Sequence last_ = 0;             // given to the last attempt
  bool failed_ = false;
  HistoryWriter invocations_;
  HistoryWriter outcomes_;
};

}  // namespace zabmq::nemesis
