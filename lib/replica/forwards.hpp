// Forwards: requests of publishers and cursors that this server has passed on to the leader it
// follows. The leader answers them, but for the batches that it takes: these are answered here,
// when this server delivers them.
//
// Invariants: 1. requests leave in the order in which they came; 2. each is answered once: by the
// leader, by delivery, or by give_up(); 3. their bytes are bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "replica/askers.hpp"
#include "replica/environment.hpp"
#include "wire/client_frame.hpp"
#include "zabmq/record.hpp"
#include "zabmq/slice.hpp"
#include "zabmq/types.hpp"

namespace zabmq::replica {

class Forwards {
 public:
  // To the leader; its body is empty but for PUBLISH. False: the session with it is over.
  using Send = std::function<bool(std::uint64_t number, const Uuid& publisher,
                                  const wire::ClientMessage& message, Slice body)>;
  // For a connection; the leader's WELCOME names the instance and the last sequence.
  using Answer = std::function<void(const Asker&, wire::ServerMessage)>;

  Forwards(std::size_t bytes_max, Send send, Answer answer)
      : bytes_max_(bytes_max), send_(std::move(send)), answer_(std::move(answer)) {}

  // As an answer to that request.
  static wire::Refused refusal_of(const wire::ClientMessage& message, Code code, Outcome outcome,
                                  std::string text);

  // HELLO, PUBLISH, CLOSE or MOVE-CURSOR. False: the bound is reached, nothing was sent.
  bool forward(const Asker& from, const Uuid& publisher, const wire::ClientMessage& message,
               Slice body);
  // Of a request that is not under way any more: nothing.
  void on_answer(std::uint64_t number, wire::ServerMessage message);
  void on_delivered(const RecordHeader& header);
  // The session with the leader is over: what was on its way may have happened. Nothing is kept.
  void give_up();

  bool empty() const { return requests_.empty(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Request {
    Asker asker;
    Uuid publisher;
    wire::ClientMessage message;
    std::size_t bytes = 0;
  };
  using Requests = std::map<std::uint64_t, Request>;
  using Batch = std::pair<Uuid, Sequence>;  // publisher and first sequence

  void answer(Requests::iterator request, wire::ServerMessage message);

  std::size_t bytes_max_;
  Send send_;
  Answer answer_;
  std::uint64_t last_number_ = 0;
  Requests requests_;
  std::multimap<Batch, std::uint64_t> batches_;  // their numbers
  std::size_t bytes_ = 0;
};

}  // namespace zabmq::replica
