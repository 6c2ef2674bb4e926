// Durable cursors: one question after the other, to the given servers in turn until one answers.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/endpoints.hpp"
#include "client/posix_random.hpp"
#include "client/route.hpp"
#include "client/zmq_connection.hpp"
#include "client/zmq_context.hpp"
#include "client/zmq_drive.hpp"
#include "wire/batch.hpp"
#include "zabmq/admin.hpp"

namespace zabmq {

using client::Connect;
using client::Connection;
using client::SendFrame;
using client::steady_now_ms;

namespace {

constexpr std::uint64_t poll_slice_ms = 20;
constexpr std::uint64_t answer_patience_ms = 3000;  // before another server is asked

bool may_pass(Code code) {
  return code == Code::unavailable || code == Code::busy || code == Code::no_space ||
         code == Code::unknown_outcome;
}

class Asking {
 public:
  explicit Asking(const ClientOptions& options)
      : route_(endpoints_of(options), client::random_seed()),
        timeout_(options.timeout),
        deadline_ms_(steady_now_ms() + static_cast<std::uint64_t>(
                                           std::max<std::int64_t>(options.timeout.count(), 0))) {}

  // The answer of the first server that gives one of this kind. `open`: the outcome of a question
  // that was sent and not answered.
  template <class Answer>
  Answer ask(const wire::ClientMessage& question, Outcome open) {
    client::Route::Next next = route_.first(steady_now_ms());
    while (next.at_ms < deadline_ms_) {
      wait_until(next.at_ms);
      if (auto answer = ask_one<Answer>(next.endpoint, question)) return *std::move(answer);
      if (sent_) outcome_ = open;
      next = route_.after_failure(steady_now_ms());
    }
    throw Error(Code::unavailable, outcome_,
                "no answer within " + std::to_string(timeout_.count()) + " ms: " + trouble_ +
                    (outcome_ == Outcome::no ? "" : "; it was asked: run it again to be sure"));
  }

 private:
  static const std::vector<std::string>& endpoints_of(const ClientOptions& options) {
    client::check_endpoints(options.endpoints);
    return options.endpoints;
  }

  static void wait_until(std::uint64_t at_ms) {
    const std::uint64_t now = steady_now_ms();
    if (at_ms > now) std::this_thread::sleep_for(std::chrono::milliseconds(at_ms - now));
  }

  template <class Answer>
  std::optional<Answer> ask_one(const std::string& endpoint, const wire::ClientMessage& question) {
    trouble_ = endpoint + ": no answer";
    sent_ = false;
    const std::uint64_t until = std::min(deadline_ms_, steady_now_ms() + answer_patience_ms);
    Connection connection(context_);
    connection.perform(Connect{endpoint});
    connection.perform(SendFrame{wire::Hello{}, nullptr});
    connection.perform(SendFrame{question, nullptr});
    while (steady_now_ms() < until) {
      connection.flush();
      sent_ |= connection.all_sent();
      while (const auto frame = connection.receive()) {
        if (const auto* answer = std::get_if<Answer>(&frame->message)) return *answer;
        const auto* refused = std::get_if<wire::Refused>(&frame->message);
        if (!refused) continue;  // WELCOME
        trouble_ = endpoint + ": " + refused->text;
        sent_ = refused->outcome == Outcome::maybe;
        if (!may_pass(refused->code)) {
          throw Error(refused->code, std::max(outcome_, refused->outcome), trouble_);
        }
        return std::nullopt;
      }
      if (connection.take_event() == Connection::Event::lost) {
        trouble_ = endpoint + ": " + connection.why_lost();
        return std::nullopt;
      }
      Connection* const connections[] = {&connection};
      client::wait_for_input(connections, poll_slice_ms);
    }
    return std::nullopt;
  }

  std::shared_ptr<zmq::context_t> context_ = client::shared_context();
  client::Route route_;
  const Millis timeout_;
  std::uint64_t deadline_ms_;
  bool sent_ = false;              // to the server asked last, and may have been done
  Outcome outcome_ = Outcome::no;  // by those asked before it
  std::string trouble_ = "no server was reached";
};

// A cursor may be ahead of the server that was asked.
DurableCursor cursor_of(const wire::CursorPlace& place, const wire::Cursors& page) {
  DurableCursor cursor{.name = place.name, .acknowledged = place.offset};
  cursor.behind = page.last_offset - std::min(page.last_offset, place.offset);
  cursor.lost = page.first_offset - std::min(page.first_offset, place.offset + 1);
  return cursor;
}

}  // namespace

std::vector<DurableCursor> durable_cursors(const ClientOptions& options) {
  Asking asking(options);
  std::vector<DurableCursor> all;
  bool more = true;
  while (more) {
    const std::string after = all.empty() ? std::string() : all.back().name;
    const auto page = asking.ask<wire::Cursors>(wire::ListCursors{1, after}, Outcome::no);
    for (const wire::CursorPlace& place : page.cursors) all.push_back(cursor_of(place, page));
    more = page.more && !page.cursors.empty();
  }
  return all;
}

void remove_cursor(const ClientOptions& options, const std::string& name) {
  if (!wire::valid_topic(name)) {
    throw Error(Code::protocol, Outcome::no,
                "no name of a cursor: \"" + name +
                    "\"; expected 1 to 200 bytes of UTF-8 without control characters and '*'");
  }
  Asking(options).ask<wire::CursorMoved>(wire::MoveCursor{1, name, 0, true}, Outcome::maybe);
}

}  // namespace zabmq
