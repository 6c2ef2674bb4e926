// Replica: inputs, and the step that does what has gathered.
#include "replica/replica.hpp"

#include <algorithm>
#include <utility>

#include "replica/clients.hpp"
#include "replica/delivery.hpp"
#include "replica/end_questions.hpp"
#include "replica/forwards.hpp"
#include "replica/learner_queue.hpp"
#include "replica/proposals.hpp"
#include "replica/records.hpp"
#include "replica/subscriptions.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

constexpr std::size_t held_message_bytes = 256;  // what a held message without records counts for

// The leader's window counts records, however small its frames are: counting more here would end
// every session that fills it (found by simulation: a cut never ended).
std::size_t held_bytes_of(const Slice& records) {
  return records.empty() ? held_message_bytes : records.size();
}

}  // namespace

Replica::Replica(ServerId self, zab::Config config, Options options, Recovered recovered,
                 zab::FreshIds fresh_ids, std::vector<ServerAddress> servers,
                 Environment environment)
    : options_(options),
      servers_(std::move(servers)),
      env_(environment),
      core_(self, std::move(config), options.zab, recovered.identity, std::move(recovered.history),
            recovered.delivered, fresh_ids),
      snapshot_clock_(self, options_.snapshots),
      state_(std::move(recovered.state)) {
  ZABMQ_CHECK(state_.delivered() == recovered.delivered);
  announced_ = recovered.delivered;
  retained_ = state_.retained().offset;
  learners_ = std::make_unique<LearnerQueues>(
      env_.log, env_.peers, LearnerLimits{options_.learner_window_bytes, options_.read_bytes_max},
      [this](ServerId peer, const std::string& why) { break_session(peer, why); });
  clients_ = std::make_unique<Clients>(env_.clients, options_, counters_);
  proposals_ =
      std::make_unique<Proposals>(state_, static_cast<Askers&>(*this), options_, counters_);
  forwards_ = std::make_unique<Forwards>(
      options_.forwarded_bytes_max,
      [this](std::uint64_t number, const Uuid& publisher, const wire::ClientMessage& message,
             Slice body) { return send_forward(number, publisher, message, std::move(body)); },
      [this](const Asker& asker, wire::ServerMessage message) {
        answer_now(asker, std::move(message));
      });
  delivery_ = std::make_unique<Delivery>(
      env_.log, state_, options_.read_bytes_max,
      [this](const RecordHeader& h, Bytes body) { on_delivered_record(h, body); });
  questions_ = std::make_unique<EndQuestions>(
      options_.question_timeout_ms,
      [this](std::uint64_t asker, std::optional<End> end) {
        if (asker & verdict_questions) return on_verdict_round(asker, end.has_value());
        subscriptions_->on_end(asker, end);
      },
      [this](ServerId peer, std::uint64_t number, End end) {
        send(peer, zab::EndAnswer{number, end.offset, end.zxid});
      });
  subscriptions_ = std::make_unique<Subscriptions>(env_.log, state_, *clients_, *questions_,
                                                   options_, counters_);
  subscriptions_->on_unavailable([this] { return why_unavailable(); });
  clients_->on_forgotten([this](ConnectionId id) { subscriptions_->forget(id); });
}

Replica::~Replica() = default;

// --- peers ---

void Replica::on_peer_message(ServerId from, zab::Message message, Slice records) {
  if (fatal_) return;
  if (core_.config().is_voter(from)) heard_ms_[from] = now_ms_;
  if (!zab::is_datagram(message)) {
    if (draining_) {
      // Of a role that is gone: the peer shall look again at once, not after its time-out.
      ++counters_.dropped_peer_messages;
      forget_held(from);
      learners_->close(from);
      return env_.peers.close_session(from);
    }
    if (rewinding_) {
      auto* ping = std::get_if<zab::Ping>(&message);
      if (!ping) return hold_back(from, std::move(message), std::move(records));
      // A sign of life may pass; its commit point is of records that are still held back.
      ping->commit = Zxid{};
    }
  }
  receive(from, message, std::move(records));
}

