// PeerCodec tests: golden bytes of version 1, round trips, refusals, mutations.
#include "net/peer_codec.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "net_support.hpp"
#include "zabmq/record.hpp"

namespace zabmq::net {
namespace {

// Array head and link of sample_link: cluster, 1, 2, incarnation, session, 5. Then kind and fields.
struct Golden {
  const char* checksum;
  const char* head;
  const char* fields;
};

// The bytes of version 1. They never change; fields are only ever added behind them.
constexpr std::array<Golden, 23> golden = {{
    // VOTE
    {"58a508648708b7c2", "9e",
     "01960102c410a0a1a2a3a4a5a6a7a8a9aaabacadaeafc410101112131415161718191a1b1c1d1e1f"
     "00cffedcba9876543210030792072acd012c0103"},
    // STANDING
    {"e870d3fa36665e16", "9b",
     "02960102c410a0a1a2a3a4a5a6a7a8a9aaabacadaeafc410101112131415161718191a1b1c1d1e1f"
     "00cffedcba98765432100102c3"},
    // CEPOCH
    {"e50a977bdb07b3e5", "9b",
     "03960102c410a0a1a2a3a4a5a6a7a8a9aaabacadaeafc410101112131415161718191a1b1c1d1e1f"
     "00cffedcba987654321002c410404142434445464748494a4b4c4d4e4f08"},
    // ACK-E
    {"db7ace65468f5281", "9b", "0409c3079293920309cd04d2cf0123456789abcdef9292030a9207ce00011170"},
    // PROGRESS
    {"7b06e260810537f2", "98", "0592072a"},
    // ACK-LD
    {"7cdd96977b2f39c9", "98", "0609"},
    // ACK
    {"69843ddbb0c033c8", "98", "079209cf0000000100000000"},
    // PONG
    {"fdd3a9d5e382f541", "98", "08cc80"},
    // NEWEPOCH
    {"3ca6a8b4d891eb52", "9a",
     "09960102c410a0a1a2a3a4a5a6a7a8a9aaabacadaeafc410101112131415161718191a1b1c1d1e1f"
     "00cffedcba98765432100995c410404142434445464748494a4b4c4d4e4fc3090892072a"},
    // DIFF
    {"fea3c0ebc4aa5825", "99", "0a92072acfffffffffffffffff"},
    // TRUNC
    {"f6692715be224bd4", "99", "0b92072a01"},
    // SNAP
    {"20bf464d40d695e7", "9c", "0c93920309cd04d2cf0123456789abcdefce6553f10092072a01cd012c"},
    // PROPOSE
    {"20198c681025fbc4", "99", "0d929307282a9309010592072a"},
    // NEWLEADER
    {"3d51432764cf7981", "98", "0e09"},
    // UPTODATE
    {"86175e0a08eb77f9", "99", "0f0992072a"},
    // COMMIT
    {"6b847e7d58435d19", "98", "1092072a"},
    // PING
    {"1b80a6c0ebba1665", "99", "11ce0001000092072a"},
    // END-QUESTION
    {"8a537ba3cf66e516", "98", "120b"},
    // END-ANSWER
    {"a135bd3a2851636e", "9a", "130b6392072a"},
    // ADMITTED
    {"52cc4c7a4663a411", "98", "14c410404142434445464748494a4b4c4d4e4f"},
    // STATE-TAKEN
    {"cbe1248ade03e54e", "98", "15cd012b"},
    // FORWARD
    {"0b4673cede3ff139", "9a", "160cc410505152535455565758595a5b5c5d5e5fc4029106"},
    // FORWARD-ANSWER
    {"70633a426fe8c6cb", "99", "170cc4029148"},
}};

std::string link_hex(bool datagram) {
  return std::string("c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0102cf1122334455667788") +
         (datagram ? "00" : "cf0102030405060708") + "05";
}

// The frame around `rest`, which is everything behind the checksum.
std::vector<std::byte> sealed(std::vector<std::byte> rest) {
  const Digest digest = checksum(rest);
  std::vector<std::byte> frame(sizeof digest + rest.size());
  std::memcpy(frame.data(), &digest, sizeof digest);
  std::copy(rest.begin(), rest.end(), frame.begin() + sizeof digest);
  return frame;
}

std::vector<std::byte> sealed_hex(const std::string& head, const std::string& tail) {
  return sealed(bytes_of(head + link_hex(false) + tail));
}

std::vector<std::byte> rest_of(const std::vector<std::byte>& frame) {
  return {frame.begin() + 8, frame.end()};
}

std::vector<std::vector<std::byte>> sample_frames() {
  std::vector<std::vector<std::byte>> frames;
  for (const zab::Message& message : sample_messages()) {
    frames.push_back(encode(sample_link(message), message));
  }
  return frames;
}

zab::AckEpoch ack_epoch_with(zab::History history) {
  return {.epoch = Epoch{9}, .promised = true, .current = Epoch{7}, .history = std::move(history)};
}

}  // namespace

TEST_SUITE("net/peer_codec") {
  TEST_CASE("peer codec: every message -> the golden bytes of version 1") {
    const std::vector<zab::Message> messages = sample_messages();
    REQUIRE(messages.size() == golden.size());
    for (std::size_t i = 0; i < golden.size(); ++i) {
      CAPTURE(i);
      const Link link = sample_link(messages[i]);
      const std::string expected = std::string(golden[i].checksum) + golden[i].head +
                                   link_hex(link.session == 0) + golden[i].fields;

      CHECK(hex(encode(link, messages[i])) == expected);
      CHECK(decode(bytes_of(expected)) == Frame{link, messages[i]});
    }
  }

  TEST_CASE("peer codec: RESET, PROBE, PROBE-ANSWER -> the golden bytes of version 1") {
    Link link = sample_link(zab::Ping{});
    link.sequence = 0;
    const std::array<const char*, 3> expected = {
        "8b981164669ad5b997c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0102cf1122334455667788cf01"
        "02030405060708007d",
        "693d5dd05978cfb097c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0102cf1122334455667788cf01"
        "02030405060708007e",
        "1681e5fd9ef91a2c97c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0102cf1122334455667788cf01"
        "02030405060708007f"};
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto control = static_cast<Control>(static_cast<std::size_t>(Kind::reset) + i);
      CHECK(hex(encode(link, control)) == expected.at(i));
      CHECK(decode(bytes_of(expected.at(i))) == Frame{link, control});
    }
  }

