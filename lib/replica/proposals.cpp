// Proposals: waiting, forming groups, and what becomes of them.
#include "replica/proposals.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "replica/clients.hpp"
#include "replica/records.hpp"
#include "zabmq/check.hpp"
#include "zabmq/mutant.hpp"

namespace zabmq::replica {

Proposals::Proposals(const ServerState& state, Askers& askers, const Options& options,
                     Counters& counters)
    : state_(state),
      table_(state.publishers()),
      askers_(askers),
      options_(options),
      counters_(counters) {}

bool Proposals::publish(const Asker& from, const Uuid& publisher, const wire::Publish& publish,
                        Slice body) {
  return add_request(
      {Kind::batch, from, publish.first_sequence, publisher, publish, std::move(body)});
}

bool Proposals::open(const Asker& from, const Uuid& publisher, Instance known) {
  return add_request({Kind::open, from, 0, publisher, {}, {}, known});
}

bool Proposals::close(const Asker& from, const Uuid& publisher, Instance instance) {
  wire::Publish only_instance;
  only_instance.instance = instance;
  return add_request({Kind::close, from, instance, publisher, only_instance, {}});
}

bool Proposals::move_cursor(const Asker& from, const wire::MoveCursor& move) {
  const Kind kind = move.remove ? Kind::cursor_removal : Kind::cursor;
  return add_request({kind, from, move.request, {}, {}, cursor_body({move.cursor, move.offset})});
}

void Proposals::admit(const zab::Admit& admit) {
  std::erase_if(requests_, [&](const Request& request) {
    if (request.kind != Kind::admit) return false;
    if (parse_admit(request.body.bytes())->server != admit.server) return false;
    waiting_bytes_ -= record_size(static_cast<std::uint32_t>(request.body.size()));
    return true;
  });
  Slice body = admit_body(admit);
  waiting_bytes_ += record_size(static_cast<std::uint32_t>(body.size()));
  requests_.push_back({Kind::admit, {}, 0, {}, {}, std::move(body)});
}

void Proposals::stop_retaining(const storage::LastRecord& floor) {
  if (floor_proposed_) return;
  floor_proposed_ = true;
  Slice body = floor_body(floor);
  waiting_bytes_ += record_size(static_cast<std::uint32_t>(body.size()));
  requests_.push_back({Kind::floor, {}, 0, {}, {}, std::move(body)});
}

bool Proposals::of_a_publisher(Kind kind) {
  return kind == Kind::batch || kind == Kind::open || kind == Kind::close;
}
// Neither: the leader's own, which nobody waits for.
bool Proposals::of_a_cursor(Kind kind) {
  return kind == Kind::cursor || kind == Kind::cursor_removal;
}

bool Proposals::add_request(Request request) {
  const std::size_t bytes = record_size(static_cast<std::uint32_t>(request.body.size()));
  const bool room = waiting_bytes_ + in_flight_bytes_ + bytes <= options_.in_flight_bytes_max;
  if (!room && !ZABMQ_MUTANT(in_flight_ignored)) return false;
  waiting_bytes_ += bytes;
  requests_.push_back(std::move(request));
  return true;
}

std::size_t Proposals::most_batches() const {
  std::size_t most = 0;
  for (const auto& [publisher, flight] : flights_) most = std::max(most, flight.batches.size());
  return most;
}

Slice Proposals::form_group(const storage::LastRecord& last, LogTime wall_us, storage::Space space,
                            const NextZxid& next_zxid) {
  Forming group{next_zxid, last.offset, std::max(last.time, wall_us), last.time, space, 0};
  if (ZABMQ_MUTANT(log_time_goes_back)) group.time = wall_us;
  group_.clear();
  while (!requests_.empty()) {
    const std::size_t bytes =
        record_size(static_cast<std::uint32_t>(requests_.front().body.size()));
    if (group.bytes > 0 && group.bytes + bytes > options_.group_bytes_max) break;
    const Request request = std::move(requests_.front());
    requests_.pop_front();
    waiting_bytes_ -= bytes;
    decide(request, group);
  }
  return build(last, group.bytes);
}

// One allocation and one copy for the whole group: from here on its bytes are shared by the log,
// the followers' frames and the subscribers' frames.
Slice Proposals::build(const storage::LastRecord& last, std::size_t bytes) {
  if (bytes == 0) return {};
  const std::shared_ptr<std::byte[]> buffer = std::make_shared_for_overwrite<std::byte[]>(bytes);
  std::byte* at = buffer.get();
  Digest previous = last.digest;
  for (auto& [header, body] : group_) {
    header.previous = previous;
    previous =
        encode_header(header, std::span<std::byte, record_header_size>(at, record_header_size));
    if (!body.empty()) std::memcpy(at + record_header_size, body.bytes().data(), body.size());
    const std::size_t end = record_header_size + body.size();
    const std::size_t padded = record_size(header.body_size);
    std::memset(at + end, 0, padded - end);
    at += padded;
  }
  group_.clear();  // the bodies are copied: let their frames go
  ZABMQ_CHECK(at == buffer.get() + bytes);
  return {buffer, Bytes(buffer.get(), bytes)};
}

void Proposals::accept(const Request& request, Instance instance, Forming& group) {
  RecordHeader header;
  header.kind = record_kind(request.kind);
  const bool ends = request.kind == Kind::close || request.kind == Kind::cursor_removal;
  header.flags = ends ? record_flag_close : std::uint8_t{0};
  header.body_size = static_cast<std::uint32_t>(request.body.size());
  header.count = request.publish.count;
  header.zxid = group.next_zxid();
  header.base_offset = request.kind == Kind::batch ? group.last_offset + 1 : group.last_offset;
  header.time = group.time;
  header.publisher = request.publisher;
  header.instance = instance;
  header.first_sequence = request.publish.first_sequence;
  header.body_checksum =
      request.kind == Kind::batch ? request.publish.body_checksum : checksum(request.body.bytes());
  ZABMQ_CHECK(proposals_.empty() || follows(header.zxid, proposals_.back().header.zxid));

  if (of_a_publisher(request.kind)) count_in_flight(request, group.time);
  const std::size_t bytes = record_size(header.body_size);
  group.last_offset = header.end_offset();
  group.bytes += bytes;
  group.time_before = group.time;
  in_flight_bytes_ += bytes;
  ++counters_.proposals;
  counters_.messages_proposed += header.count;
  proposals_.push_back({request.kind, request.asker, request.id, header});
  group_.emplace_back(header, request.body);
}

void Proposals::count_in_flight(const Request& request, LogTime time) {
  Flight& flight = flight_of(request.publisher);
  ++flight.proposals;
  flight.last_time = time;
  if (request.kind == Kind::batch) flight.batches.push_back(first_number_ + proposals_.size());
}

RecordKind Proposals::record_kind(Kind kind) {
  switch (kind) {
    case Kind::batch:
      return RecordKind::batch;
    case Kind::open:
    case Kind::close:
      return RecordKind::publisher;
    case Kind::cursor:
    case Kind::cursor_removal:
      return RecordKind::cursor;
    case Kind::admit:
      return RecordKind::admit;
    case Kind::floor:
      return RecordKind::floor;
  }
  return RecordKind::no_op;
}

wire::About Proposals::about(Kind kind) {
  if (kind == Kind::batch) return wire::About::publish;
  if (kind == Kind::close) return wire::About::close;
  return of_a_cursor(kind) ? wire::About::cursor : wire::About::connection;
}

void Proposals::on_committed(Zxid up_to) {
  while (committed_count_ < proposals_.size()) {
    Proposal& proposal = proposals_[committed_count_];
    if (proposal.header.zxid > up_to) return;
    proposal.committed = true;
    ++committed_count_;
    ++counters_.commits;
    in_flight_bytes_ -= record_size(proposal.header.body_size);
    committed_offset_ = std::max(committed_offset_, proposal.header.end_offset());
    answer_committed(proposal);
  }
}

BatchReceipt Proposals::receipt_of(const RecordHeader& header) {
  return {header.first_sequence, header.base_offset, header.zxid, header.count};
}

// A learner answers the batches that it has forwarded itself, as soon as it has delivered them.
void Proposals::answer_committed(const Proposal& proposal) {
  if (proposal.kind == Kind::batch) {
    const BatchReceipt receipt = receipt_of(proposal.header);
    if (!is_forwarded(proposal.asker)) send_receipt(proposal.asker, receipt);
    for (const Asker& copy : proposal.copies) send_receipt(copy, receipt);
  } else if (proposal.kind == Kind::close) {
    Flight& flight = flights_.at(proposal.header.publisher);
    const bool newest = flight.taken.instance == proposal.header.instance;
    flight.closed = flight.taken.closing && newest;
    askers_.answer(proposal.asker, wire::Closed{proposal.header.instance});
  }
}

void Proposals::withdraw_learner(ServerId learner) {
  for (Request& request : requests_) {
    if (request.asker.learner == learner) request.asker = {};
  }
  for (Proposal& proposal : proposals_) {
    if (proposal.asker.learner == learner) proposal.asker = {};
    std::erase_if(proposal.copies, [&](const Asker& copy) { return copy.learner == learner; });
  }
}

void Proposals::on_delivered(const RecordHeader& header, Bytes body) {
  if (proposals_.empty() || proposals_.front().header.zxid != header.zxid) return;
  const Proposal proposal = std::move(proposals_.front());
  ZABMQ_CHECK(proposal.committed && committed_count_ > 0);
  proposals_.pop_front();
  ++first_number_;
  --committed_count_;
  if (proposal.kind == Kind::batch) flights_.at(header.publisher).batches.pop_front();
  if (of_a_publisher(proposal.kind)) end_flight(header.publisher);
  if (proposal.kind == Kind::floor) floor_proposed_ = false;
  if (of_a_cursor(proposal.kind)) answer_cursor(proposal, body);
  if (proposal.kind == Kind::open) {
    askers_.opened(proposal.asker, header.publisher, header.instance);
  }
}

void Proposals::end_flight(const Uuid& publisher) {
  const auto it = flights_.find(publisher);
  ZABMQ_CHECK(it != flights_.end() && it->second.proposals > 0);
  if (--it->second.proposals > 0) return;
  flights_.erase(it);
}

Proposals::Flight& Proposals::flight_of(const Uuid& publisher) {
  const auto [it, added] = flights_.try_emplace(publisher);
  if (!added) return it->second;
  if (const PublisherState* state = table_.find(publisher)) {
    it->second.taken = {state->instance, state->last_sequence, false, state->born};
  }
  return it->second;
}

std::optional<Taken> Proposals::taken(const Uuid& publisher) const {
  const auto flight = flights_.find(publisher);
  if (flight != flights_.end()) return flight->second.taken;
  const PublisherState* state = table_.find(publisher);
  if (!state) return std::nullopt;
  return Taken{state->instance, state->last_sequence, false, state->born};
}

Offset Proposals::committed_offset() const {
  return std::max(committed_offset_, state_.delivered_offset());
}

// What was never proposed did not happen; what was may still be committed by the next leader. Both
// are forgotten here: the publisher asks the next leader, who knows what was taken.
void Proposals::step_down(const wire::Refused& refusal) {
  std::deque<Proposal> proposals = std::exchange(proposals_, {});
  std::deque<Request> requests = std::exchange(requests_, {});
  first_number_ += proposals.size();
  committed_count_ = 0;
  in_flight_bytes_ = 0;
  waiting_bytes_ = 0;
  flights_.clear();
  floor_proposed_ = false;
  cursors_created_ = cursors_removed_ = 0;
  for (const Proposal& proposal : proposals) give_up(proposal);
  for (const Request& request : requests) give_up(request, refusal);
}

void Proposals::give_up(const Proposal& proposal) {
  // The next leader proposes its own.
  if (!of_a_publisher(proposal.kind) && !of_a_cursor(proposal.kind)) return;
  const RecordHeader& h = proposal.header;
  if (proposal.kind == Kind::open) return askers_.opened(proposal.asker, h.publisher, std::nullopt);
  if (proposal.committed && !of_a_cursor(proposal.kind)) return;  // answered
  ++counters_.publishes_refused;
  const wire::Refused refusal =
      refused(about(proposal.kind), proposal.id, Code::unknown_outcome,
              ZABMQ_MUTANT(unknown_outcome_told_as_no) ? Outcome::no : Outcome::maybe,
              "this server stopped leading before transaction " + to_string(h.zxid) +
                  " was committed: ask the next leader by sending it again");
  askers_.answer(proposal.asker, refusal);
  for (const Asker& copy : proposal.copies) askers_.answer(copy, refusal);
}

void Proposals::give_up(const Request& request, wire::Refused refusal) {
  if (!of_a_publisher(request.kind) && !of_a_cursor(request.kind)) return;
  if (request.kind == Kind::open) {
    return askers_.opened(request.asker, request.publisher, std::nullopt);
  }
  refusal.about = about(request.kind);
  refusal.id = request.id;
  ++counters_.publishes_refused;
  askers_.answer(request.asker, std::move(refusal));
}

}  // namespace zabmq::replica
