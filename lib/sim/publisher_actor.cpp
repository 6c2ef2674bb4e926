// PublisherActor: publishing, outcomes, restarts.
#include "sim/publisher_actor.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace zabmq::sim {
namespace {

constexpr std::uint64_t turn_ms = 100;          // turns are at most so far apart
constexpr Micros late_frame_max = 90 * second;  // so long a stalled connection may hold a frame

}  // namespace

PublisherActor::PublisherActor(const ClientSurroundings& around, Random random, bool keeps_id,
                               NextKey next_key)
    : around_(around),
      random_(random),
      keeps_id_(keeps_id),
      stays_(random_.chance(300'000)),
      next_key_(std::move(next_key)) {}

void PublisherActor::say(const std::string& text) {
  if (around_.trace.words()) {
    around_.trace.say("publisher " + std::to_string(static_cast<std::uint32_t>(key_)) + ": " +
                      text);
  }
}

// --- its process ---

void PublisherActor::start() {
  key_ = next_key_();
  id_ = random_.uuid();
  open_session();
}

void PublisherActor::open_session() {
  ++life_;
  if (process_.session) note_late_openings(process_);
  has_rival_ = older_.has_value();
  if (!has_rival_) older_invoked_ = 0;  // fenced by what is opened now
  unknown_.clear();
  pending_.clear();
  retry_due_ms_.reset();
  after_opening_done_ = ended_ = closing_ = closed_ = false;
  const Parameters& p = around_.parameters;
  process_ = {};
  process_.intake = std::make_unique<client::Intake>(client::Intake::Limits{
      .window_messages = p.clients.window_messages, .body_bytes = random_.between(1, 8) << 10});
  client::PublisherSession::Options options;
  for (std::uint32_t i = 1; i <= p.servers; ++i) {
    options.endpoints.push_back(ClientNetwork::endpoint_of(ServerId{i}));
  }
  std::rotate(options.endpoints.begin(),
              options.endpoints.begin() + static_cast<std::ptrdiff_t>(random_.below(p.servers)),
              options.endpoints.end());
  options.publisher = id_;
  options.seed = random_.next();
  options.stays = stays_;
  if (keeps_id_) {
    options.cluster = cluster_;
    options.history = history_;
    options.known_last = known_last_;
    options.known_instance = known_instance_;
    options.ends_at_failure = true;
  } else {
    options.id_is_ours = true;
  }
  process_.session = std::make_unique<client::PublisherSession>(std::move(options));
  process_.link = std::make_unique<ClientLink<client::PublisherSession>>(
      around_.network, around_.timeline, [this] { plan_turn(0); });
  process_.link->serve(process_.session.get());
  turn_chain(life_);
  publish_chain(life_);
}

void PublisherActor::restart() {
  say("is restarted");
  if (!keeps_id_) forget_id();
  if (keeps_id_ && after_opening_done_ && !process_.session->dead() && random_.coin()) {
    leave_running();
  }
  open_session();
}

void PublisherActor::forget_id() {
  id_ = random_.uuid();
  begin_anew();
}

// Nothing that an older process of the publisher before heard is this one's (seed 1795685535562).
void PublisherActor::begin_anew() {
  key_ = next_key_();
  endings_before_ = around_.endings(id_);
  known_last_ = invoked_ = newest_invoked_ = 0;
  known_instance_ = 0;
  refused_.clear();
  if (older_) note_late_openings(*older_);
  older_.reset();
  older_acknowledged_ = older_instance_ = 0;
  fence_.reset();
}

void PublisherActor::close() {
  if (finishing_ || closing_ || !after_opening_done_ || process_.session->dead()) return restart();
  say("closes");
  closing_ = true;
  process_.session->close(deadline_ms(), [this, life = life_](const std::optional<Error>& error) {
    if (life == life_) on_closed(error);
  });
}

void PublisherActor::on_closed(const std::optional<Error>& error) {
  closing_ = false;
  if (error) return say(std::string("is not closed: ") + error->what());
  closed_ = true;
  ++counts_.closed;
  if (was_ended()) return;
  around_.suspect("closed",
                  "a publisher is told that it is closed, and the cluster goes on with it");
}

// As another one; with its id, from the beginning; or as if it had not been closed.
void PublisherActor::come_back() {
  const std::uint64_t as = random_.below(keeps_id_ ? 3 : 2);
  if (as == 0) forget_id();
  if (as == 1) begin_anew();
  open_session();
}

void PublisherActor::finish_with(std::size_t messages) {
  finishing_ = true;
  left_ = messages;
  if (older_) note_late_openings(*older_);
  older_.reset();
}

std::string PublisherActor::status() const {
  return std::string(keeps_id_ ? "keeps its id, " : "") + std::to_string(left_) +
         " messages to publish, " + std::to_string(pending_.size()) + " pending, " +
         (unknown_.empty() ? "" : "asks for " + std::to_string(unknown_.front()) + ", ") +
         (process_.session->opened() ? "" : "not opened, ") +
         "trouble: " + process_.session->trouble();
}

// --- its loop ---

void PublisherActor::turn_chain(std::uint64_t life) {
  if (life != life_) return;
  turn();
  const Micros pause = (process_.session->busy() ? 10 : 50) * millisecond;
  around_.timeline.after(pause, [this, life] { turn_chain(life); });
}

void PublisherActor::plan_turn(Micros delay) {
  if (turn_planned_) return;
  turn_planned_ = true;
  around_.timeline.after(delay + random_.below(100), [this] {
    turn_planned_ = false;
    turn();
  });
}

void PublisherActor::turn() {
  process_.session->tick(now_ms());
  process_.session->exchange(*process_.intake, now_ms());
  process_.link->perform_outputs();
  tell_outcomes();
  check_deadlines();
  note_late_openings(process_);
  if (process_.session->opened() && !after_opening_done_) after_opening();
  if (ended_) return restart();
  if (closed_) return come_back();
  if (const std::optional<Error>& dead = process_.session->dead()) {
    judge_end(*dead, keeps_id_ && (has_rival_ || around_.timeline.now() < late_openings_until_));
    if (dead->code == Code::expired) forget_id();  // a clock has jumped by years
    restart();
  }
}

// A HELLO that was given up may still arrive, and open one instance more.
void PublisherActor::note_late_openings(const Process& process) {
  const unsigned answered = process.session->instance() != 0 ? 1 : 0;
  if (process.session->openings() <= answered) return;
  late_openings_until_ = around_.timeline.now() + late_frame_max;
}

// Of all ends only these are not the cluster's fault: it was idle for too long, or another process
// goes on with its id.
void PublisherActor::judge_end(const Error& error, bool may_be_fenced) {
  say(std::string("is over: ") + error.what());
  if (error.code == Code::expired && was_ended()) return;
  if (error.code == Code::refused && may_be_fenced) return;
  around_.report("publisher", std::string("a publisher is over without a reason: ") + error.what());
}

// As the real publisher does: replies to retry() behind the outcomes.
void PublisherActor::tell_outcomes() {
  const auto replies = process_.session->take_replies();
  for (const client::Completion& completion : process_.session->take_completions()) {
    complete(completion);
  }
  for (const auto& reply : replies) reply();
}

// Whoever publishes or asks hears of it in time, whatever the cluster does.
void PublisherActor::check_deadlines() {
  const auto late = [this](std::uint64_t deadline_ms) { return deadline_ms + turn_ms < now_ms(); };
  if (!pending_.empty() && late(pending_.front().deadline_ms)) {
    around_.report("deadline", "message " + std::to_string(pending_.front().sequence) +
                                   " is without an outcome after its deadline");
  }
  if (retry_due_ms_ && late(*retry_due_ms_)) {
    around_.report("deadline", "retry of message " + std::to_string(unknown_.front()) +
                                   " is without an answer after its deadline");
  }
}

// What the cluster had taken of the process before is as good as acknowledged.
void PublisherActor::after_opening() {
  after_opening_done_ = true;
  cluster_ = process_.session->cluster();
  history_ = process_.session->history();
  say("opened, goes on behind " + std::to_string(process_.session->resumed_after()));
  if (invoked_ == 0 && known_last_ == 0 && process_.session->resumed_after() > 0) {
    around_.report("closed", "a publisher that begins is told that it has published " +
                                 std::to_string(process_.session->resumed_after()));
  }
  if (!keeps_id_) return;
  // An older process has ended it, which knew of more than this one (seed 1795695976507).
  const bool was_new = known_instance_ == 0;
  if (was_new && process_.session->resumed_after() == 0 && was_ended()) begin_anew();
  known_instance_ = process_.session->newest_instance();
  if (!fence_) fence_ = Fence{process_.session->instance(), process_.session->resumed_after()};
  check_fence();
  if (process_.session->resumed_after() < known_last_) {
    around_.report("publisher", "the cluster forgot sequences of a publisher: it acknowledged " +
                                    std::to_string(known_last_) + ", now it knows " +
                                    std::to_string(process_.session->resumed_after()));
  }
  for (Sequence s = known_last_ + 1; s <= process_.session->resumed_after(); ++s) {
    around_.history.confirm(around_.timeline.now(), key_, s);
  }
  known_last_ = process_.session->resumed_after();
}

// --- publishing ---

void PublisherActor::publish_chain(std::uint64_t life) {
  if (life != life_) return;
  if (after_opening_done_) publish_some();
  if (around_.parameters.fault_every > 0 && !finishing_ && random_.chance(1000)) close();
  if (life != life_) return;
  // Towards the end nobody dawdles: a window of one message, refilled every few seconds, would need
  // longer than a healed cluster may take (seed 1795637136411).
  const Micros usual = around_.parameters.clients.publish_every;
  const Micros pause = finishing_ ? std::min(usual, 100 * millisecond) : usual;
  around_.timeline.after(random_.about(pause), [this, life] { publish_chain(life); });
}

// --- outcomes ---

// In the order of publication.
void PublisherActor::complete(const client::Completion& completion) {
  const std::size_t count = completion.batch->count();
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(count);
  const std::deque<Pending> messages(pending_.begin(), end);
  pending_.erase(pending_.begin(), end);
  if (const auto* receipt = std::get_if<wire::Receipt>(&completion.outcome)) {
    note_batch(messages);
    for (std::size_t i = 0; i < count; ++i) {
      const Sequence sequence = receipt->first_sequence + i;
      if (sequence != messages[i].sequence) {
        around_.report("receipt", "a receipt of message " + std::to_string(sequence) +
                                      ", where that of " + std::to_string(messages[i].sequence) +
                                      " was due");
      }
      on_done(sequence, Receipt{receipt->base_offset + i, receipt->zxid, sequence});
    }
    return;
  }
  const Error& error = std::get<Error>(completion.outcome);
  for (const Pending& message : messages) on_done(message.sequence, error);
  if (!error.first) return;
  judge_condition(messages.front(), error);
  renumber(count);
}

// Only who sets a condition is told that it does not hold, and nobody is told of an end that may
// yet be another one. (The latter no client can see.)
void PublisherActor::judge_condition(const Pending& message, const Error& error) {
  ++counts_.conditions_refused;
  const std::string text = "message " + std::to_string(message.sequence) +
                           " is told that the last offset is " + std::to_string(*error.first);
  if (!message.terms.behind) return around_.report("condition", text + ", and did not ask");
  if (*error.first <= around_.committed()) return;
  around_.suspect("condition",
                  text + ", committed are those up to " + std::to_string(around_.committed()));
}

void PublisherActor::on_done(Sequence sequence, const Result<Receipt>& result) {
  if (result) return acknowledge(result.value());
  const Error& error = result.error();
  say(std::to_string(sequence) +
      (error.outcome == Outcome::no ? " was not taken: " : " is open: ") + error.what());
  if (error.code == Code::duplicate) {  // it happened, so long ago that nobody knows where
    around_.history.confirm(around_.timeline.now(), key_, sequence);
    known_last_ = std::max(known_last_, sequence);
    if (left_ > 0) --left_;
    return;
  }
  // What an older process has sent of it may be taken all the same.
  if (error.outcome == Outcome::no && sequence > older_invoked_) refuse(sequence);
  // With its id kept, the process ends at the first failure and comes back with the same message.
  if (keeps_id_) {
    ended_ = true;
  } else if (error.outcome == Outcome::maybe) {
    unknown_.push_back(sequence);
    if (unknown_.size() == 1) ask_for_unknown();
  }
}

// R1: it did not happen and never will, unless it is invoked anew.
void PublisherActor::refuse(Sequence sequence) {
  around_.history.refuse(around_.timeline.now(), key_, sequence);
  if (keeps_id_) refused_.insert(sequence);
}

// One after the other, until each is known: that is what retry() is for.
void PublisherActor::ask_for_unknown() {
  retry_due_ms_ = now_ms() + (finishing_ ? patient_ms : 2000);
  process_.session->retry(unknown_.front(), *retry_due_ms_,
                          [this, life = life_](const Result<Receipt>& result) {
                            if (life != life_) return;
                            retry_due_ms_.reset();
                            const bool known = result || result.error().outcome == Outcome::no ||
                                               result.error().code == Code::duplicate;
                            if (known) {
                              const Sequence sequence = unknown_.front();
                              unknown_.pop_front();
                              on_done(sequence, result);
                            }
                            if (!unknown_.empty()) ask_for_unknown();
                          });
  plan_turn(millisecond);
}

void PublisherActor::acknowledge(const Receipt& receipt) {
  around_.history.acknowledge(around_.timeline.now(), key_, receipt.sequence, receipt.offset,
                              receipt.zxid);
  note_acknowledged(receipt.offset, receipt.zxid);
  known_last_ = std::max(known_last_, receipt.sequence);
  if (left_ > 0) --left_;
  if (stays_) ++counts_.staying;
}

void PublisherActor::note_acknowledged(Offset offset, Zxid zxid) {
  if (offset > acknowledged_.offset) acknowledged_ = {offset, zxid};
}

// --- an older process ---

// Whoever restarted it took it for dead. It publishes, too, until it is told that it is fenced.
void PublisherActor::leave_running() {
  say("its old process lives on");
  older_ = std::move(process_);
  fence_.reset();
  older_invoked_ = invoked_;
  newest_invoked_ = 0;
  older_acknowledged_ = older_instance_ = 0;
  older_chain(++olders_);
}

void PublisherActor::older_chain(std::uint64_t number) {
  if (number != olders_ || !older_) return;
  if (!older_goes_on()) return older_.reset();
  around_.timeline.after(10 * millisecond, [this, number] { older_chain(number); });
}

bool PublisherActor::older_goes_on() {
  client::PublisherSession& session = *older_->session;
  for (const Pending& message : publish(*older_->intake, deadline_ms())) {
    older_invoked_ = std::max(older_invoked_, message.sequence);
  }
  session.tick(now_ms());
  session.exchange(*older_->intake, now_ms());
  older_->link->perform_outputs();
  for (const client::Completion& completion : session.take_completions()) {
    older_completed(completion);
  }
  note_late_openings(*older_);
  if (!session.dead()) return true;
  judge_end(*session.dead(), true);
  return false;
}

void PublisherActor::older_completed(const client::Completion& completion) {
  const auto* receipt = std::get_if<wire::Receipt>(&completion.outcome);
  for (std::uint32_t i = 0; i < completion.batch->count(); ++i) {
    const Sequence sequence = completion.batch->first + i;
    if (!receipt) {
      older_failed(sequence, std::get<Error>(completion.outcome));
      continue;
    }
    older_acknowledged_ = sequence;
    around_.history.acknowledge(around_.timeline.now(), key_, sequence, receipt->base_offset + i,
                                receipt->zxid);
    note_acknowledged(receipt->base_offset + i, receipt->zxid);
  }
  if (!receipt) return;
  older_instance_ = older_->session->instance();
  check_fence();
}

// What it was refused may yet be taken of a newer process.
void PublisherActor::older_failed(Sequence sequence, const Error& error) {
  if (error.code == Code::duplicate) {
    around_.history.confirm(around_.timeline.now(), key_, sequence);
  } else if (error.outcome == Outcome::no && sequence > newest_invoked_) {
    refuse(sequence);
  }
}

// What the cluster took of it before the newer one was opened is all that it may hear of; unless it
// has opened itself again since, which makes it the newer one.
void PublisherActor::check_fence() {
  if (!fence_ || older_instance_ >= fence_->instance || older_acknowledged_ <= fence_->last) return;
  around_.report("fencing", "an older process got message " + std::to_string(older_acknowledged_) +
                                " acknowledged, the newer one had been opened behind message " +
                                std::to_string(fence_->last));
}

}  // namespace zabmq::sim
