// Value: a msgpack value as headers have them. Written from docs/wire.md alone: a tool that shared
// the servers' codec would share its mistakes.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq::cli::conformance {

struct Value;
using List = std::vector<Value>;

struct Bin {
  std::string bytes;
  friend bool operator==(const Bin&, const Bin&) = default;
};
// Of a type that version 1 has no use for: a further element may be one.
struct Other {
  friend bool operator==(const Other&, const Other&) = default;
};
using Nil = std::monostate;

struct Value {
  Value() = default;  // nil
  Value(bool flag) : is(flag) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Value(T number) : is(static_cast<std::uint64_t>(number)) {}
  Value(const char* text) : is(std::string(text)) {}
  Value(std::string text) : is(std::move(text)) {}
  Value(const Uuid& id);
  Value(Bin bin) : is(std::move(bin)) {}
  Value(List list) : is(std::move(list)) {}
  friend bool operator==(const Value&, const Value&) = default;

  std::variant<Nil, bool, std::uint64_t, std::string, Bin, List, Other> is;
};

// In the shortest form that msgpack has. (Other has none.)
void append(std::string& out, const Value& value);

// All of `bytes` as one value. nullopt: malformed, nested too deeply, or something is behind it.
std::optional<Value> parse(std::string_view bytes);

std::string to_text(const Value& value);  // for people
std::string to_text(const List& list);

}  // namespace zabmq::cli::conformance
