// ZmqClientLinks tests: a real ROUTER on a loopback port, real DEALERs as clients.
#include "node/zmq_client_links.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/zmtp_client.hpp"

using namespace zabmq;
using node::ZmqClientLinks;
using replica::ConnectionId;
using Sent = replica::ClientLinks::Sent;

namespace {

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Frame {
  ConnectionId from;
  std::string header;
  Slice body;
};

struct Server : ZmqClientLinks::Listener {
  explicit Server(ZmqClientLinks::Options options = {}) : links(context, options) {
    REQUIRE(links.bind("tcp://127.0.0.1:*") == 0);
    links.tick(1);
  }

  void on_client_frame(ConnectionId from, Bytes header, Slice body) override {
    frames.push_back({from, text_of(header), std::move(body)});
  }

  std::string endpoint() {
    std::array<char, 256> text{};
    std::size_t size = text.size();
    REQUIRE(zmq_getsockopt(links.handle(), ZMQ_LAST_ENDPOINT, text.data(), &size) == 0);
    return text.data();
  }

  // Waits for the socket, not for the clock; bounded.
  void receive_until(auto condition, bool receive = true) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      pollfd item = links.poll_item();
      REQUIRE(poll(&item, 1, links.has_input() ? 0 : 10) >= 0);
      links.polled(item);
      if (receive) links.receive(*this, 16, bytes_per_turn);
    }
  }
  void receive_frames(std::size_t count) {
    receive_until([&] { return frames.size() >= count; });
  }

  static constexpr std::size_t bytes_per_turn = 1 << 20;
  zmq::context_t context{1};
  ZmqClientLinks links;
  std::vector<Frame> frames;
};

struct Client {
  explicit Client(Server& server, const std::string& name = "")
      : socket(server.context, zmq::socket_type::dealer) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 10'000);
    if (!name.empty()) socket.set(zmq::sockopt::routing_id, name);
    socket.connect(server.endpoint());
  }
  void send(const std::vector<std::string>& parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool more = i + 1 < parts.size();
      socket.send(zmq::buffer(parts[i]), more ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  std::vector<zmq::message_t> receive() {
    std::vector<zmq::message_t> parts;
    do {
      parts.emplace_back();
      REQUIRE(socket.recv(parts.back()));
    } while (parts.back().more());
    return parts;
  }
  template <class Message>
  Message receive_message() {
    const auto parts = receive();
    const auto message =
        wire::decode_server({static_cast<const std::byte*>(parts[0].data()), parts[0].size()});
    REQUIRE(message);
    REQUIRE(std::holds_alternative<Message>(*message));
    return std::get<Message>(*message);
  }

  zmq::socket_t socket;
};

Slice slice_of_size(std::size_t size) {
  auto owner = std::make_shared<std::vector<std::byte>>(size, std::byte{7});
  const Bytes bytes(*owner);
  return {std::move(owner), bytes};
}

}  // namespace

