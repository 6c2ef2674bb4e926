// Group commit: what goes out when, and what is told when it is on disk.
#include <doctest/doctest.h>

#include <cerrno>

#include "machine.hpp"
#include "storage/mark.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

TEST_SUITE("storage/group commit") {
  TEST_CASE("log: an empty directory -> nothing is written before the first record") {
    Machine m;

    m.start();

    CHECK(m.log->ready());
    CHECK(m.disk.names().empty());
    CHECK(m.log->last().zxid == Zxid{});
    CHECK(m.log->floor().offset == 0);
    CHECK(m.log->idle());
  }

  TEST_CASE("log: records appended -> durable once synced, not before") {
    Machine m;
    m.start();

    m.append(m.maker.group({100, 200, 300}));

    CHECK(m.log->last().zxid == Zxid{Epoch{1}, 3});
    CHECK(m.log->durable() == Zxid{});
    CHECK(m.log->unwritten_bytes() > 600);
    while (m.durable_told.empty()) {
      REQUIRE(m.disk.step());
      const Found found = look_at([&] {
        MemoryDisk copy(m.disk.state());
        copy.lose_power(MemoryDisk::nothing());
        return copy.state();
      }());
      CHECK(found.history.last.zxid.counter == (m.durable_told.empty() ? 0 : 3));
    }
    CHECK(m.durable_told == std::vector{Zxid{Epoch{1}, 3}});
    CHECK(m.log->durable() == Zxid{Epoch{1}, 3});
    CHECK(m.log->unwritten_bytes() == 0);
    CHECK(m.log->idle());
  }

  TEST_CASE("log: records arrive while a write runs -> all of them are the next group") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));
    m.durable_told.clear();

    m.append(m.maker.batch(10));
    for (int i = 0; i < 5; ++i) m.append(m.maker.batch(10));
    m.run();

    CHECK(m.durable_told == std::vector{Zxid{Epoch{1}, 2}, Zxid{Epoch{1}, 7}});
  }

  TEST_CASE("log: more than a group waits -> groups of the limit, records never split") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));
    m.durable_told.clear();

    m.append(m.maker.group(std::vector<std::uint32_t>(20, 1000)));  // 20 * 1128 bytes
    m.run();

    const auto end = [](std::uint64_t counter) { return Zxid{Epoch{1}, counter}; };
    CHECK(m.durable_told == std::vector{end(8), end(15), end(21)});
    CHECK(m.read_everything().size() == 21);
  }

  TEST_CASE("log: a record larger than a group -> goes out alone") {
    Machine m;
    m.start();

    m.append(m.maker.batch(20'000, 7));
    m.append(m.maker.batch(10));
    m.run();

    CHECK(m.durable_told == std::vector{Zxid{Epoch{1}, 1}, Zxid{Epoch{1}, 2}});
    CHECK(m.log->last().offset == 8);
    CHECK(m.read_everything().size() == 2);
  }

  TEST_CASE("log: many small slices at once -> one write") {
    Machine m;
    m.start();
    m.write(m.maker.batch(1));
    const std::uint64_t steps = m.disk.steps();

    for (int i = 0; i < 30; ++i) m.log->append(m.maker.batch(1));
    m.log->flush();
    m.run();

    CHECK(m.disk.steps() - steps == 2);  // write, sync
    CHECK(m.durable_told.back() == Zxid{Epoch{1}, 31});
  }

  TEST_CASE("log: continues -> only what follows in zxid, offset and digest") {
    Machine m;
    m.start();
    m.write(m.maker.group({10, 10}));
    RecordMaker next(m.log->last());

    CHECK(m.log->continues(next.group({1, 2, 3}).bytes()));
    CHECK_FALSE(m.log->continues(next.batch(1).bytes()));  // leaves three out
    RecordMaker later(m.log->last());
    later.begin_epoch(Epoch{4});
    CHECK(m.log->continues(later.no_op().bytes()));
    LastRecord other = m.log->last();
    other.digest = Digest{77};
    CHECK_FALSE(m.log->continues(RecordMaker(other).batch(1).bytes()));
    other = m.log->last();
    ++other.offset;
    CHECK_FALSE(m.log->continues(RecordMaker(other).batch(1).bytes()));
    CHECK_FALSE(m.log->continues(RecordMaker(other).no_op().bytes()));
    const Slice whole = RecordMaker(m.log->last()).batch(100);
    CHECK(m.log->continues(whole.bytes()));
    CHECK_FALSE(m.log->continues(whole.bytes().first(whole.size() - 8)));
    CHECK_FALSE(m.log->continues(whole.bytes().first(64)));
  }

  TEST_CASE("log: the age of a write -> counts from its beginning, zero when none is under way") {
    Machine m;
    m.start();
    m.append(m.maker.batch(10));

    m.tick(250);

    CHECK(m.log->oldest_write_age_ms(m.now_ms) == 250);
    CHECK_FALSE(m.log->idle());
    m.run();
    CHECK(m.log->oldest_write_age_ms(m.now_ms + 1000) == 0);
  }

  TEST_CASE("mark: 100 ms without a write -> one mark, with the delivered point, then none") {
    Machine m;
    m.start();
    m.write(m.maker.group({10, 10}));
    m.set_delivered({Epoch{1}, 2});
    const std::size_t size = m.disk.content("00000001.seg").size();

    m.tick(99);
    m.run();
    CHECK(look_at(m.disk.state()).history.delivered == Zxid{});
    m.tick(1);
    m.run();
    CHECK(look_at(m.disk.state()).history.delivered == Zxid{Epoch{1}, 2});
    const std::vector<std::byte> after = m.disk.content("00000001.seg");
    for (int i = 0; i < 10; ++i) {
      m.tick(100);
      m.run();
    }

    CHECK(m.disk.content("00000001.seg") == after);
    CHECK(look_at(m.disk.state()).history.records == 2);
    CHECK(size <= after.size());
  }

  TEST_CASE("mark: delivered goes on while the disk is idle -> another mark") {
    Machine m;
    m.start();
    m.write(m.maker.group({10, 10, 10}));
    m.set_delivered({Epoch{1}, 1});
    m.tick(100);
    m.run();

    m.set_delivered({Epoch{1}, 3});
    m.tick(100);
    m.run();

    CHECK(look_at(m.disk.state()).history.delivered == Zxid{Epoch{1}, 3});
  }

  TEST_CASE("log: stop -> what is pending and a last mark are durable before it is told") {
    Machine m;
    m.start();
    m.append(m.maker.batch(10));
    m.append(m.maker.batch(10));
    bool stopped = false;

    m.log->stop([&] { stopped = true; });
    CHECK_FALSE(stopped);
    m.run();

    CHECK(stopped);
    m.kill();
    m.disk.lose_power(MemoryDisk::nothing());
    const Found found = look_at(m.disk.state());
    CHECK(found.history.last.zxid == Zxid{Epoch{1}, 2});
    CHECK(found.files.proven.zxid == Zxid{Epoch{1}, 2});
    CHECK(found.files.last_write + mark_size == found.files.chain.back().end);
  }

  TEST_CASE("log: drain -> what no write has begun to take is gone, the rest ends first") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));
    m.append(m.maker.group({10, 10}));  // being written
    m.append(m.maker.group({10, 10}));  // waiting

    m.drain();
    CHECK(m.log->last().zxid == Zxid{Epoch{1}, 3});
    CHECK(m.drained_told.empty());
    m.run();

    CHECK(m.drained_told == std::vector{Zxid{Epoch{1}, 3}});
    CHECK(m.log->last().zxid == m.log->durable());
    const auto hot = m.log->read_hot(After{Zxid{}}, no_end, 1 << 20);
    REQUIRE(hot);
    CHECK(hot->last == Zxid{Epoch{1}, 3});
    m.maker.continue_from(m.log->last());
    m.maker.begin_epoch(Epoch{2});
    m.write(m.maker.batch(10));
    CHECK(m.read_everything().size() == 4);
  }

  TEST_CASE("log: drain while idle -> told too, later") {
    Machine m;
    m.start();

    m.drain();
    CHECK(m.drained_told.empty());
    m.run();

    CHECK(m.drained_told == std::vector{Zxid{}});
  }

  TEST_CASE("J3: an error of a write or sync -> fail-stop: told once, nothing acknowledged later") {
    for (const MemoryDisk::Operation operation :
         {MemoryDisk::Operation::write, MemoryDisk::Operation::sync}) {
      Machine m;
      m.start();
      m.write(m.maker.batch(10));
      m.durable_told.clear();
      m.disk.fail(operation, EIO);

      m.append(m.maker.batch(10));
      m.append(m.maker.batch(10));
      m.run();

      REQUIRE(m.failure_told);
      CHECK_FALSE(m.failure_told->corrupt);
      CHECK(m.failure_told->text.find("00000001.seg") != std::string::npos);
      CHECK(m.durable_told.empty());
      const std::uint64_t steps = m.disk.steps();
      m.append(m.maker.batch(10));
      m.tick(1000);
      m.run();
      CHECK(m.disk.steps() == steps);
      CHECK(m.durable_told.empty());
      CHECK(m.log->durable() == Zxid{Epoch{1}, 1});
    }
  }

  TEST_CASE(
      "log: a sync fails, then the process restarts -> the tail is written again before it "
      "counts") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));
    m.disk.fail(MemoryDisk::Operation::sync, EIO);
    m.append(m.maker.batch(10));
    m.run();
    REQUIRE(m.failure_told);

    // The page cache still has the record, as if it had been written; the platter has not.
    m.kill();
    m.disk.crash_process();
    REQUIRE_FALSE(m.open());
    CHECK(m.log->last().zxid == Zxid{Epoch{1}, 2});
    CHECK(m.log->durable() == Zxid{Epoch{1}, 1});
    CHECK_FALSE(m.log->ready());
    m.run();

    CHECK(m.log->ready());
    CHECK(m.durable_told == std::vector{Zxid{Epoch{1}, 2}});
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.log->last().zxid == Zxid{Epoch{1}, 2});
  }

  TEST_CASE("log: the repair at start fails -> failure, never ready") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));
    m.kill();
    m.disk.crash_process();

    REQUIRE_FALSE(m.open());
    m.disk.fail(MemoryDisk::Operation::sync, EIO);
    m.run();

    CHECK_FALSE(m.log->ready());
    CHECK(m.log->failure());
    CHECK(m.durable_told.empty());
  }
}

}  // namespace
}  // namespace zabmq::storage
