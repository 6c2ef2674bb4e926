// Golden bytes: comparing encodings with the bytes of version 1, written down as hex.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::storage {

std::string to_hex(Bytes bytes);
std::vector<std::byte> from_hex(std::string_view hex);
Uuid uuid_from(std::uint8_t first);  // sixteen bytes counting up

}  // namespace zabmq::storage