TEST_SUITE("node/client_links") {
  TEST_CASE("client links: header and body -> one frame, each client has its own number") {
    Server server;
    Client a(server), b(server);

    a.send({"one", "body"});
    a.send({"two"});
    server.receive_frames(2);
    b.send({"three"});
    server.receive_frames(3);

    CHECK(server.frames[0].header == "one");
    CHECK(text_of(server.frames[0].body.bytes()) == "body");
    CHECK(server.frames[1].header == "two");
    CHECK(server.frames[1].body.empty());
    CHECK(server.frames[0].from == server.frames[1].from);
    CHECK(server.frames[2].from != server.frames[0].from);
    CHECK(server.links.connections() == 2);
  }

  TEST_CASE("client links: more than header and body -> an empty header, the next is unharmed") {
    Server server;
    Client client(server);

    client.send({"one", "two", "three", "four"});
    client.send({"good"});
    server.receive_frames(2);

    // It was dropped without a word: a client could not tell it from a dead server.
    CHECK(server.frames[0].header.empty());
    CHECK(server.frames[0].body.empty());
    CHECK(server.frames[1].header == "good");
    CHECK(server.frames[1].from == server.frames[0].from);
  }

  TEST_CASE("client links: a body of any size -> arrives whole, its memory is let go afterwards") {
    Server server;
    Client client(server);
    client.send({"hello"});
    server.receive_frames(1);

    for (const std::size_t size : {std::size_t{1}, ZmqClientLinks::copy_below - 1,
                                   ZmqClientLinks::copy_below, std::size_t{1} << 20}) {
      Slice body = slice_of_size(size);
      const std::weak_ptr<const void> memory = body.owner();
      REQUIRE(server.links.send(server.frames[0].from, wire::Deliver{1, 0, 1}, std::move(body)) ==
              Sent::ok);
      {
        const auto parts = client.receive();
        REQUIRE(parts.size() == 2);
        CHECK(parts[1].size() == size);
        CHECK(static_cast<const char*>(parts[1].data())[size - 1] == 7);
      }
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (!memory.expired()) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        std::this_thread::yield();
      }
    }
  }

  TEST_CASE("client links: bounds of a turn in messages and bytes -> the rest waits for the next") {
    Server server;
    Client client(server);
    client.send({"hello"});
    server.receive_frames(1);
    client.send({"1", std::string(600, 'x')});
    client.send({"2", std::string(600, 'x')});
    client.send({"3"});
    client.send({"4"});
    const auto take = [&](std::size_t messages_max, std::size_t bytes_max) {
      const std::size_t before = server.frames.size();
      server.receive_until(
          [&] {
            server.links.receive(server, messages_max, bytes_max);
            return server.frames.size() > before;
          },
          false);
      return server.frames.size() - before;
    };

    CHECK(take(16, 1) == 1);
    CHECK(take(1, 1 << 20) == 1);
    CHECK(take(1, 1 << 20) == 1);
    CHECK(take(1, 1 << 20) == 1);
    CHECK(server.frames.back().header == "4");
    CHECK_FALSE(server.links.has_input());
  }

  TEST_CASE("client links: a client that does not read -> full, and nobody else notices") {
    Server server;
    Client slow(server), other(server);
    slow.socket.set(zmq::sockopt::rcvhwm, 1);
    slow.send({"slow"});
    server.receive_frames(1);
    other.send({"other"});
    server.receive_frames(2);
    REQUIRE_FALSE(server.links.take_blocked());

    const Slice body = slice_of_size(std::size_t{1} << 20);
    Sent sent = Sent::ok;
    for (int n = 0; n < 10'000 && sent == Sent::ok; ++n) {
      sent = server.links.send(server.frames[0].from, wire::Deliver{}, body);
    }

    CHECK(sent == Sent::full);
    CHECK(server.links.take_blocked());
    CHECK_FALSE(server.links.take_blocked());
    CHECK(server.links.send(server.frames[1].from, wire::ServerPong{3}, {}) == Sent::ok);
    CHECK(other.receive_message<wire::ServerPong>().last_committed == 3);
  }

  TEST_CASE("client links: large bodies that nobody reads -> full by their bytes, not by number") {
    Server server;
    Client slow(server);
    slow.socket.set(zmq::sockopt::rcvhwm, 1);
    slow.send({"slow"});
    server.receive_frames(1);
    std::vector<std::weak_ptr<const void>> memory;
    const auto kept = [&memory] {
      return static_cast<std::size_t>(std::count_if(
          memory.begin(), memory.end(), [](const auto& owner) { return !owner.expired(); }));
    };
    constexpr std::size_t size = std::size_t{1} << 20;
    // The kernel takes some megabytes, too: full is what stays full.
    for (int full = 0; full < 100;) {
      Slice body = slice_of_size(size);
      const std::weak_ptr<const void> owner = body.owner();
      const Sent sent = server.links.send(server.frames[0].from, wire::Deliver{}, std::move(body));
      full = sent == Sent::full ? full + 1 : 0;
      if (sent == Sent::ok) memory.push_back(owner);
      REQUIRE(memory.size() < 1000);
      if (sent == Sent::full) server.receive_until([&, n = 0]() mutable { return ++n > 1; });
    }
    CHECK(kept() <= ZmqClientLinks::send_queue_bytes / size + 1);
    server.links.release(server.frames[0].from);  // what waits is still its own
    CHECK(server.links.connections() == 1);

    CHECK(server.links.send(server.frames[0].from, wire::ServerPong{}, {}) == Sent::ok);
    for (std::size_t n = 0; n < memory.size(); ++n) CHECK(slow.receive()[1].size() == size);
    server.receive_until([&] { return kept() == 0; });
    CHECK(server.links.send(server.frames[0].from, wire::Deliver{}, slice_of_size(size)) ==
          Sent::ok);
  }

  TEST_CASE("client links: a client went away -> gone, and its number is never used again") {
    Server server;
    ConnectionId left{};
    {
      Client client(server);
      client.send({"hello"});
      server.receive_frames(1);
      left = server.frames[0].from;
    }
    // As the server's loop does: a send alone may not look at what the I/O thread has to say.
    server.receive_until(
        [&] { return server.links.send(left, wire::ServerPong{}, {}) == Sent::gone; });

    Client next(server);
    next.send({"hello"});
    server.receive_frames(2);
    CHECK(server.frames[1].from != left);
    CHECK(server.links.send(left, wire::ServerPong{}, {}) == Sent::gone);
  }

  TEST_CASE("client links: a client silent for longer than the time-out -> forgotten") {
    Server server({.idle_timeout_ms = 5000});
    Client client(server);
    client.send({"hello"});
    server.receive_frames(1);

    server.links.tick(5001);
    CHECK(server.links.connections() == 1);
    server.links.tick(6002);

    CHECK(server.links.connections() == 0);
    CHECK(server.links.send(server.frames[0].from, wire::ServerPong{}, {}) == Sent::gone);
    client.send({"again"});
    server.receive_frames(2);
    CHECK(server.frames[1].from != server.frames[0].from);
  }

  TEST_CASE("client links: released -> its place is free, it may speak under another number") {
    Server server({.connections_max = 1});
    Client first(server);
    first.send({"bye"});
    server.receive_frames(1);
    const ConnectionId left = server.frames[0].from;

    server.links.release(left);

    CHECK(server.links.connections() == 0);
    CHECK(server.links.send(left, wire::ServerPong{}, {}) == Sent::gone);
    first.send({"hello"});
    server.receive_frames(2);
    CHECK(server.frames[1].from != left);
  }

  TEST_CASE("client links: a routing id chosen by the client -> RESET, nothing is handed on") {
    Server server;
    Client client(server, "me");
    client.send({"hello"});

    server.receive_until([&] { return server.links.counters().routing_ids_refused == 1; });

    CHECK(server.frames.empty());
    CHECK(client.receive_message<wire::Reset>().reason ==
          "leave the routing id of the socket empty");
  }

  // libzmq aborts the process when a connection whose input is held up breaks and its heartbeat
  // comes due: a client that is killed while its server is busy would take the server with it.
  TEST_CASE("client links: a connection breaks while its frames wait to be read -> no abort") {
    Server server;
    support::ZmtpClient client(server.endpoint(), "");
    for (int i = 0; i < 100; ++i) client.send_message("waits");
    poll(nullptr, 0, 200);  // until the server's I/O thread has read them
    client.reset();

    poll(nullptr, 0, 2200);  // more than two heartbeats, if there were any

    Client other(server);
    other.send({"heard"});
    server.receive_until([&] {
      return std::any_of(server.frames.begin(), server.frames.end(),
                         [](const Frame& frame) { return frame.header == "heard"; });
    });
  }

  TEST_CASE("client links: one client more than the bound -> refused as busy") {
    Server server({.connections_max = 1});
    Client first(server);
    first.send({"hello"});
    server.receive_frames(1);
    Client second(server);
    second.send({"hello"});

    server.receive_until([&] { return server.links.counters().connections_refused == 1; });

    CHECK(second.receive_message<wire::Refused>().code == Code::busy);
    CHECK(server.frames.size() == 1);
  }
}
