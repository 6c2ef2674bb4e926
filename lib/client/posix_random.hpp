// PosixRandom: names nobody else has, and seeds for jitter.
#pragma once

#include <cstdint>

#include "zabmq/types.hpp"

namespace zabmq::client {

Uuid random_uuid();
std::uint64_t random_seed();

}  // namespace zabmq::client
