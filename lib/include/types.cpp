// Types: the text forms of the shared identifiers and errors.
#include "zabmq/types.hpp"

#include <charconv>

#include "zabmq/result.hpp"

namespace zabmq {

std::string to_string(ServerId id) {
  return std::to_string(static_cast<std::uint32_t>(id));
}
std::string to_string(Epoch e) {
  return std::to_string(static_cast<std::uint32_t>(e));
}
std::string to_string(Zxid z) {
  return to_string(z.epoch) + "." + std::to_string(z.counter);
}

std::string to_string(const Uuid& id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * id.bytes.size());
  for (std::byte b : id.bytes) {
    text += digits[std::to_integer<std::size_t>(b >> 4)];
    text += digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  Uuid id;
  if (text.size() != 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    unsigned value = 0;
    const char* const from = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(from, from + 2, value, 16);
    if (error != std::errc{} || end != from + 2) return std::nullopt;
    id.bytes[i] = static_cast<std::byte>(value);
  }
  return id;
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::looking:
      return "looking";
    case Role::leading:
      return "leader";
    case Role::following:
      return "follower";
    case Role::observing:
      return "observer";
  }
  return "?";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::election:
      return "election";
    case Phase::discovery:
      return "discovery";
    case Phase::synchronization:
      return "synchronization";
    case Phase::broadcast:
      return "broadcast";
  }
  return "?";
}

std::string_view to_string(Code code) {
  switch (code) {
    case Code::unavailable:
      return "unavailable";
    case Code::refused:
      return "refused";
    case Code::too_large:
      return "too_large";
    case Code::busy:
      return "busy";
    case Code::no_space:
      return "no_space";
    case Code::gap:
      return "gap";
    case Code::expired:
      return "expired";
    case Code::duplicate:
      return "duplicate";
    case Code::not_authorized:
      return "not_authorized";
    case Code::protocol:
      return "protocol";
    case Code::unknown_outcome:
      return "unknown_outcome";
  }
  return "?";
}

}  // namespace zabmq
