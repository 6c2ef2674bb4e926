// InputDigest: a chain, each message's link made of the one before and two checksums.
#include "client/input_digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "wire/batch.hpp"
#include "zabmq/record.hpp"

namespace zabmq::client {

namespace {

void put(std::byte* at, Digest digest) {  // little-endian
  auto value = static_cast<std::uint64_t>(digest);
  for (int i = 0; i < 8; ++i, value >>= 8) at[i] = static_cast<std::byte>(value & 0xff);
}

}  // namespace

void InputDigest::add(std::string_view topic, Bytes payload) {
  std::array<std::byte, 24> link{};
  put(link.data(), digest);
  put(link.data() + 8, checksum({reinterpret_cast<const std::byte*>(topic.data()), topic.size()}));
  put(link.data() + 16, checksum(payload));
  digest = checksum(link);
  ++count;
}

void InputDigest::add_batch(Bytes body) {
  wire::BatchReader messages(body);
  while (const auto message = messages.next()) add(message->topic, message->payload);
}

}  // namespace zabmq::client
