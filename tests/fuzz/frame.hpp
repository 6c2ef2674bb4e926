// Frame: header parts with the checksum they should have, so that a fuzzer gets past it. The
// product's check stays on: it is the input that is made to fit.
#pragma once

#include <cstring>
#include <vector>

#include "zabmq/record.hpp"
#include "zabmq/types.hpp"

namespace zabmq::fuzz {

inline constexpr std::size_t frame_checksum_size = 8;

// `rest` behind its checksum.
inline std::vector<std::byte> sealed(Bytes rest) {
  std::vector<std::byte> header(frame_checksum_size);
  const Digest digest = checksum(rest);
  std::memcpy(header.data(), &digest, frame_checksum_size);
  header.insert(header.end(), rest.begin(), rest.end());
  return header;
}

// What `header` holds behind its checksum, with one byte more, or without its last `fewer`.
inline std::vector<std::byte> longer(Bytes header, std::byte more) {
  std::vector<std::byte> rest(header.begin() + frame_checksum_size, header.end());
  rest.push_back(more);
  return sealed(rest);
}
inline std::vector<std::byte> shorter(Bytes header, std::size_t fewer) {
  return sealed(
      header.subspan(frame_checksum_size).first(header.size() - frame_checksum_size - fewer));
}

}  // namespace zabmq::fuzz
