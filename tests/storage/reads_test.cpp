// Reads: hot and cold ones give the same records, whole, verified and in order.
#include <doctest/doctest.h>

#include <algorithm>

#include "machine.hpp"
#include "storage/mark.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

std::size_t size_of(const ReadResult& result) {
  std::size_t size = 0;
  for (const Slice& slice : result.slices) size += slice.size();
  return size;
}

// Batches of one to five messages and no-ops, over several epochs and segments.
std::vector<RecordHeader> fill(Machine& m) {
  for (std::uint32_t i = 0; i < 160; ++i) {
    if (i == 50 || i == 51 || i == 120) m.maker.begin_epoch(Epoch{i});
    m.append(i % 7 == 0 ? m.maker.no_op() : m.maker.batch(i * 37 % 2500, 1 + i % 5));
    if (i % 3 == 0) m.run();
  }
  m.run();
  return m.read_everything(1);
}

// What a read must give, from the whole history.
std::vector<Digest> expected(const std::vector<RecordHeader>& all, const ReadFrom& from, Zxid up_to,
                             std::size_t max_bytes) {
  std::vector<Digest> digests;
  std::size_t bytes = 0;
  for (const RecordHeader& h : all) {
    bool begun = false;
    if (const auto* a = std::get_if<After>(&from)) begun = h.zxid > a->zxid;
    if (const auto* f = std::get_if<FromZxid>(&from)) begun = h.zxid >= f->zxid;
    if (const auto* t = std::get_if<FromTime>(&from)) begun = h.time >= t->time;
    if (const auto* o = std::get_if<AtOffset>(&from))
      begun = !digests.empty() || (h.kind == RecordKind::batch && h.end_offset() >= o->offset);
    if (!begun) continue;
    bytes += record_size(h.body_size);
    if (h.zxid > up_to || (!digests.empty() && bytes > max_bytes)) break;
    digests.push_back(h.checksum);
  }
  return digests;
}

