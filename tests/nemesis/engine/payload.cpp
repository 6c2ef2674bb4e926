// Payload: a fixed head and a random tail.
#include "nemesis/engine/payload.hpp"

#include <cstring>

#include "zabmq/record.hpp"

namespace zabmq::nemesis {

namespace {

struct Head {
  std::uint32_t magic = 0x315a'424e;
  std::uint32_t publisher = 0;
  std::uint64_t ticket = 0;
};

constexpr std::size_t small_tail_max = 200;
constexpr std::size_t large_tail_max = 16 * 1024;
constexpr unsigned large_of = 200;  // one of so many messages is large

}  // namespace

std::string make_payload(const Identity& identity, std::mt19937_64& random) {
  Head head;
  head.publisher = static_cast<std::uint32_t>(identity.publisher);
  head.ticket = identity.ticket;
  std::string payload(reinterpret_cast<const char*>(&head), sizeof head);
  const std::size_t tail = random() % (random() % large_of == 0 ? large_tail_max : small_tail_max);
  std::uint64_t bits = random();
  for (std::size_t i = 0; i < tail; ++i) {
    payload += static_cast<char>(bits >> 56);
    bits = bits * 6364136223846793005u + 1442695040888963407u;
  }
  return payload;
}

std::optional<Identity> identity_of(Bytes payload) {
  Head head;
  const std::uint32_t magic = head.magic;
  if (payload.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, payload.data(), sizeof head);
  if (head.magic != magic) return std::nullopt;
  return Identity{sim::PublisherKey{head.publisher}, head.ticket};
}

std::uint64_t payload_hash(Bytes payload) {
  return static_cast<std::uint64_t>(checksum(payload));
}

}  // namespace zabmq::nemesis
