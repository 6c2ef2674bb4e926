// Torn writes: a crash interrupts the last write. Whatever of it is left, the history ends in front
// of what is missing, nothing before is touched, and the server goes on.
#include <doctest/doctest.h>

#include <algorithm>

#include "machine.hpp"
#include "storage/mark.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

const std::string first_segment = "00000001.seg";

struct Scene {
  MemoryDisk::State synced;              // two groups are durable
  std::vector<Digest> base;              // their records
  std::vector<std::byte> before, after;  // the file without and with the last group
  std::uint64_t begin = 0, end = 0;      // of the last group's write
  std::vector<RecordHeader> last_group;
  MemoryDisk::State unsynced;  // the last group is in the page cache
};

// `spare`: the segment was written ahead with zeros, so the file does not grow.
Scene make_scene(const std::vector<std::uint32_t>& sizes, bool spare) {
  LogOptions options = small_options();
  if (spare) options.spare_segments = 1;
  Machine m(options);
  if (spare) m.disk.set_content("spare-1", std::vector<std::byte>(options.segment_size));
  m.start();
  m.write(m.maker.group({100, 50}));
  m.write(m.maker.group({70}));
  Scene scene;
  scene.synced = m.disk.state();
  const Found found = look_at(scene.synced);
  scene.base = found.digests;
  scene.begin = found.files.chain.back().end;
  scene.before = m.disk.content(first_segment);
  const Slice group = m.maker.group(sizes);
  scene.last_group = headers_of(group.bytes());
  scene.end = scene.begin + mark_size + group.size();
  m.append(group);
  REQUIRE(m.disk.step_writer());  // written, not synced
  REQUIRE(m.durable_told.size() == 2);
  scene.unsynced = m.disk.state();
  scene.after = m.disk.content(first_segment);
  return scene;
}

// How many records of the last group lie whole in `content`.
std::size_t whole_records(const Scene& scene, const std::vector<std::byte>& content) {
  const auto same = [&](std::uint64_t begin, std::size_t size) {
    return begin + size <= content.size() &&
           std::equal(content.begin() + static_cast<std::ptrdiff_t>(begin),
                      content.begin() + static_cast<std::ptrdiff_t>(begin + size),
                      scene.after.begin() + static_cast<std::ptrdiff_t>(begin));
  };
  std::uint64_t position = scene.begin + mark_size;
  if (!same(scene.begin, mark_size)) return 0;
  std::size_t count = 0;
  for (const RecordHeader& header : scene.last_group) {
    const std::size_t size = record_size(header.body_size);
    if (!same(position, size)) break;
    position += size;
    ++count;
  }
  return count;
}

std::vector<Digest> expected_digests(const Scene& scene, std::size_t kept) {
  std::vector<Digest> digests = scene.base;
  for (std::size_t i = 0; i < kept; ++i) digests.push_back(scene.last_group[i].checksum);
  return digests;
}

// Starts on `state`, which must hold `expected`; goes on writing; everything is there afterwards.
void check_start(const MemoryDisk::State& state, const std::vector<Digest>& expected) {
  const Found found = look_at(state);
  INFO((found.failure ? found.failure->text : ""));
  REQUIRE_FALSE(found.failure);
  REQUIRE(found.digests == expected);

  Machine m(state);
  m.start();
  REQUIRE(digests_of(m.read_everything()) == expected);

  // recover(recover(d)) == recover(d), and the second one changes nothing.
  const MemoryDisk::State repaired = m.disk.state();
  const Found again = look_at(repaired);
  REQUIRE(again.digests == expected);
  REQUIRE_FALSE(again.history.torn);
  REQUIRE(again.history.last.digest == found.history.last.digest);
  REQUIRE(again.history.ends == found.history.ends);
  m.restart();
  REQUIRE(m.disk.content(first_segment) ==
          repaired.files.at(repaired.live.at(first_segment)).cache);

  std::vector<Digest> all = expected;
  const Slice more = m.maker.group({40});
  all.push_back(headers_of(more.bytes()).front().checksum);
  m.write(more);
  m.restart_after_power_loss(MemoryDisk::nothing());
  REQUIRE(digests_of(m.read_everything()) == all);
}

