// Payload: what the nemesis publishes: whose message it is, which attempt, and random bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "sim/history_checker.hpp"
#include "zabmq/types.hpp"

namespace zabmq::nemesis {

struct Identity {
  sim::PublisherKey publisher{};
  std::uint64_t ticket = 0;
};

std::string make_payload(const Identity& identity, std::mt19937_64& random);
std::optional<Identity> identity_of(Bytes payload);
std::uint64_t payload_hash(Bytes payload);
inline Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace zabmq::nemesis
