// ClientFrameTest: what a decoder refuses, and the limits of every field.
#include <xxhash.h>

#include <doctest/doctest.h>
#include <cstring>
#include <limits>
#include <msgpack.hpp>
#include <random>

#include "wire/sample_frames.hpp"
#include "zabmq/record.hpp"

namespace zabmq::wire {
namespace {

using Buffer = std::vector<std::byte>;

// A header part around any msgpack bytes, with the right checksum.
Buffer seal(std::string_view packed) {
  Buffer out(8 + packed.size());
  std::memcpy(out.data() + 8, packed.data(), packed.size());
  const std::uint64_t sum = XXH3_64bits(packed.data(), packed.size());
  std::memcpy(out.data(), &sum, 8);
  return out;
}

Buffer resealed(Buffer frame) {
  return seal({reinterpret_cast<const char*>(frame.data()) + 8, frame.size() - 8});
}

template <class... Elements>
Buffer frame_of(const Elements&... elements) {
  msgpack::sbuffer out;
  msgpack::packer<msgpack::sbuffer> packer(out);
  packer.pack_array(sizeof...(elements));
  (packer.pack(elements), ...);
  return seal({out.data(), out.size()});
}

Buffer subscribe_with(const std::vector<std::string>& topics) {
  return frame_of(3, 9, 0, 0, 0, 0, false, 1, 1, topics, 0);
}

bool refused(const Buffer& bytes) {
  return !decode_client(bytes) && !decode_server(bytes);
}

}  // namespace

TEST_SUITE("wire/client_frame") {
  TEST_CASE("decoder: every truncation of every frame -> refused, also with a fitting checksum") {
    for (const auto& frame : samples::server_frames()) {
      const Buffer whole = encode(frame);
      for (std::size_t size = 0; size < whole.size(); ++size) {
        const Buffer part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_FALSE(decode_server(part));
        if (size > 8) CHECK_FALSE(decode_server(resealed(part)));
      }
    }
  }

  TEST_CASE("decoder: any flipped bit -> refused by the checksum") {
    for (const auto& frame : samples::client_frames()) {
      const Buffer whole = encode(frame);
      for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Buffer bad = whole;
        bad[bit / 8] ^= std::byte{1} << (bit % 8);
        CHECK_FALSE(decode_client(bad));
      }
    }
  }

  TEST_CASE("decoder: trailing bytes -> refused, extra elements at the end -> ignored") {
    Buffer trailing = encode(ServerMessage{Gap{9, 500}});
    trailing.push_back(std::byte{1});

    CHECK_FALSE(decode_server(resealed(trailing)));
    CHECK(decode_server(frame_of(70, 9, 500, "of a newer version", std::vector<int>{1, 2})) ==
          ServerMessage{Gap{9, 500}});
  }

  TEST_CASE("decoder: a missing element -> refused") {
    CHECK(decode_server(frame_of(70, 9, 500)));
    CHECK(refused(frame_of(70, 9)));
    CHECK(refused(frame_of(70)));
    CHECK(refused(frame_of()));
  }

  TEST_CASE("decoder: an optional number at the end -> none, when it is left out or nil") {
    const auto expected = [](const std::optional<ClientMessage>& publish) {
      REQUIRE(publish);
      return std::get<Publish>(*publish).expect_last_offset;
    };
    CHECK(expected(decode_client(frame_of(2, 5, 17, 1, 99))) == std::nullopt);
    CHECK(expected(decode_client(frame_of(2, 5, 17, 1, 99, msgpack::type::nil_t{}))) ==
          std::nullopt);
    CHECK(expected(decode_client(frame_of(2, 5, 17, 1, 99, 0))) == Offset{0});
    CHECK(expected(decode_client(frame_of(2, 5, 17, 1, 99, 41, "of a newer version"))) ==
          Offset{41});
    CHECK(refused(frame_of(2, 5, 17, 1, 99, "41")));
    CHECK(refused(frame_of(2, 5, 17, 1, 99, -1)));
    CHECK(refused(frame_of(2, 5, 17, 1)));
  }

