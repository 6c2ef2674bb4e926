// Text: identifiers, messages and histories as the tests write, print and read them.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "zab/message.hpp"
#include "zab/ready.hpp"
#include "zabmq/types.hpp"

namespace zabmq::zab::test {

constexpr ServerId server(unsigned id) {
  return ServerId{id};
}
constexpr Epoch epoch(unsigned number) {
  return Epoch{number};
}
constexpr Zxid zxid(unsigned e, std::uint64_t counter) {
  return {Epoch{e}, counter};
}

// "1:3 2:1" = counters 1..3 of epoch 1, then 1 of epoch 2. "floor=1.2 1:3" begins behind 1.2.
History parse_history(std::string_view text);
std::string text(const History& history);

Zxid parse_zxid(std::string_view text);

std::string_view text(Standing standing);
std::string text(const Identity& identity);
std::string text(const Message& message);  // "ACK-E 4 promised=true current=3 history=[1:3]"

}  // namespace zabmq::zab::test

// How doctest shows the values of a failed check.
namespace doctest {

template <>
struct StringMaker<zabmq::Zxid> {
  static String convert(zabmq::Zxid z) { return zabmq::to_string(z).c_str(); }
};
template <>
struct StringMaker<zabmq::ServerId> {
  static String convert(zabmq::ServerId id) { return zabmq::to_string(id).c_str(); }
};
template <>
struct StringMaker<zabmq::Epoch> {
  static String convert(zabmq::Epoch e) { return zabmq::to_string(e).c_str(); }
};
template <>
struct StringMaker<zabmq::Role> {
  static String convert(zabmq::Role role) { return std::string(zabmq::to_string(role)).c_str(); }
};
template <>
struct StringMaker<zabmq::Phase> {
  static String convert(zabmq::Phase p) { return std::string(zabmq::to_string(p)).c_str(); }
};
template <>
struct StringMaker<zabmq::zab::History> {
  static String convert(const zabmq::zab::History& h) { return zabmq::zab::test::text(h).c_str(); }
};
template <>
struct StringMaker<zabmq::zab::Identity> {
  static String convert(const zabmq::zab::Identity& i) { return zabmq::zab::test::text(i).c_str(); }
};
template <>
struct StringMaker<zabmq::zab::Message> {
  static String convert(const zabmq::zab::Message& m) { return zabmq::zab::test::text(m).c_str(); }
};

}  // namespace doctest
