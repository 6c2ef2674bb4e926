// NetSupport: one value of every message, nonces, a listener that takes notes, hexadecimal text.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "net/peer_codec.hpp"
#include "net/peer_links.hpp"
#include "net/session.hpp"

namespace zabmq::net {

inline constexpr ServerId one{1};
inline constexpr ServerId two{2};
inline constexpr ServerId three{3};

inline Uuid uuid_of(unsigned char first) {
  Uuid id;
  for (auto& byte : id.bytes) byte = std::byte{first++};
  return id;
}

inline const Uuid cluster_a = uuid_of(0xa0);
inline const Uuid cluster_b = uuid_of(0xb0);

inline Nonces seeded(std::uint64_t seed) {
  return [random = std::mt19937_64(seed)]() mutable { return random(); };
}

inline std::string hex(Bytes bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::byte b : bytes) {
    text += digits[std::to_integer<unsigned>(b) >> 4];
    text += digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

inline std::vector<std::byte> bytes_of(const std::string& hexadecimal) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(hexadecimal.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

inline Slice slice_of(std::size_t size, unsigned char fill) {
  auto owner = std::make_shared<std::vector<std::byte>>(size, std::byte{fill});
  return {owner, Bytes(*owner)};
}

inline zab::Handshake sample_handshake() {
  return {.version_min = 1,
          .version_max = 2,
          .cluster = cluster_a,
          .history = uuid_of(0x10),
          .config_version = 0,
          .voter_set_hash = 0xfedc'ba98'7654'3210};
}

// Every message once, in the order of the kinds, with numbers that need each width of msgpack.
inline std::vector<zab::Message> sample_messages() {
  const zab::Handshake handshake = sample_handshake();
  const Zxid zxid{Epoch{7}, 42};
  const Floor floor{.zxid = {Epoch{3}, 9}, .offset = 1234, .digest = Digest{0x0123'4567'89ab'cdef}};
  return {
      zab::Vote{.handshake = handshake,
                .leader = three,
                .current_epoch = Epoch{7},
                .last = zxid,
                .round = 300,
                .role = Role::leading,
                .phase = Phase::broadcast},
      zab::StandingMessage{.handshake = handshake,
                           .standing = zab::Standing::founding,
                           .leader = two,
                           .answer = true},
      zab::CEpoch{.handshake = handshake,
                  .standing = zab::Standing::voter,
                  .incarnation = uuid_of(0x40),
                  .accepted = Epoch{8}},
      zab::AckEpoch{.epoch = Epoch{9},
                    .promised = true,
                    .current = Epoch{7},
                    .history = {.floor = floor, .ends = {{Epoch{3}, 10}, {Epoch{7}, 70000}}}},
      zab::Progress{.durable = zxid},
      zab::AckLeader{.epoch = Epoch{9}},
      zab::Ack{.durable = {Epoch{9}, 0x1'0000'0000}},
      zab::Pong{.number = 128},
      zab::NewEpoch{.handshake = handshake,
                    .epoch = Epoch{9},
                    .furthest = {.incarnation = uuid_of(0x40),
                                 .voter = true,
                                 .accepted = Epoch{9},
                                 .current = Epoch{8},
                                 .durable = zxid}},
      zab::Diff{.common = zxid, .digest = Digest{0xffff'ffff'ffff'ffff}},
      zab::Trunc{.common = zxid, .digest = Digest{1}},
      zab::Snap{.floor = floor, .time = 1'700'000'000, .state = zxid, .part = 1, .parts = 300},
      zab::Propose{.runs = {{Epoch{7}, 40, 42}, {Epoch{9}, 1, 5}}, .commit = zxid},
      zab::NewLeader{.epoch = Epoch{9}},
      zab::UpToDate{.epoch = Epoch{9}, .commit = zxid},
      zab::Commit{.commit = zxid},
      zab::Ping{.number = 65536, .commit = zxid},
      zab::EndQuestion{.number = 11},
      zab::EndAnswer{.number = 11, .offset = 99, .zxid = zxid},
      zab::Admitted{.incarnation = uuid_of(0x40)},
      zab::StateTaken{.part = 299},
      zab::Forward{
          .number = 12, .publisher = uuid_of(0x50), .frame = {std::byte{0x91}, std::byte{0x06}}},
      zab::ForwardAnswer{.number = 12, .frame = {std::byte{0x91}, std::byte{0x48}}},
  };
}

inline Link sample_link(const zab::Message& message) {
  const bool datagram = zab::is_datagram(message);
  return {.cluster = cluster_a,
          .sender = one,
          .receiver = two,
          .incarnation = 0x1122'3344'5566'7788,
          .session = datagram ? 0 : 0x0102'0304'0506'0708ULL,
          .sequence = 5};
}

struct Notes : PeerLinks::Listener {
  struct Note {
    ServerId from = ServerId::none;
    zab::Message message;
    Slice records;
  };
  void on_peer_message(ServerId from, zab::Message message, Slice records) override {
    messages.push_back({from, std::move(message), std::move(records)});
  }
  void on_session_lost(ServerId peer) override { lost.push_back(peer); }

  std::vector<Note> messages;
  std::vector<ServerId> lost;
};

}  // namespace zabmq::net
