// Identity file: golden bytes of version 1, replacing it, and what a start refuses.
#include "storage/identity_file.hpp"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "golden.hpp"
#include "machine.hpp"
#include "sim/memory_disk.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

const std::string golden =
    "5a42493101020500030000000900000008000000000000001011121314151617"
    "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
    "38393a3b3c3d3e3f312c322c330000008262dcd1d66e7fa5";

IdentityRecord the_record() {
  IdentityRecord r;
  r.standing = 2;
  r.server = ServerId{3};
  r.accepted = Epoch{9};
  r.current = Epoch{8};
  r.cluster = uuid_from(0x10);
  r.history = uuid_from(0x20);
  r.incarnation = uuid_from(0x30);
  r.voters = "1,2,3";
  return r;
}

IdentityFile::Loaded load(MemoryDisk& disk) {
  REQUIRE(disk.open_directory());
  return IdentityFile(disk).load();
}

IdentityFile::Loaded load(const MemoryDisk::State& state) {
  MemoryDisk disk(state);
  return load(disk);
}

TEST_SUITE("storage/identity") {
  TEST_CASE("identity: golden bytes of version 1 -> both ways") {
    CHECK(to_hex(encode_identity(the_record())) == golden);
    const auto parsed = parse_identity(from_hex(golden));
    REQUIRE(std::holds_alternative<IdentityRecord>(parsed));
    CHECK(std::get<IdentityRecord>(parsed) == the_record());
  }

  TEST_CASE("identity: any flipped bit or shortening -> corrupt, never empty or older") {
    const std::vector<std::byte> good = from_hex(golden);
    const auto is_corrupt = [](Bytes bytes) {
      const auto parsed = parse_identity(bytes);
      const auto* failure = std::get_if<StartFailure>(&parsed);
      return failure && failure->kind == StartFailure::Kind::corrupt;
    };
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      CHECK(is_corrupt(bad));
    }
    for (std::size_t size = 0; size < good.size(); ++size)
      CHECK(is_corrupt(Bytes{good}.first(size)));
  }

  TEST_CASE("identity: a generation -> in bytes that were zero") {
    IdentityRecord record = std::get<IdentityRecord>(parse_identity(from_hex(golden)));
    CHECK(record.generation == 0);
    record.generation = 0x0102'0304;
    const std::vector<std::byte> bytes = encode_identity(record);
    CHECK(to_hex(Bytes{bytes}.subspan(20, 4)) == "04030201");
    CHECK(std::get<IdentityRecord>(parse_identity(bytes)) == record);
  }

  TEST_CASE("identity: a newer version -> refused with both values") {
    std::vector<std::byte> bytes = from_hex(golden);
    bytes[4] = std::byte{2};
    const std::uint64_t sum = XXH3_64bits(bytes.data(), bytes.size() - 8);
    std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof sum);

    const auto parsed = parse_identity(bytes);

    REQUIRE(std::holds_alternative<StartFailure>(parsed));
    const StartFailure& failure = std::get<StartFailure>(parsed);
    CHECK(failure.kind == StartFailure::Kind::newer_version);
    CHECK(failure.text.find("format version 2") != std::string::npos);
    CHECK(failure.text.find("knows 1") != std::string::npos);
  }

  TEST_CASE("identity: another server or voter set -> both values in the text") {
    CHECK_FALSE(foreign_identity(the_record(), ServerId{3}, "1,2,3"));

    const auto server = foreign_identity(the_record(), ServerId{1}, "1,2,3");
    REQUIRE(server);
    CHECK(server->kind == StartFailure::Kind::foreign);
    CHECK(server->text == "the data directory belongs to server 3, this is server 1");
    const auto voters = foreign_identity(the_record(), ServerId{3}, "1,2,3,4,5");
    REQUIRE(voters);
    CHECK(voters->text ==
          "the data directory belongs to the voters 1,2,3, this cluster has the voters 1,2,3,4,5");
  }

  TEST_CASE("identity file: nothing there -> empty, stored -> loaded") {
    MemoryDisk disk;
    CHECK(std::holds_alternative<std::monostate>(load(disk)));
    IdentityFile file(disk);
    bool stored = false;

    file.store(the_record(), [&](const IoStatus& status) { stored = bool(status); });
    CHECK(file.storing());
    disk.run_all();

    CHECK(stored);
    CHECK_FALSE(file.storing());
    disk.lose_power(MemoryDisk::nothing());
    CHECK(disk.names() == std::vector<std::string>{"identity"});
    const auto loaded = load(disk);
    REQUIRE(std::holds_alternative<IdentityRecord>(loaded));
    CHECK(std::get<IdentityRecord>(loaded) == the_record());
  }

  TEST_CASE(
      "ZOOKEEPER-1653, 2307, 2354, 4269, J12, scenario 75 L-epoch-files: a crash at any step of a "
      "replacement -> the old record or the new one") {
    MemoryDisk first;
    REQUIRE(first.open_directory());
    IdentityFile file(first);
    file.store(the_record(), [](const IoStatus&) {});
    first.run_all();
    IdentityRecord next = the_record();
    next.accepted = Epoch{10};
    next.current = Epoch{10};

    std::size_t steps = 0;
    for (bool stored = false; !stored; ++steps) {
      MemoryDisk disk(first.state());
      REQUIRE(disk.open_directory());
      IdentityFile again(disk);
      REQUIRE(std::holds_alternative<IdentityRecord>(again.load()));
      again.store(next, [&](const IoStatus& status) { stored = bool(status); });
      for (std::size_t i = 0; i < steps; ++i) disk.step();
      for (std::size_t changes = 0; changes <= disk.directory_changes(); ++changes) {
        for (const bool sectors : {false, true}) {
          MemoryDisk crashed(disk.state());
          crashed.lose_power({[&](std::size_t) { return sectors; }, changes});
          const auto loaded = load(crashed);
          REQUIRE(std::holds_alternative<IdentityRecord>(loaded));
          const IdentityRecord& record = std::get<IdentityRecord>(loaded);
          CHECK((record == next || (record == the_record() && !stored)));
          // A left-over tmp file is no obstacle to the next replacement.
          IdentityFile later(crashed);
          REQUIRE(std::holds_alternative<IdentityRecord>(later.load()));
          bool done = false;
          later.store(next, [&](const IoStatus& status) { done = bool(status); });
          crashed.run_all();
          CHECK(done);
        }
      }
    }
    CHECK(steps >= 6);  // create, write, sync, rename, sync of the directory
  }

  TEST_CASE("identity file: an error at any step -> told, and nothing is stored any more") {
    for (const MemoryDisk::Operation operation :
         {MemoryDisk::Operation::create, MemoryDisk::Operation::write, MemoryDisk::Operation::sync,
          MemoryDisk::Operation::rename, MemoryDisk::Operation::sync_directory}) {
      MemoryDisk disk;
      REQUIRE(disk.open_directory());
      IdentityFile file(disk);
      REQUIRE(std::holds_alternative<std::monostate>(file.load()));
      disk.fail(operation, EIO);
      std::vector<IoStatus> told;

      file.store(the_record(), [&](const IoStatus& status) { told.push_back(status); });
      disk.run_all();
      REQUIRE(told.size() == 1);
      CHECK(told[0].error == EIO);
      file.store(the_record(), [&](const IoStatus& status) { told.push_back(status); });
      disk.run_all();

      CHECK(told.size() == 1);
    }
  }

  TEST_CASE("identity file: a directory with somebody's files -> refused by the file's name") {
    for (const std::string name : {"notes.txt", "spare-1"}) {
      MemoryDisk disk;
      REQUIRE(disk.open_directory());
      disk.create(name, [](const IoStatus&) {});
      disk.run_all();

      const IdentityFile::Loaded loaded = IdentityFile(disk).load();

      REQUIRE(std::holds_alternative<StartFailure>(loaded));
      CHECK(std::get<StartFailure>(loaded).kind == StartFailure::Kind::used);
      CHECK(std::get<StartFailure>(loaded).text.find(name) != std::string::npos);
    }
  }

  TEST_CASE(
      "ZOOKEEPER-2325, 3056, 3644: segments without the record -> a used directory, refused") {
    MemoryDisk disk;
    disk.set_content("00000001.seg", std::vector<std::byte>(10));

    const auto loaded = load(disk.state());

    REQUIRE(std::holds_alternative<StartFailure>(loaded));
    CHECK(std::get<StartFailure>(loaded).kind == StartFailure::Kind::used);
    CHECK(std::get<StartFailure>(loaded).text.find("00000001.seg") != std::string::npos);
  }

  TEST_CASE("identity file: damaged on disk, or unreadable -> refused, never taken for empty") {
    MemoryDisk disk;
    disk.set_content("identity", from_hex(golden));
    disk.flip_bit("identity", 13, 0);

    const auto loaded = load(disk.state());

    REQUIRE(std::holds_alternative<StartFailure>(loaded));
    CHECK(std::get<StartFailure>(loaded).kind == StartFailure::Kind::corrupt);
    MemoryDisk unreadable;
    unreadable.set_content("identity", from_hex(golden));
    unreadable.fail(MemoryDisk::Operation::read, EIO);
    const auto failed = load(unreadable);
    REQUIRE(std::holds_alternative<StartFailure>(failed));
    CHECK(std::get<StartFailure>(failed).kind == StartFailure::Kind::io);
  }

  // Found by simulation (seed 176 of its first version): what a killed process had renamed was
  // believed by the next one, and a power failure took it back.
  TEST_CASE("identity file: killed before the directory was synced -> the next start syncs it") {
    Machine machine;
    machine.start();
    IdentityRecord newer = the_record();
    newer.accepted = Epoch{10};
    for (const IdentityRecord& record : {the_record(), newer}) {
      bool stored = false;
      IdentityFile file(machine.disk);
      file.store(record, [&stored](const IoStatus& status) { stored = bool(status); });
      const auto changes = [&] { return machine.disk.directory_changes(); };
      // The last one is killed behind its rename.
      while (!stored && !(record == newer && changes() == 2)) REQUIRE(machine.disk.step());
    }
    machine.kill();
    machine.disk.crash_process();
    REQUIRE(std::get<IdentityRecord>(load(machine.disk)) == newer);
    machine.disk.crash_process();

    machine.start();
    machine.kill();
    machine.disk.lose_power(MemoryDisk::nothing());

    CHECK(std::get<IdentityRecord>(load(machine.disk)) == newer);
  }

  TEST_CASE("identity file: a tmp file alone -> an empty directory: the first store never ended") {
    MemoryDisk disk;
    disk.set_content("identity.tmp", from_hex(golden));

    CHECK(std::holds_alternative<std::monostate>(load(disk.state())));
  }
}

}  // namespace
}  // namespace zabmq::storage