void Replica::receive(ServerId from, const zab::Message& message, Slice records) {
  if (receive_here(from, message, records)) return;
  if (const auto* propose = std::get_if<zab::Propose>(&message)) {
    return receive_propose(from, propose->commit, std::move(records));
  }
  if (const auto* snap = std::get_if<zab::Snap>(&message)) {
    return receive_snap(from, *snap, records);
  }
  look_at_report(from, message);
  const bool frequent = std::holds_alternative<zab::Ack>(message) ||
                        std::holds_alternative<zab::Progress>(message) ||
                        std::holds_alternative<zab::Pong>(message);
  if (frequent) {  // a loop turn's worth of them moves the commit point once
    core_.receive(from, message);
    core_pending_ = true;
    return;
  }
  settle_core();
  if (std::holds_alternative<zab::CEpoch>(message)) learners_->open(from);
  core_.receive(from, message);
  run_core();
}

// Questions about the cluster's end, publishers' requests and parts of a SNAP, which the core never
// sees.
bool Replica::receive_here(ServerId from, const zab::Message& message, const Slice& body) {
  if (const auto* request = std::get_if<zab::Forward>(&message)) {
    on_forward(from, *request, body);
    return true;
  }
  if (const auto* forward_answer = std::get_if<zab::ForwardAnswer>(&message)) {
    on_forward_answer(from, *forward_answer);
    return true;
  }
  if (const auto* question = std::get_if<zab::EndQuestion>(&message)) {
    if (leading_ && learners_->is_open(from)) {
      questions_->ask_for(from, question->number);
    } else {
      ++counters_.dropped_peer_messages;
    }
    return true;
  }
  if (const auto* answer = std::get_if<zab::EndAnswer>(&message)) {
    if (core_.role() == Role::following && core_.leader() == from) {
      questions_->end_round(answer->number, End{answer->offset, answer->zxid});
    } else {
      ++counters_.dropped_peer_messages;
    }
    return true;
  }
  if (const auto* taken = std::get_if<zab::StateTaken>(&message)) {
    learners_->on_state_taken(from, taken->part);
    core_.progressed(from);
    return true;
  }
  return false;
}

// The core sees only which records a frame holds; that they are whole and continue the log is
// checked here, before it is told.
void Replica::receive_propose(ServerId from, Zxid commit, Slice records) {
  settle_core();
  if (core_.role() != Role::following || core_.leader() != from) {
    ++counters_.dropped_peer_messages;
    return break_session(from, "PROPOSE from a server that this one does not follow");
  }
  std::optional<std::vector<zab::Run>> runs = verify_frame(records.bytes());
  if (!runs || !env_.log.continues(records.bytes())) {
    ++counters_.peer_records_malformed;
    const std::string why =
        runs ? "its records do not continue this log" : "its records are damaged";
    if (runs) note({zab::Event::Kind::protocol_error, from, why});  // else the network did it
    break_session(from, why);
    return settle_core();
  }
  frame_ = std::move(records);
  core_.receive(from, zab::Propose{*std::move(runs), commit});
  run_core();
  frame_ = {};
}

// The learner's reports open its window; the core judges them.
void Replica::look_at_report(ServerId from, const zab::Message& message) {
  if (const auto* ack = std::get_if<zab::Ack>(&message)) {
    learners_->on_reported(from, ack->durable);
  } else if (const auto* progress = std::get_if<zab::Progress>(&message)) {
    learners_->on_reported(from, progress->durable);
  } else if (std::holds_alternative<zab::AckLeader>(message)) {
    learners_->on_acked_leader(from);
  }
}

void Replica::hold_back(ServerId from, zab::Message message, Slice records) {
  const std::size_t bytes = held_bytes_ + held_bytes_of(records);
  const std::size_t frame_max = std::max(options_.read_bytes_max, options_.batch.batch_max);
  if (bytes > options_.learner_window_bytes + frame_max + record_header_size) {
    break_session(from, "too much came while the history was being cut");
    return settle_core();
  }
  held_bytes_ = bytes;
  held_.push_back({from, std::move(message), std::move(records)});
}