TEST_SUITE("storage/torn") {
  TEST_CASE(
      "ZOOKEEPER-596, J4, scenario 72 L-torn: cut off at every byte -> the whole records in front "
      "of the cut, nothing else") {
    const Scene scene = make_scene({90, 30, 200}, false);

    for (std::uint64_t cut = scene.begin; cut <= scene.end; ++cut) {
      CAPTURE(cut);
      std::vector<std::byte> content = scene.after;
      content.resize(static_cast<std::size_t>(cut));
      const std::size_t kept = whole_records(scene, content);
      MemoryDisk disk(scene.synced);
      disk.set_content(first_segment, content);
      check_start(disk.state(), expected_digests(scene, kept));
    }
  }

  TEST_CASE("ZOOKEEPER-2249: zeros or old bytes from every byte on -> likewise") {
    const Scene scene = make_scene({90, 30}, true);

    for (const std::byte filler : {std::byte{0}, std::byte{0xff}}) {
      for (std::uint64_t cut = scene.begin; cut <= scene.end; ++cut) {
        CAPTURE(cut);
        std::vector<std::byte> content = scene.after;
        std::fill(content.begin() + static_cast<std::ptrdiff_t>(cut),
                  content.begin() + static_cast<std::ptrdiff_t>(scene.end), filler);
        MemoryDisk disk(scene.synced);
        disk.set_content(first_segment, content);
        const Found found = look_at(disk.state());
        REQUIRE_FALSE(found.failure);
        const std::size_t kept = whole_records(scene, content);
        REQUIRE(found.digests == expected_digests(scene, kept));
      }
    }
  }

  TEST_CASE("torn tail: any subset of sectors of the last group -> the prefix that is whole") {
    for (const bool spare : {false, true}) {
      const Scene scene = make_scene({600, 100, 100, 900, 10, 700}, spare);
      const std::size_t sectors = MemoryDisk(scene.unsynced).dirty_sectors().size();
      REQUIRE(sectors >= 5);
      REQUIRE(sectors <= 10);

      std::set<std::size_t> seen;
      for (std::size_t subset = 0; subset < (std::size_t{1} << sectors); ++subset) {
        CAPTURE(subset);
        MemoryDisk disk(scene.unsynced);
        disk.lose_power({[&](std::size_t s) { return (subset >> s & 1) != 0; }, 0});
        const std::size_t kept = whole_records(scene, disk.content(first_segment));
        seen.insert(kept);
        if (spare) {
          const Found found = look_at(disk.state());
          REQUIRE_FALSE(found.failure);
          REQUIRE(found.digests == expected_digests(scene, kept));
        } else {
          check_start(disk.state(), expected_digests(scene, kept));
        }
      }
      CHECK(seen.count(0) == 1);
      CHECK(seen.count(scene.last_group.size()) == 1);
      CHECK(seen.size() >= 3);
    }
  }

  TEST_CASE("torn tail: reported with file and position") {
    const Scene scene = make_scene({90, 30, 200}, false);
    std::vector<std::byte> content = scene.after;
    content.resize(static_cast<std::size_t>(scene.end - 8));
    MemoryDisk disk(scene.synced);
    disk.set_content(first_segment, content);

    const Found found = look_at(disk.state());

    REQUIRE(found.history.torn);
    CHECK(found.history.torn->file == first_segment);
    CHECK(found.history.torn->position == found.files.chain.back().end);
    CHECK_FALSE(look_at(scene.synced).history.torn);
  }

  TEST_CASE(
      "leftovers: a torn write, then a shorter append of other records -> only the new ones") {
    const Scene scene = make_scene({600, 100, 100, 900}, false);
    // Everything but the first sector of the write survives.
    MemoryDisk disk(scene.unsynced);
    disk.lose_power({[](std::size_t s) { return s != 0; }, 0});
    Machine m(disk.state());
    m.start();
    REQUIRE(digests_of(m.read_everything()) == scene.base);
    m.maker.begin_epoch(Epoch{2});

    m.write(m.maker.batch(20));
    m.restart_after_power_loss(MemoryDisk::nothing());

    std::vector<Digest> expected = scene.base;
    expected.push_back(m.log->last().digest);
    CHECK(m.log->last().zxid == Zxid{Epoch{2}, 1});
    CHECK(digests_of(m.read_everything()) == expected);
  }

  TEST_CASE(
      "leftovers: the same records again, fewer of them -> the old ones behind do not come back") {
    // The mark is lost, the third and fourth record survive at their places. The leader then sends
    // the first two again, byte for byte: without erasing, the third would continue them.
    const Scene scene = make_scene({600, 700, 100, 900}, false);
    MemoryDisk disk(scene.unsynced);
    disk.lose_power({[](std::size_t s) { return s != 0; }, 0});
    Machine m(disk.state());
    m.start();
    REQUIRE(digests_of(m.read_everything()) == scene.base);
    const auto record = [&](std::uint64_t position, const RecordHeader& header) {
      const auto begin = scene.after.begin() + static_cast<std::ptrdiff_t>(position);
      auto bytes = std::make_shared<std::vector<std::byte>>(
          begin, begin + static_cast<std::ptrdiff_t>(record_size(header.body_size)));
      return Slice(bytes, *bytes);
    };
    const std::uint64_t at = scene.begin + mark_size;
    const Slice one = record(at, scene.last_group[0]);
    const Slice two = record(at + one.size(), scene.last_group[1]);

    m.write(joined({one, two}));
    m.restart_after_power_loss(MemoryDisk::nothing());

    CHECK(digests_of(m.read_everything()) == expected_digests(scene, 2));
  }

  TEST_CASE(
      "ZOOKEEPER-2332, scenario 74 L-empty-tail: empty last segment -> legal, the history ends "
      "with the one before") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 50}));
    const Found before = look_at(m.disk.state());
    SegmentHeader header = before.files.chain.back().header;
    header.number = 2;
    header.continues = 1;
    header.takes_over_at = before.files.chain.back().end;
    header.before = before.history.last;
    std::vector<std::byte> page(segment_header_size);
    encode_segment_header(header, std::span(page).first<segment_header_size>());
    m.kill();
    m.disk.crash_process();
    m.disk.set_content("00000002.seg", page);

    m.start();

    CHECK(m.log->recovered().segments == 2);
    CHECK(m.log->last().digest == before.history.last.digest);
    m.write(m.maker.group({70, 80}));
    CHECK(m.disk.content("00000002.seg").size() > segment_header_size + 150);
    m.restart_after_power_loss(MemoryDisk::nothing());
    CHECK(m.read_everything().size() == 4);
  }

  TEST_CASE("segment: an empty file, a partial header, a page of zeros -> never created, removed") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{100}, segment_header_size}) {
      Machine m;
      m.start();
      m.write(m.maker.group({100, 50}));
      m.kill();
      m.disk.crash_process();
      m.disk.set_content("00000002.seg", std::vector<std::byte>(size));

      m.start();

      CHECK(m.log->last().zxid == Zxid{Epoch{1}, 2});
      CHECK(m.disk.names() == std::vector<std::string>{first_segment});
    }
  }
}

}  // namespace
}  // namespace zabmq::storage
