// PublisherFixture: a publisher's intake and session without sockets; tests play the server.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/intake.hpp"
#include "client/publisher_session.hpp"
#include "wire/batch.hpp"
#include "wire/client_frame.hpp"

namespace zabmq::client::testing {

inline Uuid uuid(int first) {
  Uuid id;
  id.bytes[0] = static_cast<std::byte>(first);
  return id;
}

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::vector<std::string> payloads_of(Bytes body) {
  std::vector<std::string> payloads;
  wire::BatchReader reader(body);
  while (const auto message = reader.next()) payloads.push_back(text_of(message->payload));
  return payloads;
}

inline const std::vector<std::string> three_servers = {"tcp://a", "tcp://b", "tcp://c"};

class PublisherFixture {
 public:
  struct Sent {
    wire::Publish publish;
    std::vector<std::string> payloads;
  };
  struct Told {
    std::string payload;
    std::optional<Receipt> receipt;
    std::optional<Error> error;
  };

  explicit PublisherFixture(PublisherSession::Options options = {.endpoints = three_servers,
                                                                 .publisher = uuid(7)},
                            Intake::Limits limits = {})
      : intake(limits), session(std::move(options)) {
    turn();
  }

  // One turn of the background thread.
  void turn() {
    session.tick(now);
    session.exchange(intake, now);
    for (Output& output : session.take_outputs()) take(output);
    const auto replies = session.take_replies();
    for (const Completion& completion : session.take_completions()) tell(completion);
    for (const auto& reply : replies) reply();
  }

  void advance(std::uint64_t ms) {
    for (const std::uint64_t end = now + ms; now < end;) {
      now += std::min<std::uint64_t>(10, end - now);
      turn();
    }
  }

  // Lets time pass until the session connects; the pauses are random, but bounded.
  void wait_for_connect() {
    const std::size_t before = connects.size();
    for (int i = 0; i < 200 && connects.size() == before; ++i) advance(10);
    REQUIRE(connects.size() == before + 1);
  }

  void give(const wire::ServerMessage& message) {
    session.receive(message, {}, now);
    turn();
  }
  // Frames that arrive together: the session acts when it has seen them all.
  void give_all(const std::vector<wire::ServerMessage>& messages) {
    for (const auto& message : messages) session.receive(message, {}, now);
    turn();
  }

  wire::Welcome welcome(Instance instance, Sequence last) const {
    wire::Welcome frame;
    frame.cluster = uuid(1);
    frame.history = uuid(2);
    frame.publisher_open = true;
    frame.instance = instance;
    frame.last_sequence = last;
    frame.heartbeat_ms = 1000;
    return frame;
  }
  wire::Receipt receipt(Sequence first, std::uint32_t count, Offset base) const {
    return {.first_sequence = first, .count = count, .base_offset = base, .zxid = {Epoch{1}, base}};
  }
  wire::Refused refusal(Sequence first, Code code, Outcome outcome = Outcome::no) const {
    wire::Refused frame;
    frame.about = wire::About::publish;
    frame.id = first;
    frame.code = code;
    frame.outcome = outcome;
    frame.text = "the server's reason";
    return frame;
  }
  wire::Refused hole(Sequence first, Sequence last) const {
    wire::Refused frame = refusal(first, Code::refused);
    frame.hole = true;
    frame.last_sequence = last;
    return frame;
  }

  wire::Refused expired() const {
    wire::Refused frame;
    frame.about = wire::About::connection;
    frame.code = Code::expired;
    return frame;
  }

  void open(Instance instance = 1, Sequence last = 0) { give(welcome(instance, last)); }

  wire::Refused refused_condition(Sequence first, Offset expected, Offset last) const {
    wire::Refused frame = refusal(first, Code::refused);
    frame.expect_last_offset = expected;
    frame.last_offset = last;
    return frame;
  }

  Result<Sequence> publish(const std::string& payload, std::uint64_t timeout_ms = 5000,
                           std::optional<Offset> expect_last_offset = std::nullopt) {
    Publisher::Done done = [this, payload](const Result<Receipt>& result) {
      Told outcome{payload, std::nullopt, std::nullopt};
      if (result) {
        outcome.receipt = result.value();
      } else {
        outcome.error = result.error();
      }
      outcomes.push_back(outcome);
    };
    const wire::BatchMessage message{.topic = "t", .payload = bytes_of(payload)};
    return expect_last_offset
               ? intake.take_batch({&message, 1}, done, now + timeout_ms, expect_last_offset)
               : intake.take(message, done, now + timeout_ms);
  }
  Sequence queue(const std::string& payload, std::uint64_t timeout_ms = 5000) {
    const Result<Sequence> taken = publish(payload, timeout_ms);
    REQUIRE(taken);
    return taken.value();
  }
  // With a condition; queued, and handed to the session.
  Sequence put_if(Offset last, const std::string& payload, std::uint64_t timeout_ms = 5000) {
    const Result<Sequence> taken = publish(payload, timeout_ms, last);
    REQUIRE(taken);
    turn();
    return taken.value();
  }
  // Queued, and handed to the session.
  Sequence put(const std::string& payload, std::uint64_t timeout_ms = 5000) {
    const Sequence sequence = queue(payload, timeout_ms);
    turn();
    return sequence;
  }

  std::vector<Sent> take_sent() { return std::exchange(sent, {}); }
  std::vector<Told> take_outcomes() { return std::exchange(outcomes, {}); }

  std::uint64_t now = 1000;
  Intake intake;
  PublisherSession session;
  std::vector<std::string> connects;
  std::vector<wire::Hello> hellos;
  std::vector<Sent> sent;
  std::vector<wire::ClosePublisher> closes;
  int pings = 0;
  int byes = 0;
  bool connected = false;
  std::vector<Told> outcomes;

 private:
  void take(Output& output) {
    if (const auto* connect = std::get_if<Connect>(&output)) {
      connects.push_back(connect->endpoint);
      connected = true;
      return;
    }
    if (std::holds_alternative<Disconnect>(output)) {
      connected = false;
      return;
    }
    CHECK(connected);  // a frame without a connection would go nowhere
    const SendFrame& frame = std::get<SendFrame>(output);
    if (const auto* hello = std::get_if<wire::Hello>(&frame.message)) hellos.push_back(*hello);
    if (const auto* close = std::get_if<wire::ClosePublisher>(&frame.message)) {
      closes.push_back(*close);
    }
    if (std::holds_alternative<wire::ClientPing>(frame.message)) ++pings;
    if (std::holds_alternative<wire::Bye>(frame.message)) ++byes;
    if (const auto* publish = std::get_if<wire::Publish>(&frame.message)) {
      REQUIRE(frame.body);
      CHECK(wire::valid_batch(*frame.body, publish->count, {}));
      sent.push_back({*publish, payloads_of(*frame.body)});
    }
  }

  void tell(const Completion& completion) {
    Batch& batch = *completion.batch;
    for (std::uint32_t i = 0; i < batch.count(); ++i) {
      const Publisher::Done done = std::exchange(batch.done[i], nullptr);
      REQUIRE(done);  // exactly one outcome for each message
      if (const auto* error = std::get_if<Error>(&completion.outcome)) {
        done(Error(error->code, error->outcome, error->what(), batch.first + i));
        continue;
      }
      const auto& receipt_of_batch = std::get<wire::Receipt>(completion.outcome);
      CHECK(receipt_of_batch.first_sequence == batch.first);
      CHECK(receipt_of_batch.count == batch.count());
      done(Receipt{receipt_of_batch.base_offset + i, receipt_of_batch.zxid, batch.first + i});
    }
  }
};

}  // namespace zabmq::client::testing
