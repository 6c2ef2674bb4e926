// Golden: bytes in hex.
#include "golden.hpp"

namespace zabmq::storage {

std::string to_hex(Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (const std::byte b : bytes) {
    hex += digits[std::to_integer<std::size_t>(b >> 4)];
    hex += digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return hex;
}

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Uuid uuid_from(std::uint8_t first) {
  Uuid id;
  for (std::byte& b : id.bytes) b = std::byte{first++};
  return id;
}

}  // namespace zabmq::storage
