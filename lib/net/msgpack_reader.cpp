// MsgpackReader: the formats of the msgpack specification, by their first byte.
#include "net/msgpack_reader.hpp"

#include <algorithm>

namespace zabmq::net {

bool MsgpackReader::take(std::size_t size, Bytes& out) {
  if (rest_.size() < size) return false;
  out = rest_.first(size);
  rest_ = rest_.subspan(size);
  return true;
}

bool MsgpackReader::take_byte(std::uint8_t& out) {
  Bytes byte;
  if (!take(1, byte)) return false;
  out = std::to_integer<std::uint8_t>(byte[0]);
  return true;
}

bool MsgpackReader::take_big_endian(std::size_t size, std::uint64_t& out) {
  Bytes bytes;
  if (!take(size, bytes)) return false;
  out = 0;
  for (std::byte b : bytes) out = out << 8 | std::to_integer<std::uint64_t>(b);
  return true;
}

bool MsgpackReader::read(std::uint64_t& out) {
  std::uint8_t first = 0;
  if (!take_byte(first)) return false;
  if (first <= 0x7f) {
    out = first;
    return true;
  }
  if (first < 0xcc || first > 0xcf) return false;
  return take_big_endian(std::size_t{1} << (first - 0xcc), out);
}

bool MsgpackReader::read(bool& out) {
  std::uint8_t first = 0;
  if (!take_byte(first) || (first != 0xc2 && first != 0xc3)) return false;
  out = first == 0xc3;
  return true;
}

bool MsgpackReader::read_binary(Bytes& out) {
  std::uint8_t first = 0;
  std::uint64_t size = 0;
  if (!take_byte(first) || first < 0xc4 || first > 0xc6) return false;
  return take_big_endian(std::size_t{1} << (first - 0xc4), size) && take(size, out);
}

bool MsgpackReader::read_binary(std::span<std::byte> out) {
  Bytes bytes;
  if (!read_binary(bytes) || bytes.size() != out.size()) return false;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return true;
}

bool MsgpackReader::read_array(std::size_t& count) {
  std::uint8_t first = 0;
  std::uint64_t claimed = 0;
  if (!take_byte(first)) return false;
  if ((first & 0xf0) == 0x90) {
    claimed = first & 0x0f;
  } else if (first != 0xdc && first != 0xdd) {
    return false;
  } else if (!take_big_endian(first == 0xdc ? 2 : 4, claimed)) {
    return false;
  }
  if (claimed > rest_.size()) return false;  // each element takes a byte at least
  count = claimed;
  return true;
}

bool MsgpackReader::skip() {
  // Containers only add to what is pending: no recursion, hence no depth to bound.
  for (std::uint64_t pending = 1; pending > 0; --pending) {
    if (!skip_one(pending) || pending - 1 > rest_.size()) return false;
  }
  return true;
}

bool MsgpackReader::skip_sized(std::size_t length_size, std::uint64_t extra) {
  std::uint64_t length = 0;
  Bytes ignored;
  return take_big_endian(length_size, length) && take(length + extra, ignored);
}

bool MsgpackReader::skip_one(std::uint64_t& pending) {
  std::uint8_t first = 0;
  std::uint64_t count = 0;
  Bytes ignored;
  if (!take_byte(first)) return false;
  if (first <= 0x7f || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3)
    return true;
  if (first <= 0x8f) {  // fixmap: keys and values
    pending += 2u * (first & 0x0fu);
    return true;
  }
  if (first <= 0x9f) {
    pending += first & 0x0fu;
    return true;
  }
  if (first <= 0xbf) return take(first & 0x1fu, ignored);                          // fixstr
  if (first >= 0xc4 && first <= 0xc6) return skip_sized(1u << (first - 0xc4), 0);  // bin
  if (first >= 0xc7 && first <= 0xc9) return skip_sized(1u << (first - 0xc7), 1);  // ext: type
  if (first >= 0xca && first <= 0xcb) return take(4u << (first - 0xca), ignored);  // float
  if (first >= 0xcc && first <= 0xcf) return take(1u << (first - 0xcc), ignored);  // uint
  if (first >= 0xd0 && first <= 0xd3) return take(1u << (first - 0xd0), ignored);  // int
  if (first >= 0xd4 && first <= 0xd8) return take(1 + (1u << (first - 0xd4)), ignored);  // fixext
  if (first >= 0xd9 && first <= 0xdb) return skip_sized(1u << (first - 0xd9), 0);        // str
  if (first >= 0xdc) {  // array 16, 32, map 16, 32
    if (!take_big_endian(first % 2 == 0 ? 2 : 4, count)) return false;
    pending += first >= 0xde ? 2 * count : count;
    return true;
  }
  return false;  // 0xc1 is never used
}

}  // namespace zabmq::net