void Replica::release_held() {
  while (!held_.empty() && !rewinding_ && !draining_ && !fatal_) {
    const Held held = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= held_bytes_of(held.records);
    receive(held.from, held.message, held.records);
  }
}

void Replica::forget_held(ServerId from) {
  std::erase_if(held_, [this, from](const Held& held) {
    if (held.from != from) return false;
    held_bytes_ -= held_bytes_of(held.records);
    return true;
  });
}

// Its questions, requests and frames died with it; so did what it was still to be sent.
void Replica::forget_session(ServerId peer) {
  learners_->close(peer);
  questions_->withdraw_peer(peer);
  proposals_->withdraw_learner(peer);
  withdraw_verdicts(peer);
  forget_held(peer);
}

void Replica::on_session_lost(ServerId peer) {
  if (fatal_) return;
  ++counters_.sessions_lost;
  settle_core();
  forget_session(peer);
  core_.session_lost(peer);
  run_core();
}

// --- the disk ---

void Replica::on_durable(Zxid up_to) {
  if (fatal_) return;
  core_.durable(up_to);
  core_pending_ = true;
}

void Replica::on_rewound(bool matched) {
  if (fatal_ || !rewinding_) return;
  settle_core();
  rewinding_ = false;
  core_.rewound(matched);
  run_core();
  release_held();
}

void Replica::on_install_step() {
  if (fatal_ || !rewinding_ || !incoming_ || core_.role() != Role::following) return;
  send(core_.leader(), zab::StateTaken{incoming_->parts - 1});
}

void Replica::on_drained(Zxid durable_end) {
  if (fatal_) return;
  settle_core();
  draining_ = false;
  rewinding_ = false;
  core_.drained(durable_end);
  run_core();
  subscriptions_->on_delivered();  // they did not read while another history was being installed
}

void Replica::on_failed(const storage::Failure& failure) {
  stop(failure.text);
}

void Replica::on_stored() {
  if (fatal_) return;
  settle_core();
  env_.log.remove_replaced();
  core_.stored();
  switching_ = false;
  run_core();
}

// --- time ---

void Replica::tick(std::uint64_t now_ms, LogTime wall_us) {
  if (fatal_) return;
  now_ms_ = now_ms;
  wall_us_ = wall_us;
  settle_core();
  core_.tick(now_ms, env_.log.oldest_write_age_ms(now_ms) > options_.disk_stuck_ms);
  run_core();
  if (state_.retained().zxid > env_.log.floor().zxid) env_.log.hold_behind(hold());
  env_.log.tick(now_ms);
  follow_floor();
  clients_->tick(now_ms);
  questions_->tick(now_ms);
  subscriptions_->tick(now_ms);
  propose_retention();
}

bool Replica::step() {
  if (fatal_) return false;
  settle_core();
  propose_groups();
  settle_core();  // the group's streams, in parallel with our own write
  env_.log.flush();
  learners_->send_commits();

  bool more = delivery_->step();
  if (state_.delivered() != announced_) {
    announced_ = state_.delivered();
    subscriptions_->on_delivered();
  }
  save_snapshot_when_due();
  settle_publishers();
  start_round();
  if (!switching_) more |= subscriptions_->serve();
  settle_core();
  learners_->send_commits();
  return more || core_pending_ || (proposals_->waiting() && may_form_group());
}

// --- the leader's side ---

bool Replica::accepts_publishes() const {
  const bool knows_all = state_.delivered() >= core_.initial_end();
  return core_.leading_in_broadcast() && (knows_all || ZABMQ_MUTANT(proposes_before_delivering));
}

// Whatever arrived while the last write ran goes out together: the depth of the queue is the
// batcher, not a timer. A quorum commits without the leader's own disk: one that is slower than
// theirs sets the pace. On a full disk a write may wait for long; who asks is told so meanwhile.
bool Replica::may_form_group() const {
  if (!accepts_publishes()) return false;
  if (env_.log.no_space()) return true;
  if (disk_is_behind()) return false;
  return env_.log.idle() || proposals_->all_committed() ||
         proposals_->waiting_bytes() >= options_.group_bytes_max;
}

