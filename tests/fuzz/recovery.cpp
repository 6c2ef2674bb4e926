// Recovery: a log lives and crashes, its files are damaged, and it is started again. What comes out
// is corruption named, or a history that reaches at least as far as the surviving marks prove and
// holds no record that was never logged. The same again comes out of a second look, and of a third
// one after the repair; and the log goes on from there.
//
// Modes of the first byte: faults (all of the above is asked), without and with snapshots and freed
// segments; forged (the checksums fit again, so
// what was never logged may be found: it must still be a history, and stay one); made (segments of
// marks, records and other bytes as the input says).
#include <algorithm>
#include <cstdio>
#include <optional>

#include "log_image.hpp"
#include "log_life.hpp"
#include "storage/recovery.hpp"
#include "target.hpp"
#include "zab/history.hpp"

namespace zabmq::fuzz {
namespace {

constexpr std::size_t steps_max = 64;
constexpr std::size_t faults_max = 8;

struct Found {
  storage::Recovered history;
  std::vector<storage::Segment> chain;
  storage::LastRecord base;  // in front of the first of them: the snapshot's, or the floor
  std::vector<RecordHeader> records;
  std::optional<storage::StartFailure> failure;
};

// `everything`: all records that are kept; else those that a start reads.
Found look_at(const sim::MemoryDisk::State& state, bool everything = false) {
  sim::MemoryDisk disk(state);
  ZABMQ_CHECK(disk.open_directory());
  Visited visited;
  const storage::LogOptions options = log_options();
  storage::RecoveryResult result =
      storage::recover(disk,
                       {options.cluster, options.history, options.server, options.segment_size,
                        options.waypoint_interval, options.generation, everything},
                       visited);
  ZABMQ_CHECK(files_of(disk.state()) == files_of(state));  // it only reads
  const Floor& floor = result.history.floor;
  storage::LastRecord base{floor.zxid, floor.offset, floor.digest, 0};
  if (!everything && visited.snapshot) base = visited.snapshot->at;
  return {result.history, result.files.chain, base, visited.records, result.failure};
}

// Whatever the bytes are, what is recovered is a history, and has the form that lib/zab relies on.
void check_history(const Found& found) {
  zab::History history{found.history.floor, {}};
  const Zxid floor = found.history.floor.zxid;
  for (const auto& [epoch, last] :
       storage::ends_between(found.history.ends, floor, found.base.zxid)) {
    history.ends.push_back({epoch, last});
  }
  Digest digest = found.base.digest;
  Offset offset = found.base.offset;
  for (const RecordHeader& record : found.records) {
    ZABMQ_CHECK(record.previous == digest);
    ZABMQ_CHECK(follows(record.zxid, history.last()));
    history.append({record.zxid.epoch, record.zxid.counter, record.zxid.counter});
    digest = record.checksum;
    if (record.kind == RecordKind::batch) ZABMQ_CHECK(record.base_offset == offset + 1);
    offset = record.end_offset();
  }
  ZABMQ_CHECK(history.valid());
  ZABMQ_CHECK(found.history.last.zxid == history.last());
  ZABMQ_CHECK(found.history.last.digest == digest);
  ZABMQ_CHECK(found.history.last.offset == offset);
  ZABMQ_CHECK(found.history.records >= found.records.size());  // some lie in front of a snapshot
  ZABMQ_CHECK(history.contains(found.history.delivered));
  ZABMQ_CHECK(found.history.ends.size() == history.ends.size());
}

bool holds(const Found& found, Digest digest) {
  return digest == Digest::none ||
         std::any_of(found.records.begin(), found.records.end(),
                     [&](const RecordHeader& record) { return record.checksum == digest; });
}

// Whether the chain that was found reaches the mark's place, so that what it proves must be there.
bool reaches(const Found& found, const Proof& proof) {
  const auto segment =
      std::find_if(found.chain.begin(), found.chain.end(),
                   [&](const storage::Segment& s) { return s.header.number == proof.segment; });
  if (segment == found.chain.end()) return false;
  return std::next(segment) == found.chain.end() || proof.position < segment->end;
}

// `before`: what an undamaged start would have found.
void check_faults(const LogLife& life, const Found& before, const std::vector<Proof>& proofs,
                  const Files& damaged, const Found& found) {
  for (const RecordHeader& record : found.records) {
    ZABMQ_CHECK(life.ever_logged().contains(record.checksum));
  }
  ZABMQ_CHECK(life.ever_delivered().contains(found.history.delivered));
  for (const Proof& proof : proofs) {
    if (!stands(proof, damaged)) continue;
    if (proof.last <= found.history.floor.zxid) continue;  // not wanted any more
    const bool of_chain =
        std::any_of(before.chain.begin(), before.chain.end(),
                    [&](const storage::Segment& s) { return s.header.number == proof.segment; });
    const bool in_chain =
        std::any_of(found.chain.begin(), found.chain.end(),
                    [&](const storage::Segment& s) { return s.header.number == proof.segment; });
    ZABMQ_CHECK(in_chain || !of_chain);
    if (!reaches(found, proof)) continue;
    ZABMQ_CHECK(holds(found, proof.digest));
    ZABMQ_CHECK(found.history.delivered >= proof.delivered);
  }
}

// A second look finds the same; a start repairs and finds it, too; what is logged then stays.
void check_again(const sim::MemoryDisk::State& state, const Found& found) {
  const Found again = look_at(state);
  ZABMQ_CHECK(again.records == found.records);
  ZABMQ_CHECK(again.failure.has_value() == found.failure.has_value());
  LogLife next(state);
  const auto failure = next.start();
  ZABMQ_CHECK(failure.has_value() == found.failure.has_value());
  if (failure) {
    ZABMQ_CHECK(failure->text == found.failure->text);
    ZABMQ_CHECK(!failure->text.empty());
    return;
  }
  ZABMQ_CHECK(next.recovered() == found.records);
  ZABMQ_CHECK(next.count_readable() == found.records.size());
  next.lose_unsynced();
  ZABMQ_CHECK(!next.start());
  ZABMQ_CHECK(next.recovered() == found.records);
  next.append(100);
  const Zxid last = next.last().zxid;
  next.lose_unsynced();
  ZABMQ_CHECK(!next.start());
  ZABMQ_CHECK(next.recovered().size() == found.records.size() + 1);
  ZABMQ_CHECK(next.recovered().back().zxid == last);
  ZABMQ_CHECK(std::equal(found.records.begin(), found.records.end(), next.recovered().begin()));
}

void reseal_all(Files& files, bool chained) {
  for (auto& [name, content] : files) {
    if (const auto number = storage::parse_segment_name(name)) reseal(content, *number, chained);
  }
}

void run_life(Input& input, bool forged, bool saves) {
  const bool chained = forged && input.flag();
  LogLife life({}, saves);
  ZABMQ_CHECK(!life.start());
  // The bytes of the faults stand first, so that a longer life does not change them.
  Input faults(input.bytes(8 * faults_max));
  life.live(input, steps_max);
  life.lose_power(input);

  Files files = files_of(life.state());
  const std::vector<Proof> proofs = proofs_of(files);
  const Found before = look_at(life.state());
  ZABMQ_CHECK(!before.failure);
  ZABMQ_CHECK(!look_at(life.state(), true).failure);
  const Files untouched = files;
  damage(files, faults, faults_max);
  if (forged) reseal_all(files, chained);

  const sim::MemoryDisk::State state = state_of(files);
  const Found found = look_at(state);
  if (!found.failure) {
    check_history(found);
    const Found all = look_at(state, true);
    if (!all.failure) {
      check_history(all);
      ZABMQ_CHECK(all.history.last.digest == found.history.last.digest);
      ZABMQ_CHECK(all.history.ends == found.history.ends);
      if (!forged) check_faults(life, before, proofs, files, all);
    }
    if (!forged) ZABMQ_CHECK(life.ever_delivered().contains(found.history.delivered));
  }
  if (files == untouched) ZABMQ_CHECK(!found.failure && found.records == before.records);
  check_again(state, found);
}

void run_made(Input& input) {
  Files files;
  const std::size_t count = 1 + input.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t number = i + 1 + input.below(2);
    files[storage::segment_name(number)] = made_segment(number, input);
  }
  const sim::MemoryDisk::State state = state_of(files);
  const Found found = look_at(state);
  if (!found.failure) check_history(found);
  check_again(state, found);
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  switch (input.below(4)) {
    case 0:
      return run_life(input, false, false);
    case 1:
      return run_life(input, false, true);
    case 2:
      return run_life(input, true, false);
    default:
      return run_made(input);
  }
}

}  // namespace zabmq::fuzz
