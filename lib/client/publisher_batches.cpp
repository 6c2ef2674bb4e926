// PublisherBatches: sending batches, their answers, and the outcomes their callers are told.
#include <algorithm>
#include <utility>

#include "client/publisher_session.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"
#include "zabmq/record.hpp"

namespace zabmq::client {
namespace {

// Answers that end the publisher, not only the batch.
bool is_fatal(Code code) {
  return code == Code::refused || code == Code::expired || code == Code::not_authorized;
}

Error with_sequence(Error error, Sequence sequence) {
  error.sequence = sequence;
  return error;
}

Receipt receipt_of(const wire::Receipt& batch, Sequence sequence) {
  return {.offset = batch.base_offset + (sequence - batch.first_sequence),
          .zxid = batch.zxid,
          .sequence = sequence};
}

}  // namespace

bool PublisherSession::InFlight::not_taken() const {
  const auto* error = std::get_if<Error>(&answer);
  return error && error->outcome == Outcome::no;
}

bool PublisherSession::InFlight::outcome_open() const {
  if (maybe) return true;
  return answered() ? !not_taken() : state == State::sent;
}

// --- sending ---

bool PublisherSession::may_send() const {
  if (link_ != Link::open || leaving_ != Leave::stay || held_until_ms_) return false;
  // An open outcome belongs to the instance that sent it; what comes behind it may need a newer
  // one.
  return reported_ > 0 ? !waiters_.empty() : !new_instance_needed_;
}

void PublisherSession::send_waiting() {
  if (!may_send()) return;
  for (InFlight& flight : batches_) {
    if (flight.not_taken()) return;  // whatever stands behind it would be a hole
    if (flight.state == InFlight::State::waiting && !flight.answered()) send_batch(flight);
  }
}

void PublisherSession::send_batch(InFlight& flight) {
  flight.state = InFlight::State::sent;
  flight.ever_sent = true;
  ++unanswered_;
  send(wire::Publish{.instance = instance_,
                     .first_sequence = flight.batch->first,
                     .count = flight.batch->count(),
                     .body_checksum = flight.checksum,
                     .expect_last_offset = flight.batch->expect_last_offset},
       SharedBody(flight.batch, &flight.batch->body));
}

// Whatever gathers while the last frames are on their way goes out as the next one: how long they
// take decides how much that is. Full bodies need not wait.
bool PublisherSession::wants_batch(const Intake& intake) const {
  if (intake.empty() || !may_send() || reported_ > 0) return false;
  if (batches_.size() >= batches_max || behind_condition()) return false;
  if (!batches_.empty() && batches_.back().state != InFlight::State::sent) return false;
  return unanswered_ < frames_eager || intake.has_full_body();
}

// Should the condition not hold, what comes behind goes on in its place; sent before that was
// known, it would be a hole.
bool PublisherSession::behind_condition() const {
  return !batches_.empty() && batches_.back().batch->expect_last_offset;
}

void PublisherSession::exchange(Intake& intake, std::uint64_t now_ms) {
  if (start_intake_) {
    start_intake_ = false;
    ZABMQ_CHECK(intake.empty());
    intake.give_up(next_cut_);
  }
  if (new_limits_) intake.set_batch_limits(*std::exchange(new_limits_, std::nullopt));
  for (const BatchPtr& batch : std::exchange(to_release_, {})) intake.release(*batch);
  const bool oldest_in_intake = batches_.size() == reported_ && !intake.empty();
  if (oldest_in_intake && intake.deadline_ms() <= now_ms && !ZABMQ_MUTANT(deadline_ignored)) {
    give_up(Code::unavailable, "not sent before its deadline: " + trouble_);
  }
  if (give_up_) give_up_intake(intake);
  if (std::exchange(renumber_intake_, false)) intake.renumber(next_cut_);
  set_stopped(intake);

  while (wants_batch(intake)) add(intake.cut());
  intake_empty_ = intake.empty();
  const bool taking =
      may_send() && reported_ == 0 && batches_.size() < batches_max && !behind_condition();
  intake.wake_on(!taking                      ? Intake::WakeOn::nothing
                 : unanswered_ < frames_eager ? Intake::WakeOn::message
                                              : Intake::WakeOn::full_body);
}

void PublisherSession::add(BatchPtr batch) {
  ZABMQ_CHECK(batch->first == next_cut_);
  next_cut_ = batch->last() + 1;
  InFlight& flight = batches_.emplace_back();
  flight.checksum = checksum(batch->body);
  flight.batch = std::move(batch);
  send_batch(flight);
}

// --- answers ---

PublisherSession::InFlight* PublisherSession::find(Sequence first) {
  const auto it = std::lower_bound(
      batches_.begin(), batches_.end(), first,
      [](const InFlight& flight, Sequence wanted) { return flight.batch->first < wanted; });
  return it != batches_.end() && it->batch->first == first ? &*it : nullptr;
}

void PublisherSession::on(const wire::Receipt& receipt, std::uint64_t now_ms) {
  answered_ms_ = now_ms;
  InFlight* flight = find(receipt.first_sequence);
  if (!flight || flight->answered()) return;  // the answer to a second copy
  if (receipt.count != flight->batch->count()) {
    return leave(Leave::failure, "a receipt for other boundaries");
  }
  route_.succeeded();
  if (flight->batch->last() >= last_held_) holds_ = 0;
  if (flight->state == InFlight::State::sent) --unanswered_;
  flight->answer = receipt;
  complete_front();
}

void PublisherSession::on_publish_refused(const wire::Refused& refused, std::uint64_t now_ms) {
  answered_ms_ = now_ms;
  InFlight* flight = find(refused.id);
  if (!flight || flight->state != InFlight::State::sent || flight->answered()) return;
  const bool follows = refused.hole && last_refusal_;  // from what was refused before it
  if (!follows) trouble_ = endpoint_ + ": " + refused.text;
  --unanswered_;
  flight->state = InFlight::State::refused;
  if (refused.outcome == Outcome::maybe) flight->maybe = true;

  if (refused.expect_last_offset) return on_condition_refused(*flight, refused);
  if (refused.hole) return on_hole(*flight, refused, now_ms);
  if (refused.not_leading) return leave_for_leader(refused.leader_endpoint, refused.text);
  switch (refused.code) {
    case Code::busy:
    case Code::no_space:
      last_refusal_ = Error(refused.code, Outcome::no, trouble_);
      return hold(now_ms);
    case Code::unavailable:
    case Code::unknown_outcome:
      return leave_for_leader(refused.leader_endpoint, refused.text);
    default:
      return on_final_refusal(*flight, refused);
  }
}

// The server has taken everything up to last_sequence and nothing behind. It has seen the batches
// before this one, since frames of a connection keep their order: those it has not taken are lost.
void PublisherSession::on_hole(const InFlight& hole, const wire::Refused& refused,
                               std::uint64_t now_ms) {
  if (refused.last_sequence < acknowledged_) return leave_behind(refused.last_sequence);
  for (InFlight& flight : batches_) {
    if (&flight == &hole) break;
    if (flight.batch->first <= refused.last_sequence || flight.answered()) continue;
    if (flight.state != InFlight::State::sent) continue;
    flight.state = InFlight::State::refused;
    --unanswered_;
  }
  hold(now_ms);
}

void PublisherSession::on_final_refusal(InFlight& flight, const wire::Refused& refused) {
  if (refused.code == Code::refused && fenced_by_ourselves()) return reopen();
  if (refused.code == Code::refused && refused.last_sequence > 0 &&
      flight.batch->first > refused.last_sequence) {
    flight.maybe = false;  // an earlier copy was not taken, and is fenced from now on
  }
  flight.answer = Error(refused.code, refused.outcome, refused.text);
  complete_front();  // in order: batches before it may still get their receipts
}

// This copy was not taken. An earlier one may still be, somewhere: a newer instance fences it,
// tells whether it was, and asks again. When there is none, the sequence is free at once.
void PublisherSession::on_condition_refused(InFlight& flight, const wire::Refused& refused) {
  if (flight.maybe) return reopen();
  Error error(Code::refused, Outcome::no, refused.text);
  error.first = refused.last_offset;
  flight.answer = std::move(error);
  flight.condition_failed = true;
  complete_front();  // in order: batches before it still wait for their receipts
}

void PublisherSession::complete_front() {
  while (!batches_.empty() && batches_.front().answered()) {
    if (batches_.front().condition_failed) {
      const InFlight flight = std::move(batches_.front());
      batches_.pop_front();
      pass_over(flight);
      continue;
    }
    if (batches_.front().not_taken()) {
      const Error error = std::get<Error>(batches_.front().answer);
      return is_fatal(error.code) ? die(error) : give_up(error.code, error.what());
    }
    InFlight flight = std::move(batches_.front());
    batches_.pop_front();
    note_taken(*flight.batch);
    acknowledged_any_ = true;
    last_refusal_.reset();
    if (flight.reported) {
      --reported_;
      resolve(flight);
    } else if (auto* receipt = std::get_if<wire::Receipt>(&flight.answer)) {
      complete(flight.batch, *receipt);
    } else {
      complete(flight.batch, std::get<Error>(flight.answer));
    }
  }
}

void PublisherSession::note_taken(const Batch& batch) {
  if (options_.ends_at_failure && input_.count == acknowledged_) input_.add_batch(batch.body);
  acknowledged_ = batch.last();
}

// Its sequences go to what comes next: nothing was sent behind it.
void PublisherSession::pass_over(const InFlight& flight) {
  ZABMQ_CHECK(batches_.empty() && next_cut_ == flight.batch->last() + 1);
  next_cut_ = flight.batch->first;
  renumber_intake_ = true;
  const Error& error = std::get<Error>(flight.answer);
  if (!flight.reported) return complete(flight.batch, error);
  --reported_;
  answer_waiters(flight, error);
}

void PublisherSession::complete(const BatchPtr& batch, std::variant<wire::Receipt, Error> outcome) {
  to_release_.push_back(batch);
  completions_.push_back({batch, std::move(outcome)});
}

// --- trying again at the same server ---

// All that is refused behind the first one shares its pause: each of a window's batches counted as
// one more failure, and a moment's `busy` became a second of silence. Pauses grow from hold to hold
// until all that was under way is acknowledged.
void PublisherSession::hold(std::uint64_t now_ms) {
  if (held_until_ms_) return;
  held_until_ms_ = route_.again_at(now_ms, holds_++);
  hold_deadline_ms_ = now_ms + answer_patience_ms;
  last_held_ = batches_.back().batch->last();
}

// Batches behind a refused one are refused as well, as holes. Once they all are, no copy of any of
// them is left on this connection, and they can be sent in order again.
void PublisherSession::end_hold(std::uint64_t now_ms) {
  if (!held_until_ms_ || now_ms < *held_until_ms_) return;
  const auto refused = [](const InFlight& f) { return f.state == InFlight::State::refused; };
  const auto sent = [](const InFlight& f) {
    return f.state == InFlight::State::sent && !f.answered();
  };
  const auto first = std::find_if(batches_.begin(), batches_.end(), refused);
  if (std::any_of(first, batches_.end(), sent)) {
    if (now_ms >= hold_deadline_ms_) leave(Leave::failure, "a publish was not answered");
    return;
  }
  held_until_ms_.reset();
  for (InFlight& flight : batches_) {
    if (refused(flight)) flight.state = InFlight::State::waiting;
  }
}

// --- giving up ---

// Deadlines never decrease along the queue: the first one unreported is the next to pass.
bool PublisherSession::deadline_passed(std::uint64_t now_ms) const {
  if (ZABMQ_MUTANT(deadline_ignored)) return false;
  return batches_.size() > reported_ && batches_[reported_].batch->deadline_ms <= now_ms;
}

// Everything pending fails: nothing may overtake what failed. Batches in front of which a copy may
// still arrive are open: they keep their sequences, for retry(). From the first batch on that was
// certainly not taken nothing was or will be, since sequences leave no holes.
void PublisherSession::give_up(Code code_if_not_taken, const std::string& why) {
  const auto is_open = [](const InFlight& flight) { return flight.outcome_open(); };
  const auto kept = std::find_if_not(batches_.begin(), batches_.end(), is_open);
  for (auto flight = batches_.begin(); flight != kept; ++flight) report_open(*flight, why);
  const Error not_taken(code_if_not_taken, Outcome::no, why);
  if (kept != batches_.end()) next_cut_ = kept->batch->first;
  for (auto flight = kept; flight != batches_.end(); ++flight) {
    new_instance_needed_ |= flight->ever_sent;
    if (flight->reported) {
      --reported_;
      answer_waiters(*flight, not_taken);
    } else {
      complete(flight->batch, not_taken);
    }
  }
  const bool any_not_taken = kept != batches_.end();
  batches_.erase(kept, batches_.end());
  unanswered_ = static_cast<std::size_t>(std::count_if(
      batches_.begin(), batches_.end(),
      [](const InFlight& f) { return f.state == InFlight::State::sent && !f.answered(); }));
  held_until_ms_.reset();
  give_up_ = not_taken;
  if (any_not_taken) end_at_failure();
}

// Also when outcomes before it are open, and found out by retry(): its place must stay empty.
void PublisherSession::end_at_failure() {
  if (!options_.ends_at_failure || ended_) return;
  ended_ = Error(Code::refused, Outcome::no,
                 "sequence " + std::to_string(next_cut_) +
                     " failed, and nothing may overtake it: open the publisher again");
}

void PublisherSession::report_open(InFlight& flight, const std::string& why) {
  if (flight.not_taken()) flight.answer = std::monostate{};  // that copy; not an earlier one
  if (flight.state == InFlight::State::refused) flight.state = InFlight::State::waiting;
  if (flight.reported) return;
  flight.reported = true;
  ++reported_;
  if (auto* receipt = std::get_if<wire::Receipt>(&flight.answer)) {
    return complete(flight.batch, *receipt);
  }
  complete(flight.batch,
           Error(Code::unknown_outcome, Outcome::maybe,
                 "sent, but without an answer: it may have happened, and retrying the same "
                 "sequence is safe (" +
                     why + ")"));
}

void PublisherSession::give_up_intake(Intake& intake) {
  const Error error = *std::exchange(give_up_, std::nullopt);
  if (!intake.empty()) end_at_failure();
  for (const BatchPtr& batch : intake.give_up(next_cut_)) completions_.push_back({batch, error});
}

void PublisherSession::set_stopped(Intake& intake) const {
  if (dead_) return intake.stop_taking(*dead_);
  if (ended_) return intake.stop_taking(*ended_);
  if (reported_ > 0) {
    return intake.stop_taking(Error(Code::refused, Outcome::no,
                                    "the outcome of sequence " +
                                        std::to_string(batches_.front().batch->first) +
                                        " is open, and nothing may overtake it: retry it first"));
  }
  if (closing_) {
    return intake.stop_taking(Error(Code::refused, Outcome::no, "the publisher is being closed"));
  }
  intake.go_on_taking();
}

// --- retry ---

void PublisherSession::retry(Sequence sequence, std::uint64_t deadline_ms, RetryDone done) {
  waiters_.push_back({sequence, deadline_ms, std::move(done)});
}

void PublisherSession::reply(Waiter& waiter, Result<Receipt> result) {
  replies_.push_back([done = std::move(waiter.done), result = std::move(result)] { done(result); });
}

void PublisherSession::settle_waiters(std::uint64_t now_ms) {
  for (Waiter& waiter : std::exchange(waiters_, {})) {
    if (const auto outcome = resolved(waiter.sequence)) {
      reply(waiter, *outcome);
    } else if (!is_reported(waiter.sequence)) {
      reply(waiter, Error(Code::refused, Outcome::no,
                          "sequence " + std::to_string(waiter.sequence) +
                              " has no open outcome: there is nothing to retry",
                          waiter.sequence));
    } else if (dead_ || (now_ms >= waiter.deadline_ms && !ZABMQ_MUTANT(retry_deadline_ignored))) {
      reply(waiter, Error(Code::unknown_outcome, Outcome::maybe,
                          "sequence " + std::to_string(waiter.sequence) +
                              " is still without an answer: " + (dead_ ? dead_->what() : trouble_),
                          waiter.sequence));
    } else {
      waiters_.push_back(std::move(waiter));
    }
  }
}

bool PublisherSession::is_reported(Sequence sequence) const {
  return std::any_of(batches_.begin(), batches_.end(), [sequence](const InFlight& flight) {
    return flight.reported && sequence >= flight.batch->first && sequence <= flight.batch->last();
  });
}

std::optional<Result<Receipt>> PublisherSession::resolved(Sequence sequence) const {
  for (const Resolved& batch : resolved_) {
    if (sequence < batch.first || sequence > batch.last) continue;
    if (const auto* receipt = std::get_if<wire::Receipt>(&batch.answer)) {
      return receipt_of(*receipt, sequence);
    }
    const Error& error = std::get<Error>(batch.answer);
    return with_sequence(error, sequence);
  }
  return std::nullopt;
}

// Kept for a retry() that comes later: `duplicate`, too, says that the message was taken.
void PublisherSession::resolve(const InFlight& flight) {
  const auto* error = std::get_if<Error>(&flight.answer);
  if (error) answer_waiters(flight, *error);
  Resolved batch{flight.batch->first, flight.batch->last(), {}};
  if (error) {
    batch.answer = *error;
  } else {
    batch.answer = std::get<wire::Receipt>(flight.answer);
  }
  resolved_.push_back(std::move(batch));
  if (resolved_.size() > batches_max) resolved_.pop_front();
}

void PublisherSession::answer_waiters(const InFlight& flight, const Error& error) {
  for (Waiter& waiter : std::exchange(waiters_, {})) {
    if (waiter.sequence < flight.batch->first || waiter.sequence > flight.batch->last()) {
      waiters_.push_back(std::move(waiter));
    } else {
      reply(waiter, with_sequence(error, waiter.sequence));
    }
  }
}

}  // namespace zabmq::client
