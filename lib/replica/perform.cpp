// Perform: what the core asks for is done here and nowhere else, in the order documented on
// zab::Ready. That order is the safety argument: what must be durable before what is sent.
#include <utility>
#include <variant>

#include "replica/clients.hpp"
#include "replica/delivery.hpp"
#include "replica/end_questions.hpp"
#include "replica/forwards.hpp"
#include "replica/learner_queue.hpp"
#include "replica/proposals.hpp"
#include "replica/replica.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

// What a leader says to a learner in the order of its stream.
bool is_streamed(const zab::Message& message) {
  return std::holds_alternative<zab::NewEpoch>(message) ||
         std::holds_alternative<zab::Diff>(message) ||
         std::holds_alternative<zab::Trunc>(message) ||
         std::holds_alternative<zab::NewLeader>(message) ||
         std::holds_alternative<zab::UpToDate>(message) ||
         std::holds_alternative<zab::Commit>(message);
}

}  // namespace

void Replica::settle_core() {
  if (core_pending_ || !broken_.empty()) run_core();
}

// Sending may show that a session is over; the core learns of it before anything else happens.
void Replica::run_core() {
  do {
    core_pending_ = false;
    perform(core_.take_ready());
    for (ServerId peer : std::exchange(broken_, {})) {
      core_.session_lost(peer);
      core_pending_ = true;
    }
  } while (core_pending_ && !fatal_);
}

void Replica::perform(zab::Ready ready) {
  if (fatal_) return;
  learners_->set_committed(core_.last_committed());

  // 1. History.
  if (ready.append) env_.log.append(std::exchange(frame_, {}));
  if (ready.rewind) {
    rewinding_ = true;
    env_.log.rewind(ready.rewind->to, ready.rewind->digest);
  }
  if (ready.install) install(*ready.install);
  if (ready.adopt) adopt();
  if (ready.drain) {
    draining_ = true;
    incoming_.reset();
    held_.clear();
    held_bytes_ = 0;
    learners_->close_all();
    env_.log.drain();
  }
  // 2. The identity record.
  if (ready.store) env_.identities.store(*ready.store);
  // 3. Sessions, messages, streams.
  for (zab::Output& output : ready.outputs) perform_output(std::move(output));
  // 4. Commit and delivery. A receipt says durable on a quorum, which need not include us; only
  // what
  //    is delivered must be durable here.
  proposals_->on_committed(ZABMQ_MUTANT(receipt_before_commit) ? core_.last_durable()
                                                               : core_.last_committed());
  if (ready.deliver_up_to) delivery_->advance_to(*ready.deliver_up_to);
  // 5. Quorum rounds.
  if (ready.rounds_answered) answer_round(*ready.rounds_answered);
  follow_leadership();
  // 6. What the leader proposes by itself.
  for (const zab::Admit& admit : ready.admit) {
    if (leading_) proposals_->admit(admit);
  }
  // 7. The world.
  for (const zab::Event& event : ready.events) note(event);
  // 8. The end.
  if (ready.fatal) stop(*ready.fatal);
}

void Replica::perform_output(zab::Output output) {
  if (auto* output_send = std::get_if<zab::Send>(&output)) {
    send(output_send->to, std::move(output_send->message));
  } else if (const auto* stream = std::get_if<zab::Stream>(&output)) {
    learners_->push_range(stream->to, stream->after, stream->up_to);
  } else if (const auto* open = std::get_if<zab::OpenSession>(&output)) {
    forget_held(open->leader);
    learners_->close(open->leader);
    env_.peers.open_session(open->leader);
  } else {
    const ServerId peer = std::get<zab::CloseSession>(output).peer;
    forget_session(peer);
    env_.peers.close_session(peer);
  }
}

void Replica::send(ServerId to, zab::Message message) {
  if (const auto* ping = std::get_if<zab::Ping>(&message)) return learners_->send_ping(to, *ping);
  if (const auto* snap = std::get_if<zab::Snap>(&message)) return send_snap(to, *snap);
  if (is_streamed(message)) return learners_->push(to, std::move(message));
  const bool sent = env_.peers.send(to, message);
  // A datagram that is lost is repeated by its sender's clock.
  if (!sent && !zab::is_datagram(message)) {
    break_session(to, std::string(zab::name_of(message)) + " could not be sent");
  }
}

// The end that a leader knows once a quorum has confirmed it: what it committed, which may be more
// than it has delivered, since its own disk need not be part of the quorum.
void Replica::answer_round(std::uint64_t ticket) {
  const std::optional<std::uint64_t> round = questions_->round();
  if (!leading_ || !round || ticket < *round) return;
  questions_->end_round(*round, End{proposals_->committed_offset(), core_.last_committed()});
}

// What depends on who leads, and dies with it.
void Replica::follow_leadership() {
  const bool leads = core_.leading_in_broadcast();
  const ServerId leader = known_leader();
  if (!leads && !proposals_->empty()) proposals_->step_down(not_leading(wire::About::publish, 0));
  if (!leads) questions_->withdraw_peers();
  leading_ = leads;
  if (leader != leader_) {
    leader_ = leader;
    questions_->forget_round();
    forwards_->give_up();
  }
}

void Replica::note(const zab::Event& event) {
  using Kind = zab::Event::Kind;
  if (event.kind == Kind::dropped) ++counters_.dropped_peer_messages;
  if (event.kind == Kind::protocol_error) ++counters_.protocol_errors;
  if (event.kind == Kind::alarm) ++counters_.alarms;
  if (event.kind == Kind::role_changed && core_.role() == Role::looking) ++counters_.elections;
  env_.events.on_event(event);
}

// Ends a session from our side; the core is told as soon as it may be.
void Replica::break_session(ServerId peer, const std::string& why) {
  ++counters_.sessions_lost;
  forget_session(peer);
  env_.peers.close_session(peer);
  broken_.push_back(peer);
  note({zab::Event::Kind::dropped, peer,
        "the session with server " + to_string(peer) + " ends: " + why});
}

void Replica::stop(const std::string& text) {
  if (fatal_) return;
  fatal_ = text;
  env_.events.on_fatal(text);
}

}  // namespace zabmq::replica
