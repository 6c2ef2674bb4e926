// Types: the identifiers that every layer shares. Each is its own type, so that an epoch never
// passes for a counter; arithmetic on them lives here and nowhere else.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace zabmq {

enum class ServerId : std::uint32_t { none = 0 };
enum class Epoch : std::uint32_t { none = 0 };
enum class Digest : std::uint64_t { none = 0 };  // XXH3-64 of a record's header: the chain digest

using Offset =
    std::uint64_t;  // number of committed messages up to and including this one; 0 = none
using Sequence = std::uint64_t;  // a publisher's message number, from 1 without holes
using Instance = std::uint64_t;  // fencing number of a publisher, raised by each opening
using LogTime = std::uint64_t;   // microseconds since 1970, never goes back along the log

using Bytes = std::span<const std::byte>;

constexpr Epoch next(Epoch e) {
  return Epoch{static_cast<std::uint32_t>(e) + 1};
}

// zxid = (epoch, counter). The counter runs from 1 without holes inside an epoch; 0 stands for
// NEWLEADER and is never logged, so {0, 0} means "nothing".
struct Zxid {
  Epoch epoch = Epoch::none;
  std::uint64_t counter = 0;
  friend constexpr auto operator<=>(const Zxid&, const Zxid&) = default;
};

constexpr Zxid next(Zxid z) {
  return {z.epoch, z.counter + 1};
}
constexpr bool is_none(Zxid z) {
  return z == Zxid{};
}

// True when `b` can stand directly behind `a` in a history: the next counter of the same epoch, or
// the first of a later one.
constexpr bool follows(Zxid b, Zxid a) {
  return b.epoch == a.epoch ? b.counter == a.counter + 1 : (b.epoch > a.epoch && b.counter == 1);
}

// A random 128-bit name: cluster, history, publisher, incarnation.
struct Uuid {
  std::array<std::byte, 16> bytes{};
  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
};

constexpr bool is_none(const Uuid& id) {
  return id == Uuid{};
}

// Where a history begins: the last transaction that is no longer kept. All zero: everything is
// kept.
struct Floor {
  Zxid zxid;
  Offset offset = 0;
  Digest digest = Digest::none;
  friend constexpr bool operator==(const Floor&, const Floor&) = default;
};

enum class Role : std::uint8_t { looking, leading, following, observing };
enum class Phase : std::uint8_t { election, discovery, synchronization, broadcast };

std::string to_string(ServerId);
std::string to_string(Epoch);
std::string to_string(Zxid);         // "7.42"
std::string to_string(const Uuid&);  // 32 hex digits
std::optional<Uuid> parse_uuid(std::string_view text);
std::string_view to_string(Role);
std::string_view to_string(Phase);

}  // namespace zabmq