  TEST_CASE("decoder: unknown command, or the other side's -> refused") {
    CHECK(refused(frame_of(0)));
    CHECK(refused(frame_of(12)));
    CHECK(refused(frame_of(64, 1)));
    CHECK(refused(frame_of(78, 1)));
    CHECK(refused(frame_of(256 + 6)));  // PING, if it were cut to eight bits
    CHECK(refused(frame_of("PING")));
    CHECK_FALSE(decode_client(encode(ServerMessage{ServerPong{}})));
    CHECK_FALSE(decode_server(encode(ClientMessage{ClientPing{}})));
  }

  TEST_CASE("decoder: a field of another type -> refused") {
    CHECK(refused(frame_of(70, 9, "500")));
    CHECK(refused(frame_of(70, 9, -1)));
    CHECK(refused(frame_of(70, 9, 5.5)));
    CHECK(refused(frame_of(70, 9, true)));
    CHECK(refused(frame_of(70, 9, msgpack::type::nil_t{})));
    CHECK(refused(frame_of(68, 9, 18, 17, 1)));  // has_end as a number
    CHECK(refused(frame_of(73, 5)));             // a reason that is no text
    CHECK(refused(seal("\x06")));                // no array
    CHECK(refused(seal("\x81\x06\x06")));        // a map
  }

  TEST_CASE("decoder: numbers over the width of their field -> refused, at its limit -> taken") {
    constexpr std::uint64_t max32 = std::numeric_limits<std::uint32_t>::max();
    constexpr std::uint64_t max64 = std::numeric_limits<std::uint64_t>::max();

    CHECK(decode_server(frame_of(66, max64, max32, max64, max32, max64)) ==
          ServerMessage{Receipt{max64, static_cast<std::uint32_t>(max32), max64,
                                samples::zxid(static_cast<std::uint32_t>(max32), max64)}});
    CHECK(refused(frame_of(66, 1, max32 + 1, 1, 1, 1)));
    CHECK(refused(frame_of(66, 1, 1, 1, max32 + 1, 1)));
  }

  TEST_CASE("decoder: values outside an enumeration -> refused") {
    const auto refusal = [](int about, int code, int outcome) {
      return frame_of(67, about, 1, code, outcome, "", 0, false, "", false, 0, 0);
    };
    CHECK(decode_server(refusal(5, 11, 1)));
    CHECK(refused(refusal(6, 11, 1)));
    CHECK(refused(refusal(5, 0, 1)));
    CHECK(refused(refusal(5, 12, 1)));
    CHECK(refused(refusal(5, 11, 2)));
    CHECK(decode_client(frame_of(3, 9, 4, 0, 0, 0, false, 1, 1, std::vector<int>{}, 0)));
    CHECK(refused(frame_of(3, 9, 5, 0, 0, 0, false, 1, 1, std::vector<int>{}, 0)));
  }

  TEST_CASE("decoder: lists and texts over their limit -> refused, at their limit -> taken") {
    CHECK(decode_client(subscribe_with(std::vector<std::string>(topics_max, "t"))));
    CHECK(refused(subscribe_with(std::vector<std::string>(topics_max + 1, "t"))));
    CHECK(decode_client(subscribe_with({std::string(topic_size_max, 't')})));
    CHECK(refused(subscribe_with({std::string(topic_size_max + 1, 't')})));
    CHECK(decode_server(frame_of(73, std::string(text_size_max, 'r'))));
    CHECK(refused(frame_of(73, std::string(text_size_max + 1, 'r'))));
    StatusAnswer answer = samples::status_answer();
    answer.counters.assign(counters_max, std::string(counter_size_max, 'c'));
    answer.servers.assign(servers_max, {ServerId{1}, std::string(endpoint_size_max, 'e')});
    CHECK(decode_server(encode(ServerMessage{answer})) == ServerMessage{answer});
  }

