// MsgpackReader tests: each format at its edges, and what is claimed but not there.
#include "wire/msgpack_reader.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace zabmq::wire {
namespace {

std::vector<std::byte> bytes_of(const std::string& hexadecimal) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(hexadecimal.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

struct Input {
  explicit Input(const std::string& hexadecimal) : bytes(bytes_of(hexadecimal)), reader(bytes) {}
  std::vector<std::byte> bytes;
  MsgpackReader reader;
};

std::optional<std::uint64_t> number_of(const std::string& hexadecimal) {
  Input in(hexadecimal);
  std::uint64_t number = 0;
  if (!in.reader.read(number)) return std::nullopt;
  CHECK(in.reader.at_end());
  return number;
}

std::optional<std::size_t> array_of(const std::string& hexadecimal) {
  Input in(hexadecimal);
  std::size_t count = 0;
  if (!in.reader.read_array(count)) return std::nullopt;
  return count;
}

bool skips_all(const std::string& hexadecimal) {
  Input in(hexadecimal);
  return in.reader.skip() && in.reader.at_end();
}

}  // namespace

TEST_SUITE("wire/msgpack_reader") {
  TEST_CASE("msgpack reader: unsigned numbers of every width") {
    CHECK(number_of("00") == 0);
    CHECK(number_of("7f") == 127);
    CHECK(number_of("cc80") == 128);
    CHECK(number_of("cdffff") == 65535);
    CHECK(number_of("ce00010000") == 65536);
    CHECK(number_of("cfffffffffffffffff") == ~std::uint64_t{0});
    for (const char* bad : {"", "80", "e0", "ff", "c0", "c2", "cc", "cdff", "ceffffff",
                            "cfffffffffffffff", "d001", "d30000000000000001", "a131"}) {
      CAPTURE(std::string(bad));
      CHECK_FALSE(number_of(bad));
    }
  }

  TEST_CASE("msgpack reader: booleans are not numbers") {
    bool value = false;
    CHECK(Input("c3").reader.read(value));
    CHECK(value);
    CHECK(Input("c2").reader.read(value));
    CHECK_FALSE(value);
    CHECK_FALSE(Input("01").reader.read(value));
    CHECK_FALSE(Input("").reader.read(value));
  }

  TEST_CASE("msgpack reader: a bin of exactly the size wanted") {
    std::array<std::byte, 2> out{};
    for (const char* good : {"c4020102", "c500020102", "c6000000020102"}) {
      CHECK(Input(good).reader.read_binary(out));
      CHECK(out[1] == std::byte{2});
    }
    for (const char* bad : {"c40101", "c403010203", "c40201", "c4", "a20102", "c6ffffffff"}) {
      CHECK_FALSE(Input(bad).reader.read_binary(out));
    }
  }

  TEST_CASE("msgpack reader: arrays -> never more elements than bytes are left") {
    CHECK(array_of("90") == 0);
    CHECK(array_of("920102") == 2);
    CHECK(array_of("dc00020102") == 2);
    CHECK(array_of("dd000000020102") == 2);
    for (const char* bad : {"", "9201", "dc000201", "ddffffffff", "dd00000002", "82", "c0"}) {
      CHECK_FALSE(array_of(bad));
    }
  }

  TEST_CASE("msgpack reader: skip takes one value of any type, whole") {
    for (const char* good : {"00",
                             "7f",
                             "e0",
                             "ff",
                             "c0",
                             "c2",
                             "c3",
                             "cc00",
                             "cd0000",
                             "ce00000000",
                             "cf0000000000000000",
                             "d000",
                             "d10000",
                             "d200000000",
                             "d30000000000000000",
                             "ca00000000",
                             "cb0000000000000000",
                             "a0",
                             "a161",
                             "d90161",
                             "da000161",
                             "db0000000161",
                             "c40161",
                             "c5000161",
                             "c60000000161",
                             "c7010561",
                             "c800010561",
                             "c9000000010561",
                             "d40561",
                             "d5050000",
                             "d60500000000",
                             "d7050000000000000000",
                             "d80500000000000000000000000000000000",
                             "90",
                             "9100",
                             "dc00020102",
                             "dd000000020102",
                             "80",
                             "810001",
                             "de00010001",
                             "df000000010001",
                             "9381a1610193c0c2c3c0"}) {
      CAPTURE(std::string(good));
      CHECK(skips_all(good));
      const std::string text = good;
      if (text.size() > 2) CHECK_FALSE(skips_all(text.substr(0, text.size() - 2)));
      CHECK_FALSE(skips_all(text + "00"));
    }
    CHECK_FALSE(skips_all("c1"));
    CHECK_FALSE(skips_all(""));
    CHECK_FALSE(skips_all("ddffffffff00"));
    CHECK_FALSE(skips_all("dbffffffff61"));
    CHECK_FALSE(skips_all("c9ffffffff0561"));
  }
}

}  // namespace zabmq::wire
