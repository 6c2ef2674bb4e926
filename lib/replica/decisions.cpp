// Decisions: what a leader answers to a publisher, by the delivered table plus what is in flight.
#include <algorithm>
#include <string>
#include <utility>

#include "replica/clients.hpp"
#include "replica/proposals.hpp"
#include "replica/records.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {
namespace {

using storage::Space;

Sequence last_of(const wire::Publish& publish) {
  return publish.first_sequence + publish.count - 1;
}

bool same_boundaries(const wire::Publish& publish, Sequence first, std::uint32_t count) {
  return publish.first_sequence == first && publish.count == count;
}

std::string range_of(const wire::Publish& publish) {
  return std::to_string(publish.first_sequence) + ".." + std::to_string(last_of(publish));
}

}  // namespace

void Proposals::decide(const Request& request, Forming& group) {
  switch (request.kind) {
    case Kind::batch:
      return decide_batch(request, group);
    case Kind::open:
      return decide_open(request, group);
    case Kind::close:
      return decide_close(request, group);
    case Kind::cursor:
    case Kind::cursor_removal:
      return decide_cursor(request, group);
    case Kind::admit:
    case Kind::floor:
      return accept(request, Instance{}, group);
  }
}

void Proposals::decide_batch(const Request& request, Forming& group) {
  const wire::Publish& publish = request.publish;
  const std::optional<Taken> known = taken(request.publisher);
  if (!known || known->closing) return refuse_ended(request);
  if (publish.instance < known->instance && !ZABMQ_MUTANT(fencing_ignored)) {
    return refuse_older(request);
  }
  if (publish.instance > known->instance) {
    return refuse(request, Code::protocol,
                  "instance " + std::to_string(publish.instance) +
                      " was never opened, the newest is " + std::to_string(known->instance));
  }
  const bool append_again = ZABMQ_MUTANT(in_flight_not_deduplicated) &&
                            find_in_flight(request.publisher, publish.first_sequence);
  if (publish.first_sequence <= known->last_sequence && !append_again) {
    return answer_old_batch(request, *known);
  }
  if (is_forgotten(request.publisher, group.time_before)) return refuse_ended(request);
  if (publish.first_sequence > known->last_sequence + 1 && !ZABMQ_MUTANT(hole_accepted)) {
    return refuse_hole(request, known->last_sequence);
  }
  // Behind all that is about a batch taken before: a retry has its receipt whatever came since.
  if (publish.expect_last_offset && *publish.expect_last_offset != group.last_offset) {
    return refuse_condition(request, known->last_sequence, group.last_offset);
  }
  if (group.space != Space::enough) return refuse_for_space(request);
  Flight& flight = flight_of(request.publisher);
  if (flight.batches.size() >= options_.receipts_max && !ZABMQ_MUTANT(receipts_without_end)) {
    return refuse(request, Code::busy,
                  std::to_string(options_.receipts_max) +
                      " batches of this publisher are in flight: wait for receipts");
  }
  accept(request, publish.instance, group);
  flight.taken.last_sequence = last_of(publish);
}

// The first answer again, if it is still kept: a retry never appends.
void Proposals::answer_old_batch(const Request& request, const Taken& known) {
  const wire::Publish& publish = request.publish;
  if (Proposal* proposal = find_in_flight(request.publisher, publish.first_sequence)) {
    if (same_boundaries(publish, proposal->header.first_sequence, proposal->header.count)) {
      ++counters_.duplicates;
      return add_copy(request, *proposal);
    }
  } else if (const PublisherState* state = table_.find(request.publisher)) {
    const BatchReceipt* receipt = state->receipts.find(publish.first_sequence);
    if (receipt && same_boundaries(publish, receipt->first_sequence, receipt->count)) {
      ++counters_.duplicates;
      return send_receipt(request.asker, *receipt);
    }
    const bool older_than_kept =
        state->receipts.size() == 0 || last_of(publish) < state->receipts[0].first_sequence;
    if (!receipt && older_than_kept && last_of(publish) <= known.last_sequence) {
      ++counters_.duplicates;
      wire::Refused answer =
          refused(wire::About::publish, publish.first_sequence, Code::duplicate, Outcome::maybe,
                  "sequences " + range_of(publish) +
                      " were taken before, too long ago for their receipt to be kept");
      answer.last_sequence = known.last_sequence;
      return askers_.answer(request.asker, std::move(answer));
    }
  }
  refuse(request, Code::protocol,
         "sequences " + range_of(publish) + " were taken in other batches (the last one is " +
             std::to_string(known.last_sequence) +
             "): send a batch again with the same boundaries");
}

