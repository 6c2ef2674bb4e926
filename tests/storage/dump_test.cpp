// Dump: everything in a data directory, damage included.
#include "storage/dump.hpp"

#include <doctest/doctest.h>

#include "ledger.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;
using Verdict = VerifyReport::Verdict;

struct Told final : DumpReader {
  struct Damaged {
    Place place;
    std::uint64_t size = 0;
  };
  IdentityFile::Loaded identity;
  std::vector<DumpedSnapshot> snapshots;
  std::vector<DumpedSegment> segments;
  std::vector<std::pair<Place, Mark>> marks;
  std::vector<std::pair<Place, RecordHeader>> records;
  std::vector<Damaged> damage;
  std::vector<std::string> others;

  void on_identity(const IdentityFile::Loaded& loaded) override { identity = loaded; }
  void on_snapshot(const DumpedSnapshot& snapshot) override { snapshots.push_back(snapshot); }
  void on_segment(const DumpedSegment& segment) override { segments.push_back(segment); }
  void on_mark(const Place& place, const Mark& mark) override { marks.emplace_back(place, mark); }
  void on_record(const Place& place, const RecordHeader& header) override {
    records.emplace_back(place, header);
  }
  void on_damage(const Place& place, std::uint64_t size, const std::string&) override {
    damage.push_back({place, size});
  }
  void on_other_file(const std::string& file, std::uint64_t) override { others.push_back(file); }

  std::vector<Digest> chain() const {
    std::vector<Digest> digests;
    for (const auto& [place, header] : records) {
      if (place.in_chain) digests.push_back(header.checksum);
    }
    return digests;
  }
};

struct Dumped {
  Told told;
  VerifyReport report;
};

Dumped dump_state(const MemoryDisk::State& state) {
  MemoryDisk disk(state);
  Dumped dumped;
  dumped.report = dump(disk, dumped.told);
  CHECK(disk.waiting() == 0);  // it only reads
  return dumped;
}

Machine server_with(std::size_t groups) {
  Machine m;
  m.start();
  store_identity(m);
  for (std::size_t i = 0; i < groups; ++i) m.write(m.maker.group({2000, 500}));
  m.tick(100);
  m.run();
  return m;
}

TEST_SUITE("storage/dump") {
  TEST_CASE("dump: a directory in order -> all of it, and the verdict of verify") {
    const Machine m = server_with(40);
    const Dumped dumped = dump_state(m.disk.state());
    const Found found = look_at(m.disk.state());

    CHECK(dumped.report.verdict == Verdict::clean);
    CHECK(std::get<IdentityRecord>(dumped.told.identity).voters == "1,2,3");
    REQUIRE(dumped.told.segments.size() == 2);
    CHECK(dumped.told.segments[1].parsed.header.continues == 1);
    CHECK(dumped.told.segments[0].end == dumped.told.segments[1].parsed.header.takes_over_at);
    CHECK(dumped.told.chain() == found.digests);
    CHECK(dumped.told.records.size() == 80);
    CHECK(dumped.told.marks.size() == 41);
    CHECK(dumped.told.damage.empty());
    CHECK(dumped.told.others == std::vector<std::string>{"identity"});
  }

  TEST_CASE("dump: what was cut off -> shown as no part of the chain") {
    Machine m = server_with(3);
    const std::vector<RecordHeader> all = m.read_everything();
    REQUIRE(m.rewind(all[1].zxid, all[1].checksum));
    m.write(m.maker.group({70}));

    const Told told = dump_state(m.disk.state()).told;

    CHECK(told.records.size() == 7);
    CHECK(told.chain() == look_at(m.disk.state()).digests);
    CHECK(told.chain().size() == 3);
  }

  TEST_CASE("dump: a flipped bit -> that record or mark is named, all others are shown") {
    const Machine m = server_with(3);
    const Found found = look_at(m.disk.state());
    const std::string file = "00000001.seg";
    for (std::uint64_t p = segment_header_size; p < found.files.chain.back().end; p += 97) {
      MemoryDisk disk(m.disk.state());
      disk.flip_bit(file, p, 3);
      const Dumped dumped = dump_state(disk.state());
      CAPTURE(p);
      REQUIRE(dumped.told.damage.size() == 1);
      const auto& [place, size] = dumped.told.damage.front();
      CHECK(place.file == file);
      CHECK(place.position <= p);
      CHECK(p < place.position + size);
      CHECK(dumped.told.records.size() + dumped.told.marks.size() == 9);
      CHECK((dumped.report.verdict == Verdict::corrupt || p >= found.files.last_write));
    }
  }

  TEST_CASE("dump: a damaged segment header -> its marks and records are shown") {
    const Machine m = server_with(3);
    MemoryDisk disk(m.disk.state());
    disk.flip_bit("00000001.seg", 20, 3);

    const Dumped dumped = dump_state(disk.state());

    CHECK(dumped.report.verdict == Verdict::corrupt);
    REQUIRE(dumped.told.segments.size() == 1);
    CHECK(dumped.told.segments[0].parsed.kind == ParsedSegmentHeader::Kind::invalid);
    CHECK_FALSE(dumped.told.segments[0].in_chain);
    CHECK(dumped.told.records.size() == 6);
    CHECK(dumped.told.marks.size() == 4);
  }

  TEST_CASE("dump: zeros written ahead -> no damage") {
    const Machine m = server_with(3);
    MemoryDisk disk(m.disk.state());
    std::vector<std::byte> content = disk.content("00000001.seg");
    content.resize(content.size() + 5000);
    disk.set_content("00000001.seg", content);

    CHECK(dump_state(disk.state()).told.damage.empty());
  }

  TEST_CASE("dump: snapshots, freed and recycled segments -> what is there, and no old bytes") {
    Machine m = server_with(0);
    m.options.spare_segments = 1;
    m.restart();
    Ledger ledger;
    const Zxid retained = write_with_floor(m, ledger);
    while (!look_at(m.disk.state()).files.chain.back().header.recycled) ledger.write(m, 1);
    m.disk.flip_bit("snapshot-0-1.101", 100, 1);

    const Dumped dumped = dump_state(m.disk.state());

    CHECK(dumped.report.verdict == Verdict::corrupt);
    REQUIRE(dumped.told.snapshots.size() == 3);
    CHECK(dumped.told.snapshots[0].parsed.kind == ParsedSnapshot::Kind::invalid);
    CHECK_FALSE(dumped.told.snapshots[1].used);
    CHECK(dumped.told.snapshots[2].used);
    CHECK(dumped.told.snapshots[2].parsed.snapshot.retained.zxid == retained);
    CHECK(dumped.told.damage.empty());
    CHECK(dumped.told.chain() == ledger.digests(retained));
    CHECK(dumped.told.records.size() == ledger.digests(retained).size());
  }

  TEST_CASE("dump: a directory in use, or none -> unreadable") {
    MemoryDisk disk;
    REQUIRE(disk.open_directory());
    Told told;
    CHECK(dump(disk, told).verdict == Verdict::unreadable);
    CHECK(dump_state({}).report.verdict == Verdict::unreadable);
  }
}

}  // namespace
}  // namespace zabmq::storage
