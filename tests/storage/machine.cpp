// Machine: driving a log in tests.
#include "machine.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <utility>

namespace zabmq::storage {

LogOptions small_options() {
  LogOptions options;
  options.cluster = test_cluster;
  options.history = test_history;
  options.server = test_server;
  options.segment_size = 64 << 10;
  options.group_bytes_max = 8 << 10;
  options.tail_cache_bytes = 16 << 10;
  options.spare_segments = 0;
  options.waypoint_interval = 2 << 10;
  return options;
}

Found look_at(const sim::MemoryDisk::State& state, const LogOptions& options, bool everything) {
  sim::MemoryDisk disk(state);
  REQUIRE(disk.open_directory());
  Visited visited;
  RecoveryResult result =
      recover(disk,
              {options.cluster, options.history, options.server, options.segment_size,
               options.waypoint_interval, options.generation, everything},
              visited);
  return {result.history, result.files, digests_of(visited.records), result.failure};
}

std::vector<sim::MemoryDisk::State> after_crash(const sim::MemoryDisk& disk) {
  std::vector<sim::MemoryDisk::State> states;
  sim::MemoryDisk process(disk.state());
  process.crash_process();
  states.push_back(process.state());
  for (std::size_t changes = 0; changes <= disk.directory_changes(); ++changes) {
    std::vector<std::function<bool(std::size_t)>> choices = {
        nullptr,
        [](std::size_t) { return true; },
        [](std::size_t s) { return s % 2 == 0; },
        [](std::size_t s) { return s % 2 == 1; },
        [](std::size_t s) { return s > 0; },
        [](std::size_t s) { return s == 0; }};
    for (auto& choice : choices) {
      sim::MemoryDisk power(disk.state());
      power.lose_power({choice, changes});
      states.push_back(power.state());
    }
  }
  return states;
}

std::optional<StartFailure> Machine::open() {
  REQUIRE(disk.open_directory());
  visited = {};
  auto opened = SegmentedLog::open(disk, options, visited);
  if (auto* failure = std::get_if<StartFailure>(&opened)) return *failure;
  log = std::move(std::get<std::unique_ptr<SegmentedLog>>(opened));
  log->set_listener(this);
  log->tick(now_ms);
  durable_told.clear();
  rewound_told.clear();
  drained_told.clear();
  failure_told.reset();
  return std::nullopt;
}

void Machine::start() {
  const auto failure = open();
  INFO((failure ? failure->text : ""));
  REQUIRE_FALSE(failure);
  run();
  REQUIRE(log->ready());
  maker.continue_from(log->last());
}

void Machine::kill() {
  log.reset();
}

void Machine::restart_after_power_loss(const sim::MemoryDisk::Survival& survival) {
  kill();
  disk.lose_power(survival);
  start();
}

void Machine::restart() {
  kill();
  disk.crash_process();
  start();
}

void Machine::append(const Slice& records) {
  const Inside inside(*this);
  log->append(records);
  log->flush();
}

void Machine::write(const Slice& records) {
  append(records);
  run();
}

void Machine::tick(std::uint64_t ms) {
  const Inside inside(*this);
  now_ms += ms;
  log->tick(now_ms);
}

bool Machine::rewind(Zxid to, Digest digest) {
  const std::size_t told = rewound_told.size();
  {
    const Inside inside(*this);
    log->rewind(to, digest);
  }
  run();
  REQUIRE(rewound_told.size() == told + 1);
  maker.continue_from(log->last());
  return rewound_told.back();
}

void Machine::drain() {
  const Inside inside(*this);
  log->drain();
}

void Machine::set_delivered(Zxid zxid) {
  const Inside inside(*this);
  log->set_delivered(zxid);
}

std::vector<RecordHeader> Machine::read_everything(std::size_t piece) {
  std::vector<RecordHeader> all;
  for (Zxid after = log->floor().zxid;;) {
    const ReadResult result = read_cold(After{after}, no_end, piece);
    for (const RecordHeader& header : headers_of(result)) all.push_back(header);
    if (result.slices.empty()) return all;
    after = result.last;
  }
}

ReadResult Machine::read_cold(ReadFrom from, Zxid up_to, std::size_t max_bytes) {
  std::optional<ReadResult> answer;
  {
    const Inside inside(*this);
    log->read_cold(from, up_to, max_bytes, [&](ReadResult result) {
      CHECK_FALSE(inside_);
      answer = std::move(result);
    });
  }
  run();
  REQUIRE(answer);
  return std::move(*answer);
}

std::optional<Digest> Machine::digest_at(Zxid zxid) {
  std::optional<std::optional<Digest>> answer;
  log->digest_at(zxid, [&](std::optional<Digest> digest) { answer = digest; });
  run();
  REQUIRE(answer);
  return *answer;
}

void Machine::on_durable(Zxid up_to) {
  CHECK_FALSE(inside_);
  CHECK_FALSE(failure_told);
  durable_told.push_back(up_to);
}

void Machine::on_rewound(bool matched) {
  CHECK_FALSE(inside_);
  CHECK_FALSE(failure_told);
  rewound_told.push_back(matched);
}

void Machine::on_drained(Zxid durable_end) {
  CHECK_FALSE(inside_);
  CHECK_FALSE(failure_told);
  drained_told.push_back(durable_end);
}

void Machine::on_failed(const Failure& failure) {
  CHECK_FALSE(inside_);
  CHECK_FALSE(failure_told);
  failure_told = failure;
}

}  // namespace zabmq::storage
