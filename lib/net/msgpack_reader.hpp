// MsgpackReader: reads msgpack values off the front of a byte string, without a tree and without an
// allocation. Every read says whether the value was there, whole and of that type; after the first
// false the reader is spent. msgpack-c's unpacker allocates for counts that were only claimed,
// which is why frames from the network are read by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "zabmq/types.hpp"

namespace zabmq::net {

class MsgpackReader {
 public:
  explicit MsgpackReader(Bytes bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  bool read(std::uint64_t& out);
  bool read(bool& out);
  bool read_binary(std::span<std::byte> out);  // a bin of exactly this size
  bool read_binary(Bytes& out);                // a bin of any size, where it stands
  bool read_array(std::size_t& count);         // no more elements than bytes are left
  bool skip();                                 // one value of any type

 private:
  bool take(std::size_t size, Bytes& out);
  bool take_byte(std::uint8_t& out);
  bool take_big_endian(std::size_t size, std::uint64_t& out);
  bool skip_sized(std::size_t length_size, std::uint64_t extra);
  bool skip_one(std::uint64_t& pending);

  Bytes rest_;
};

}  // namespace zabmq::net
