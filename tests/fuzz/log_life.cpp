// LogLife: the steps.
#include "log_life.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "storage/link.hpp"
#include "zabmq/check.hpp"

namespace zabmq::fuzz {

storage::LogOptions log_options() {
  storage::LogOptions options;
  options.cluster = log_cluster;
  options.history = log_history;
  options.server = log_server;
  options.segment_size = 12 << 10;
  options.group_bytes_max = 2 << 10;
  options.tail_cache_bytes = 2 << 10;
  options.min_free_bytes = 1;
  options.spare_segments = 1;
  options.spare_after_idle_ms = 300;
  options.waypoint_interval = 512;
  return options;
}

std::optional<storage::StartFailure> LogLife::start() {
  ZABMQ_CHECK(disk_.open_directory());
  visited_ = {};
  auto opened = storage::SegmentedLog::open(disk_, log_options(), visited_);
  if (auto* failure = std::get_if<storage::StartFailure>(&opened)) return std::move(*failure);
  log_ = std::move(std::get<std::unique_ptr<storage::SegmentedLog>>(opened));
  log_->set_listener(this);
  log_->tick(now_ms_);
  disk_.run_all();
  ZABMQ_CHECK(log_->ready() && !log_->failure());
  ZABMQ_CHECK(log_->durable() == log_->last().zxid);
  logged_ = visited_.records;
  base_ = visited_.snapshot ? visited_.snapshot->at : storage::LastRecord{};
  retained_ = visited_.snapshot ? visited_.snapshot->retained : Floor{};
  maker_.continue_from(log_->last());
  durable_ = log_->durable();
  delivered_ = log_->recovered().delivered;
  return std::nullopt;
}

void LogLife::live(Input& input, std::size_t steps_max) {
  for (std::size_t i = 0; i < steps_max && !input.empty(); ++i) step(input);
}

void LogLife::step(Input& input) {
  switch (input.below(12)) {
    case 0:
    case 1:
      return give(maker_.batch(input.byte() * std::uint32_t{5}, 1 + input.byte() % 4));
    case 2:
      return give(maker_.group({input.byte(), input.byte(), 8}));
    case 3:
      return give(maker_.no_op());
    case 4:
    case 5:
      return disk_.run_all();
    case 6:
      for (std::size_t n = input.below(16); n > 0; --n) disk_.step();
      return;
    case 7:
      now_ms_ += 50 * (1 + input.below(8));
      return log_->tick(now_ms_);
    case 8:
      return deliver(input);
    case 9:
      return cut(input);
    case 10:
      return maker_.begin_epoch(next(log_->last().zxid.epoch));
    default:
      return restart(input);
  }
}

void LogLife::deliver(Input& input) {
  if (logged_.empty()) return;
  const Zxid zxid = logged_[input.below(logged_.size())].zxid;
  if (zxid > log_->durable() || zxid < delivered_) return;
  delivered_ = zxid;
  ever_delivered_.insert(zxid);
  log_->set_delivered(zxid);
  if (saves_ && !log_->saving_snapshot()) save(input);
}

// Of the delivered point; what it does not want any more is the input's choice.
void LogLife::save(Input& input) {
  const storage::LastRecord floor = log_->floor();
  storage::Snapshot snapshot;
  snapshot.floor = {floor.zxid, floor.offset, floor.digest};
  snapshot.ends = storage::ends_between(log_->recovered().ends, floor.zxid, base_.zxid);
  const std::size_t wanted = input.below(logged_.size());
  for (std::size_t i = 0; i < logged_.size() && logged_[i].zxid <= delivered_; ++i) {
    const RecordHeader& record = logged_[i];
    snapshot.at = storage::link_of(record).end();
    if (i <= wanted && record.zxid > retained_.zxid) {
      retained_ = {record.zxid, record.end_offset(), record.checksum};
    }
    if (record.zxid <= floor.zxid) continue;
    std::vector<storage::EpochLast>& ends = snapshot.ends;
    if (ends.empty() || ends.back().epoch != record.zxid.epoch) {
      ends.push_back({record.zxid.epoch, 0});
    }
    ends.back().last = record.zxid.counter;
  }
  if (is_none(snapshot.at.zxid)) return;
  snapshot.retained = retained_;
  log_->save_snapshot(std::move(snapshot));
}

// Bodies too: a read checks them.
std::size_t LogLife::count_readable() {
  constexpr Zxid no_end{Epoch{~std::uint32_t{0}}, ~std::uint64_t{0}};
  std::size_t count = 0;
  Zxid after = base_.zxid;
  for (bool more = true; more;) {
    log_->read_cold(storage::After{after}, no_end, 4 << 10, [&](storage::ReadResult result) {
      more = !result.slices.empty();
      after = result.last;
      for (const RecordHeader& header :
           storage::headers_of(storage::joined(result.slices).bytes())) {
        ZABMQ_CHECK(header == visited_.records.at(count));
        ++count;
      }
    });
    disk_.run_all();
  }
  return count;
}

void LogLife::give(const Slice& records) {
  for (const RecordHeader& header : storage::headers_of(records.bytes())) {
    logged_.push_back(header);
    ever_.insert(header.checksum);
  }
  log_->append(records);
  log_->flush();
}

void LogLife::append(std::uint32_t body_size) {
  give(maker_.batch(body_size));
  disk_.run_all();
  ZABMQ_CHECK(log_->durable() == log_->last().zxid);
}

// Never below what was delivered, as the protocol promises.
void LogLife::cut(Input& input) {
  disk_.run_all();
  const auto behind = [](Zxid z, const RecordHeader& h) { return z < h.zxid; };
  const auto least = static_cast<std::size_t>(
      std::upper_bound(logged_.begin(), logged_.end(), delivered_, behind) - logged_.begin());
  const std::size_t kept = least + input.below(logged_.size() - least + 1);
  const Zxid to = kept == 0 ? base_.zxid : logged_[kept - 1].zxid;
  const Digest digest = kept == 0 ? base_.digest : logged_[kept - 1].checksum;
  cutting_to_ = to;
  log_->rewind(to, digest);
  for (std::size_t n = input.below(24); n > 0 && cutting_to_; --n) disk_.step();
  if (cutting_to_) {  // a crash in the middle of it
    durable_ = std::min(durable_, to);
    return restart(input);
  }
  logged_.resize(kept);
  maker_.continue_from(log_->last());
}

void LogLife::on_rewound(bool matched) {
  ZABMQ_CHECK(matched && cutting_to_);
  durable_ = std::min(durable_, *cutting_to_);
  cutting_to_.reset();
}

void LogLife::on_failed(const storage::Failure& failure) {
  std::fprintf(stderr, "the log failed: %s\n", failure.text.c_str());
  std::abort();  // the disk has no faults
}

// Whatever a power failure leaves: what was told durable is there, and nothing else than was given.
void LogLife::restart(Input& input) {
  const Zxid promised = durable_;
  const std::vector<RecordHeader> before = logged_;
  lose_power(input);
  const auto failure = start();
  if (failure) std::fprintf(stderr, "%s\n", failure->text.c_str());
  ZABMQ_CHECK(!failure);
  ZABMQ_CHECK(log_->last().zxid >= promised);
  ZABMQ_CHECK(logged_.size() <= before.size());
  // Those that a newer snapshot stands for are not among them.
  const auto first = std::find_if(before.begin(), before.end(),
                                  [&](const RecordHeader& r) { return r.zxid > base_.zxid; });
  ZABMQ_CHECK(logged_.size() <= static_cast<std::size_t>(before.end() - first));
  ZABMQ_CHECK(std::equal(logged_.begin(), logged_.end(), first));
}

void LogLife::lose_power(Input& input) {
  log_.reset();
  cutting_to_.reset();
  if (input.below(4) == 0) return disk_.crash_process();  // only the program: the page cache stays
  const auto mask = input.number<std::uint32_t>();
  const auto changes = input.below(4);
  disk_.lose_power({[mask](std::size_t ordinal) { return (mask >> (ordinal % 32) & 1u) != 0; },
                    changes == 3 ? disk_.directory_changes() : changes});
}

void LogLife::lose_unsynced() {
  log_.reset();
  disk_.lose_power(sim::MemoryDisk::nothing());
}

}  // namespace zabmq::fuzz
