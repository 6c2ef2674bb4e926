// Peer frames: any bytes. As with client frames: out of its own encoding again, nothing behind it,
// memory in proportion.
#include "allocated.hpp"
#include "frame.hpp"
#include "input.hpp"
#include "net/peer_codec.hpp"
#include "target.hpp"

namespace zabmq::fuzz {
namespace {

constexpr std::size_t bytes_for_one = 24;  // a run's or an epoch's, for its array's first byte
constexpr std::size_t bytes_at_least = 4 << 10;

std::vector<std::byte> encode(const net::Frame& frame) {
  if (const auto* control = std::get_if<net::Control>(&frame.content)) {
    return net::encode(frame.link, *control);
  }
  return net::encode(frame.link, std::get<zab::Message>(frame.content));
}

// What the layers above take for granted of a frame that was decoded.
void check_promises(const net::Frame& frame) {
  ZABMQ_CHECK(frame.link.incarnation != 0);
  const auto* message = std::get_if<zab::Message>(&frame.content);
  if (!message) return;
  ZABMQ_CHECK(zab::name_of(*message) != nullptr);
  ZABMQ_CHECK(zab::is_datagram(*message) == (frame.link.session == 0));
  if (const auto* ack = std::get_if<zab::AckEpoch>(message)) {
    ZABMQ_CHECK(ack->history.valid());
    ZABMQ_CHECK(ack->history.ends.size() <= zab::epoch_entries_sent_max);
  }
  if (const auto* propose = std::get_if<zab::Propose>(message)) {
    ZABMQ_CHECK(!propose->runs.empty() && propose->runs.size() <= net::runs_max);
  }
}

void check(Bytes header, std::uint8_t choice) {
  const Allocated allocated;
  const auto frame = net::decode(header);
  ZABMQ_CHECK(allocated.bytes() <= bytes_at_least + bytes_for_one * header.size());
  if (!frame) return;
  check_promises(*frame);

  const std::vector<std::byte> encoded = encode(*frame);
  ZABMQ_CHECK(encoded.size() <= net::peer_header_size_max);
  ZABMQ_CHECK(net::decode(encoded) == frame);
  ZABMQ_CHECK(encode(*net::decode(encoded)) == encoded);

  ZABMQ_CHECK(!net::decode(longer(header, std::byte{choice})));
  ZABMQ_CHECK(!net::decode(shorter(header, 1 + choice % (header.size() - frame_checksum_size))));
  std::vector<std::byte> damaged(header.begin(), header.end());
  damaged[choice % frame_checksum_size] ^= std::byte{1};
  ZABMQ_CHECK(!net::decode(damaged));
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const std::uint8_t choice = input.byte();
  const bool raw = choice % 16 == 15;
  if (raw) return check(input.rest(), choice);
  check(sealed(input.rest()), choice);
}

}  // namespace zabmq::fuzz