TEST_SUITE("storage/reads") {
  TEST_CASE("read: any beginning, end and size, hot or cold -> the records of the history there") {
    Machine m;
    m.start();
    const std::vector<RecordHeader> all = fill(m);
    REQUIRE(all.size() == 160);
    REQUIRE(m.disk.names().size() >= 3);

    std::size_t hot_count = 0;
    std::size_t cold_count = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Zxid up_to = all[std::min(i + i % 9, all.size() - 1)].zxid;
      const Zxid before = i == 0 ? Zxid{} : all[i - 1].zxid;
      const std::size_t max_bytes = i % 4 == 0 ? 1 : i * 53;
      for (const ReadFrom& from : {ReadFrom{After{before}}, ReadFrom{FromZxid{all[i].zxid}},
                                   ReadFrom{FromTime{all[i].time}},
                                   ReadFrom{AtOffset{std::max<Offset>(1, all[i].base_offset)}},
                                   ReadFrom{AtOffset{std::max<Offset>(1, all[i].end_offset())}}}) {
        CAPTURE(i);
        CAPTURE(from.index());
        const std::vector<Digest> want = expected(all, from, up_to, max_bytes);
        const ReadResult cold = m.read_cold(from, up_to, max_bytes);
        // A read may return less than allowed, but not nothing, and no hole.
        std::vector<Digest> got = digests_of(headers_of(cold));
        REQUIRE(got.size() <= want.size());
        REQUIRE(got.empty() == want.empty());
        REQUIRE(std::equal(got.begin(), got.end(), want.begin()));
        if (!got.empty()) REQUIRE(cold.last == headers_of(cold).back().zxid);
        ++cold_count;
        if (const auto hot = m.log->read_hot(from, up_to, max_bytes)) {
          REQUIRE(digests_of(headers_of(*hot)) == want);
          if (!want.empty()) REQUIRE(hot->last == headers_of(*hot).back().zxid);
          ++hot_count;
        }
      }
    }
    CHECK(hot_count > 20);
    CHECK(hot_count < cold_count / 2);
  }

  TEST_CASE("read: a zxid between two epochs -> begins with the first record of the later one") {
    Machine m;
    m.start();
    m.write(m.maker.group({10, 20}));
    m.maker.begin_epoch(Epoch{5});
    m.write(m.maker.group({30, 40}));

    for (const Zxid z : {Zxid{Epoch{1}, 3}, Zxid{Epoch{3}, 1}, Zxid{Epoch{5}, 0}}) {
      const auto hot = m.log->read_hot(FromZxid{z}, no_end, 1 << 20);
      REQUIRE(hot);
      CHECK(headers_of(*hot).front().zxid == Zxid{Epoch{5}, 1});
      CHECK(headers_of(m.read_cold(FromZxid{z}, no_end, 1 << 20)).front().zxid ==
            Zxid{Epoch{5}, 1});
    }
  }

  TEST_CASE("read: at or beyond the end, or of an empty log -> empty, not an error") {
    Machine m;
    m.start();
    CHECK(m.log->read_hot(After{Zxid{}}, no_end, 100)->slices.empty());
    CHECK(m.log->read_hot(AtOffset{1}, no_end, 100)->slices.empty());
    CHECK(m.read_cold(After{Zxid{}}, no_end, 100).slices.empty());

    m.write(m.maker.group({10, 20}));

    CHECK(m.log->read_hot(After{m.log->last().zxid}, no_end, 100)->slices.empty());
    CHECK(m.log->read_hot(AtOffset{3}, no_end, 100)->slices.empty());
    CHECK(m.read_cold(After{m.log->last().zxid}, no_end, 100).slices.empty());
    CHECK(is_none(m.read_cold(FromZxid{Zxid{Epoch{9}, 1}}, no_end, 100).last));
  }

  // Taken for damage once, and a healthy server stopped: the simulator's seed 1795646611080.
  TEST_CASE("read cold: a chunk ends inside the last mark -> the records, and no damage") {
    Machine m;
    m.start();
    constexpr std::size_t records = 100;
    for (std::size_t i = 0; i < records; ++i) m.write(m.maker.batch(8, 1));
    m.tick(200);
    m.run();

    std::size_t all = 0;  // reads so long that they give everything, the mark whole, in part or not
    for (std::size_t max_bytes = 8; all <= mark_size / 8; max_bytes += 8) {
      CAPTURE(max_bytes);
      const std::size_t got = headers_of(m.read_cold(After{Zxid{}}, no_end, max_bytes)).size();
      REQUIRE(got > 0);
      if (got == records) ++all;
    }
  }

  TEST_CASE("read hot: zero copy -> the very memory that was appended") {
    Machine m;
    m.start();
    const Slice group = m.maker.group({100, 200, 300});
    m.append(group);

    const auto hot = m.log->read_hot(After{Zxid{Epoch{1}, 1}}, no_end, 1 << 20);

    REQUIRE(hot);
    REQUIRE(hot->slices.size() == 1);
    CHECK(hot->slices[0].bytes().data() == group.bytes().data() + record_size(100));
    CHECK(hot->slices[0].owner() == group.owner());
    m.run();
  }

  TEST_CASE("read cold: not on disk yet -> the records from memory, later") {
    Machine m;
    m.start();
    m.append(m.maker.group({100, 200}));
    std::optional<ReadResult> answer;

    m.log->read_cold(After{Zxid{}}, no_end, 1 << 20, [&](ReadResult r) { answer = std::move(r); });
    CHECK_FALSE(answer);
    REQUIRE(m.disk.step_reader());

    REQUIRE(answer);
    CHECK(headers_of(*answer).size() == 2);
    m.run();
  }

  TEST_CASE("read cold: a cursor that reads on -> begins where its last read ended") {
    Machine m;
    m.start();
    const std::vector<RecordHeader> all = fill(m);
    std::uint64_t stored = 0;
    for (const RecordHeader& header : all) stored += record_size(header.body_size);
    m.restart();  // without the memory of earlier reads

    for (const bool by_offset : {false, true}) {
      const std::uint64_t before = m.disk.bytes_read();
      Zxid after;
      for (std::size_t done = 0; done < all.size();) {
        ReadFrom from = After{after};
        if (by_offset && all[done].kind == RecordKind::batch)
          from = AtOffset{all[done].base_offset};
        const std::vector<RecordHeader> got = headers_of(m.read_cold(from, no_end, 4000));
        REQUIRE_FALSE(got.empty());
        for (const RecordHeader& header : got) REQUIRE(header == all[done++]);
        after = got.back().zxid;
      }
      // Pieces of 4000 bytes and up to 4 KiB behind each; 66 KiB more each time without the memory.
      CHECK(m.disk.bytes_read() - before < 4 * stored);
    }
  }

  TEST_CASE("tail cache: its bound -> kept, but never at the cost of what is not durable") {
    Machine m;
    m.start();
    for (int i = 0; i < 40; ++i) m.append(m.maker.batch(1000));
    CHECK(m.log->read_hot(After{Zxid{}}, no_end, 1 << 20));

    while (m.disk.step()) REQUIRE(m.log->read_hot(After{m.log->durable()}, no_end, 1 << 20));

    CHECK_FALSE(m.log->read_hot(After{Zxid{}}, no_end, 1 << 20));
    const auto hot = m.log->read_hot(After{Zxid{Epoch{1}, 30}}, no_end, 1 << 20);
    REQUIRE(hot);
    CHECK(size_of(*hot) == 10 * record_size(1000));
    CHECK(size_of(*m.log->read_hot(After{Zxid{Epoch{1}, 40 - 14}}, no_end, 1 << 20)) <=
          m.options.tail_cache_bytes);
  }

  TEST_CASE("digest: of any transaction, the floor, and none -> the chain's, or nothing") {
    Machine m;
    m.start();
    const std::vector<RecordHeader> all = fill(m);

    for (const RecordHeader& header : all) CHECK(m.digest_at(header.zxid) == header.checksum);
    CHECK(m.digest_at(Zxid{}) == Digest::none);
    CHECK_FALSE(m.digest_at(Zxid{Epoch{1}, 1000}));
    CHECK_FALSE(m.digest_at(Zxid{Epoch{40}, 1}));
    CHECK_FALSE(m.digest_at(Zxid{Epoch{1000}, 1}));
  }

  TEST_CASE("read: after a restart -> everything from disk, visited in order") {
    Machine m;
    m.start();
    const std::vector<RecordHeader> all = fill(m);

    m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(m.visited.records == all);
    CHECK(m.read_everything(5000) == all);
    CHECK(m.log->recovered().records == all.size());
    CHECK(m.log->recovered().last.offset == all.back().end_offset());
    CHECK(m.log->recovered().ends.size() == 4);
  }
}

}  // namespace
}  // namespace zabmq::storage
