// Golden bytes: version 1 of every client frame. A change here breaks every client that exists.
// The bytes were checked against Python's msgpack and libxxhash.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "wire/sample_frames.hpp"

namespace zabmq::wire {
namespace {

struct Golden {
  std::string_view name;
  std::string_view hex;
};

constexpr Golden client_golden[] = {
    {"HELLO",
     "aa7b60eb577c988f98010102c410101112131415161718191a1b1c1d1e1fc4102021222324252627"
     "28292a2b2c2d2e2f03c410303132333435363738393a3b3c3d3e3fcd012c"},
    {"PUBLISH", "65cdfc32bc4f3dfe950205ce00011170cd0258cf1122334455667788"},
    {"SUBSCRIBE",
     "5dcefdccbc2821509b03090311072ac3ce00010000ce0080000092a66f7264657273a97072696365"
     "732fc3a9cf0006123456789abc"},
    {"CREDIT", "e8e222d00b1d9b2d940409cd8000ce00400000"},
    {"UNSUBSCRIBE", "6b1a6fc64cfbcfcb920509"},
    {"PING", "a099150b063ef9d99106"},
    {"STATUS", "94e8b18517450a0692074d"},
    {"CLOSE", "dd2c49e457badaef920805"},
    {"BYE", "ca1e3617ccd149019109"},
    {"MOVE-CURSOR", "09822d7d78a56a88950a4ea762696c6c696e67cd04d2c3"},
    {"LIST-CURSORS", "dc0b412a8e57d852930b4fa56175646974"},
};

constexpr Golden server_golden[] = {
    {"WELCOME",
     "d2bc660377d0af6b9e4101c410101112131415161718191a1b1c1d1e1fc410202122232425262728"
     "292a2b2c2d2e2f030201b47463703a2f2f3132372e302e302e313a39343730c305ce0001116fce00"
     "100000ce00200000cd03e8"},
    {"RECEIPT", "cfa6af271c905ab69642ce00011170cd0258ce000f4241072a"},
    {"REFUSED",
     "152a2bb1c02a788c9c4301ce000111700101b6736572766572203220646f6573206e6f74206c6561"
     "64ce00010d88c3b47463703a2f2f3132372e302e302e313a39343830c30b63"},
    {"SUBSCRIBED", "cf104fa32f5a4df396440912cd04d2c3c3"},
    {"DELIVER", "e42e347e6120b0d994450911cd0269"},
    {"GAP", "8da2cb0ec06bafea934609cd01f4"},
    {"COVERED", "dfadfc1b518cd0a3934709cd0269"},
    {"PONG", "e1b7fe9ecffe2b209248cd04d2"},
    {"RESET", "22c0b288d17932d79249b2756e6b6e6f776e20636f6e6e656374696f6e"},
    {"CLOSED", "a8efb74b8326a030924a05"},
    {"STATUS-ANSWER",
     "a57273c76cd7e8f4dc00114b4d02010307072b072a01cd04d202929201b47463703a2f2f3132372e"
     "302e302e313a393437309202b47463703a2f2f3132372e302e302e313a39343830a56673796e63a5"
     "766f74657292ab70726f706f73616c733d39a87265736574733d30"},
    {"CURSOR-MOVED", "e0bcd5f7cf07a002934c4ecd04d2"},
    {"CURSORS", "90bf6b1b0b2752e1964d4f9292a561756469740792a762696c6c696e67cd04d2c305cd07d0"},
};

std::string hex(Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += digits[std::to_integer<std::size_t>(b >> 4)];
    text += digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

}  // namespace

TEST_SUITE("wire/client_frame") {
  TEST_CASE("conditions: an optional value at the end -> the golden bytes of the longer frames") {
    auto publish = std::get<Publish>(samples::client_frames()[1]);
    auto refused = std::get<Refused>(samples::server_frames()[2]);
    publish.expect_last_offset = 41;
    refused.expect_last_offset = 41;

    CHECK(hex(encode(ClientMessage{publish})) ==
          "09c239d856731b7f960205ce00011170cd0258cf112233445566778829");
    CHECK(hex(encode(ServerMessage{refused})) ==
          "bced7390f43ca9b39d4301ce000111700101b6736572766572203220646f6573206e6f74206c6561"
          "64ce00010d88c3b47463703a2f2f3132372e302e302e313a39343830c30b6329");
    auto subscribe = std::get<Subscribe>(samples::client_frames()[2]);
    subscribe.cursor = "billing";
    CHECK(hex(encode(ClientMessage{subscribe})) ==
          "0c06b27b2cea967b9c03090311072ac3ce00010000ce0080000092a66f7264657273a97072696365"
          "732fc3a9cf0006123456789abca762696c6c696e67");
    auto hello = std::get<Hello>(samples::client_frames()[0]);
    hello.instance = 0;
    hello.known = 300;
    CHECK(hex(encode(ClientMessage{hello})) ==
          "d233a305f632363b99010102c410101112131415161718191a1b1c1d1e1fc4102021222324252627"
          "28292a2b2c2d2e2f03c410303132333435363738393a3b3c3d3e3f00cd012c");
    CHECK(decode_client(encode(ClientMessage{hello})) == ClientMessage{hello});
    CHECK(decode_client(encode(ClientMessage{subscribe})) == ClientMessage{subscribe});
    CHECK(decode_client(encode(ClientMessage{publish})) == ClientMessage{publish});
    CHECK(decode_server(encode(ServerMessage{refused})) == ServerMessage{refused});
  }

  TEST_CASE("client frames: version 1 -> the golden bytes, which decode to the same frame") {
    const auto frames = samples::client_frames();
    REQUIRE(frames.size() == std::variant_size_v<ClientMessage>);
    REQUIRE(frames.size() == std::size(client_golden));
    for (std::size_t i = 0; i < frames.size(); ++i) {
      CAPTURE(client_golden[i].name);
      CHECK(frames[i].index() == i);
      CHECK(name_of(frames[i]) == client_golden[i].name);
      const auto bytes = encode(frames[i]);
      CHECK(hex(bytes) == client_golden[i].hex);
      CHECK(decode_client(bytes) == frames[i]);
    }
  }

  TEST_CASE("server frames: version 1 -> the golden bytes, which decode to the same frame") {
    const auto frames = samples::server_frames();
    REQUIRE(frames.size() == std::variant_size_v<ServerMessage>);
    REQUIRE(frames.size() == std::size(server_golden));
    for (std::size_t i = 0; i < frames.size(); ++i) {
      CAPTURE(server_golden[i].name);
      CHECK(frames[i].index() == i);
      CHECK(name_of(frames[i]) == server_golden[i].name);
      const auto bytes = encode(frames[i]);
      CHECK(hex(bytes) == server_golden[i].hex);
      CHECK(decode_server(bytes) == frames[i]);
    }
  }
}

}  // namespace zabmq::wire
