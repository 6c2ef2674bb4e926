// Ledger: snapshots for tests.
#include "ledger.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "storage/identity_file.hpp"
#include "storage/link.hpp"

namespace zabmq::storage {

void Ledger::add(const std::vector<RecordHeader>& records) {
  for (const RecordHeader& header : records) ends_.push_back(link_of(header).end());
}

void Ledger::write(Machine& m, std::size_t count, std::uint32_t body_size) {
  for (std::size_t i = 0; i < count; ++i) {
    const Slice records = m.maker.batch(body_size, 2);
    add(records);
    m.write(records);
  }
}

void Ledger::cut(Zxid to) {
  while (!ends_.empty() && ends_.back().zxid > to) ends_.pop_back();
}

LastRecord Ledger::at(Zxid zxid) const {
  if (is_none(zxid)) return {};
  const auto found = std::find_if(ends_.begin(), ends_.end(),
                                  [&](const LastRecord& end) { return end.zxid == zxid; });
  REQUIRE(found != ends_.end());
  return *found;
}

std::vector<Digest> Ledger::digests(Zxid behind) const {
  std::vector<Digest> digests;
  for (const LastRecord& end : ends_) {
    if (end.zxid > behind) digests.push_back(end.digest);
  }
  return digests;
}

Slice state_at(Zxid at, std::size_t size) {
  const std::string text = "state at " + to_string(at) + "; ";
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  for (std::size_t i = 0; i < size; ++i) {
    (*bytes)[i] = static_cast<std::byte>(text[i % text.size()]);
  }
  return {bytes, *bytes};
}

Snapshot Ledger::snapshot(Zxid at_zxid, Zxid retained, Zxid floor, std::size_t state_size) const {
  const auto floor_at = [&](Zxid zxid) {
    const LastRecord there = at(zxid);
    return Floor{there.zxid, there.offset, there.digest};
  };
  Snapshot snapshot;
  snapshot.at = at(at_zxid);
  snapshot.retained = floor_at(retained);
  snapshot.floor = floor_at(floor);
  for (const LastRecord& end : ends_) {
    if (end.zxid <= floor || end.zxid > at_zxid) continue;
    std::vector<EpochLast>& ends = snapshot.ends;
    if (ends.empty() || ends.back().epoch != end.zxid.epoch) ends.push_back({end.zxid.epoch, 0});
    ends.back().last = end.zxid.counter;
  }
  snapshot.state = state_at(at_zxid, state_size);
  return snapshot;
}

void store_identity(Machine& m) {
  IdentityFile file(m.disk);
  IdentityRecord record;
  record.standing = 2;
  record.server = test_server;
  record.cluster = test_cluster;
  record.history = test_history;
  record.voters = "1,2,3";
  file.store(record, [](const IoStatus& status) { CHECK(status); });
  m.run();
}

void save(Machine& m, const Snapshot& snapshot) {
  m.log->save_snapshot(snapshot);
  m.run();
  REQUIRE_FALSE(m.log->saving_snapshot());
  m.tick(1);
  m.run();
}

Zxid write_with_floor(Machine& m, Ledger& ledger) {
  ledger.write(m, 100);
  const Zxid retained = m.log->segments().at(1).end.zxid;
  for (int i = 0; i < 3; ++i) {
    ledger.write(m, 1, 10);
    save(m, ledger.snapshot(ledger.last().zxid, retained));
  }
  return retained;
}

std::vector<std::string> names_with(const Machine& m, const std::string& prefix) {
  std::vector<std::string> names;
  for (const std::string& name : m.disk.names()) {
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

Found look_at_everything(const sim::MemoryDisk::State& state, const LogOptions& options) {
  return look_at(state, options, true);
}

LogOptions of_generation(std::uint32_t generation) {
  LogOptions options = small_options();
  options.generation = generation;
  return options;
}

}  // namespace zabmq::storage