// Each copy has its own answer, and all of them the same. A learner sends those of what it has
// forwarded itself, when it knows the record for its own.
void Proposals::add_copy(const Request& request, Proposal& proposal) {
  if (proposal.committed) return send_receipt(request.asker, receipt_of(proposal.header));
  const bool same_instance = request.publish.instance == proposal.header.instance;
  if (is_forwarded(request.asker) && same_instance) return;
  if (proposal.copies.size() >= copies_max) {
    return refuse(request, Code::busy,
                  std::to_string(copies_max) + " copies of sequences " + range_of(request.publish) +
                      " wait for their receipt: send it again later");
  }
  proposal.copies.push_back(request.asker);
}

void Proposals::decide_open(const Request& request, Forming& group) {
  if (!askers_.waits(request.asker)) return;
  if (group.space != Space::enough) return refuse_for_space(request);
  const std::optional<Taken> known = taken(request.publisher);
  const bool forgotten =
      !known || known->closing || is_forgotten(request.publisher, group.time_before);
  const bool ended = forgotten || known->born > request.known;
  if (request.known != 0 && ended) return refuse_ended(request);
  if (forgotten && !flights_.contains(request.publisher) && !has_room_for_publisher(group.time)) {
    return refuse(request, Code::busy,
                  "this cluster keeps at most " + std::to_string(options_.publishers_max) +
                      " publishers: close some, or wait until idle ones expire");
  }
  const Instance instance = known ? known->instance + 1 : table_.next_unknown_instance();
  accept(request, instance, group);
  Flight& flight = flight_of(request.publisher);
  flight.closed = false;
  Taken& now = flight.taken;
  now.instance = instance;
  if (forgotten) {  // the entry, if any, is freed before this one is delivered
    now.last_sequence = 0;
    now.born = instance;
  }
  now.closing = false;
}

// By the record before the next one, of time `by`, when that is delivered: nothing that is decided
// now may count on the entry. (What the table has though it expired, with nothing in flight, is
// freed by no record before the next one.)
bool Proposals::is_forgotten(const Uuid& publisher, LogTime by) const {
  const auto flight = flights_.find(publisher);
  if (flight != flights_.end()) return table_.expired(flight->second.last_time, by);
  const PublisherState* state = table_.find(publisher);
  return state && !proposals_.empty() && table_.expired(state->last_time, by);
}

// Once all that is in flight is delivered, and one more publisher with it. A record of `now` frees
// those that have expired by then; not those that have something in flight, and some of these are
// not in the table yet, or any more.
bool Proposals::has_room_for_publisher(LogTime now) const {
  std::size_t wanted = table_.size() + flights_.size() + 1;
  if (wanted <= options_.publishers_max || ZABMQ_MUTANT(publishers_without_end)) return true;
  wanted -= static_cast<std::size_t>(
      std::count_if(flights_.begin(), flights_.end(),
                    [this](const auto& flight) { return table_.find(flight.first) != nullptr; }));
  table_.for_each_expired(now, [&](const Uuid& publisher) {
    if (ZABMQ_MUTANT(idle_publishers_stay)) return false;
    if (!flights_.contains(publisher)) --wanted;
    return wanted > options_.publishers_max;
  });
  return wanted <= options_.publishers_max;
}

