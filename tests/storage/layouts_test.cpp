// Layouts: golden bytes of version 1 of marks and segment headers, and file names.
#include <doctest/doctest.h>
#include <xxhash.h>

#include <cstring>

#include "golden.hpp"
#include "storage/mark.hpp"
#include "storage/segment_header.hpp"

namespace zabmq::storage {
namespace {

const std::string golden_mark =
    "5a424d3101080000080706050403020118171615141312110700000000000000"
    "2a00000000000000a8a7a6a5a4a3a2a100000000000000001107f6c25937dc32";

const Mark the_mark{
    0x0102'0304'0506'0708, 0x1112'1314'1516'1718, {Epoch{7}, 42}, Digest{0xa1a2'a3a4'a5a6'a7a8}};

const std::string golden_header_front =
    "5a4253310100000207000000000000000500000000000000401f000000000000"
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
    "030000000000000007000000000000002a00000000000000d204000000000000"
    "a8a7a6a5a4a3a2a1bc9a78563412060007000000000000002800000000000000";
const std::string golden_header_checksum = "5df9bf6bab163305";

SegmentHeader the_header() {
  SegmentHeader h;
  h.number = 7;
  h.continues = 5;
  h.takes_over_at = 8000;
  h.cluster = uuid_from(0x10);
  h.history = uuid_from(0x20);
  h.server = ServerId{3};
  h.before = {{Epoch{7}, 42}, 1234, Digest{0xa1a2'a3a4'a5a6'a7a8}, 0x0006'1234'5678'9abc};
  h.delivered = {Epoch{7}, 40};
  return h;
}

std::vector<std::byte> page_of(const SegmentHeader& header) {
  std::vector<std::byte> page(segment_header_size);
  encode_segment_header(header, std::span(page).first<segment_header_size>());
  return page;
}

void seal(std::vector<std::byte>& page) {
  const std::uint64_t sum = XXH3_64bits(page.data(), segment_header_size - 8);
  std::memcpy(page.data() + segment_header_size - 8, &sum, sizeof sum);
}

TEST_SUITE("storage/layouts") {
  TEST_CASE("mark: golden bytes of version 1 -> both ways") {
    std::array<std::byte, mark_size> bytes{};
    encode_mark(the_mark, bytes);

    CHECK(to_hex(bytes) == golden_mark);
    CHECK(parse_mark(from_hex(golden_mark)) == the_mark);
  }

  TEST_CASE("mark: any flipped bit, any shortening, zeros -> refused") {
    const std::vector<std::byte> good = from_hex(golden_mark);
    for (std::size_t bit = 0; bit < 8 * mark_size; ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      CHECK_FALSE(parse_mark(bad));
    }
    for (std::size_t size = 0; size < mark_size; ++size)
      CHECK_FALSE(parse_mark(Bytes{good}.first(size)));
    CHECK_FALSE(parse_mark(std::vector<std::byte>(mark_size)));
  }

  TEST_CASE("mark: right checksum over wrong fields -> refused") {
    for (const std::size_t at : {std::size_t{4}, std::size_t{5}, std::size_t{6}, std::size_t{28},
                                 std::size_t{48}, std::size_t{55}}) {
      std::vector<std::byte> bytes = from_hex(golden_mark);
      bytes[at] ^= std::byte{0x10};
      const std::uint64_t sum = XXH3_64bits(bytes.data(), 56);
      std::memcpy(bytes.data() + 56, &sum, sizeof sum);
      CAPTURE(at);
      CHECK_FALSE(parse_mark(bytes));
    }
  }

  TEST_CASE("segment header: golden bytes of version 1 -> both ways") {
    const std::vector<std::byte> page = page_of(the_header());

    CHECK(to_hex(Bytes{page}.first(128)) == golden_header_front);
    CHECK(to_hex(Bytes{page}.last(8)) == golden_header_checksum);
    CHECK(to_hex(Bytes{page}.subspan(128, 3960)) == std::string(2 * 3960, '0'));
    const ParsedSegmentHeader parsed = parse_segment_header(page);
    REQUIRE(parsed.kind == ParsedSegmentHeader::Kind::valid);
    CHECK(to_hex(page_of(parsed.header)) == to_hex(page));
    CHECK(parsed.header.before.digest == the_header().before.digest);
    CHECK(parsed.header.checksum == Digest{0x0533'16ab'6bbf'f95d});
  }

  TEST_CASE("segment header: any flipped bit, zeros, too short -> invalid") {
    const std::vector<std::byte> good = page_of(the_header());
    for (std::size_t byte = 0; byte < segment_header_size; ++byte) {
      std::vector<std::byte> bad = good;
      bad[byte] ^= std::byte{1} << (byte % 8);
      REQUIRE(parse_segment_header(bad).kind == ParsedSegmentHeader::Kind::invalid);
    }
    CHECK(parse_segment_header(std::vector<std::byte>(segment_header_size)).kind ==
          ParsedSegmentHeader::Kind::invalid);
    CHECK(parse_segment_header(Bytes{good}.first(segment_header_size - 1)).kind ==
          ParsedSegmentHeader::Kind::invalid);
  }

  TEST_CASE("segment header: generation and recycling -> in bytes that were zero") {
    SegmentHeader header = the_header();
    header.generation = 0x0102'0304;
    header.recycled = true;
    const std::vector<std::byte> page = page_of(header);

    CHECK(to_hex(Bytes{page}.first(128)) == golden_header_front);
    CHECK(to_hex(Bytes{page}.subspan(128, 8)) == "0403020101000000");
    const ParsedSegmentHeader parsed = parse_segment_header(page);
    REQUIRE(parsed.kind == ParsedSegmentHeader::Kind::valid);
    CHECK(parsed.header.generation == 0x0102'0304);
    CHECK(parsed.header.recycled);
    std::vector<std::byte> wrong = page;
    wrong[132] = std::byte{2};
    seal(wrong);
    CHECK(parse_segment_header(wrong).kind == ParsedSegmentHeader::Kind::invalid);
  }

  TEST_CASE("segment header: a newer version with a right checksum -> told apart") {
    std::vector<std::byte> page = page_of(the_header());
    page[4] = std::byte{3};
    CHECK(parse_segment_header(page).kind == ParsedSegmentHeader::Kind::invalid);

    seal(page);

    CHECK(parse_segment_header(page).kind == ParsedSegmentHeader::Kind::newer_version);
    CHECK(parse_segment_header(page).version == 3);
  }

  TEST_CASE("segment header: right checksum, impossible fields -> invalid") {
    const auto invalid = [](auto change) {
      SegmentHeader header = the_header();
      change(header);
      CHECK(parse_segment_header(page_of(header)).kind == ParsedSegmentHeader::Kind::invalid);
    };
    invalid([](SegmentHeader& h) { h.number = 0; });
    invalid([](SegmentHeader& h) { h.continues = 7; });
    invalid([](SegmentHeader& h) { h.continues = 0; });  // with a position
    invalid([](SegmentHeader& h) { h.takes_over_at = 4088; });
    invalid([](SegmentHeader& h) { h.takes_over_at = 8001; });
    std::vector<std::byte> page = page_of(the_header());
    page[2000] = std::byte{1};
    seal(page);
    CHECK(parse_segment_header(page).kind == ParsedSegmentHeader::Kind::invalid);
  }

  TEST_CASE("names: segments and spares -> only the canonical form is ours") {
    CHECK(segment_name(7) == "00000007.seg");
    CHECK(segment_name(1234567890) == "1234567890.seg");
    CHECK(parse_segment_name("00000007.seg") == 7u);
    CHECK(parse_segment_name("1234567890.seg") == 1234567890u);
    for (const char* name : {"7.seg", "000000007.seg", "00000000.seg", "0000000x.seg", ".seg",
                             "00000007.se", "+0000007.seg", "99999999999999999999.seg"}) {
      CAPTURE(name);
      CHECK_FALSE(parse_segment_name(name));
    }
    CHECK(spare_name(3) == "spare-3");
    CHECK(parse_spare_name("spare-3") == 3u);
    CHECK_FALSE(parse_spare_name("spare-03"));
    CHECK_FALSE(parse_spare_name("spare-"));
    CHECK_FALSE(parse_spare_name("spare"));
  }
}

}  // namespace
}  // namespace zabmq::storage
