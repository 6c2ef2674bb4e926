// Corruption: bytes that were synced and are no longer what they were. Never cut off, never
// repaired: the start is refused with file, position and transaction.
#include <doctest/doctest.h>

#include <cerrno>

#include "machine.hpp"
#include "storage/mark.hpp"

namespace zabmq::storage {
namespace {

using sim::MemoryDisk;

const std::string first_segment = "00000001.seg";
const std::string second_segment = "00000002.seg";

// Three groups and a mark behind them.
MemoryDisk::State three_groups() {
  Machine m;
  m.start();
  for (int i = 0; i < 3; ++i) m.write(m.maker.group({100, 51}));
  m.tick(100);
  m.run();
  return m.disk.state();
}

// Two segments, the second with records and a last mark.
MemoryDisk::State two_segments() {
  Machine m;
  m.start();
  while (m.disk.names().size() < 2) m.write(m.maker.group({3000, 3000}));
  m.write(m.maker.batch(100));
  m.tick(100);
  m.run();
  return m.disk.state();
}

StartFailure corruption_after_flip(const MemoryDisk::State& state, const std::string& name,
                                   std::uint64_t position, unsigned bit) {
  MemoryDisk disk(state);
  disk.flip_bit(name, position, bit);
  const Found found = look_at(disk.state());
  CAPTURE(position);
  REQUIRE(found.failure);
  REQUIRE(found.failure->kind == StartFailure::Kind::corrupt);
  REQUIRE(found.failure->damage);
  return *found.failure;
}

TEST_SUITE("storage/corruption") {
  TEST_CASE(
      "scenario 73 L-mid-corrupt: any byte of a record or mark with a later mark -> refused, where "
      "it is") {
    const MemoryDisk::State state = three_groups();
    const Found clean = look_at(state);
    const std::uint64_t last_mark = clean.files.last_write;

    std::size_t before_first = 0;
    for (std::uint64_t p = segment_header_size; p < last_mark; ++p) {
      const StartFailure failure =
          corruption_after_flip(state, first_segment, p, static_cast<unsigned>(p % 8));
      REQUIRE(failure.damage->file == first_segment);
      REQUIRE(failure.damage->position <= p);
      REQUIRE(p - failure.damage->position < record_size(100));
      if (is_none(failure.damage->behind)) ++before_first;
      REQUIRE(failure.text.find(first_segment) != std::string::npos);
      REQUIRE(failure.text.find(std::to_string(failure.damage->position)) != std::string::npos);
      REQUIRE(failure.text.find(to_string(failure.damage->behind)) != std::string::npos);
    }
    CHECK(before_first == mark_size + record_size(100));  // the first mark and record
  }

  TEST_CASE(
      "corrupt: a flipped bit in the last, unproven write -> torn, as a crash leaves it too") {
    Machine m;
    m.start();
    for (int i = 0; i < 3; ++i) m.write(m.maker.group({100, 51}));
    const Found clean = look_at(m.disk.state());
    const std::uint64_t end = clean.files.chain.back().end;

    for (std::uint64_t p = clean.files.last_write; p < end; ++p) {
      MemoryDisk disk(m.disk.state());
      disk.flip_bit(first_segment, p, 3);
      const Found found = look_at(disk.state());
      CAPTURE(p);
      REQUIRE_FALSE(found.failure);
      REQUIRE(found.history.torn);
      REQUIRE(found.history.records >= 4);
      REQUIRE(found.history.records < 6);
    }
  }

  TEST_CASE("corrupt: any byte of a segment header with a mark behind -> refused") {
    const MemoryDisk::State state = two_segments();

    for (const std::string& name : {first_segment, second_segment}) {
      for (std::uint64_t p = 0; p < segment_header_size; p += p < 160 || p >= 4064 ? 1 : 61) {
        const StartFailure failure = corruption_after_flip(state, name, p, 5);
        REQUIRE(failure.damage->file == name);
      }
    }
  }

  TEST_CASE("corrupt: the header of a segment made by a cut -> refused, the cut is not undone") {
    Machine m;
    m.start();
    m.write(m.maker.group({100, 51, 70}));
    const Digest digest = m.read_everything()[1].checksum;
    REQUIRE(m.rewind({Epoch{1}, 2}, digest));

    const StartFailure failure = corruption_after_flip(m.disk.state(), second_segment, 24, 1);

    CHECK(failure.damage->file == second_segment);
  }

  TEST_CASE("corrupt: any byte of an older segment -> refused, even without a later mark in it") {
    const MemoryDisk::State state = two_segments();
    const std::uint64_t end = look_at(state).files.chain.front().end;

    for (std::uint64_t p = segment_header_size; p < end; p += 509)
      CHECK(corruption_after_flip(state, first_segment, p, 0).damage->file == first_segment);
    CHECK(corruption_after_flip(state, first_segment, end - 1, 0).damage->position <= end);
  }

  TEST_CASE("ZOOKEEPER-2325, 3056, 3644: an older segment is missing or short -> refused by name") {
    const MemoryDisk::State state = two_segments();
    MemoryDisk::State gone = state;
    gone.live.erase(first_segment);
    MemoryDisk cut(state);
    std::vector<std::byte> content = cut.content(first_segment);
    content.resize(content.size() - 100);
    cut.set_content(first_segment, content);

    for (const MemoryDisk::State& damaged : {gone, cut.state()}) {
      const Found found = look_at(damaged);
      REQUIRE(found.failure);
      CHECK(found.failure->kind == StartFailure::Kind::corrupt);
      CHECK(found.failure->damage->file == first_segment);
    }
  }

  TEST_CASE("corrupt: a segment put in the place of another -> refused") {
    Machine m;
    m.start();
    while (m.disk.names().size() < 4) m.write(m.maker.group({3000, 3000}));
    MemoryDisk disk(m.disk.state());
    disk.set_content(second_segment, disk.content("00000003.seg"));

    const Found found = look_at(disk.state());

    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    CHECK(found.failure->damage->file == second_segment);
  }

  TEST_CASE("corrupt: a valid record that belongs elsewhere -> refused at start and by a read") {
    // A misdirected write: the bytes check by themselves, but they do not continue the chain.
    Machine m;
    m.start();
    for (int i = 0; i < 30; ++i) m.write(m.maker.group({1000}));
    const Found clean = look_at(m.disk.state());
    const std::uint64_t p = clean.files.chain.front().waypoints.at(3).position;
    const std::vector<std::byte>& content = m.disk.content(first_segment);
    REQUIRE(parse_record(Bytes{content}.subspan(p)));
    LastRecord elsewhere = clean.files.chain.front().waypoints.at(3).before;
    elsewhere.digest = Digest{7};
    const Slice other = RecordMaker(elsewhere).group({1000});
    std::vector<std::byte> changed = content;
    std::copy(other.bytes().begin(), other.bytes().end(),
              changed.begin() + static_cast<std::ptrdiff_t>(p));
    m.disk.set_content(first_segment, changed);

    const Found found = look_at(m.disk.state());
    REQUIRE(found.failure);
    CHECK(found.failure->damage->position == p);
    m.log->read_cold(After{Zxid{}}, no_end, 1 << 20, [](ReadResult) {});
    m.run();
    REQUIRE(m.failure_told);
    CHECK(m.failure_told->text.find("byte " + std::to_string(p)) != std::string::npos);
  }

  TEST_CASE("corrupt: a segment that continues another history -> refused") {
    const MemoryDisk::State state = two_segments();
    MemoryDisk disk(state);
    std::vector<std::byte> content = disk.content(second_segment);
    SegmentHeader header = parse_segment_header(content).header;
    header.before.digest = Digest{7};
    encode_segment_header(header, std::span(content).first<segment_header_size>());
    disk.set_content(second_segment, content);

    const Found found = look_at(disk.state());

    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    CHECK(found.failure->text.find("chain digest") != std::string::npos);
  }

  TEST_CASE("corrupt: a payload that imitates a mark, in a torn write -> still torn") {
    // The publisher knows segment and position, and sends a well-formed mark for the place where it
    // will lie. The crash then destroys the record's header.
    Machine m;
    m.start();
    m.write(m.maker.group({100}));
    const std::uint64_t begin = look_at(m.disk.state()).files.chain.back().end;
    const std::uint64_t body = begin + mark_size + record_header_size;
    std::vector<std::byte> bytes(record_header_size + mark_size);
    encode_mark({1, body, {}, Digest{1234}},
                std::span(bytes).subspan<record_header_size, mark_size>());
    RecordHeader header;
    header.kind = RecordKind::batch;
    header.count = 1;
    header.body_size = mark_size;
    header.zxid = {Epoch{1}, 2};
    header.base_offset = 2;
    header.body_checksum = checksum(Bytes{bytes}.subspan(record_header_size));
    header.previous = m.log->last().digest;
    encode_header(header, std::span(bytes).first<record_header_size>());
    auto owner = std::make_shared<std::vector<std::byte>>(bytes);
    m.write(Slice(owner, *owner));
    REQUIRE(parse_mark(Bytes{m.disk.content(first_segment)}.subspan(body)));
    m.disk.flip_bit(first_segment, begin + mark_size + 3, 1);

    const Found found = look_at(m.disk.state());

    CHECK_FALSE(found.failure);
    CHECK(found.history.torn);
    CHECK(found.history.records == 1);
  }

  TEST_CASE("corrupt: met by a later read -> fail-stop, final, the read is not answered") {
    Machine m;
    m.start();
    for (int i = 0; i < 30; ++i) m.write(m.maker.group({1000, 1000}));
    const Found clean = look_at(m.disk.state());
    const std::uint64_t p = clean.files.chain.front().waypoints.at(2).position + 300;
    m.disk.flip_bit(first_segment, p, 2);
    bool answered = false;

    m.log->read_cold(After{Zxid{}}, no_end, 1 << 20, [&](ReadResult) { answered = true; });
    m.run();

    CHECK_FALSE(answered);
    REQUIRE(m.failure_told);
    CHECK(m.failure_told->corrupt);
    CHECK(m.failure_told->text.find(first_segment) != std::string::npos);
    CHECK(m.failure_told->text.find("transaction 1.") != std::string::npos);
    m.durable_told.clear();
    m.append(m.maker.batch(10));
    m.run();
    CHECK(m.durable_told.empty());
  }

  TEST_CASE("corrupt: a read that fails -> fail-stop as for damaged bytes") {
    Machine m;
    m.start();
    for (int i = 0; i < 30; ++i) m.write(m.maker.group({1000, 1000}));
    m.disk.fail(MemoryDisk::Operation::read, EIO);

    m.log->read_cold(After{Zxid{}}, no_end, 1 << 20, [](ReadResult) {});
    m.run();

    REQUIRE(m.failure_told);
    CHECK(m.failure_told->corrupt);
    CHECK(m.failure_told->text.find("Input/output error") != std::string::npos);
  }

  TEST_CASE("corrupt: a delivered point that is no transaction of the history -> never believed") {
    // No checksum tells: such bytes were written by a program with a bug. A server that started
    // with them would believe in a delivery that cannot have been.
    Machine m;
    m.start();
    m.write(m.maker.group({100}));
    m.maker.begin_epoch(Epoch{3});
    m.write(m.maker.group({100}));
    const Found clean = look_at(m.disk.state());
    const std::uint64_t at = clean.files.last_write;
    std::vector<std::byte> content = m.disk.content(first_segment);
    const SegmentHeader header = parse_segment_header(content).header;

    for (const Zxid z : {Zxid{Epoch{1}, 2}, Zxid{Epoch{2}, 1}, Zxid{Epoch{1}, 0}}) {
      CAPTURE(to_string(z));
      encode_mark({1, at, z, header.checksum},
                  std::span(content).subspan(static_cast<std::size_t>(at)).first<mark_size>());
      MemoryDisk disk(m.disk.state());
      disk.set_content(first_segment, content);
      const Found found = look_at(disk.state());
      CHECK(is_none(found.history.delivered));
      CHECK(found.history.records == 1);
    }
    SegmentHeader early = header;
    early.delivered = {Epoch{1}, 1};
    encode_segment_header(early, std::span(content).first<segment_header_size>());
    MemoryDisk disk(m.disk.state());
    disk.set_content(first_segment, content);
    const Found found = look_at(disk.state());
    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::corrupt);
    CHECK(found.failure->text.find("was delivered") != std::string::npos);
  }

