// MemoryDisk: it loses exactly what a real disk may lose.
#include "sim/memory_disk.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

namespace zabmq::sim {
namespace {

using storage::FileId;
using storage::IoStatus;

Slice filled(std::size_t size, char c) {
  auto bytes = std::make_shared<std::vector<std::byte>>(size, static_cast<std::byte>(c));
  return {bytes, *bytes};
}

std::vector<std::byte> bytes_of(std::size_t size, char c) {
  return std::vector<std::byte>(size, static_cast<std::byte>(c));
}

struct Fixture {
  Fixture() {
    REQUIRE(disk.open_directory());
    file = disk.create("a", [](IoStatus) {});
    disk.write(file, 0, {filled(2048, '1')}, true, [](IoStatus) {});
    disk.sync_directory([](IoStatus) {});
    disk.run_all();
  }
  void overwrite(bool sync) {
    disk.write(file, 0, {filled(2048, '2')}, sync, [this](IoStatus s) { told = std::move(s); });
  }
  MemoryDisk disk;
  FileId file = FileId::none;
  std::optional<IoStatus> told;
};

TEST_SUITE("sim/memory disk") {
  TEST_CASE_FIXTURE(Fixture, "memory disk: nothing happens before a step") {
    overwrite(true);

    CHECK(disk.waiting() == 1);
    CHECK(disk.content("a") == bytes_of(2048, '1'));
    CHECK_FALSE(told);
  }

  TEST_CASE_FIXTURE(Fixture, "memory disk: written but not synced -> lost without power") {
    overwrite(true);
    REQUIRE(disk.step());
    CHECK(disk.content("a") == bytes_of(2048, '2'));
    CHECK_FALSE(told);
    MemoryDisk process(disk.state());

    disk.lose_power(MemoryDisk::nothing());
    process.crash_process();

    CHECK(disk.content("a") == bytes_of(2048, '1'));
    CHECK(process.content("a") == bytes_of(2048, '2'));
    CHECK(disk.waiting() == 0);
    CHECK_FALSE(told);
  }

  TEST_CASE_FIXTURE(Fixture, "memory disk: synced -> there after a power failure") {
    overwrite(true);
    disk.run_all();
    REQUIRE(told);
    CHECK(*told);

    disk.lose_power(MemoryDisk::nothing());

    CHECK(disk.content("a") == bytes_of(2048, '2'));
  }

  TEST_CASE_FIXTURE(Fixture, "memory disk: chosen sectors survive -> those and no others") {
    overwrite(false);
    disk.run_all();
    REQUIRE(disk.dirty_sectors().size() == 4);

    disk.lose_power({[](std::size_t s) { return s == 1 || s == 3; }, 0});

    std::vector<std::byte> expected = bytes_of(512, '1');
    for (const char c : {'2', '1', '2'}) {
      const auto sector = bytes_of(512, c);
      expected.insert(expected.end(), sector.begin(), sector.end());
    }
    CHECK(disk.content("a") == expected);
  }

  TEST_CASE_FIXTURE(Fixture,
                    "memory disk: directory changes -> survive as a prefix, or when synced") {
    disk.create("b", [](IoStatus) {});
    disk.rename("a", "c", [](IoStatus) {});
    disk.remove("b", [](IoStatus) {});
    disk.run_all();
    CHECK(disk.names() == std::vector<std::string>{"c"});
    REQUIRE(disk.directory_changes() == 3);
    const auto names_after = [&](std::size_t changes) {
      MemoryDisk copy(disk.state());
      copy.lose_power({nullptr, changes});
      return copy.names();
    };

    CHECK(names_after(0) == std::vector<std::string>{"a"});
    CHECK(names_after(1) == std::vector<std::string>{"a", "b"});
    CHECK(names_after(2) == std::vector<std::string>{"b", "c"});
    CHECK(names_after(3) == std::vector<std::string>{"c"});
  }

  TEST_CASE_FIXTURE(Fixture,
                    "memory disk: a sync that fails -> the cache has it, the platter never will") {
    disk.fail(MemoryDisk::Operation::sync, EIO);
    overwrite(true);
    disk.run_all();
    REQUIRE(told);
    CHECK(told->error == EIO);
    CHECK(told->what == "fdatasync a: Input/output error");
    CHECK(disk.content("a") == bytes_of(2048, '2'));
    CHECK(disk.dirty_sectors().empty());

    disk.write(file, 4096, {filled(1, 'x')}, true, [](IoStatus status) { CHECK(status); });
    disk.run_all();
    disk.lose_power(MemoryDisk::everything());

    CHECK(std::equal(disk.content("a").begin(), disk.content("a").begin() + 2048,
                     bytes_of(2048, '1').begin()));
  }

  TEST_CASE_FIXTURE(Fixture, "memory disk: faults -> the chosen operation, once") {
    disk.fail(MemoryDisk::Operation::write, EIO, 1);
    std::vector<int> errors;
    for (int i = 0; i < 3; ++i)
      disk.write(file, 0, {filled(2, 'x')}, false, [&](IoStatus s) { errors.push_back(s.error); });
    disk.run_all();

    CHECK(errors == std::vector{0, EIO, 0});
  }

  TEST_CASE_FIXTURE(Fixture,
                    "memory disk: a fault is told when it meets its operation, not before") {
    std::vector<MemoryDisk::Operation> failed;
    disk.when_it_fails([&](MemoryDisk::Operation operation, int error) {
      failed.push_back(operation);
      CHECK(error == EIO);
    });
    disk.fail(MemoryDisk::Operation::sync, EIO);
    disk.fail(MemoryDisk::Operation::create, EIO);
    CHECK(failed.empty());
    overwrite(true);
    disk.run_all();

    CHECK(failed == std::vector{MemoryDisk::Operation::sync});
  }

  TEST_CASE_FIXTURE(Fixture, "memory disk: a power failure tells whether anything was lost") {
    const auto loss_of = [this](const MemoryDisk::Survival& survival) {
      MemoryDisk::Loss loss = MemoryDisk(disk.state()).lose_power(survival);
      return std::pair{loss.bytes, loss.entries};
    };
    CHECK(loss_of(MemoryDisk::nothing()) == std::pair{false, false});
    overwrite(false);
    disk.run_all();
    CHECK(disk.dirty());
    CHECK(loss_of(MemoryDisk::nothing()) == std::pair{true, false});
    CHECK(loss_of(MemoryDisk::everything()) == std::pair{false, false});
    disk.rename("a", "b", [](const IoStatus&) {});
    disk.run_all();
    CHECK(loss_of(MemoryDisk::nothing()) == std::pair{true, true});
  }

  TEST_CASE_FIXTURE(Fixture,
                    "memory disk: full -> ENOSPC, what fits is there, room again -> goes on") {
    disk.set_capacity(3000);
    CHECK(disk.free_bytes() == 3000 - 2048);
    disk.write(file, 2048, {filled(2000, 'x')}, false, [&](IoStatus s) { told = std::move(s); });
    disk.run_all();

    CHECK(told->error == ENOSPC);
    CHECK(disk.content("a").size() == 3000);
    CHECK(disk.free_bytes() == 0);
    overwrite(true);  // inside the file: needs no room
    disk.run_all();
    CHECK(*told);
    disk.set_capacity(10'000);
    disk.write(file, 2048, {filled(2000, 'x')}, false, [&](IoStatus s) { told = std::move(s); });
    disk.run_all();
    CHECK(*told);
  }

  TEST_CASE_FIXTURE(Fixture,
                    "memory disk: writer and reader -> stepped apart, or in order of submission") {
    std::vector<int> order;
    disk.write(file, 0, {filled(1, 'x')}, false, [&](IoStatus) { order.push_back(1); });
    disk.read(file, 0, 1, [&](IoStatus, Slice) { order.push_back(2); });
    disk.write(file, 0, {filled(1, 'y')}, false, [&](IoStatus) { order.push_back(3); });

    REQUIRE(disk.step_reader());
    REQUIRE(disk.step());
    REQUIRE(disk.step_writer());
    CHECK_FALSE(disk.step());

    CHECK(order == std::vector{2, 1, 3});
  }
}

}  // namespace
}  // namespace zabmq::sim