void Proposals::decide_close(const Request& request, Forming& group) {
  const std::optional<Taken> known = taken(request.publisher);
  const Instance instance = request.publish.instance;
  if (!known) return refuse_ended(request);  // CLOSED, once a quorum round has confirmed it
  if (instance < known->instance) return refuse_older(request);
  if (instance > known->instance) {
    return refuse(request, Code::protocol,
                  "instance " + std::to_string(instance) + " was never opened");
  }
  if (group.space == Space::last) return refuse_for_space(request);
  accept(request, instance, group);
  flight_of(request.publisher).taken.closing = true;
}

// Behind a removal in flight nothing is known of any cursor. A move that turns out to be idle does
// no harm. A cursor that exists may move although the disk is nearly full: that is what lets
// retention free some of it. But not with the last space, that floors need: thousands of moves may
// pass before a segment can go.
void Proposals::decide_cursor(const Request& request, Forming& group) {
  const CursorMove move = *parse_cursor(request.body.bytes());
  const std::optional<Offset> known = state_.cursors().find(move.name);
  if (request.kind == Kind::cursor) {
    if (move.offset > committed_offset()) return refuse_beyond_end(request, move.offset);
    if (known && *known >= move.offset && cursors_removed_ == 0) {
      return askers_.answer_unmoved(request.asker, {request.id, *known});
    }
    if (!known && state_.cursors().size() + cursors_created_ >= options_.cursors_max) {
      return refuse(request, Code::refused,
                    "this cluster keeps at most " + std::to_string(options_.cursors_max) +
                        " durable cursors: remove some");
    }
  }
  const bool no_room = known ? group.space == Space::last : group.space != Space::enough;
  if (no_room) return refuse_for_space(request);
  if (ZABMQ_MUTANT(cursor_answered_early)) {
    askers_.answer(request.asker, wire::CursorMoved{request.id, move.offset});
  }
  accept(request, Instance{}, group);
  proposals_.back().creates = request.kind == Kind::cursor && !known;
  if (proposals_.back().creates) ++cursors_created_;
  if (request.kind == Kind::cursor_removal) ++cursors_removed_;
}

void Proposals::answer_cursor(const Proposal& proposal, Bytes body) {
  if (proposal.creates) --cursors_created_;
  if (proposal.kind == Kind::cursor_removal) --cursors_removed_;
  const std::optional<Offset> place = state_.cursors().find(parse_cursor(body)->name);
  askers_.answer(proposal.asker, wire::CursorMoved{proposal.id, place.value_or(0)});
}

void Proposals::refuse_beyond_end(const Request& request, Offset offset) {
  ++counters_.publishes_refused;
  wire::Refused answer = refused(
      about(request.kind), request.id, Code::refused, Outcome::no,
      "offset " + std::to_string(offset) + " is beyond the end, the last one committed is " +
          std::to_string(committed_offset()) + ": acknowledge what was delivered");
  answer.last_offset = committed_offset();
  askers_.answer(request.asker, std::move(answer));
}

Proposals::Proposal* Proposals::find_in_flight(const Uuid& publisher, Sequence sequence) {
  const auto it = flights_.find(publisher);
  if (it == flights_.end()) return nullptr;
  const std::deque<std::uint64_t>& batches = it->second.batches;
  const auto of = [this](std::uint64_t number) -> Proposal& {
    return proposals_[static_cast<std::size_t>(number - first_number_)];
  };
  const auto behind = std::upper_bound(batches.begin(), batches.end(), sequence,
                                       [&of](Sequence wanted, std::uint64_t number) {
                                         return wanted < of(number).header.first_sequence;
                                       });
  if (behind == batches.begin()) return nullptr;
  Proposal& proposal = of(*std::prev(behind));
  const Sequence last = proposal.header.first_sequence + proposal.header.count - 1;
  return sequence <= last ? &proposal : nullptr;
}

