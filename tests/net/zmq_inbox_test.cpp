// ZmqInbox tests: what a socket's descriptor does not tell, and what must not be missed for it.
#include "wire/zmq_inbox.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <zmq.hpp>

namespace zabmq::wire {
namespace {

// Two ends; `here` is the one that is looked at.
struct Ends {
  Ends() {
    there.bind("inproc://ends");
    here.connect("inproc://ends");
    inbox = ZmqInbox(here.handle());
    while (inbox.has_input()) receive();  // what connecting has left
  }

  void say(const std::string& text) { there.send(zmq::buffer(text)); }
  bool signalled(int timeout_ms = 0) const {
    pollfd item = inbox.poll_item();
    return poll(&item, 1, timeout_ms) == 1;
  }
  // As the loop does it.
  bool wait(int timeout_ms) {
    pollfd item = inbox.poll_item();
    const int ready = poll(&item, 1, inbox.has_input() ? 0 : timeout_ms);
    inbox.polled(item);
    return ready == 1 || inbox.may_have();
  }
  std::string receive() {
    zmq::message_t part;
    return inbox.may_have() && inbox.receive(part.handle()) ? part.to_string() : "nothing";
  }

  zmq::context_t context{1};
  zmq::socket_t here{context, zmq::socket_type::pair};
  zmq::socket_t there{context, zmq::socket_type::pair};
  ZmqInbox inbox;
};

constexpr int patience_ms = 10'000;

TEST_SUITE("wire/zmq_inbox") {
  TEST_CASE("inbox: nothing was sent -> it is quiet and the descriptor is silent") {
    Ends ends;
    CHECK_FALSE(ends.inbox.may_have());
    CHECK_FALSE(ends.wait(1));
    CHECK(ends.receive() == "nothing");
  }

  TEST_CASE("inbox: one signal for several parts -> all of them are found") {
    Ends ends;
    ends.say("one");
    ends.say("two");
    REQUIRE(ends.wait(patience_ms));
    CHECK(ends.receive() == "one");
    CHECK_FALSE(ends.signalled());  // and yet there is more
    CHECK(ends.inbox.has_input());
    CHECK(ends.receive() == "two");
    CHECK_FALSE(ends.inbox.has_input());
    ends.say("three");
    REQUIRE(ends.wait(patience_ms));
    CHECK(ends.receive() == "three");
  }

  TEST_CASE("inbox: asking for room takes the signal -> what came meanwhile is not missed") {
    Ends ends;
    REQUIRE_FALSE(ends.inbox.has_input());
    ends.say("one");
    REQUIRE(ends.signalled(patience_ms));
    CHECK(ends.inbox.has_room());
    CHECK_FALSE(ends.signalled());
    CHECK(ends.inbox.may_have());
    CHECK(ends.receive() == "one");
  }

  TEST_CASE("inbox: sending takes the signal -> what came meanwhile is not missed") {
    Ends ends;
    ends.say("one");
    REQUIRE(ends.signalled(patience_ms));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (ends.signalled()) {  // a send looks for news once in some milliseconds
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      ends.inbox.sent();
      zmq_send(ends.here.handle(), "x", 1, ZMQ_DONTWAIT);
    }
    CHECK(ends.inbox.has_input());
    CHECK(ends.receive() == "one");
  }
}

}  // namespace
}  // namespace zabmq::wire
