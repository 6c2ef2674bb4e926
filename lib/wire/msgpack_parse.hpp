// MsgpackParse: untrusted bytes into a msgpack object, within limits. Included by .cpp files only.
#pragma once

#include <algorithm>
#include <exception>
#include <msgpack.hpp>
#include <optional>

#include "zabmq/types.hpp"

namespace zabmq::wire {

struct ParseLimits {
  std::size_t array = 0;
  std::size_t map = 0;
  std::size_t str = 0;
  std::size_t bin = 0;
};

inline constexpr std::size_t parse_depth_max = 4;

// The one object that fills `bytes` exactly. It lives in `zone`, its strings in `bytes`. An array's
// announced length is trusted only as far as the bytes that are there could hold it: msgpack
// allocates for it before it reads the first element.
inline std::optional<msgpack::object> parse_msgpack(msgpack::zone& zone, Bytes bytes,
                                                    const ParseLimits& limits) {
  const auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
  const msgpack::unpack_limit bounds(std::min(limits.array, bytes.size()),
                                     std::min(limits.map, bytes.size()), limits.str, limits.bin, 0,
                                     parse_depth_max);
  try {
    std::size_t used = 0;
    const msgpack::object object =
        msgpack::unpack(zone, reinterpret_cast<const char*>(bytes.data()), bytes.size(), used,
                        refer, nullptr, bounds);
    if (used != bytes.size()) return std::nullopt;
    return object;
  } catch (const std::exception&) {  // unpack_error, and bad_alloc, share no other base
    return std::nullopt;
  }
}

}  // namespace zabmq::wire
