// HistoryFile: a recorded history on disk, one file for each thread that saw a part of it.
//
// Blocks, each with its size and checksum, and at the end an empty one: a file that was cut or
// changed is never taken for a whole history.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/history_event.hpp"

namespace zabmq::nemesis {

inline constexpr const char* history_suffix = ".history";

// A payload is made before its message has a sequence, so it carries a ticket: the publisher's
// number of the attempt. An invocation says which sequence its ticket got; a delivery has only the
// ticket, and gets the sequence when the files are merged.
struct RecordedEvent : sim::HistoryEvent {
  std::uint64_t ticket = 0;
};

// Events in the order of their times. Written by one thread.
class HistoryWriter {
 public:
  explicit HistoryWriter(const std::filesystem::path& path);
  ~HistoryWriter();  // close()
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;

  void add(const RecordedEvent& event);
  void close();  // throws std::runtime_error when something could not be written

 private:
  void write_block();

  std::filesystem::path path_;
  std::ofstream file_;
  std::string block_;
  std::uint64_t time_ = 0;
  bool closed_ = false;
};

// Throws std::runtime_error, with the file's name, at the first byte that is not as it was written.
class HistoryReader {
 public:
  explicit HistoryReader(const std::filesystem::path& path);
  std::optional<RecordedEvent> next();

 private:
  bool read_block();
  std::uint64_t number();
  std::uint64_t word();
  std::string text();
  RecordedEvent decode();
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path path_;
  std::ifstream file_;
  std::string block_;
  std::size_t at_ = 0;
  std::uint64_t time_ = 0;
};

// All events of the files by time; at the same time those of an earlier file first, so invocations
// belong in files whose names come first. Deliveries have their sequences.
void merge(const std::vector<std::filesystem::path>& files,
           const std::function<void(const sim::HistoryEvent&)>& take);

struct Judgement {
  sim::HistoryChecker checker;
  std::uint64_t events = 0;
  std::size_t files = 0;
};

// The files of a directory whose names end in `.history`, told to the checker.
Judgement judge(const std::filesystem::path& directory);

}  // namespace zabmq::nemesis
