// Random: names and nonces, from the kernel. The only source of randomness in a server.
#pragma once

#include <cstdint>

#include "zabmq/types.hpp"

namespace zabmq::node {

// They throw std::system_error when the kernel has no randomness.
Uuid draw_uuid();  // never none
std::uint64_t draw_nonce();

}  // namespace zabmq::node
