// PublisherCalls: what a simulated program publishes: messages, whole batches, and on conditions.
#include <algorithm>
#include <cstring>
#include <utility>

#include "sim/publisher_actor.hpp"
#include "zabmq/record.hpp"

namespace zabmq::sim {
namespace {

constexpr std::size_t name_size = 16;  // key, content
constexpr std::size_t batch_length_max = 8;
constexpr std::size_t message_overhead = 64;  // in a batch, at most

std::uint64_t hash_of(Bytes payload) {
  return static_cast<std::uint64_t>(checksum(payload));
}

void put(std::vector<std::byte>& bytes, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t get(Bytes bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(bytes[at + i]);
  return value;
}

}  // namespace

MessageName name_of(Bytes payload) {
  if (payload.size() < name_size) return {};
  return {PublisherKey{static_cast<std::uint32_t>(get(payload, 0))}, get(payload, 8)};
}

void Names::give(const MessageName& name, Sequence sequence) {
  std::vector<Sequence>& sequences = by_content_[name.publisher];
  if (name.content >= sequences.size()) sequences.resize(name.content + 1);
  sequences[name.content] = sequence;
}

Sequence Names::sequence_of(const MessageName& name) const {
  const auto found = by_content_.find(name.publisher);
  const bool known = found != by_content_.end() && name.content < found->second.size();
  return known ? found->second[name.content] : 0;
}

PublisherCounts& PublisherCounts::operator+=(const PublisherCounts& other) {
  batches += other.batches;
  batch_messages += other.batch_messages;
  conditions_met += other.conditions_met;
  conditions_refused += other.conditions_refused;
  renumbered += other.renumbered;
  closed += other.closed;
  staying += other.staying;
  return *this;
}

void PublisherActor::publish_some() {
  std::size_t burst = random_.between(1, around_.parameters.clients.burst_max);
  if (finishing_) burst = std::min(burst, left_ - std::min(left_, pending_.size()));
  if (!unknown_.empty() || closing_ || process_.session->dead()) return;
  while (burst > 0) {
    const std::uint64_t deadline = deadline_ms();
    std::vector<Pending> taken = publish(*process_.intake, deadline);
    if (taken.empty()) break;
    burst -= std::min(burst, taken.size());
    newest_invoked_ = std::max(newest_invoked_, taken.back().sequence);
    for (Pending& message : taken) {
      // One that is published later is not given up earlier.
      if (!pending_.empty()) {
        message.deadline_ms = std::max(message.deadline_ms, pending_.back().deadline_ms);
      }
      pending_.push_back(std::move(message));
    }
  }
  if (process_.intake->take_wake()) plan_turn(0);
}

std::size_t PublisherActor::batch_length() const {
  const std::size_t message = name_size + around_.parameters.clients.payload_max + message_overhead;
  return std::min(batch_length_max, around_.parameters.replica.batch.batch_max / message);
}

// With its id kept, the n-th message is the same one in every life, and so is its batch.
PublisherActor::Call PublisherActor::next_call(Sequence next) {
  const std::size_t length = batch_length();
  if (keeps_id_) {
    Random chance(static_cast<std::uint64_t>(key_) << 40 ^ (next - 1) / length);
    if ((next - 1) % length == 0 && chance.chance(200'000)) return {length, true, {}};
    return {};
  }
  Call call;
  if (random_.chance(50'000)) call = {random_.between(1, length), true, {}};
  if (random_.chance(30'000)) call.behind = choose_condition();
  return call;
}

// What is the end now, for all this program can know; or some other place.
std::optional<Offset> PublisherActor::choose_condition() {
  switch (random_.below(4)) {
    case 0:
      return acknowledged_.offset;
    case 1:
      return around_.committed() + random_.below(3);
    default:
      return around_.committed() + pending_.size();
  }
}

// Those that were taken: all of one call, or none.
std::vector<PublisherActor::Pending> PublisherActor::publish(client::Intake& intake,
                                                             std::uint64_t deadline_ms) {
  if (intake.stopped()) return {};
  const Sequence first = intake.next_sequence();
  const Call call = next_call(first);
  std::vector<Pending> messages(call.messages);
  std::vector<std::vector<std::byte>> payloads;
  std::vector<wire::BatchMessage> outgoing;
  for (std::size_t i = 0; i < call.messages; ++i) {
    Pending& message = messages[i];
    message.sequence = first + i;
    message.content = keeps_id_ ? message.sequence : ++contents_;
    message.deadline_ms = deadline_ms;
    message.topic = "t" + std::to_string(message.content % 3);
    message.terms.joined = i > 0;
    if (i == 0) message.terms.behind = call.behind;
    message.in_batch = call.batch;
    payloads.push_back(payload_of(message.content));
    message.payload_hash = hash_of(payloads.back());
    outgoing.push_back({.topic = message.topic, .payload = payloads.back()});
  }
  Publisher::Done done;
  const bool alone = !call.batch && !call.behind;
  const bool taken =
      alone ? static_cast<bool>(intake.take(outgoing.front(), done, deadline_ms))
            : static_cast<bool>(intake.take_batch(outgoing, done, deadline_ms, call.behind));
  if (!taken) return {};
  for (const Pending& message : messages) invoke(message);
  return messages;
}

void PublisherActor::invoke(const Pending& message) {
  const Sequence sequence = message.sequence;
  around_.trace.count(EventKind::client_call, static_cast<std::uint64_t>(key_), sequence);
  around_.names.give({key_, message.content}, sequence);
  const bool was_refused = refused_.erase(sequence) > 0;
  if (!keeps_id_ || sequence > invoked_ || was_refused) {
    around_.history.invoke(around_.timeline.now(), key_, sequence, message.topic,
                           message.payload_hash, message.terms);
  }
  invoked_ = std::max(invoked_, sequence);
}

// Behind a refused condition everything goes on in its place: nothing of it was sent before.
void PublisherActor::renumber(std::size_t by) {
  for (const Pending& message : pending_) refuse(message.sequence);
  for (Pending& message : pending_) {
    message.sequence -= by;
    ++counts_.renumbered;
    invoke(message);
  }
}

void PublisherActor::note_batch(const std::deque<Pending>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].terms.behind) ++counts_.conditions_met;
    if (!messages[i].in_batch) continue;
    if (!messages[i].terms.joined) ++counts_.batches;
    ++counts_.batch_messages;
  }
}

std::uint64_t PublisherActor::deadline_ms() {
  if (finishing_) return now_ms() + patient_ms;
  static constexpr std::uint64_t choices[] = {300, 2000, 5000, 20000};
  return now_ms() + choices[random_.below(4)];
}

std::vector<std::byte> PublisherActor::payload_of(std::uint64_t content) const {
  Random filler(static_cast<std::uint64_t>(key_) << 40 ^ content);
  const std::size_t size = name_size + filler.below(around_.parameters.clients.payload_max);
  std::vector<std::byte> payload(size);
  put(payload, 0, static_cast<std::uint64_t>(key_));
  put(payload, 8, content);
  for (std::size_t at = 16; at < size; at += 8) {
    const std::uint64_t word = filler.next();
    std::memcpy(payload.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return payload;
}

}  // namespace zabmq::sim