bool Replica::disk_is_behind() const {
  return env_.log.unwritten_bytes() > options_.unwritten_bytes_max;
}

void Replica::propose_groups() {
  while (proposals_->waiting() && may_form_group()) {
    const auto next_zxid = [this] {
      const std::optional<Zxid> zxid = core_.propose();
      ZABMQ_CHECK(zxid);
      return *zxid;
    };
    storage::Space space = env_.log.space();
    if (disk_is_behind()) space = storage::Space::last;
    if (ZABMQ_MUTANT(full_disk_ignored)) space = storage::Space::enough;
    Slice group = proposals_->form_group(env_.log.last(), wall_us_, space, next_zxid);
    if (group.empty()) continue;  // everything in it was answered
    env_.log.append(std::move(group));
    core_pending_ = true;
  }
}

void Replica::on_delivered_record(const RecordHeader& header, Bytes body) {
  counters_.messages_delivered += header.count;
  proposals_->on_delivered(header, body);
  snapshot_clock_.on_delivered(record_size(header.body_size));
  if (header.kind == RecordKind::floor) {
    const Offset before = std::exchange(retained_, state_.retained().offset);
    counters_.cursors_overtaken += state_.cursors().between(before, retained_);
  }
  forwards_->on_delivered(header);
  if (header.kind != RecordKind::admit) return;
  if (const std::optional<zab::Admit> admit = parse_admit(body)) {
    core_.delivered_admit(header.zxid, *admit);
    core_pending_ = true;
  }
}

void Replica::start_round() {
  if (!questions_->wants_round()) return;
  if (accepts_publishes()) {
    const std::optional<std::uint64_t> ticket = core_.ask_quorum();
    ZABMQ_CHECK(ticket);
    questions_->begin_round(*ticket);
    return run_core();
  }
  if (core_.role() != Role::following || core_.phase() != Phase::broadcast) return;
  questions_->begin_round(++question_number_);
  send(core_.leader(), zab::EndQuestion{question_number_});
}

// --- state ---

Status Replica::status() const {
  Status status;
  status.self = core_.self();
  status.leader = known_leader();
  status.role = core_.role();
  status.phase = core_.phase();
  status.epoch = core_.identity().current;
  if (const auto* leading = std::get_if<zab::Leading>(&core_.role_state())) {
    status.epoch = leading->epoch.value_or(status.epoch);
  } else if (const auto* following = std::get_if<zab::Following>(&core_.role_state())) {
    status.epoch = std::max(status.epoch, following->epoch);
  }
  status.standing = core_.standing();
  status.last_logged = core_.last_logged();
  status.last_durable = core_.last_durable();
  // The zxid and the offset of one and the same point: a follower knows the offset of what it
  // delivered, a leader that of what it committed.
  status.last_committed = leading_ ? core_.last_committed() : state_.delivered();
  status.last_delivered = state_.delivered();
  status.first_offset = state_.first_offset();
  status.last_offset = proposals_->committed_offset();
  status.accepts_publishes = accepts_publishes();
  status.connections = clients_->size();
  status.subscriptions = subscriptions_->size();
  status.publishers = state_.publishers().size();
  return status;
}

Queues Replica::queues() const {
  Queues queues;
  queues.publish_bytes = proposals_->waiting_bytes() + proposals_->in_flight_bytes();
  queues.publisher_batches = proposals_->most_batches();
  queues.forwarded_bytes = forwards_->bytes();
  queues.learner_bytes = learners_->most_unreported_bytes();
  queues.learner_items = learners_->most_items();
  queues.held_bytes = held_bytes_;
  queues.unwritten_bytes = env_.log.unwritten_bytes();
  queues.publishers = state_.publishers().size();
  queues.connections = clients_->size();
  queues.receipts = state_.publishers().receipts();
  queues.answers = clients_->most_held();
  queues.answer_bytes = clients_->most_held_bytes();
  queues.all_answer_bytes = clients_->held_bytes();
  queues.subscriptions = subscriptions_->most_of_a_connection();
  queues.cold_reads = subscriptions_->cold_reads();
  return queues;
}

}  // namespace zabmq::replica
