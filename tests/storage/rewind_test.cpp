// Rewind: TRUNC compares the digest, then cuts by creating a segment. Nothing old is overwritten.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "machine.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

Zxid in_first(std::uint64_t counter) {
  return {Epoch{1}, counter};
}

// Runs `call` in a child process; whether it aborted.
template <class Call>
bool aborts(Call call) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    call();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

std::vector<Digest> first_of(std::vector<Digest> digests, std::size_t count) {
  digests.resize(count);
  return digests;
}

TEST_SUITE("storage/rewind") {
  TEST_CASE("rewind: inside a write -> exactly the records up to it, also after a restart") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300, 400}));
    const std::vector<Digest> all = digests_of(m.read_everything());

    REQUIRE(m.rewind(in_first(2), all[1]));

    CHECK(m.log->last().zxid == in_first(2));
    CHECK(m.log->last().digest == all[1]);
    CHECK(m.log->last().offset == 2);
    CHECK(m.log->durable() == in_first(2));
    CHECK(digests_of(m.read_everything()) == first_of(all, 2));
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(digests_of(m.read_everything()) == first_of(all, 2));
    CHECK(m.log->recovered().ends == std::vector<EpochLast>{{Epoch{1}, 2}});
    CHECK(m.log->last().time == 2);
  }

  TEST_CASE("rewind: then other records -> they stand where the old ones stood") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300, 400}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    REQUIRE(m.rewind(in_first(3), all[2]));
    m.maker.begin_epoch(Epoch{5});

    m.write(m.maker.group({10, 20}));
    m.restart_after_power_loss(MemoryDisk::nothing());

    const std::vector<RecordHeader> now = m.read_everything();
    REQUIRE(now.size() == 5);
    CHECK(now[2].checksum == all[2]);
    CHECK(now[3].zxid == Zxid{Epoch{5}, 1});
    CHECK(now[4].base_offset == 5);
    CHECK(m.log->recovered().ends == std::vector<EpochLast>{{Epoch{1}, 3}, {Epoch{5}, 2}});
  }

  TEST_CASE("rewind: twice into the same segment -> the second cut counts") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300, 400, 500}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    REQUIRE(m.rewind(in_first(4), all[3]));
    m.maker.begin_epoch(Epoch{2});
    m.write(m.maker.group({10, 20}));

    REQUIRE(m.rewind(in_first(2), all[1]));
    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg", "00000003.seg"});
    m.maker.begin_epoch(Epoch{3});
    m.write(m.maker.batch(30));
    m.restart_after_power_loss(MemoryDisk::nothing());

    const std::vector<RecordHeader> now = m.read_everything();
    REQUIRE(now.size() == 3);
    CHECK(now[1].checksum == all[1]);
    CHECK(now[2].zxid == Zxid{Epoch{3}, 1});
  }

  TEST_CASE("rewind: over several segments -> those behind the cut are deleted, newest first") {
    Machine m;
    m.start();
    while (m.disk.names().size() < 5) m.write(m.maker.group({3000, 3000}));
    const std::vector<RecordHeader> all = m.read_everything();

    REQUIRE(m.rewind(all[4].zxid, all[4].checksum));

    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg", "00000006.seg"});
    CHECK(digests_of(m.read_everything()) == first_of(digests_of(all), 5));
    m.write(m.maker.batch(10));
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == 6);
  }

  TEST_CASE("rewind: to the floor -> an empty history that goes on") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200}));

    REQUIRE(m.rewind({}, Digest::none));

    CHECK(m.log->last().zxid == Zxid{});
    CHECK(m.log->last().offset == 0);
    CHECK(m.read_everything().empty());
    m.maker.begin_epoch(Epoch{2});
    m.write(m.maker.batch(1));
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == 1);
  }

  TEST_CASE("rewind: to the last record -> only the digest is compared, nothing is created") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200}));
    const std::vector<std::string> names = m.disk.names();

    CHECK(m.rewind(in_first(2), m.log->last().digest));
    CHECK_FALSE(m.rewind(in_first(2), Digest{5}));

    CHECK(m.disk.names() == names);
    CHECK(m.log->last().zxid == in_first(2));
  }

  TEST_CASE("jzab 77ab2409: an empty log is synced, marked and drained -> nothing fails, goes on") {
    for (const bool cut : {false, true}) {
      CAPTURE(cut);
      Machine m;
      m.start();
      if (cut) {
        m.write(m.maker.group({100, 200}));
        REQUIRE(m.rewind({}, Digest::none));
        m.maker.continue_from({});
      }
      m.log->flush();
      m.tick(60'000);
      m.drain();
      m.run();
      CHECK(m.drained_told == std::vector{Zxid{}});
      CHECK_FALSE(m.failure_told);
      CHECK(m.log->idle());

      m.maker.begin_epoch(Epoch{2});
      m.write(m.maker.batch(10));
      m.restart_after_power_loss(MemoryDisk::nothing());
      CHECK(m.read_everything().size() == 1);
    }
  }

  TEST_CASE("rewind: of an empty log to nothing -> matches") {
    Machine m;
    m.start();

    CHECK(m.rewind({}, Digest::none));
  }

  TEST_CASE("rewind: another digest, or a zxid that is not there -> not matched, nothing is cut") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300}));
    const std::vector<Digest> all = digests_of(m.read_everything());

    CHECK_FALSE(m.rewind(in_first(2), Digest{99}));
    CHECK_FALSE(m.rewind({Epoch{7}, 1}, all[1]));
    CHECK_FALSE(m.rewind(in_first(9), all[1]));
    CHECK_FALSE(m.rewind({}, all[1]));

    CHECK(digests_of(m.read_everything()) == all);
    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg"});
    m.write(m.maker.batch(10));
    CHECK(m.read_everything().size() == 4);
  }

  TEST_CASE("rewind: the delivered point -> survives the cut, although its mark lay behind") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    m.set_delivered(in_first(2));
    m.write(m.maker.group({300, 400}));  // its mark tells delivered 1.2

    REQUIRE(m.rewind(in_first(2), all[1]));
    m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(m.log->recovered().delivered == in_first(2));
    CHECK(m.visited.delivered == std::vector{in_first(2)});
  }

  TEST_CASE("rewind: a crash before the first mark behind a cut -> the delivered point is known") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    m.set_delivered(in_first(2));
    m.write(m.maker.group({300, 400}));
    m.log->rewind(in_first(2), all[1]);
    while (m.log->last().zxid != in_first(2)) REQUIRE(m.disk.step());

    m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(m.log->last().zxid == in_first(2));
    CHECK(m.log->recovered().delivered == in_first(2));
  }

  TEST_CASE("rewind: cursors read on after a cut -> nothing of what was cut") {
    Machine m;
    m.start();
    for (int i = 0; i < 20; ++i) m.write(m.maker.group({1000, 1000}));
    const std::vector<RecordHeader> all = m.read_everything(3000);  // leaves places everywhere
    REQUIRE(m.rewind(all[9].zxid, all[9].checksum));
    m.maker.begin_epoch(Epoch{2});
    for (int i = 0; i < 20; ++i) m.write(m.maker.group({700, 700}));

    const std::vector<RecordHeader> now = m.read_everything(3000);

    REQUIRE(now.size() == 50);
    CHECK(now[9] == all[9]);
    CHECK(now[10].zxid == Zxid{Epoch{2}, 1});
  }

  TEST_CASE("rewind: below the last delivered transaction -> aborts") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    m.set_delivered(in_first(2));

    CHECK(aborts([&] {
      m.log->rewind(in_first(1), all[0]);
      m.run();
    }));
    CHECK(m.rewind(in_first(2), all[1]));
  }

  TEST_CASE("append: what does not continue the log -> aborts") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200}));
    (void)m.maker.batch(10);
    const Slice gap = m.maker.batch(10);

    CHECK(aborts([&] { m.log->append(gap); }));
  }

  TEST_CASE("rewind: an error while creating the segment -> fail-stop, the old history stands") {
    for (const MemoryDisk::Operation operation :
         {MemoryDisk::Operation::create, MemoryDisk::Operation::write, MemoryDisk::Operation::sync,
          MemoryDisk::Operation::sync_directory}) {
      Machine m;
      m.start();
      m.write(m.maker.group({100, 200, 300}));
      const std::vector<Digest> all = digests_of(m.read_everything());
      m.disk.fail(operation, EIO);

      m.log->rewind(in_first(1), all[0]);
      m.run();

      CHECK(m.failure_told);
      CHECK(m.rewound_told.empty());
      MemoryDisk copy(m.disk.state());
      copy.lose_power(MemoryDisk::nothing());
      CHECK(look_at(copy.state()).digests == all);
    }
  }

  TEST_CASE("rewind: no space for the segment -> waits in no_space, and ends by itself") {
    Machine m;
    m.options.min_free_bytes = 1;
    m.start();
    m.write(m.maker.group({100, 200, 300}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    m.disk.set_capacity(m.disk.content("00000001.seg").size() + 100);

    m.log->rewind(in_first(1), all[0]);
    m.run();
    CHECK(m.rewound_told.empty());
    CHECK(m.log->no_space());
    CHECK_FALSE(m.failure_told);
    CHECK(m.disk.names() == std::vector<std::string>{"00000001.seg"});
    m.tick(5000);
    m.run();
    CHECK(m.rewound_told.empty());

    m.disk.set_capacity(1 << 20);
    m.tick(5000);
    m.run();

    CHECK(m.rewound_told == std::vector{true});
    CHECK_FALSE(m.log->no_space());
    CHECK(digests_of(m.read_everything()) == first_of(all, 1));
  }

  TEST_CASE("rewind: a read is under way -> it does not return what was cut") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 200, 300, 400}));
    const std::vector<Digest> all = digests_of(m.read_everything());
    std::optional<ReadResult> answer;
    m.log->rewind(in_first(2), all[1]);
    REQUIRE(m.disk.step_reader());  // the cut's own look-up

    m.log->read_cold(After{Zxid{}}, no_end, 1 << 20, [&](ReadResult r) { answer = std::move(r); });
    while (m.disk.step_writer()) {
    }
    CHECK(m.log->last().zxid == in_first(2));
    CHECK_FALSE(answer);
    m.run();

    REQUIRE(answer);
    CHECK(digests_of(headers_of(*answer)) == first_of(all, 2));
  }
}

}  // namespace
}  // namespace zabmq::storage