void Proposals::refuse(const Request& request, Code code, std::string text) {
  ++counters_.publishes_refused;
  askers_.answer(request.asker,
                 refused(about(request.kind), request.id, code, Outcome::no, std::move(text)));
}

wire::Refused Proposals::refusal_of_ended(wire::About about, std::uint64_t id,
                                          const Uuid& publisher, Instance known) const {
  const std::string name = "publisher " + to_string(publisher);
  const auto flight = flights_.find(publisher);
  const PublisherState* state = table_.find(publisher);
  const bool reborn = state && known != 0 && state->born > known;
  const bool ending = flight != flights_.end() ? !flight->second.closed : state != nullptr;
  if (ending && !reborn) {
    return refused(about, id, Code::unavailable, Outcome::maybe,
                   name + " is being closed or forgotten: try again");
  }
  return refused(about, id, Code::expired, Outcome::no,
                 name + " is not known (closed, or idle for too long): open it again");
}

void Proposals::refuse_ended(const Request& request) {
  ++counters_.publishes_refused;
  askers_.answer(request.asker, refusal_of_ended(about(request.kind), request.id, request.publisher,
                                                 request.known));
}

// `last_sequence` tells a fenced publisher which of its sequences were taken by anybody.
wire::Refused Proposals::refusal_of_older(wire::About about, std::uint64_t id,
                                          const Uuid& publisher, Instance theirs) const {
  const PublisherState* delivered = table_.find(publisher);
  if (!delivered || delivered->instance <= theirs) {
    return refused(about, id, Code::unavailable, Outcome::maybe,
                   "another process is being given this publisher: try again");
  }
  ++counters_.fenced;
  const Taken known = *taken(publisher);
  wire::Refused answer = refused(
      about, about == wire::About::connection ? known.instance : id, Code::refused, Outcome::no,
      "fenced: publisher " + to_string(publisher) + " was opened again as instance " +
          std::to_string(known.instance) + ", this is instance " + std::to_string(theirs));
  answer.last_sequence = known.last_sequence;
  return answer;
}

void Proposals::refuse_older(const Request& request) {
  ++counters_.publishes_refused;
  askers_.answer(request.asker, refusal_of_older(about(request.kind), request.id, request.publisher,
                                                 request.publish.instance));
}

void Proposals::refuse_for_space(const Request& request) {
  refuse(request, Code::no_space, "the leader's disk is nearly full: free space, then try again");
}

void Proposals::refuse_hole(const Request& request, Sequence last) {
  ++counters_.publishes_refused;
  wire::Refused answer =
      refused(wire::About::publish, request.publish.first_sequence, Code::refused, Outcome::no,
              "sequence " + std::to_string(request.publish.first_sequence) +
                  " leaves a hole, the last one taken is " + std::to_string(last));
  answer.last_sequence = last;
  answer.hole = true;
  askers_.answer(request.asker, std::move(answer));
}

// Tells what is committed, nothing of what is in flight: its offsets may yet be other messages'.
void Proposals::refuse_condition(const Request& request, Sequence last, Offset proposed) {
  ++counters_.publishes_refused;
  const Offset committed = committed_offset();
  const std::string expected = std::to_string(*request.publish.expect_last_offset);
  wire::Refused answer =
      refused(wire::About::publish, request.publish.first_sequence, Code::refused, Outcome::no,
              "expected " + expected + " as the last offset: the last one committed is " +
                  std::to_string(committed) +
                  (proposed > committed ? ", and newer messages are in flight" : ""));
  answer.last_sequence = last;
  answer.last_offset = committed;
  answer.expect_last_offset = request.publish.expect_last_offset;
  askers_.answer(request.asker, std::move(answer));
}

void Proposals::send_receipt(const Asker& to, const BatchReceipt& receipt) {
  askers_.answer(
      to, wire::Receipt{receipt.first_sequence, receipt.count, receipt.base_offset, receipt.zxid});
}

}  // namespace zabmq::replica
