// SubscriberSessionTest: the subscriber's side of the conversation, against a scripted server.
#include "client/subscriber_session.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "client/record_builder.hpp"

namespace zabmq::client {
namespace {

using testing::RecordBuilder;
using testing::slice_of;
using Strings = std::vector<std::string>;

const Strings two_servers = {"tcp://a", "tcp://b"};

Uuid uuid(int first) {
  Uuid id;
  id.bytes[0] = static_cast<std::byte>(first);
  return id;
}

class Fixture {
 public:
  explicit Fixture(SubscriberSession::Options options = {.endpoints = two_servers, .from = first()})
      : session(std::move(options), now) {
    turn();
  }

  void turn() {
    session.tick(now);
    for (const Output& output : session.take_outputs()) take(output);
    for (Delivery& delivery : session.take_deliveries()) {
      MessageCursor cursor({});
      cursor.start(delivery);
      while (const Message* message = cursor.next()) offsets.push_back(message->offset);
      held.push_back(std::move(delivery));
    }
    if (auto error = session.take_error()) errors.push_back(*error);
  }

  void advance(std::uint64_t ms) {
    for (const std::uint64_t end = now + ms; now < end;) {
      now += std::min<std::uint64_t>(10, end - now);
      turn();
    }
  }
  void wait_for_connect() {
    const std::size_t before = connects.size();
    for (int i = 0; i < 200 && connects.size() == before; ++i) advance(10);
    REQUIRE(connects.size() == before + 1);
  }

  void give(const wire::ServerMessage& message, Slice body = {}) {
    session.receive(message, std::move(body), now);
    turn();
  }
  void welcome() {
    wire::Welcome frame;
    frame.cluster = uuid(1);
    frame.history = uuid(2);
    give(frame);
  }
  void subscribed(Offset next) {
    give(wire::Subscribed{.subscription = subscribes.back().subscription, .next = next});
  }
  void open(Offset next) {
    welcome();
    subscribed(next);
  }
  // `messages` messages behind `after`, in one batch.
  void deliver(Offset after, std::size_t messages) {
    give(wire::Deliver{subscribes.back().subscription, after, after + messages},
         RecordBuilder(after + 1).batch_of(messages).take());
  }
  void consume_all() {
    for (const Delivery& d : held) session.consumed(d.credit_messages, d.credit_bytes);
    held.clear();
    turn();
  }
  void lose() {
    session.lost("the connection was closed");
    turn();
  }

  std::uint64_t now = 1000;
  SubscriberSession session;
  Strings connects;
  std::vector<wire::Hello> hellos;
  std::vector<wire::Subscribe> subscribes;
  std::vector<wire::Credit> credits;
  int pings = 0;
  int byes = 0;
  bool connected = false;
  std::vector<Offset> offsets;
  std::vector<Delivery> held;
  std::vector<Error> errors;

