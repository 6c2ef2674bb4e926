// Verify: the offline check of a data directory.
#include "storage/verify.hpp"

#include <doctest/doctest.h>

#include "ledger.hpp"
#include "storage/identity_file.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;
using Verdict = VerifyReport::Verdict;

// A server's directory with some segments, stopped cleanly.
MemoryDisk::State server_directory() {
  Machine m;
  m.start();
  store_identity(m);
  m.write(m.maker.no_op());
  for (int i = 0; i < 30; ++i) m.write(joined({m.maker.batch(3000, 4), m.maker.no_op()}));
  m.set_delivered({Epoch{1}, 40});
  m.tick(100);
  m.run();
  return m.disk.state();
}

// ... from which retention has freed segments.
MemoryDisk::State directory_with_floor() {
  Machine m;
  m.start();
  store_identity(m);
  Ledger ledger;
  write_with_floor(m, ledger);
  return m.disk.state();
}

VerifyReport verify_state(const MemoryDisk::State& state) {
  MemoryDisk disk(state);
  const VerifyReport report = verify(disk);
  CHECK(disk.waiting() == 0);  // it only reads
  return report;
}

TEST_SUITE("storage/verify") {
  TEST_CASE("verify: a directory in order -> clean, with counts") {
    const VerifyReport report = verify_state(server_directory());

    CHECK(report.verdict == Verdict::clean);
    CHECK(report.segments == 2);
    CHECK(report.records == 61);
    CHECK(report.messages == 120);
    CHECK(report.first == Zxid{Epoch{1}, 1});
    CHECK(report.last == Zxid{Epoch{1}, 61});
    CHECK(report.delivered == Zxid{Epoch{1}, 40});
    CHECK(report.first_offset == 1);
    CHECK(report.last_offset == 120);
    CHECK(report.bytes > 30 * 3000);
    CHECK(report.text.find("61 records") != std::string::npos);
  }

  TEST_CASE("verify: a torn last write -> no error, told with file and position") {
    MemoryDisk disk(server_directory());
    std::vector<std::byte> content = disk.content("00000002.seg");
    const std::uint64_t end = look_at(disk.state()).files.chain.back().end;
    content.resize(static_cast<std::size_t>(end) + 24, std::byte{0x5a});
    content[static_cast<std::size_t>(end) + 3] = std::byte{0x11};
    disk.set_content("00000002.seg", content);

    const VerifyReport report = verify_state(disk.state());

    CHECK(report.verdict == Verdict::torn);
    REQUIRE(report.damage);
    CHECK(report.damage->file == "00000002.seg");
    CHECK(report.damage->position == end);
    CHECK(report.records == 61);
  }

  TEST_CASE(
      "verify: a flipped bit in any segment -> corrupt, with file, position and transaction") {
    const MemoryDisk::State state = server_directory();
    for (const std::string name : {"00000001.seg", "00000002.seg"}) {
      MemoryDisk disk(state);
      disk.flip_bit(name, 10'000, 4);

      const VerifyReport report = verify_state(disk.state());

      CHECK(report.verdict == Verdict::corrupt);
      REQUIRE(report.damage);
      CHECK(report.damage->file == name);
      CHECK(report.damage->position <= 10'000);
      CHECK(report.damage->behind == report.last);
      CHECK(report.text.find("move the data directory away") != std::string::npos);
    }
  }

  TEST_CASE("verify: snapshots and a floor -> clean, with both, and damage in them is named") {
    const MemoryDisk::State state = directory_with_floor();
    const VerifyReport report = verify_state(state);
    CHECK(report.verdict == Verdict::clean);
    CHECK(report.snapshots == 3);
    CHECK_FALSE(is_none(report.floor));
    CHECK(report.first == next(report.floor));
    CHECK(report.delivered == Zxid{Epoch{1}, 103});
    CHECK(report.text.find("3 snapshots") != std::string::npos);
    CHECK(report.text.find("floor " + to_string(report.floor)) != std::string::npos);
    for (const char* name : {"snapshot-0-1.101", "snapshot-0-1.102", "snapshot-0-1.103"}) {
      MemoryDisk disk(state);
      disk.flip_bit(name, 120, 4);

      const VerifyReport damaged = verify_state(disk.state());

      CHECK(damaged.verdict == Verdict::corrupt);
      CHECK(damaged.damage->file == name);
      CHECK(damaged.text.find(name) != std::string::npos);
      CHECK(damaged.text.find("passes it over") != std::string::npos);
    }
  }

  TEST_CASE("verify: damage that a start does not read -> corrupt all the same") {
    MemoryDisk disk(directory_with_floor());
    const Found found = look_at(disk.state());
    disk.flip_bit(found.files.chain.front().name(), 20'000, 4);
    REQUIRE_FALSE(look_at(disk.state()).failure);

    const VerifyReport report = verify_state(disk.state());

    CHECK(report.verdict == Verdict::corrupt);
    CHECK(report.damage->file == found.files.chain.front().name());
  }

  TEST_CASE("verify: a damaged identity record -> corrupt") {
    MemoryDisk disk(server_directory());
    disk.flip_bit("identity", 30, 4);

    CHECK(verify_state(disk.state()).verdict == Verdict::corrupt);
  }

  TEST_CASE("verify: another server's segments beside the record -> unreadable, both values") {
    MemoryDisk disk(server_directory());
    const auto loaded = [&] {
      MemoryDisk copy(disk.state());
      REQUIRE(copy.open_directory());
      return std::get<IdentityRecord>(IdentityFile(copy).load());
    }();
    IdentityRecord other = loaded;
    other.server = ServerId{2};
    disk.set_content("identity", encode_identity(other));

    const VerifyReport report = verify_state(disk.state());

    CHECK(report.verdict == Verdict::unreadable);
    CHECK(report.text.find("server 3") != std::string::npos);
    CHECK(report.text.find("server 2") != std::string::npos);
  }

  TEST_CASE("verify: no data, a locked directory -> unreadable, and says why") {
    CHECK(verify_state(MemoryDisk().state()).verdict == Verdict::unreadable);
    MemoryDisk locked(server_directory());
    REQUIRE(locked.open_directory());

    const VerifyReport report = verify(locked);

    CHECK(report.verdict == Verdict::unreadable);
    CHECK(report.text.find("in use") != std::string::npos);
  }
}

}  // namespace
}  // namespace zabmq::storage