  TEST_CASE("decoder: cursors' names and lists over their limit -> refused, at it -> taken") {
    const std::string longest(topic_size_max, 'c');
    Cursors list{.request = 1, .cursors = {}, .more = true};
    list.cursors.assign(cursors_max, {longest, ~Offset{0}});
    CHECK(decode_server(encode(ServerMessage{list})) == ServerMessage{list});
    CHECK(decode_client(frame_of(10, 1, longest, 5, false)));
    CHECK(refused(frame_of(10, 1, longest + 'c', 5, false)));
    CHECK(refused(frame_of(11, 1, longest + 'c')));
    CHECK(decode_client(frame_of(3, 9, 0, 0, 0, 0, false, 1, 1, std::vector<int>{}, 0, longest)));
    CHECK(refused(frame_of(3, 9, 0, 0, 0, 0, false, 1, 1, std::vector<int>{}, 0, longest + 'c')));
    CHECK(refused(frame_of(77, 1, std::vector<std::vector<int>>{{1, 2}}, false)));
  }

  TEST_CASE("decoder: a uuid of another size -> refused") {
    const auto hello = [](std::size_t size) {
      const std::vector<char> id(size, 'u');
      return frame_of(1, 1, 1, std::vector<char>(16), std::vector<char>(16), 0, id, 0);
    };
    CHECK(decode_client(hello(16)));
    CHECK(refused(hello(15)));
    CHECK(refused(hello(17)));
    CHECK(refused(hello(0)));
  }

  TEST_CASE("decoder: lengths that announce more than is there -> refused without allocating it") {
    // Sanitizers abort on an allocation of 100 GB, and msgpack would make it before it reads on.
    CHECK(refused(seal("\xdd\xff\xff\xff\xff")));
    CHECK(refused(seal("\xdf\xff\xff\xff\xff")));
    CHECK(refused(seal("\x92\x49\xdb\xff\xff\xff\xff")));
    CHECK(refused(seal("\x92\x49\xc6\xff\xff\xff\xff")));
    CHECK(refused(seal("\x92\x49\xc9\xff\xff\xff\xff\x01")));
    CHECK(refused(seal(std::string(60000, '\x91'))));  // nested without end
    CHECK(refused(seal(std::string(header_size_max, '\x06'))));
  }

  TEST_CASE("encoder: a text over its limit -> cut at a character's beginning") {
    const std::string reason = "r" + std::string(text_size_max, '\0');
    std::string accents;
    while (accents.size() <= text_size_max) accents += "\xc3\xa9";

    const auto plain = decode_server(encode(ServerMessage{Reset{reason}}));
    const auto cut = decode_server(encode(ServerMessage{Reset{"r" + accents}}));

    REQUIRE((plain && cut));
    CHECK(std::get<Reset>(*plain).reason.size() == text_size_max);
    CHECK(std::get<Reset>(*cut).reason.size() == text_size_max - 1);
    CHECK(std::get<Reset>(*cut).reason.ends_with("\xc3\xa9"));
  }

  TEST_CASE("fuzz: mutated frames with a fitting checksum -> refused, or a frame within limits") {
    std::uint64_t taken = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      std::mt19937_64 random(seed);
      std::vector<Buffer> corpus;
      for (const auto& frame : samples::client_frames()) corpus.push_back(encode(frame));
      for (const auto& frame : samples::server_frames()) corpus.push_back(encode(frame));
      for (int i = 0; i < 5000; ++i) {
        Buffer bytes = corpus[random() % corpus.size()];
        for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
          bytes[8 + random() % (bytes.size() - 8)] = static_cast<std::byte>(random());
          if (random() % 8 == 0) bytes.resize(9 + random() % (bytes.size() + 4));
        }
        bytes = resealed(bytes);
        const auto server = decode_server(bytes);
        const auto client = decode_client(bytes);
        CHECK_FALSE((server && client));
        // What was taken must be what an encoder may say: it aborts on values over a limit.
        if (server) CHECK(decode_server(encode(*server)) == server);
        if (client) CHECK(decode_client(encode(*client)) == client);
        taken += server || client ? 1 : 0;
      }
    }
    CHECK(taken > 1000);  // else the mutations only ever met the first check
  }
}

}  // namespace zabmq::wire
