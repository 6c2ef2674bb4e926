// Random: names and nonces, from the kernel. The only source of randomness in a server.
#pragma once

#include "zabmq/types.hpp"

namespace zabmq::node {

Uuid draw_uuid();  // never none; throws std::system_error when the kernel has no randomness

}  // namespace zabmq::node