 private:
  void take(const Output& output) {
    if (const auto* connect = std::get_if<Connect>(&output)) {
      connects.push_back(connect->endpoint);
      connected = true;
      return;
    }
    if (std::holds_alternative<Disconnect>(output)) {
      connected = false;
      return;
    }
    CHECK(connected);
    const wire::ClientMessage& message = std::get<SendFrame>(output).message;
    if (const auto* hello = std::get_if<wire::Hello>(&message)) hellos.push_back(*hello);
    if (const auto* request = std::get_if<wire::Subscribe>(&message)) {
      subscribes.push_back(*request);
    }
    if (const auto* credit = std::get_if<wire::Credit>(&message)) credits.push_back(*credit);
    if (std::holds_alternative<wire::ClientPing>(message)) ++pings;
    if (std::holds_alternative<wire::Bye>(message)) ++byes;
  }
};

std::vector<Offset> range(Offset from, Offset to) {
  std::vector<Offset> offsets;
  for (Offset offset = from; offset <= to; ++offset) offsets.push_back(offset);
  return offsets;
}

wire::Refused refusal(const Fixture& f, Code code) {
  wire::Refused frame;
  frame.about = wire::About::subscribe;
  frame.id = f.subscribes.back().subscription;
  frame.code = code;
  frame.text = "the server's reason";
  frame.first_offset = 11;
  frame.last_offset = 99;
  return frame;
}

}  // namespace

TEST_SUITE("client/subscriber_session") {
  TEST_CASE("start: each kind is asked for as it was given") {
    const auto asked = [](From from) {
      Fixture f({.endpoints = two_servers, .from = from, .topics = {"x"}});
      f.welcome();
      REQUIRE(f.subscribes.size() == 1);
      return f.subscribes[0];
    };
    CHECK(asked(first()).start == wire::StartKind::first);
    CHECK(asked(fresh()).start == wire::StartKind::fresh);
    CHECK(asked(at_offset(17)).start == wire::StartKind::offset);
    CHECK(asked(at_offset(17)).offset == 17);
    CHECK(asked(at_zxid({Epoch{7}, 42})).start == wire::StartKind::zxid);
    CHECK(asked(at_zxid({Epoch{7}, 42})).zxid == Zxid{Epoch{7}, 42});
    CHECK(asked(at_time(99)).start == wire::StartKind::time);
    CHECK(asked(at_time(99)).time == 99);
    CHECK(asked(first()).topics == Strings{"x"});
    CHECK(asked(first()).credit_messages == 65536);
  }

  TEST_CASE("stream: frames in order -> every offset once, other records take none") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);
    f.deliver(3, 2);
    f.give(wire::Deliver{1, 5, 6}, RecordBuilder(6).no_op().batch_of(1).no_op().take());
    CHECK(f.offsets == range(1, 6));
    CHECK(f.session.next_offset() == 7);
  }

  TEST_CASE("stream: the first batch may begin below the start -> only what was asked for") {
    Fixture f({.endpoints = two_servers, .from = at_offset(5)});
    f.open(5);
    f.give(wire::Deliver{1, 4, 8}, RecordBuilder(3).batch_of(6).take());
    CHECK(f.offsets == range(5, 8));
  }

  TEST_CASE("resume: another server, from the next offset, never from the word it began with") {
    for (const From& from : {first(), fresh(), at_offset(5), at_zxid({Epoch{1}, 1})}) {
      Fixture f({.endpoints = two_servers, .from = from});
      f.open(5);
      f.deliver(4, 3);

      f.lose();
      f.wait_for_connect();
      CHECK(f.connects.back() == "tcp://b");
      f.welcome();

      CHECK(f.hellos.back().cluster == uuid(1));
      CHECK(f.hellos.back().history == uuid(2));
      CHECK(f.subscribes.back().start == wire::StartKind::offset);
      CHECK(f.subscribes.back().offset == 8);
      f.subscribed(8);
      f.give(wire::Deliver{2, 7, 9}, RecordBuilder(6).batch_of(4).take());
      CHECK(f.offsets == range(5, 9));
    }
  }

  TEST_CASE("resume: 'new' that has delivered nothing yet -> still from where SUBSCRIBED said") {
    Fixture f({.endpoints = two_servers, .from = fresh()});
    f.open(100);
    f.lose();
    f.wait_for_connect();
    f.welcome();
    CHECK(f.subscribes.back().start == wire::StartKind::offset);
    CHECK(f.subscribes.back().offset == 100);
  }

  TEST_CASE("resume: a server that would begin elsewhere -> left") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);
    f.lose();
    f.wait_for_connect();
    f.open(6);
    CHECK_FALSE(f.connected);
    CHECK(f.offsets == range(1, 3));
    CHECK(f.session.bad_deliveries() == 1);
  }

  TEST_CASE("resume: every server would begin elsewhere, again and again -> protocol") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);
    f.lose();
    for (unsigned i = 1; i <= SubscriberSession::bad_deliveries_max; ++i) {
      f.wait_for_connect();
      f.open(6);
    }
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::protocol);
    CHECK(f.session.over());
  }

  TEST_CASE("lost frame: the next one does not fit -> subscribed again from the own next offset") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);

    f.deliver(5, 2);

    CHECK(f.offsets == range(1, 3));
    f.wait_for_connect();
    f.welcome();
    CHECK(f.subscribes.back().offset == 4);
    f.subscribed(4);
    f.deliver(3, 4);
    CHECK(f.offsets == range(1, 7));
  }

  TEST_CASE("lost frame at the end: COVERED tells -> subscribed again") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);
    f.give(wire::Covered{1, 3});
    CHECK(f.connected);
    f.give(wire::Covered{1, 2});
    CHECK(f.connected);

    f.give(wire::Covered{1, 4});

    CHECK_FALSE(f.connected);
    f.wait_for_connect();
    f.welcome();
    CHECK(f.subscribes.back().offset == 4);
  }

  TEST_CASE("a repeated frame -> not delivered twice") {
    Fixture f;
    f.open(1);
    f.deliver(0, 3);
    f.deliver(0, 3);
    CHECK(f.offsets == range(1, 3));
    CHECK_FALSE(f.connected);
  }

  TEST_CASE("a damaged record -> not delivered, again and again everywhere -> protocol") {
    Fixture f;
    f.open(1);
    for (unsigned i = 1; i <= SubscriberSession::bad_deliveries_max; ++i) {
      std::vector<std::byte> bytes = RecordBuilder().batch_of(2).bytes();
      bytes.back() ^= std::byte{1};
      f.give(wire::Deliver{f.subscribes.back().subscription, 0, 2}, slice_of(bytes));
      if (i == SubscriberSession::bad_deliveries_max) break;
      f.wait_for_connect();
      f.open(1);
    }
    CHECK(f.offsets.empty());
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::protocol);
    CHECK(f.session.over());
  }

  TEST_CASE("frames of an older subscription, or before SUBSCRIBED -> ignored") {
    Fixture f;
    f.welcome();
    f.give(wire::Deliver{1, 0, 2}, RecordBuilder().batch_of(2).take());
    f.subscribed(1);
    f.give(wire::Deliver{7, 0, 2}, RecordBuilder().batch_of(2).take());
    f.give(wire::Gap{7, 5});
    CHECK(f.offsets.empty());
    CHECK(f.errors.empty());
    f.deliver(0, 1);
    CHECK(f.offsets == range(1, 1));
  }

  TEST_CASE("credit: given back by halves, as deliveries are consumed") {
    Fixture f({.endpoints = two_servers, .from = first(), .credit_messages = 10});
    f.open(1);
    f.deliver(0, 4);
    f.consume_all();
    CHECK(f.credits.empty());
    f.deliver(4, 4);
    CHECK(f.credits.empty());  // nothing was consumed
    f.consume_all();
    REQUIRE(f.credits.size() == 1);
    CHECK(f.credits[0].messages == 8);
    CHECK(f.credits[0].subscription == 1);
    CHECK(f.credits[0].bytes > 0);
  }

  TEST_CASE("credit: in bytes too, and a batch larger than all of it does not stop the stream") {
    const std::size_t size = RecordBuilder().batch_of(50).bytes().size();
    Fixture f({.endpoints = two_servers, .from = first(), .credit_bytes = size / 4});
    f.open(1);
    f.deliver(0, 50);
    f.consume_all();
    REQUIRE(f.credits.size() == 1);
    CHECK(f.credits[0].bytes == size);
  }

  TEST_CASE("credit: a new subscription gets what the queue leaves") {
    Fixture f({.endpoints = two_servers, .from = first(), .credit_messages = 10});
    f.open(1);
    f.deliver(0, 4);
    f.lose();
    f.wait_for_connect();
    f.welcome();
    CHECK(f.subscribes.back().credit_messages == 6);
    f.subscribed(5);
    f.consume_all();
    CHECK(f.credits.empty());
    f.deliver(4, 1);
    f.consume_all();
    REQUIRE(f.credits.size() == 1);
    CHECK(f.credits[0].messages == 5);
  }

  TEST_CASE("until end: everything up to the end that was told, nothing behind, then complete") {
    Fixture f({.endpoints = two_servers, .from = first(), .until_end = true});
    f.welcome();
    CHECK(f.subscribes[0].until_end);
    f.give(wire::Subscribed{.subscription = 1, .next = 1, .end = 5, .has_end = true});
    f.deliver(0, 3);
    CHECK_FALSE(f.session.complete());
    f.lose();
    f.wait_for_connect();
    f.welcome();
    CHECK_FALSE(f.subscribes.back().until_end);  // the end stays what it was
    f.subscribed(4);
    f.deliver(3, 4);
    CHECK(f.offsets == range(1, 5));
    CHECK(f.session.complete());
    CHECK(f.byes == 1);
    CHECK_FALSE(f.connected);
  }

  TEST_CASE("until end: nothing there -> complete at once") {
    Fixture f({.endpoints = two_servers, .from = first(), .until_end = true});
    f.welcome();
    f.give(wire::Subscribed{.subscription = 1, .next = 1, .end = 0, .has_end = true});
    CHECK(f.session.complete());
    CHECK(f.errors.empty());
  }

  TEST_CASE("gap: the start or the resume point is no longer kept -> told with the first offset") {
    Fixture f({.endpoints = two_servers, .from = at_offset(5)});
    f.welcome();
    f.give(wire::Gap{1, 11});
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::gap);
    CHECK(f.errors[0].first == 11);
    CHECK(f.session.over());
  }

  TEST_CASE("gap: to be jumped -> told in its place, the stream goes on with what is kept") {
    Fixture f({.endpoints = two_servers, .from = at_offset(5), .jumps_gaps = true});
    f.welcome();
    f.give(wire::Gap{1, 11});

    REQUIRE(f.subscribes.size() == 2);  // on the same connection
    CHECK(f.connects.size() == 1);
    CHECK(f.subscribes[1].start == wire::StartKind::offset);
    CHECK(f.subscribes[1].offset == 11);
    f.subscribed(11);
    f.deliver(10, 2);
    CHECK(f.offsets == range(11, 12));
    REQUIRE(f.held.size() == 2);
    REQUIRE(f.held[0].gap);
    CHECK(f.held[0].gap->from == 5);
    CHECK(f.held[0].gap->first_available == 11);
    CHECK_FALSE(f.held[1].gap);

    f.give(wire::Gap{2, 40});  // retention overtook a slow subscriber
    CHECK(f.held.back().gap->from == 13);
    CHECK(f.subscribes.back().offset == 40);
    CHECK(f.errors.empty());
  }

  TEST_CASE("gap: to be jumped, told as a refusal -> likewise") {
    Fixture f({.endpoints = two_servers, .from = at_zxid({Epoch{1}, 1}), .jumps_gaps = true});
    f.welcome();
    f.give(refusal(f, Code::gap));
    REQUIRE(f.held.size() == 1);
    CHECK(f.held[0].gap->from == 0);
    CHECK(f.held[0].gap->first_available == 11);
    CHECK(f.subscribes.back().offset == 11);
  }

  TEST_CASE("gap: a jump beyond the end that was asked for -> complete") {
    Fixture f({.endpoints = two_servers, .from = first(), .until_end = true, .jumps_gaps = true});
    f.welcome();
    f.give(wire::Subscribed{.subscription = 1, .next = 1, .end = 5, .has_end = true});
    f.give(wire::Gap{1, 6});
    CHECK(f.session.complete());
    CHECK(f.held.size() == 1);
  }

  TEST_CASE("gap: that is none -> not jumped backwards, the server is left") {
    Fixture f({.endpoints = two_servers, .from = at_offset(5), .jumps_gaps = true});
    f.open(5);
    f.give(wire::Gap{1, 5});
    CHECK(f.held.empty());
    CHECK_FALSE(f.connected);
  }

  TEST_CASE("token: HELLO names its cluster and history, SUBSCRIBE its offset") {
    Fixture f({.endpoints = two_servers, .from = at_token({uuid(1), uuid(2), 17})});
    REQUIRE(f.hellos.size() == 1);
    CHECK(f.hellos[0].cluster == uuid(1));
    CHECK(f.hellos[0].history == uuid(2));
    f.welcome();
    CHECK(f.subscribes.back().start == wire::StartKind::offset);
    CHECK(f.subscribes.back().offset == 17);
    CHECK(f.session.cluster() == uuid(1));
  }

  TEST_CASE(
      "token: of another cluster -> refused, with the servers' word, when all of them say so") {
    Fixture f({.endpoints = two_servers, .from = at_token({uuid(8), uuid(9), 17})});
    wire::Refused mismatch;
    mismatch.code = Code::refused;
    mismatch.text = "cluster mismatch: the client has 08, this server has 01";
    f.give(mismatch);
    CHECK(f.errors.empty());
    f.wait_for_connect();
    f.give(mismatch);
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::refused);
    CHECK(std::string(f.errors[0].what()).find("cluster mismatch") != std::string::npos);
    CHECK(f.session.over());
  }

  TEST_CASE("refused: beyond the end -> told with the last offset, gap as a refusal likewise") {
    Fixture beyond({.endpoints = two_servers, .from = at_offset(500)});
    beyond.welcome();
    beyond.give(refusal(beyond, Code::refused));
    REQUIRE(beyond.errors.size() == 1);
    CHECK(beyond.errors[0].code == Code::refused);
    CHECK(beyond.errors[0].first == 99);

    Fixture below({.endpoints = two_servers, .from = at_offset(5)});
    below.welcome();
    below.give(refusal(below, Code::gap));
    REQUIRE(below.errors.size() == 1);
    CHECK(below.errors[0].first == 11);
  }

  TEST_CASE("refused: unavailable -> the other server, for the whole time-out -> unavailable") {
    Fixture f({.endpoints = two_servers, .timeout_ms = 2000, .from = fresh()});
    for (int i = 0; i < 1000 && f.errors.empty(); ++i) {
      if (!f.connected) {
        f.advance(10);
        continue;
      }
      f.welcome();
      f.give(refusal(f, Code::unavailable));
    }
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::unavailable);
    CHECK(f.now >= 3000);
    CHECK(std::string(f.errors[0].what()).find("the server's reason") != std::string::npos);
    CHECK_FALSE(f.session.over());
    CHECK(std::count(f.connects.begin(), f.connects.end(), "tcp://b") > 0);
  }

  TEST_CASE("silence: a server that answers pings may be quiet, a silent one is left") {
    Fixture f;
    f.open(1);
    for (int i = 0; i < 40; ++i) {
      f.advance(ping_interval_ms);
      f.give(i % 2 == 0 ? wire::ServerMessage{wire::ServerPong{}}
                        : wire::ServerMessage{wire::Covered{1, 0}});
    }
    CHECK(f.connects.size() == 1);
    CHECK(f.errors.empty());
    CHECK(f.pings >= 39);

    f.advance(silence_max_ms + 200);
    CHECK(f.connects == Strings{"tcp://a", "tcp://b"});
  }

  TEST_CASE("silence of all servers: unavailable once in a time-out, then it goes on") {
    Fixture f({.endpoints = two_servers, .timeout_ms = 5000, .from = first()});
    f.open(1);
    f.deliver(0, 2);
    f.lose();
    f.advance(4900);
    CHECK(f.errors.empty());
    f.advance(200);
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::unavailable);
    f.advance(5000);
    CHECK(f.errors.size() == 2);
    if (!f.connected) f.wait_for_connect();
    f.open(3);
    f.deliver(2, 1);
    CHECK(f.offsets == range(1, 3));
  }

  TEST_CASE("no answer to SUBSCRIBE -> another server, if there is one") {
    for (const bool alone : {false, true}) {
      Fixture f({.endpoints = alone ? Strings{"tcp://a"} : two_servers,
                 .timeout_ms = 60000,
                 .from = first()});
      f.welcome();
      for (int i = 0; i < 10; ++i) {
        f.advance(ping_interval_ms);
        if (f.connected) f.give(wire::ServerPong{});
      }
      CHECK((f.connects.size() > 1) == !alone);
    }
  }

  TEST_CASE("RESET -> a fresh connection, from the next offset") {
    Fixture f;
    f.open(1);
    f.deliver(0, 2);
    f.give(wire::Reset{"unknown connection"});
    f.wait_for_connect();
    f.welcome();
    CHECK(f.subscribes.back().offset == 3);
  }

  TEST_CASE("HELLO refused: by every server -> over, when the stream has begun -> it waits") {
    wire::Refused other;
    other.text = "cluster mismatch";
    Fixture f;
    f.give(other);
    CHECK(f.errors.empty());
    f.wait_for_connect();
    f.give(other);
    REQUIRE(f.errors.size() == 1);
    CHECK(f.errors[0].code == Code::refused);

    Fixture begun;
    begun.open(1);
    begun.lose();
    for (int i = 0; i < 4; ++i) {
      begun.wait_for_connect();
      begun.give(other);
    }
    CHECK(begun.errors.empty());
  }

  TEST_CASE("leaving for good: BYE, and nothing more") {
    Fixture f;
    f.open(1);
    f.session.leave_for_good();
    f.turn();
    CHECK(f.byes == 1);
    CHECK_FALSE(f.connected);
    f.advance(5000);
    CHECK(f.connects.size() == 1);
    CHECK(f.errors.empty());
  }
}

}  // namespace zabmq::client
