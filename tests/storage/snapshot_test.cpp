// Snapshots: written whole or not at all, kept three deep, used at start, and passed over when they
// are damaged.
#include "storage/snapshot.hpp"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "golden.hpp"
#include "ledger.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

const std::string golden_snapshot =
    "5a424e31010015000100000003000000101112131415161718191a1b1c1d1e1f"
    "202122232425262728292a2b2c2d2e2f0c000000000000000b00000000000000"
    "2a00000000000000a8a7a6a5a4a3a2a1bc9a7856341206000700000000000000"
    "04000000000000001e00000000000000b8b7b6b5b4b3b2b10700000000000000"
    "02000000000000001400000000000000c8c7c6c5c4c3c2c10200000000000000"
    "0700000000000000070000000000000005000000000000000c00000000000000"
    "0b00000000000000aabbccddeeff77122a8f0c05c6788b";

Snapshot the_snapshot() {
  static const auto state = std::make_shared<std::vector<std::byte>>(from_hex("aabbccddeeff77"));
  Snapshot s;
  s.at = {{Epoch{12}, 11}, 42, Digest{0xa1a2'a3a4'a5a6'a7a8}, 0x0006'1234'5678'9abc};
  s.retained = {{Epoch{7}, 4}, 30, Digest{0xb1b2'b3b4'b5b6'b7b8}};
  s.floor = {{Epoch{7}, 2}, 20, Digest{0xc1c2'c3c4'c5c6'c7c8}};
  s.ends = {{Epoch{7}, 5}, {Epoch{12}, 11}};
  s.state = Slice(state, *state);
  return s;
}

SnapshotOwner the_owner() {
  return {uuid_from(0x10), uuid_from(0x20), ServerId{3}, 1};
}

Slice slice_of(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {owner, *owner};
}

Slice resealed(std::vector<std::byte> bytes) {
  const std::uint64_t sum = XXH3_64bits(bytes.data(), bytes.size() - 8);
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof sum);
  return slice_of(std::move(bytes));
}

std::vector<std::byte> bytes_of(const Slice& slice) {
  return {slice.bytes().begin(), slice.bytes().end()};
}

constexpr Zxid z(std::uint64_t counter, std::uint32_t epoch = 1) {
  return {Epoch{epoch}, counter};
}

TEST_SUITE("storage/snapshot") {
  TEST_CASE("snapshot: golden bytes of version 1 -> both ways") {
    const Slice bytes = encode_snapshot(the_snapshot(), the_owner());

    CHECK(to_hex(bytes.bytes()) == golden_snapshot);
    const ParsedSnapshot parsed = parse_snapshot(bytes);
    REQUIRE(parsed.kind == ParsedSnapshot::Kind::valid);
    CHECK(parsed.owner == the_owner());
    CHECK(is_same(parsed.snapshot.at, the_snapshot().at));
    CHECK(parsed.snapshot.retained == the_snapshot().retained);
    CHECK(parsed.snapshot.floor == the_snapshot().floor);
    CHECK(parsed.snapshot.ends == the_snapshot().ends);
    CHECK(to_hex(parsed.snapshot.state.bytes()) == "aabbccddeeff77");
  }

  TEST_CASE("J14: any flipped bit of a snapshot, any shortening, zeros -> refused") {
    const std::vector<std::byte> good = bytes_of(encode_snapshot(the_snapshot(), the_owner()));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      REQUIRE(parse_snapshot(slice_of(bad)).kind == ParsedSnapshot::Kind::invalid);
    }
    for (std::size_t size = 0; size < good.size(); ++size) {
      std::vector<std::byte> bad = good;
      bad.resize(size);
      REQUIRE(parse_snapshot(slice_of(bad)).kind == ParsedSnapshot::Kind::invalid);
      if (size >= 8) REQUIRE(parse_snapshot(resealed(bad)).kind == ParsedSnapshot::Kind::invalid);
    }
    CHECK(parse_snapshot(slice_of(std::vector<std::byte>(500))).kind ==
          ParsedSnapshot::Kind::invalid);
  }

  TEST_CASE("snapshot: right checksum, a table that no history has -> refused") {
    const std::vector<std::byte> good = bytes_of(encode_snapshot(the_snapshot(), the_owner()));
    const auto kind_with = [&](std::size_t at, std::uint8_t value) {
      std::vector<std::byte> bytes = good;
      bytes[at] = std::byte{value};
      return parse_snapshot(resealed(std::move(bytes))).kind;
    };
    CHECK(kind_with(12, 9) == ParsedSnapshot::Kind::valid);  // a peer's server id
    CHECK(kind_with(4, 2) == ParsedSnapshot::Kind::newer_version);
    for (const auto& [at, value] :
         {std::pair{5, 1}, {6, 20},   {48, 0},    {52, 1},  {56, 10}, {56, 0},     // header, at
          {88, 13},        {96, 6},   {104, 99},  {96, 0},                         // retained
          {120, 12},       {128, 5},  {136, 99},                                   // floor
          {152, 1},        {152, 3},  {152, 255}, {156, 1}, {160, 6}, {167, 255},  // lengths
          {168, 6},        {168, 12}, {172, 1},   {176, 2}, {176, 0}, {184, 7},   {192, 12}}) {
      CAPTURE(at);
      CAPTURE(value);
      CHECK(kind_with(static_cast<std::size_t>(at), static_cast<std::uint8_t>(value)) ==
            ParsedSnapshot::Kind::invalid);
    }
  }

  TEST_CASE("snapshot: a floor in its history, or not -> fits, or does not") {
    const Snapshot s = the_snapshot();
    CHECK(fits_floor(s, s.at));
    CHECK(fits_floor(s, {s.floor.zxid, s.floor.offset, s.floor.digest, 5}));
    CHECK(fits_floor(s, {z(4, 7), 25, Digest{5}, 5}));
    CHECK(fits_floor(s, {z(10, 12), 25, Digest{5}, 5}));
    CHECK_FALSE(fits_floor(s, {s.at.zxid, s.at.offset, Digest{5}, s.at.time}));
    CHECK_FALSE(fits_floor(s, {s.floor.zxid, s.floor.offset, Digest{5}, 5}));
    CHECK_FALSE(fits_floor(s, {z(6, 7), 25, Digest{5}, 5}));
    CHECK_FALSE(fits_floor(s, {z(1, 7), 15, Digest{5}, 5}));
    CHECK_FALSE(fits_floor(s, {z(12, 12), 43, Digest{5}, 5}));
    CHECK_FALSE(fits_floor(s, {z(1, 9), 30, Digest{5}, 5}));
  }

  TEST_CASE("names: snapshots -> only the canonical form is ours") {
    CHECK(snapshot_name(0, z(5)) == "snapshot-0-1.5");
    CHECK(snapshot_name(12, z(42, 10)) == "snapshot-12-10.42");
    CHECK(parse_snapshot_name("snapshot-12-10.42") == std::pair(std::uint32_t{12}, z(42, 10)));
    for (const char* name : {"snapshot-0-1.05", "snapshot-00-1.5", "snapshot-0-1", "snapshot--1.5",
                             "snapshot-0-0.5", "snapshot-0-1.0", "snapshot-1.5-0", "snapshot.tmp",
                             "snapshot-4294967296-1.1", "snapshot-0-1.5x"}) {
      CAPTURE(name);
      CHECK_FALSE(parse_snapshot_name(name));
    }
  }

  TEST_CASE("snapshot: saved -> a start reads what is behind it, and knows all epochs") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 30);
    m.maker.begin_epoch(Epoch{10});
    ledger.write(m, 12);
    save(m, ledger.snapshot(z(5, 10)));
    ledger.write(m, 9);

    m.restart_after_power_loss(MemoryDisk::nothing());

    REQUIRE(m.visited.snapshots.size() == 1);
    CHECK(m.visited.snapshots[0].at.zxid == z(5, 10));
    CHECK(to_hex(m.visited.snapshots[0].state.bytes()) == to_hex(state_at(z(5, 10)).bytes()));
    CHECK(digests_of(m.visited.records) == ledger.digests(z(5, 10)));
    CHECK(m.visited.delivered.empty());
    const Recovered& recovered = m.log->recovered();
    CHECK(recovered.snapshot == "snapshot-0-10.5");
    CHECK(recovered.delivered == z(5, 10));
    CHECK(recovered.ends == std::vector<EpochLast>{{Epoch{1}, 30}, {Epoch{10}, 21}});
    CHECK(recovered.records < ledger.ends().size());  // not all were read
    CHECK(recovered.segments == names_with(m, "0000").size());
    CHECK(digests_of(m.read_everything()) == ledger.digests({}));
    CHECK(digests_of(m.read_everything(1)) == ledger.digests({}));
    CHECK(m.digest_at(z(3)) == ledger.at(z(3)).digest);
  }

  TEST_CASE("snapshot: at the end, at a segment's beginning, of every point -> the same history") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 45);
    for (const LastRecord& end : ledger.ends()) {
      Machine run(m.disk.state());
      run.start();
      save(run, ledger.snapshot(end.zxid));
      run.restart_after_power_loss(MemoryDisk::nothing());
      CAPTURE(to_string(end.zxid));
      REQUIRE(digests_of(run.visited.records) == ledger.digests(end.zxid));
      REQUIRE(run.log->recovered().ends == std::vector<EpochLast>{{Epoch{1}, 45}});
      REQUIRE(run.log->last().digest == ledger.last().digest);
      REQUIRE(digests_of(run.read_everything()) == ledger.digests({}));
      REQUIRE_FALSE(look_at_everything(run.disk.state()).failure);
    }
  }

  TEST_CASE("snapshot: more than three -> the newest three are kept") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 12, 100);

    for (std::uint64_t at = 7; at <= 12; ++at) save(m, ledger.snapshot(z(at)));

    CHECK(names_with(m, "snapshot") ==
          std::vector<std::string>{"snapshot-0-1.10", "snapshot-0-1.11", "snapshot-0-1.12"});
    save(m, ledger.snapshot(z(12), z(3)));  // again: replaced
    CHECK(names_with(m, "snapshot").size() == 3);
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.visited.snapshots.at(0).retained.zxid == z(3));
  }

  TEST_CASE("snapshot: the newest is damaged -> the older one is used, nothing is deleted") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    for (const std::uint64_t at : {2, 4, 6}) save(m, ledger.snapshot(z(at)));
    const std::size_t size = m.disk.content("snapshot-0-1.6").size();
    for (const std::size_t position : {std::size_t{0}, std::size_t{60}, size / 2, size - 1}) {
      Machine run(m.disk.state());
      run.disk.flip_bit("snapshot-0-1.6", position, 5);
      run.start();
      CHECK(run.log->recovered().snapshot == "snapshot-0-1.4");
      CHECK(run.log->recovered().unused_snapshots == std::vector<std::string>{"snapshot-0-1.6"});
      CHECK(digests_of(run.visited.records) == ledger.digests(z(4)));
      run.tick(1000);
      run.run();
      CHECK(names_with(run, "snapshot").size() == 3);

      // An older one than the damaged one takes its place in between.
      save(run, ledger.snapshot(z(5)));
      CHECK(names_with(run, "snapshot").size() == 4);

      // It goes when three newer ones that are whole push it out, and not before.
      save(run, ledger.snapshot(z(7)));
      save(run, ledger.snapshot(z(8)));
      CHECK(names_with(run, "snapshot") ==
            std::vector<std::string>{"snapshot-0-1.5", "snapshot-0-1.6", "snapshot-0-1.7",
                                     "snapshot-0-1.8"});
      save(run, ledger.snapshot(z(9)));
      CHECK(names_with(run, "snapshot") ==
            std::vector<std::string>{"snapshot-0-1.7", "snapshot-0-1.8", "snapshot-0-1.9"});
    }
  }

  TEST_CASE("snapshot: its state does not parse -> the older one is used") {
    struct Picky final : RecoveryVisitor {
      bool on_snapshot(const Snapshot& s) override {
        asked.push_back(s.at.zxid);
        return s.at.zxid == z(2);
      }
      void on_record(const RecordHeader& header, Bytes) override { records.push_back(header); }
      void on_delivered(Zxid) override {}
      std::vector<Zxid> asked;
      std::vector<RecordHeader> records;
    };
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    for (const std::uint64_t at : {2, 4, 6}) save(m, ledger.snapshot(z(at)));
    m.kill();
    m.disk.crash_process();
    REQUIRE(m.disk.open_directory());
    Picky picky;

    auto opened = SegmentedLog::open(m.disk, m.options, picky);

    const auto& log = std::get<std::unique_ptr<SegmentedLog>>(opened);
    CHECK(picky.asked == std::vector<Zxid>{z(6), z(4), z(2)});
    CHECK(digests_of(picky.records) == ledger.digests(z(2)));
    CHECK(log->recovered().unused_snapshots.size() == 2);
  }

  TEST_CASE("snapshot: all are damaged, nothing was freed -> all records are read") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 30);
    for (const std::uint64_t at : {10, 11, 12}) {
      save(m, ledger.snapshot(z(at)));
      m.disk.flip_bit(snapshot_name(0, z(at)), 100, 1);
    }

    m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(m.visited.snapshots.empty());
    CHECK(digests_of(m.visited.records) == ledger.digests({}));
    CHECK(m.log->recovered().unused_snapshots.size() == 3);
  }

  TEST_CASE("ZOOKEEPER-582: a snapshot that is newer than the log -> refused, both are named") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    const MemoryDisk::State before = m.disk.state();
    ledger.write(m, 1, 100);
    save(m, ledger.snapshot(z(10)));
    MemoryDisk disk(before);
    disk.set_content("snapshot-0-1.10", m.disk.content("snapshot-0-1.10"));

    const Found found = look_at(disk.state());

    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    CHECK(found.failure->damage->file == "snapshot-0-1.10");
    CHECK(found.failure->damage->behind == z(9));
    CHECK(found.failure->text.find("1.10") != std::string::npos);
    // Without any segment: the same.
    MemoryDisk none;
    none.set_content("snapshot-0-1.10", m.disk.content("snapshot-0-1.10"));
    REQUIRE(look_at(none.state()).failure);
  }

  TEST_CASE("snapshot: of another history at the same zxid -> refused") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    Machine other;
    other.start();
    other.maker.begin_epoch(Epoch{1});
    Ledger theirs;
    theirs.write(other, 9, 101);
    save(other, theirs.snapshot(z(6)));
    m.disk.set_content("snapshot-0-1.6", other.disk.content("snapshot-0-1.6"));

    const Found found = look_at(m.disk.state());

    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    CHECK(found.failure->text.find("snapshot-0-1.6") != std::string::npos);
  }

  TEST_CASE("snapshot: of another server, a newer version -> passed over, refused") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    const auto put = [&](SnapshotOwner owner, std::uint8_t version) {
      std::vector<std::byte> bytes = bytes_of(encode_snapshot(ledger.snapshot(z(6)), owner));
      bytes[4] = std::byte{version};
      m.disk.set_content("snapshot-0-1.6", bytes_of(resealed(std::move(bytes))));
      return look_at(m.disk.state());
    };
    CHECK(put({test_cluster, test_history, test_server, 0}, 1).history.snapshot.size() > 0);
    CHECK(put({test_cluster, test_history, ServerId{9}, 0}, 1).history.snapshot.empty());
    const Found newer = put({test_cluster, test_history, test_server, 0}, 2);
    REQUIRE(newer.failure);
    CHECK(newer.failure->kind == StartFailure::Kind::newer_version);
  }

  TEST_CASE("snapshot: ENOSPC -> dropped, and the log goes on, another error -> fail-stop") {
    for (const auto operation : {MemoryDisk::Operation::create, MemoryDisk::Operation::write,
                                 MemoryDisk::Operation::rename}) {
      Machine m;
      m.start();
      Ledger ledger;
      ledger.write(m, 9, 100);
      m.disk.fail(operation, ENOSPC);
      save(m, ledger.snapshot(z(6)));
      CHECK(m.log->snapshot_report().dropped == 1);
      CHECK_FALSE(m.failure_told);
      CHECK(names_with(m, "snapshot").empty());
      save(m, ledger.snapshot(z(6)));
      CHECK(names_with(m, "snapshot").size() == 1);
      ledger.write(m, 1, 100);
      CHECK(m.log->durable() == ledger.last().zxid);
    }
    for (const auto operation :
         {MemoryDisk::Operation::write, MemoryDisk::Operation::sync, MemoryDisk::Operation::read,
          MemoryDisk::Operation::rename, MemoryDisk::Operation::sync_directory}) {
      Machine m;
      m.start();
      Ledger ledger;
      ledger.write(m, 9, 100);
      m.disk.fail(operation, EIO);
      m.log->save_snapshot(ledger.snapshot(z(6)));
      m.run();
      CHECK(m.failure_told);
    }
  }

  TEST_CASE(
      "snapshot: would leave less than a quarter of the reserve -> dropped before a byte is "
      "written") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 60'000);
    m.tick(1);
    CHECK(m.log->no_space());

    save(m, ledger.snapshot(z(6), {}, {}, 40'000));
    CHECK(m.log->snapshot_report().dropped == 1);
    save(m, ledger.snapshot(z(6), {}, {}, 5'000));  // what makes space again is still tried

    CHECK(m.log->snapshot_report().dropped == 1);
    CHECK(names_with(m, "snapshot").size() == 1);
  }

  TEST_CASE("snapshot: a large one -> a record waits for one piece of it at most") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    m.log->save_snapshot(ledger.snapshot(z(6), {}, {}, 5 << 20));
    while (names_with(m, "snapshot.tmp").empty()) REQUIRE(m.disk.step());
    REQUIRE(m.disk.step());

    m.append(m.maker.batch(100));
    while (m.log->durable() != z(10)) REQUIRE(m.disk.step());

    CHECK(m.disk.content("snapshot.tmp").size() <= std::size_t{2} << 20);
    m.run();
    CHECK(m.disk.content("snapshot-0-1.6").size() > std::size_t{5} << 20);
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.visited.snapshots.at(0).state.size() == std::size_t{5} << 20);
  }

  TEST_CASE("snapshot: what is read back is not what was written -> fail-stop, never visible") {
    Machine m;
    m.start();
    Ledger ledger;
    ledger.write(m, 9, 100);
    m.log->save_snapshot(ledger.snapshot(z(6)));
    while (!m.disk.reader_waiting()) REQUIRE(m.disk.step());
    m.disk.flip_bit("snapshot.tmp", 200, 3);
    m.run();

    CHECK(m.failure_told);
    CHECK(names_with(m, "snapshot-").empty());
  }

  TEST_CASE("snapshot: left half written by a crash -> removed at start") {
    Machine m;
    m.disk.set_content("snapshot.tmp", std::vector<std::byte>(100));
    m.start();
    CHECK(m.disk.names().empty());
  }
}

}  // namespace
}  // namespace zabmq::storage
