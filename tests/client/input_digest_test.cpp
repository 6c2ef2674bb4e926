// InputDigestTest: other messages, another topic or another order give another digest.
#include "client/input_digest.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/batch.hpp"

namespace zabmq::client {
namespace {

using Messages = std::initializer_list<std::pair<std::string_view, std::string_view>>;

Bytes bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

InputDigest digest_of(Messages messages) {
  InputDigest input;
  for (const auto& [topic, payload] : messages) input.add(topic, bytes(payload));
  return input;
}

}  // namespace

TEST_SUITE("client/input_digest") {
  TEST_CASE("two messages -> golden, as docs/wire.md has it, none -> nothing") {
    CHECK(digest_of({}) == InputDigest{0, Digest::none});
    CHECK(digest_of({{"orders", "first"}, {"orders", "second"}}) ==
          InputDigest{2, static_cast<Digest>(0x47603a2a9d74c1b7)});
  }

  TEST_CASE("what differs in anything -> another digest") {
    const Digest known = digest_of({{"t", "ab"}, {"t", "c"}}).digest;
    for (const Messages& other :
         {Messages{{"t", "a"}, {"t", "bc"}}, Messages{{"t", "c"}, {"t", "ab"}},
          Messages{{"u", "ab"}, {"u", "c"}}, Messages{{"t", "ab"}, {"t", ""}},
          Messages{{"t", "ab"}}}) {
      CHECK(digest_of(other).digest != known);
    }
  }

  TEST_CASE("a batch -> the same as its messages, headers left out") {
    std::vector<std::byte> body;
    const auto headers = wire::encode_headers({{"k", "v"}});
    wire::append_message(body, {.topic = "t", .headers = *headers, .payload = bytes("ab")});
    wire::append_message(body, {.topic = "t", .payload = bytes("c")});
    InputDigest input;

    input.add_batch(body);

    CHECK(input == digest_of({{"t", "ab"}, {"t", "c"}}));
  }
}

}  // namespace zabmq::client
