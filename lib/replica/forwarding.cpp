// Forwarding: publishers and cursors are served by any server. One that follows passes their
// requests on to its leader, in order; the leader answers them like those of its own connections,
// but for the batches that it takes: these are answered by the server that was asked, when it has
// delivered them.
#include <string>
#include <utility>
#include <variant>

#include "replica/clients.hpp"
#include "replica/forwards.hpp"
#include "replica/learner_queue.hpp"
#include "replica/proposals.hpp"
#include "replica/replica.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

// --- the answers to whoever asked ---

bool Replica::waits(const Asker& asker) const {
  return is_forwarded(asker) || clients_->find(asker.connection) != nullptr;
}

void Replica::answer(const Asker& asker, wire::ServerMessage message) {
  const auto* refused = std::get_if<wire::Refused>(&message);
  if (leading_ && refused && is_verdict(*refused)) {
    return hold_verdict(asker, std::move(message));
  }
  answer_now(asker, std::move(message));
}

void Replica::answer_unmoved(const Asker& asker, wire::CursorMoved place) {
  hold_verdict(asker, place);
}

void Replica::answer_now(const Asker& asker, wire::ServerMessage message) {
  if (is_forwarded(asker)) {
    if (!leading_ || !learners_->is_open(asker.learner)) return;  // its session is over
    return send(asker.learner, zab::ForwardAnswer{asker.number, wire::encode(message)});
  }
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) {
    return end_opening(asker, welcome->instance, welcome->last_sequence);
  }
  const auto* refused = std::get_if<wire::Refused>(&message);
  if (refused && refused->about == wire::About::connection) {
    if (!is_opening(asker)) return;
    clients_->find(asker.connection)->publishing = Connection::Publishing::none;
  }
  clients_->answer(asker.connection, std::move(message));
}

void Replica::opened(const Asker& asker, const Uuid& publisher, std::optional<Instance> instance) {
  if (!is_forwarded(asker)) return end_opening(asker, instance);
  if (!instance) return;  // the learner knows that its leader is gone
  answer(asker, welcome_of(publisher, *instance));
}

// Only what the server that was asked does not know itself.
wire::Welcome Replica::welcome_of(const Uuid& publisher, Instance instance) const {
  const std::optional<Taken> known = proposals_->taken(publisher);
  wire::Welcome welcome;
  welcome.publisher_open = true;
  welcome.instance = instance;
  welcome.last_sequence = known ? known->last_sequence : 0;
  return welcome;
}

// WELCOME, and what refuses it, is about the connection's last HELLO.
bool Replica::is_opening(const Asker& asker) const {
  const Connection* connection = clients_->find(asker.connection);
  return connection && connection->publishing == Connection::Publishing::opening &&
         connection->greeting == asker.number;
}

// `last_sequence`: as the leader told it; none: what this server, which leads, knows.
void Replica::end_opening(const Asker& asker, std::optional<Instance> instance,
                          std::optional<Sequence> last_sequence) {
  if (!is_opening(asker)) return;
  Connection* connection = clients_->find(asker.connection);
  connection->publishing = instance ? Connection::Publishing::open : Connection::Publishing::none;
  connection->instance = instance.value_or(0);
  if (instance) {
    welcome(asker.connection, last_sequence);
  } else {
    answer_not_opened(asker.connection);
  }
}

// --- the server that was asked ---

// As of the last Ready: who leads may have changed since, and then give_up() follows at once.
bool Replica::forwards() const {
  return leader_ != ServerId::none && leader_ != core_.self();
}

void Replica::forward(const Asker& from, const Uuid& publisher, const wire::ClientMessage& message,
                      Slice body) {
  ++counters_.forwarded;
  if (forwards_->forward(from, publisher, message, std::move(body))) return;
  ++counters_.publishes_refused;
  wire::Refused busy = Forwards::refusal_of(
      message, Code::busy, Outcome::no,
      std::to_string(options_.forwarded_bytes_max) +
          " bytes are on their way from this server to the leader: send it again later");
  answer(from, std::move(busy));
}

bool Replica::send_forward(std::uint64_t number, const Uuid& publisher,
                           const wire::ClientMessage& message, Slice body) {
  const zab::Forward request{number, publisher, wire::encode(message)};
  const bool sent = body.empty() ? env_.peers.send(leader_, request)
                                 : env_.peers.send_records(leader_, request, std::move(body));
  if (!sent) break_session(leader_, "FORWARD could not be sent");
  return sent;
}

void Replica::on_forward_answer(ServerId from, const zab::ForwardAnswer& answer) {
  if (!forwards() || from != leader_) {
    ++counters_.dropped_peer_messages;
    return;
  }
  std::optional<wire::ServerMessage> message = wire::decode_server(answer.frame);
  if (!message) return break_session(from, "a FORWARD-ANSWER without an answer");
  forwards_->on_answer(answer.number, *std::move(message));
}

// --- its leader ---

void Replica::on_forward(ServerId from, const zab::Forward& request, Slice body) {
  if (!leading_ || !learners_->is_open(from)) {
    ++counters_.dropped_peer_messages;
    return;
  }
  const Asker asker{ConnectionId::none, from, request.number};
  const std::optional<wire::ClientMessage> message = wire::decode_client(request.frame);
  const auto* hello = message ? std::get_if<wire::Hello>(&*message) : nullptr;
  const auto* batch = message ? std::get_if<wire::Publish>(&*message) : nullptr;
  const auto* closing = message ? std::get_if<wire::ClosePublisher>(&*message) : nullptr;
  if (const auto* move = message ? std::get_if<wire::MoveCursor>(&*message) : nullptr) {
    return move_cursor(asker, *move);
  }
  if (is_none(request.publisher) || (!hello && !batch && !closing)) {
    return break_session(from, "a FORWARD without a request of a publisher or of a cursor");
  }
  if (hello) return on_forwarded_hello(asker, *hello);
  if (batch) return publish(asker, request.publisher, *batch, std::move(body));
  close(asker, request.publisher, closing->instance);
}

void Replica::on_forwarded_hello(const Asker& asker, const wire::Hello& hello) {
  if (!accepts_publishes()) {
    return answer(asker, refused(wire::About::connection, 0, Code::unavailable, Outcome::no,
                                 "the leader has not delivered all of its initial history yet: "
                                 "try again"));
  }
  open(asker, hello);
}

}  // namespace zabmq::replica