  TEST_CASE("peer codec: the kinds that a learner says -> ten, no leader's among them") {
    int from_learner = 0;
    for (const zab::Message& message : sample_messages()) {
      if (!zab::is_datagram(message) && is_from_learner(message)) ++from_learner;
    }
    CHECK(from_learner == 10);
    CHECK(is_from_learner(zab::CEpoch{}));
    CHECK(is_from_learner(zab::EndQuestion{}));
    CHECK_FALSE(is_from_learner(zab::NewEpoch{}));
    CHECK_FALSE(is_from_learner(zab::EndAnswer{}));
  }

  TEST_CASE("peer codec: largest history and list of runs -> fit a header, and come back") {
    zab::History history;
    zab::Propose propose;
    for (std::uint32_t i = 0; i < 1024; ++i) {
      const Epoch epoch{0xffff'f000u + i};
      history.ends.push_back({epoch, ~std::uint64_t{0}});
      propose.runs.push_back({epoch, 1, ~std::uint64_t{0}});
    }
    const Link link = sample_link(zab::Ping{});

    for (const zab::Message& message :
         {zab::Message(ack_epoch_with(history)), zab::Message(propose)}) {
      const std::vector<std::byte> frame = encode(link, message);
      CHECK(frame.size() <= peer_header_size_max);
      CHECK(decode(frame) == Frame{link, message});
    }
  }

  TEST_CASE("peer codec: a frame cut short anywhere -> refused") {
    for (const std::vector<std::byte>& frame : sample_frames()) {
      for (std::size_t size = 0; size < frame.size(); ++size) {
        CHECK_FALSE(decode(Bytes(frame).first(size)));
        if (size <= 8) continue;
        const std::vector<std::byte> part(frame.begin() + 8,
                                          frame.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_FALSE(decode(sealed(part)));
      }
    }
  }

  TEST_CASE("peer codec: any flipped bit -> refused by the checksum") {
    for (std::vector<std::byte> frame : sample_frames()) {
      for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
        frame[bit / 8] ^= std::byte(1u << (bit % 8));
        CHECK_FALSE(decode(frame));
        frame[bit / 8] ^= std::byte(1u << (bit % 8));
      }
    }
  }

  TEST_CASE("peer codec: trailing byte -> refused") {
    for (const std::vector<std::byte>& frame : sample_frames()) {
      std::vector<std::byte> rest = rest_of(frame);
      rest.push_back(std::byte{0});
      CHECK_FALSE(decode(sealed(rest)));
    }
  }

  TEST_CASE("peer codec: further array elements of a newer version -> ignored") {
    // PONG 128, then a string, a map, a nested array, nil, a float, an ext.
    const auto frame = sealed_hex("9e",
                                  "08cc80"
                                  "a3616263"
                                  "81a16101"
                                  "92019102"
                                  "c0"
                                  "cb3ff0000000000000"
                                  "d40100");

    const std::optional<Frame> decoded = decode(frame);

    REQUIRE(decoded);
    CHECK(std::get<zab::Message>(decoded->content) == zab::Message(zab::Pong{.number = 128}));
  }

  TEST_CASE("peer codec: a nested struct that has grown -> its new fields are ignored") {
    // PROGRESS with a zxid of three elements.
    const std::optional<Frame> decoded = decode(sealed_hex("98", "0593072a0c"));

    REQUIRE(decoded);
    CHECK(std::get<zab::Message>(decoded->content) ==
          zab::Message(zab::Progress{.durable = {Epoch{7}, 42}}));
  }

  TEST_CASE("peer codec: what cannot be -> refused") {
    CHECK(decode(sealed_hex("98", "08cc80")));        // PONG, as it should be
    CHECK_FALSE(decode(sealed_hex("97", "08")));      // number missing
    CHECK_FALSE(decode(sealed_hex("98", "08a138")));  // a string for a number
    CHECK_FALSE(decode(sealed_hex("98", "08ff")));    // a negative number
    CHECK_FALSE(decode(sealed_hex("98",
                                  "0801"
                                  "01")));          // trailing
    CHECK_FALSE(decode(sealed_hex("98", "0001")));  // unknown kinds
    CHECK_FALSE(decode(sealed_hex("98", "1401")));
    CHECK_FALSE(decode(sealed_hex("98", "cc8001")));
    CHECK_FALSE(decode(sealed_hex("98", "cd010801")));              // not 8 modulo 256
    CHECK(decode(sealed_hex("98", "06ceffffffff")));                // ACK-LD of the last epoch
    CHECK_FALSE(decode(sealed_hex("98", "06cf0000000100000000")));  // beyond 32 bits
    CHECK_FALSE(decode(sealed_hex("87", "08cc80")));                // a map
    CHECK_FALSE(decode(sealed_hex("", "")));
  }

  TEST_CASE("peer codec: link that cannot be -> refused") {
    const auto with = [](Link link, const zab::Message& message) {
      return decode(encode(link, message)).has_value();
    };
    const Link session = sample_link(zab::Ping{});
    Link other = session;
    CHECK(with(session, zab::Ping{}));
    CHECK_FALSE(with(session, zab::Vote{}));  // a datagram in a session
    other.session = 0;
    CHECK(with(other, zab::Vote{}));
    CHECK_FALSE(with(other, zab::Ping{}));
    other = session;
    other.sequence = 0;
    CHECK_FALSE(with(other, zab::Ping{}));
    other = session;
    other.incarnation = 0;
    CHECK_FALSE(with(other, zab::Ping{}));
    CHECK_FALSE(decode(encode(session, Control::reset)));  // RESET is not numbered
    other = session;
    other.sequence = 0;
    CHECK(decode(encode(other, Control::reset)));
    other.session = 0;
    CHECK_FALSE(decode(encode(other, Control::reset)));
  }

  TEST_CASE("peer codec: enums out of range and booleans that are numbers -> refused") {
    std::vector<std::byte> vote = rest_of(sample_frames()[0]);
    CHECK(decode(sealed(vote)));
    vote.back() = std::byte{4};  // phase
    CHECK_FALSE(decode(sealed(vote)));
    vote.back() = std::byte{3};
    vote[vote.size() - 2] = std::byte{4};  // role
    CHECK_FALSE(decode(sealed(vote)));

    std::vector<std::byte> standing = rest_of(sample_frames()[1]);
    CHECK(decode(sealed(standing)));
    standing.back() = std::byte{1};  // answer
    CHECK_FALSE(decode(sealed(standing)));
    standing.back() = std::byte{0xc2};
    standing[standing.size() - 3] = std::byte{4};  // standing
    CHECK_FALSE(decode(sealed(standing)));
  }

  TEST_CASE("peer codec: runs that do not stand behind each other -> refused") {
    // PROPOSE, runs, commit 7.42.
    const auto accepted = [](const std::string& runs) {
      return decode(sealed_hex("99", "0d" + runs + "92072a")).has_value();
    };
    CHECK(
        accepted("91"
                 "93070102"));
    CHECK(
        accepted("92"
                 "93070102"
                 "93090105"));
    CHECK_FALSE(accepted("90"));  // none
    CHECK_FALSE(
        accepted("91"
                 "93070201"));  // backwards
    CHECK_FALSE(
        accepted("91"
                 "93070002"));  // counter 0 is never logged
    CHECK_FALSE(
        accepted("91"
                 "93000102"));  // epoch 0 has no transactions
    CHECK_FALSE(
        accepted("92"
                 "93070102"
                 "93070304"));  // one run, said as two
    CHECK_FALSE(
        accepted("92"
                 "93070102"
                 "93060101"));
    CHECK_FALSE(
        accepted("92"
                 "93070102"
                 "93090203"));  // a new epoch begins with 1
    CHECK_FALSE(
        accepted("91"
                 "920701"));  // too short
  }

  TEST_CASE("peer codec: a history that cannot be -> refused") {
    // ACK-E 9, true, 7, [floor, ends].
    const auto accepted = [](const std::string& floor, const std::string& ends) {
      return decode(sealed_hex("9b", "0409c30792" + floor + ends)).has_value();
    };
    const std::string none =
        "9392000000"
        "00";
    const std::string at_3_9 = "939203090a0b";
    CHECK(accepted(none, "90"));
    CHECK(accepted(none,
                   "92"
                   "920101"
                   "920205"));
    CHECK(accepted(at_3_9,
                   "92"
                   "92030a"
                   "920401"));
    CHECK_FALSE(accepted(none,
                         "92"
                         "920101"
                         "920105"));
    CHECK_FALSE(accepted(none,
                         "92"
                         "920201"
                         "920105"));
    CHECK_FALSE(accepted(none,
                         "91"
                         "920100"));
    CHECK_FALSE(accepted(none,
                         "91"
                         "920001"));
    CHECK_FALSE(accepted(at_3_9,
                         "91"
                         "920205"));  // below the floor
    CHECK_FALSE(accepted(at_3_9,
                         "91"
                         "920309"));              // at the floor
    CHECK_FALSE(accepted("939203000a0b", "90"));  // a floor that is no transaction
    CHECK_FALSE(accepted("939200090a0b", "90"));
  }

  TEST_CASE("peer codec: counts that the bytes cannot hold -> refused before any allocation") {
    CHECK_FALSE(decode(sealed_hex("99",
                                  "0d"
                                  "ddffffffff"
                                  "92072a")));
    CHECK_FALSE(decode(sealed_hex("99",
                                  "0d"
                                  "dc0401"
                                  "92072a")));
    CHECK_FALSE(decode(sealed(bytes_of("ddffffffff"))));
    // Behind PONG, where a newer version may have its fields: a deep nest.
    std::string deep;
    for (int i = 0; i < 10000; ++i) deep += "91";
    CHECK(decode(sealed_hex("99", "08cc80" + deep + "01")));
    CHECK_FALSE(decode(sealed_hex("99", "08cc80" + deep)));
    CHECK_FALSE(decode(sealed_hex("99",
                                  "08cc80"
                                  "dfffffffff01")));
  }

  TEST_CASE("peer codec: one run or one epoch more than the bound -> refused") {
    for (const unsigned count : {1024u, 1025u}) {
      const std::string head = count == 1024 ? "dc0400" : "dc0401";
      std::string runs;
      std::string ends;
      for (unsigned epoch = 1; epoch <= count; ++epoch) {
        const std::string number = "cd" + hex(std::array{std::byte(epoch >> 8), std::byte(epoch)});
        runs += "93" + number + "0101";
        ends += "92" + number + "01";
      }
      CHECK(decode(sealed_hex("99", "0d" + head + runs + "92072a")).has_value() == (count == 1024));
      CHECK(decode(sealed_hex("9b",
                              "0409c307929392000000"
                              "00" +
                                  head + ends))
                .has_value() == (count == 1024));
    }
  }

  TEST_CASE("peer codec: over the header's bound -> refused") {
    std::string padding(2 * (peer_header_size_max - 64), '0');
    CHECK_FALSE(decode(sealed_hex("99",
                                  "08cc80"
                                  "c60000ffc0" +
                                      padding + "00000000")));
    CHECK_FALSE(decode(std::vector<std::byte>(peer_header_size_max + 1)));
    CHECK_FALSE(decode({}));
  }

  TEST_CASE(
      "ZOOKEEPER-3769, scenario 10 E-fuzz: ten thousand seeded mutations -> refused, or understood "
      "in one way") {
    std::mt19937_64 random(20240607);
    const std::vector<std::vector<std::byte>> frames = sample_frames();
    int understood = 0;
    for (int i = 0; i < 10000; ++i) {
      std::vector<std::byte> rest = rest_of(frames[random() % frames.size()]);
      for (std::uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
        const auto at = static_cast<std::ptrdiff_t>(random() % rest.size());
        const auto byte = static_cast<std::byte>(random());
        switch (random() % 4) {
          case 0:
            rest.insert(rest.begin() + at, byte);
            break;
          case 1:
            if (rest.size() > 1) rest.erase(rest.begin() + at);
            break;
          default:
            rest[static_cast<std::size_t>(at)] = byte;
        }
      }
      const std::optional<Frame> frame = decode(sealed(rest));
      if (!frame) continue;
      ++understood;
      const auto* message = std::get_if<zab::Message>(&frame->content);
      const auto again = message ? encode(frame->link, *message)
                                 : encode(frame->link, std::get<Control>(frame->content));
      CHECK(decode(again) == frame);
    }
    CHECK(understood > 1000);  // the mutations reach beyond the first check
    CHECK(understood < 9000);
  }
}

}  // namespace zabmq::net
