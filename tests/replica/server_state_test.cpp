// Server state: what a snapshot keeps, and what recovery takes.
#include "replica/server_state.hpp"

#include <doctest/doctest.h>

#include "fakes.hpp"
#include "replica/records.hpp"

using namespace zabmq;
using namespace zabmq::testing;
using replica::ServerState;

namespace {

// A log of records that continue each other, as a leader would make it.
struct Log {
  RecordHeader batch(const Uuid& publisher, Sequence first, std::uint32_t count, LogTime time) {
    RecordHeader h = any(RecordKind::batch, time);
    h.publisher = publisher;
    h.instance = 1;
    h.first_sequence = first;
    h.count = count;
    h.base_offset = offset + 1;
    offset += count;
    return h;
  }
  RecordHeader any(RecordKind kind, LogTime time, std::uint8_t flags = 0) {
    RecordHeader h;
    h.kind = kind;
    h.flags = flags;
    h.zxid = {Epoch{1}, ++counter};
    h.base_offset = offset;
    h.time = time;
    h.checksum = Digest{counter};
    return h;
  }
  std::uint64_t counter = 0;
  Offset offset = 0;
};

const Uuid ann = make_uuid(1);
const Uuid ben = make_uuid(2);

storage::Snapshot snapshot_of(const ServerState& state) {
  storage::Snapshot snapshot;
  snapshot.at = state.last();
  const storage::LastRecord& retained = state.retained();
  snapshot.retained = {retained.zxid, retained.offset, retained.digest};
  snapshot.state = slice_of(state.encode());
  return snapshot;
}

}  // namespace

TEST_SUITE("replica/server_state") {
  TEST_CASE("recovery: records above the delivered point wait, and are left to delivery") {
    Log log;
    ServerState state;
    const RecordHeader first = log.batch(ann, 1, 1, 10);
    const RecordHeader second = log.batch(ann, 2, 1, 20);
    const RecordHeader third = log.batch(ann, 3, 1, 30);
    const RecordHeader fourth = log.batch(ann, 4, 1, 40);

    state.on_record(first, {});
    state.on_record(second, {});
    CHECK(state.delivered_offset() == 0);
    state.on_delivered(first.zxid);
    CHECK(state.delivered_offset() == 1);
    state.on_delivered(third.zxid);  // a mark that is ahead of what was read so far
    CHECK(state.delivered_offset() == 2);
    state.on_record(third, {});
    CHECK(state.delivered_offset() == 3);
    state.on_record(fourth, {});
    state.finish_recovery();

    CHECK(state.publishers().find(ann)->last_sequence == 3);
    state.deliver(fourth, {});
    CHECK(state.publishers().find(ann)->last_sequence == 4);
  }

  TEST_CASE("cursors: acknowledged, never back, removed") {
    Log log;
    ServerState state;
    const auto move = [&](const std::string& name, Offset offset, std::uint8_t flags = 0) {
      const Slice body = replica::cursor_body({name, offset});
      state.deliver(log.any(RecordKind::cursor, 10, flags), body.bytes());
    };
    CHECK(!state.cursors().slowest());
    move("billing", 7);
    move("audit", 3);
    move("billing", 5);

    CHECK(state.cursors().find("billing") == Offset{7});
    CHECK(state.cursors().slowest() == Offset{3});
    move("audit", 0, record_flag_close);
    CHECK(!state.cursors().find("audit"));
    CHECK(state.cursors().slowest() == Offset{7});
  }

  TEST_CASE("retained: moves forward, and never beyond the record that says so") {
    Log log;
    ServerState state;
    const auto floor = [&](std::uint64_t counter, Offset offset) {
      const Slice body = replica::floor_body({{Epoch{1}, counter}, offset, Digest{counter}, 5});
      state.deliver(log.any(RecordKind::floor, 10), body.bytes());
    };
    for (int i = 0; i < 4; ++i) state.deliver(log.batch(ann, 1, 1, 10), {});
    CHECK(state.first_offset() == 1);
    floor(3, 3);
    CHECK(state.first_offset() == 4);
    floor(2, 2);
    CHECK(state.first_offset() == 4);
    floor(100, 100);
    CHECK(state.first_offset() == 4);
  }

  TEST_CASE("snapshot: restored -> the same state, bytes and all, and it goes on the same") {
    Log log;
    ServerState state({4, 1000});
    for (Sequence s = 1; s <= 12; s += 2) {
      state.deliver(log.batch(ann, s, 2, 10 + s), {});
      state.deliver(log.batch(ben, s, 2, 10 + s), {});
    }
    state.deliver(log.any(RecordKind::cursor, 30),
                  replica::cursor_body({std::string("a\0b", 3), 9}).bytes());
    state.deliver(log.any(RecordKind::floor, 31),
                  replica::floor_body({{Epoch{1}, 2}, 4, Digest{2}, 11}).bytes());

    ServerState restored({4, 1000});
    REQUIRE(restored.restore(snapshot_of(state)));

    CHECK(restored.encode() == state.encode());
    CHECK(restored.delivered() == state.delivered());
    CHECK(restored.delivered_offset() == 24);
    CHECK(restored.delivered_time() == 31);
    CHECK(restored.first_offset() == 5);
    CHECK(restored.cursors() == state.cursors());
    const auto* publisher = restored.publishers().find(ann);
    REQUIRE(publisher);
    CHECK(publisher->receipts == state.publishers().find(ann)->receipts);
    const RecordHeader last = log.batch(ben, 13, 2, 2000);  // and ann expires by it
    state.deliver(last, {});
    restored.deliver(last, {});
    CHECK(restored.encode() == state.encode());
    CHECK(!restored.publishers().find(ann));
  }

  TEST_CASE("snapshot: cut short, longer or of another version -> refused, nothing changed") {
    Log log;
    ServerState state;
    state.deliver(log.batch(ann, 1, 2, 10), {});
    state.deliver(log.any(RecordKind::cursor, 30), replica::cursor_body({"c", 1}).bytes());
    const storage::Snapshot whole = snapshot_of(state);
    for (std::size_t size = 0; size < whole.state.size(); ++size) {
      storage::Snapshot cut = whole;
      cut.state = whole.state.sub(0, size);
      ServerState restored;
      REQUIRE_FALSE(restored.restore(cut));
      REQUIRE(is_none(restored.delivered()));
    }
    std::vector<std::byte> bytes = state.encode();
    bytes.push_back(std::byte{0});
    storage::Snapshot changed = whole;
    changed.state = slice_of(bytes);
    CHECK_FALSE(ServerState().restore(changed));
    bytes.pop_back();
    bytes[1] = std::byte{2};  // the version
    changed.state = slice_of(bytes);
    CHECK_FALSE(ServerState().restore(changed));
  }

  TEST_CASE("snapshot: of more receipts than are kept here -> refused") {
    Log log;
    ServerState state({8, 1000});
    for (Sequence s = 1; s <= 8; ++s) state.deliver(log.batch(ann, s, 1, 10), {});
    ServerState fewer({4, 1000});
    CHECK_FALSE(fewer.restore(snapshot_of(state)));
  }
}
