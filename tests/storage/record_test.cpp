// Record: golden bytes of version 1, and what a parser must refuse.
#include "zabmq/record.hpp"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <cstring>

#include "golden.hpp"

namespace zabmq::storage {
namespace {

const std::string golden =
    "5a42523101100100050000000100000007000000000000002a00000000000000"
    "d204000000000000bc9a785634120600404142434445464748494a4b4c4d4e4f"
    "03000000000000001100000000000000fffffffffffffffffddc625c55e85595"
    "a8a7a6a5a4a3a2a1000000000000000000000000000000006b113f89830988d2"
    "68656c6c6f000000";

RecordHeader golden_header() {
  RecordHeader h;
  h.kind = RecordKind::batch;
  h.body_size = 5;
  h.count = 1;
  h.zxid = {Epoch{7}, 42};
  h.base_offset = 1234;
  h.time = 0x0006'1234'5678'9abc;
  h.publisher = uuid_from(0x40);
  h.instance = 3;
  h.first_sequence = 17;
  h.body_checksum = Digest{XXH3_64bits("hello", 5)};
  h.previous = Digest{0xa1a2'a3a4'a5a6'a7a8};
  h.checksum = Digest{0xd288'0983'893f'116b};
  return h;
}

TEST_SUITE("storage/record") {
  TEST_CASE("record: encoded -> the golden bytes of version 1") {
    std::vector<std::byte> bytes(record_size(5));
    const Digest digest =
        encode_header(golden_header(), std::span(bytes).first<record_header_size>());
    std::memcpy(bytes.data() + record_header_size, "hello", 5);

    CHECK(to_hex(bytes) == golden);
    CHECK(digest == golden_header().checksum);
    CHECK(digest == Digest{XXH3_64bits(bytes.data(), 120)});
  }

  TEST_CASE("record: the golden bytes of version 1 -> every field") {
    const auto parsed = parse_record(from_hex(golden));

    REQUIRE(parsed);
    CHECK(*parsed == golden_header());
    CHECK(parsed->end_offset() == 1234);
  }

  TEST_CASE("record: any flipped bit -> refused") {
    const std::vector<std::byte> good = from_hex(golden);
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      CAPTURE(bit);
      CHECK_FALSE(parse_record(bad));
    }
  }

  TEST_CASE("record: cut short anywhere -> refused, without reading past the end") {
    const std::vector<std::byte> good = from_hex(golden);
    for (std::size_t size = 0; size < good.size(); ++size) {
      const std::vector<std::byte> part(good.begin(),
                                        good.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK_FALSE(parse_record(part));
    }
  }

  TEST_CASE("record: zeros of any length -> never a record") {
    for (std::size_t size = 0; size <= 4096; size += 8)
      CHECK_FALSE(parse_header(std::vector<std::byte>(size)));
  }

  TEST_CASE("record: right checksum over wrong fields -> refused") {
    const struct {
      std::size_t at;
      std::uint8_t value;
    } wrong[] = {{0, 'X'}, {4, 2}, {5, 17}, {6, 0}, {6, 8}, {20, 1}, {104, 1}, {119, 1}};
    for (const auto& [at, value] : wrong) {
      std::vector<std::byte> bytes = from_hex(golden);
      bytes[at] = std::byte{value};
      const std::uint64_t sum = XXH3_64bits(bytes.data(), 120);
      std::memcpy(bytes.data() + 120, &sum, sizeof sum);
      CAPTURE(at);
      CHECK_FALSE(parse_header(bytes));
    }
  }
}

}  // namespace
}  // namespace zabmq::storage
