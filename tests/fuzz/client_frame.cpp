// Client frames: any bytes, in both directions. What is taken for a frame comes out of its own
// encoding again; nothing is taken that has bytes behind it, or too few, or another checksum; and
// no frame makes the decoder allocate more than its size justifies.
#include <optional>

#include "allocated.hpp"
#include "frame.hpp"
#include "input.hpp"
#include "target.hpp"
#include "wire/client_frame.hpp"

namespace zabmq::fuzz {
namespace {

// An array element of one byte becomes an object of 24, a counter of one byte a string of 32; the
// parser's zone grows by chunks of 8 KiB, doubled.
constexpr std::size_t bytes_for_one = 128;
constexpr std::size_t bytes_at_least = 64 << 10;

template <class Decode>
void check(Bytes header, std::uint8_t choice, Decode decode) {
  const Allocated allocated;
  const auto message = decode(header);
  ZABMQ_CHECK(allocated.bytes() <= bytes_at_least + bytes_for_one * header.size());
  if (!message) return;

  const std::vector<std::byte> encoded = wire::encode(*message);
  ZABMQ_CHECK(encoded.size() <= wire::header_size_max);
  ZABMQ_CHECK(decode(encoded) == message);
  ZABMQ_CHECK(wire::encode(*decode(encoded)) == encoded);
  ZABMQ_CHECK(wire::name_of(*message) != nullptr);

  ZABMQ_CHECK(!decode(longer(header, std::byte{choice})));
  ZABMQ_CHECK(!decode(shorter(header, 1 + choice % (header.size() - frame_checksum_size))));
  std::vector<std::byte> damaged(header.begin(), header.end());
  damaged[choice % frame_checksum_size] ^= std::byte{1};
  ZABMQ_CHECK(!decode(damaged));
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const std::uint8_t choice = input.byte();
  const bool raw = choice % 16 == 15;
  const std::vector<std::byte> fitted = sealed(input.rest());
  const Bytes header = raw ? input.rest() : Bytes{fitted};
  check(header, choice, wire::decode_client);
  check(header, choice, wire::decode_server);
}

}  // namespace zabmq::fuzz