  TEST_CASE(
      "scenario 80 L-foreign-disk: another cluster's, history's or server's segments -> refused "
      "with both values") {
    const MemoryDisk::State state = three_groups();
    Uuid other;
    other.bytes[0] = std::byte{0xee};
    const auto refused = [&](LogOptions options, const std::string& theirs,
                             const std::string& ours) {
      const Found found = look_at(state, options);
      REQUIRE(found.failure);
      CHECK(found.failure->kind == StartFailure::Kind::foreign);
      CHECK(found.failure->text.find(theirs) != std::string::npos);
      CHECK(found.failure->text.find(ours) != std::string::npos);
    };
    LogOptions options = small_options();
    options.cluster = other;
    refused(options, to_string(test_cluster), to_string(other));
    options = small_options();
    options.history = other;
    refused(options, to_string(test_history), to_string(other));
    options = small_options();
    options.server = ServerId{9};
    refused(options, "server 3", "server 9");
  }

  TEST_CASE("newer: a segment of a newer format version -> refused with both values") {
    MemoryDisk disk(three_groups());
    std::vector<std::byte> content = disk.content(first_segment);
    content[4] = std::byte{2};
    const Digest sum = checksum(Bytes{content}.first(segment_header_size - 8));
    std::memcpy(content.data() + segment_header_size - 8, &sum, sizeof sum);
    disk.set_content(first_segment, content);

    const Found found = look_at(disk.state());

    REQUIRE(found.failure);
    CHECK(found.failure->kind == StartFailure::Kind::newer_version);
    CHECK(found.failure->text.find("version 2") != std::string::npos);
    CHECK(found.failure->text.find("knows 1") != std::string::npos);
  }
}

}  // namespace
}  // namespace zabmq::storage
