// Attempts: bookkeeping between a publisher, its callbacks and the history.
#include "nemesis/engine/attempts.hpp"

#include <algorithm>

namespace zabmq::nemesis {

namespace {

using Kind = sim::HistoryEvent::Kind;

// Merging takes files by name, and an invocation comes before what happened at the same time.
std::filesystem::path file_of(const std::filesystem::path& directory, const char* order,
                              sim::PublisherKey key, const char* what) {
  return directory /
         (std::string(order) + "-publisher-" + std::to_string(static_cast<std::uint32_t>(key)) +
          "-" + what + history_suffix);
}

}  // namespace

Attempts::Attempts(const std::filesystem::path& directory, sim::PublisherKey key,
                   Timeline& timeline)
    : key_(key),
      timeline_(timeline),
      invocations_(file_of(directory, "1", key, "invocations")),
      outcomes_(file_of(directory, "2", key, "outcomes")) {}

Attempts::Attempt* Attempts::find(std::uint64_t ticket) {
  const auto at =
      std::lower_bound(attempts_.begin(), attempts_.end(), ticket,
                       [](const Attempt& a, std::uint64_t wanted) { return a.ticket < wanted; });
  return at != attempts_.end() && at->ticket == ticket ? &*at : nullptr;
}

void Attempts::erase(Attempt& attempt) {
  const auto at =
      std::lower_bound(attempts_.begin(), attempts_.end(), attempt.ticket,
                       [](const Attempt& a, std::uint64_t wanted) { return a.ticket < wanted; });
  attempts_.erase(at);
  changed_.notify_all();
}

void Attempts::begin(std::uint64_t ticket, const std::string& topic, std::uint64_t hash) {
  const std::lock_guard lock(mutex_);
  attempts_.push_back({.ticket = ticket, .invoked = now_ns(), .topic = topic, .hash = hash});
}

void Attempts::withdraw(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  if (Attempt* const attempt = find(ticket)) erase(*attempt);
}

void Attempts::taken(std::uint64_t ticket, Sequence sequence) {
  const std::lock_guard lock(mutex_);
  name(ticket, sequence);
}

// A sequence that is given again was refused before, even if its callback has not come yet.
void Attempts::name(std::uint64_t ticket, Sequence sequence) {
  const Attempt* const named = find(ticket);
  if (named == nullptr || named->sequence != 0) return;
  if (sequence <= last_) {
    const auto superseded = [&](const Attempt& a) {
      return a.ticket < ticket && a.sequence >= sequence;
    };
    for (const Attempt& attempt : attempts_) {
      if (superseded(attempt)) refuse(attempt.sequence);
    }
    std::erase_if(attempts_, superseded);
    failed_ = true;
  }
  last_ = sequence;
  Attempt& attempt = *find(ticket);
  attempt.sequence = sequence;
  RecordedEvent event;
  event.kind = Kind::invoke;
  event.time = attempt.invoked;
  event.publisher = key_;
  event.sequence = sequence;
  event.ticket = ticket;
  event.topic = std::move(attempt.topic);
  event.payload_hash = attempt.hash;
  invocations_.add(event);
}

// In the file of invocations, and not later than one that is under way: the same sequence may be
// invoked again there.
void Attempts::refuse(Sequence sequence) {
  RecordedEvent event;
  event.kind = Kind::refuse;
  const bool under_way = !attempts_.empty() && attempts_.back().sequence == 0;
  event.time = under_way ? attempts_.back().invoked : now_ns();
  event.publisher = key_;
  event.sequence = sequence;
  invocations_.add(event);
}

void Attempts::confirm(Sequence sequence) {
  RecordedEvent event;
  event.kind = Kind::confirm;
  event.time = now_ns();
  event.publisher = key_;
  event.sequence = sequence;
  outcomes_.add(event);
}

void Attempts::answered(std::uint64_t ticket, const Result<Receipt>& result) {
  const std::lock_guard lock(mutex_);
  const Sequence sequence = result ? result.value().sequence : result.error().sequence;
  name(ticket, sequence);
  Attempt* const attempt = find(ticket);
  if (result) {
    RecordedEvent event;
    event.kind = Kind::acknowledge;
    event.time = now_ns();
    event.publisher = key_;
    event.sequence = sequence;
    event.offset = result.value().offset;
    event.zxid = result.value().zxid;
    outcomes_.add(event);
    const Nanos invoked = attempt != nullptr ? attempt->invoked : 0;
    timeline_.acknowledged(invoked, event.time, event.offset);
  } else {
    failed_ = true;
    if (attempt == nullptr) return;  // its sequence was given again: written down already
    const Error& error = result.error();
    if (error.code == Code::duplicate) {
      confirm(sequence);
    } else if (error.outcome == Outcome::no) {
      refuse(sequence);
    } else {
      attempt->state = State::open;
      changed_.notify_all();
      return;
    }
  }
  if (attempt != nullptr) erase(*attempt);
}

bool Attempts::wait_for_answers(Millis bound) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, bound, [this] {
    return std::all_of(attempts_.begin(), attempts_.end(),
                       [](const Attempt& a) { return a.state == State::open; });
  });
}

bool Attempts::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void Attempts::recovered() {
  const std::lock_guard lock(mutex_);
  failed_ = false;
}

std::size_t Attempts::pending() const {
  const std::lock_guard lock(mutex_);
  return attempts_.size();
}

std::vector<Attempts::Open> Attempts::open() const {
  const std::lock_guard lock(mutex_);
  std::vector<Open> all;
  for (const Attempt& attempt : attempts_) {
    if (attempt.state == State::open) all.push_back({attempt.ticket, attempt.sequence});
  }
  return all;
}

void Attempts::reopened(Sequence resumed_after) {
  const std::lock_guard lock(mutex_);
  for (const Attempt& attempt : attempts_) {
    if (attempt.sequence <= resumed_after) {
      confirm(attempt.sequence);
    } else {
      refuse(attempt.sequence);
    }
  }
  attempts_.clear();
  last_ = resumed_after;
  failed_ = false;
}

}  // namespace zabmq::nemesis
