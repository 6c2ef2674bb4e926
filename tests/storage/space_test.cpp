// Space: segments follow one another, spares are written while idle, and a full disk is a state.
#include <doctest/doctest.h>

#include <cerrno>

#include "machine.hpp"
#include "storage/mark.hpp"
#include "storage/spares.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

TEST_SUITE("storage/space") {
  TEST_CASE("segment: full -> the next one, synced with its directory entry before records count") {
    Machine m;
    m.start();
    std::size_t written = 0;

    while (m.disk.names().size() < 3) {
      m.append(m.maker.batch(3000));
      ++written;
      while (m.durable_told.size() < written) {
        REQUIRE(m.disk.step());
        MemoryDisk copy(m.disk.state());
        copy.lose_power(MemoryDisk::nothing());
        const Found found = look_at(copy.state());
        REQUIRE_FALSE(found.failure);
        REQUIRE(found.history.last.zxid.counter >= m.durable_told.size());
      }
    }

    CHECK(m.read_everything().size() == written);
    for (const std::string& name : m.disk.names())
      CHECK(m.disk.content(name).size() <= m.options.segment_size);
  }

  TEST_CASE("segment: a record larger than a segment -> still stored, in a segment of its own") {
    Machine m;
    m.start();
    m.write(m.maker.batch(10));

    m.write(m.maker.batch(100'000));
    m.write(m.maker.batch(10));

    CHECK(m.disk.names().size() == 3);
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == 3);
  }

  TEST_CASE("no space: creating a segment fails with ENOSPC -> a state that ends by itself") {
    Machine m;
    m.options.min_free_bytes = 1;
    m.start();
    m.write(m.maker.batch(10));
    m.disk.fail(MemoryDisk::Operation::create, ENOSPC);
    while (!m.log->no_space()) {
      m.append(m.maker.batch(3000));
      m.run();
      REQUIRE(m.maker.last().offset < 100);
    }

    CHECK_FALSE(m.failure_told);
    CHECK(m.durable_told.back().counter == m.maker.last().zxid.counter - 1);
    m.tick(999);
    m.run();
    CHECK(m.log->no_space());
    m.tick(1);
    m.run();

    CHECK_FALSE(m.log->no_space());
    CHECK(m.durable_told.back() == m.maker.last().zxid);
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.log->last().zxid == m.maker.last().zxid);
  }

  TEST_CASE(
      "no space: less than half of min_free -> no batch is written or acknowledged until there "
      "is") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(10));
    const std::uint64_t used = m.disk.content("00000001.seg").size();
    m.disk.set_capacity(used + 40'000);
    m.tick(10);
    m.run();
    CHECK(m.log->no_space());

    m.append(m.maker.batch(5000));
    m.run();
    CHECK(m.durable_told.size() == 1);
    CHECK(m.log->unwritten_bytes() > 5000);
    CHECK(m.log->oldest_write_age_ms(m.now_ms + 60'000) == 0);
    CHECK(m.read_everything().size() == 2);  // reading goes on

    m.disk.set_capacity(used + 1'000'000);
    m.tick(10);
    m.run();

    CHECK_FALSE(m.log->no_space());
    CHECK(m.durable_told.back() == m.maker.last().zxid);
  }

  TEST_CASE(
      "no space: less than half of min_free, the segment is full -> none is begun for a batch") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(3000));
    while (m.disk.content("00000001.seg").size() < 62'000) m.write(m.maker.batch(3000));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 40'000);
    m.tick(10);

    m.append(m.maker.batch(5000));
    m.run();

    CHECK(m.disk.names().size() == 1);
    m.disk.set_capacity(1'000'000);
    m.tick(10);
    m.run();
    CHECK(m.disk.names().size() == 2);
    CHECK(m.log->durable() == m.maker.last().zxid);
  }

  // What retention needs, or a quorum's other disks have room for, must not stand behind a disk
  // that waits for retention.
  TEST_CASE("no space: a record that is no batch -> goes into the reserve, as does its segment") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(3000));
    SUBCASE("a segment that grows") {}
    SUBCASE("a segment that is full") {
      while (m.disk.content("00000001.seg").size() < 65'000) m.write(m.maker.batch(200));
    }
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 40'000);
    m.tick(10);
    REQUIRE(m.log->space() == Space::last);

    m.append(m.maker.no_op());
    m.run();

    CHECK(m.log->durable() == m.maker.last().zxid);
    CHECK(m.log->idle());
  }

  // Found by review: its disk is fuller than the leader's, whose floor would free some of it.
  TEST_CASE("no space: a floor behind batches that wait -> all go into the reserve, or none") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(3000));
    int batches = 3;
    bool fit = true;
    SUBCASE("a segment that grows") {}
    SUBCASE("a segment that is full") {
      while (m.disk.content("00000001.seg").size() < 62'000) m.write(m.maker.batch(1000));
      batches = 1;
    }
    SUBCASE("they and a snapshot do not fit") {
      batches = 4;
      fit = false;
    }
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 49'500);
    m.tick(10);
    const Zxid durable = m.log->durable();
    for (int i = 0; i < batches; ++i) m.append(m.maker.batch(3000));
    m.run();
    REQUIRE_FALSE(m.log->idle());

    m.append(m.maker.floor());
    m.tick(10);
    m.run();

    CHECK(m.log->durable() == (fit ? m.maker.last().zxid : durable));
    CHECK(m.disk.free_bytes() >= 100'000 / 4);
  }

  TEST_CASE("no space: only a quarter of the reserve is left -> nothing is written") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(6000));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 25'100);
    m.tick(10);

    m.append(m.maker.no_op());
    m.run();

    CHECK(m.log->durable() < m.maker.last().zxid);
  }

  // Disks of a cluster are never quite equally full: what a leader that still had room has proposed
  // must become durable on the others.
  TEST_CASE("no space: a batch that was taken -> written, as far as half of the reserve") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(10));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 90'000);
    m.tick(10);
    REQUIRE(m.log->space() == Space::low);

    while (m.log->idle()) m.write(m.maker.batch(3000));

    CHECK(m.disk.free_bytes() >= 50'000);
    CHECK(m.disk.free_bytes() < 54'000);
    CHECK_FALSE(m.failure_told);
  }

  TEST_CASE("no space: many batches wait -> a group ends where half of the reserve begins") {
    Machine m;
    m.options.group_bytes_max = 1 << 20;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(10));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 65'000);
    m.tick(10);

    for (int i = 0; i < 10; ++i) m.append(m.maker.batch(3000));
    m.run();

    CHECK_FALSE(m.log->idle());
    CHECK(m.disk.free_bytes() >= 50'000);
    CHECK(m.disk.free_bytes() < 54'000);
  }

  TEST_CASE("no space: what is being written does not count as free") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(6000));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 103'000);
    m.tick(10);
    REQUIRE(m.log->space() == Space::enough);

    m.append(m.maker.batch(5000));

    CHECK(m.log->space() == Space::low);
    m.run();
    CHECK(m.log->space() == Space::low);
  }

  TEST_CASE("no space: only a quarter of the reserve is left -> a mark waits as well") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(6000));
    const std::uint64_t used = m.disk.content("00000001.seg").size();
    m.disk.set_capacity(used + 25'000);
    m.set_delivered(m.maker.last().zxid);

    m.tick(1000);
    m.run();
    CHECK(m.disk.content("00000001.seg").size() == used);

    m.disk.set_capacity(used + 26'000);
    m.tick(1000);
    m.run();
    CHECK(m.disk.content("00000001.seg").size() == used + mark_size);
  }

  TEST_CASE("no space: spares -> are given up, one at a time, and their bytes are free") {
    Machine m;
    m.options.spare_segments = 2;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(10));
    for (int i = 0; i < 20; ++i) {
      m.tick(100);
      m.run();
    }
    REQUIRE(m.disk.names().size() == 3);
    const std::uint64_t used = m.disk.content("00000001.seg").size() + 2 * m.options.segment_size;
    SUBCASE("one is enough") {
      m.disk.set_capacity(used + 90'000);
      for (int i = 0; i < 3; ++i) {
        m.tick(10);
        m.run();
      }
      CHECK(m.disk.names().size() == 2);
      CHECK_FALSE(m.log->no_space());
    }
    SUBCASE("all of them are not") {
      m.disk.set_capacity(used - 2 * m.options.segment_size + 90'000);
      for (int i = 0; i < 3; ++i) {
        m.tick(10);
        m.run();
      }
      CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg"});
      CHECK(m.log->no_space());
    }
  }

  TEST_CASE("no space: records come faster than time passes -> a state, never an ENOSPC") {
    for (const std::size_t at_once : {1, 5, 40}) {
      CAPTURE(at_once);
      Machine m;
      m.options.min_free_bytes = 100'000;
      m.disk.set_capacity(400'000);
      m.start();
      for (int groups = 0; groups < 1000 && !m.log->no_space(); ++groups) {
        for (std::size_t i = 0; i < at_once && !m.log->no_space(); ++i) {
          m.append(m.maker.batch(3000));
        }
        m.run();
      }

      CHECK(m.log->no_space());
      CHECK_FALSE(m.failure_told);
      CHECK(m.log->durable() == m.maker.last().zxid);
      CHECK(m.disk.free_bytes() > 90'000);
      m.restart();
      CHECK(m.log->last().zxid == m.maker.last().zxid);
    }
  }

  TEST_CASE("no space: stop -> ends without what could not be written") {
    Machine m;
    m.options.min_free_bytes = 100'000;
    m.start();
    m.write(m.maker.batch(10));
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 40'000);
    m.tick(10);
    m.append(m.maker.batch(5000));
    m.run();
    bool stopped = false;

    m.log->stop([&] { stopped = true; });
    m.run();

    CHECK(stopped);
    CHECK(m.durable_told.size() == 1);
  }

  TEST_CASE("spares: the disk is idle -> written ahead with zeros, and used by the next segments") {
    Machine m;
    m.options.spare_segments = 2;
    m.start();
    m.write(m.maker.batch(10));

    for (int i = 0; i < 20; ++i) {
      m.tick(100);
      m.run();
    }
    REQUIRE(m.disk.names() == std::vector<std::string>{"00000001.seg", "spare-1", "spare-2"});
    CHECK(m.disk.content("spare-1") == std::vector<std::byte>(m.options.segment_size));
    MemoryDisk::State idle = m.disk.state();
    const auto spares_left = [](const Machine& machine) {
      std::size_t count = 0;
      for (const std::string& name : machine.disk.names()) count += name.starts_with("spare-");
      return count;
    };
    while (spares_left(m) > 0) m.write(m.maker.batch(3000));

    CHECK(m.disk.names() ==
          std::vector<std::string>{"00000001.seg", "00000002.seg", "00000003.seg"});
    CHECK(m.disk.content("00000002.seg").size() == m.options.segment_size);
    CHECK(m.disk.content("00000003.seg").size() == m.options.segment_size);
    const std::size_t count = m.read_everything().size();
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == count);
    CHECK_FALSE(m.log->recovered().torn);

    // Spares that a restart finds are used as well.
    Machine again(idle, m.options);
    again.start();
    while (spares_left(again) == 2) again.write(again.maker.batch(3000));
    CHECK(again.disk.content("00000002.seg").size() == again.options.segment_size);
  }

  TEST_CASE("spares: under load -> none are written") {
    Machine m;
    m.options.spare_segments = 2;
    m.start();

    for (int i = 0; i < 50; ++i) {
      m.write(m.maker.batch(100));
      m.tick(90);
      m.run();
    }

    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg"});
  }

  TEST_CASE("spares: a record arrives while one is being written -> waits for one chunk at most") {
    MemoryDisk disk;
    REQUIRE(disk.open_directory());
    Spares spares(disk, 3 << 20, 1, {});
    spares.set_idle(true);
    REQUIRE(disk.step());  // created

    spares.set_idle(false);
    disk.run_all();

    CHECK(disk.content("spare-1").size() == 1 << 20);
    CHECK(spares.ready() == 0);
    spares.set_idle(true);
    disk.run_all();
    CHECK(disk.content("spare-1").size() == 3 << 20);
    CHECK(spares.ready() == 1);
    CHECK(spares.take()->name == "spare-1");
    CHECK_FALSE(spares.take());
  }

  TEST_CASE("spares: the disk refuses -> given up, records are not concerned") {
    Machine m;
    m.options.spare_segments = 1;
    m.start();
    m.write(m.maker.batch(10));
    m.tick(100);
    m.run();
    m.disk.fail(MemoryDisk::Operation::write, ENOSPC);
    for (int i = 0; i < 20; ++i) {
      m.tick(100);
      m.run();
    }

    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg"});
    m.write(m.maker.batch(10));
    CHECK_FALSE(m.failure_told);
    CHECK(m.durable_told.back() == m.maker.last().zxid);
  }

  TEST_CASE("spares: unfinished at start -> removed") {
    Machine m;
    m.disk.set_content("spare-7", std::vector<std::byte>(100));

    m.start();

    CHECK(m.disk.names().empty());
  }
}

}  // namespace
}  // namespace zabmq::storage
