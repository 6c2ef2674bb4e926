// Load publisher: bursts, and what to do after a failure.
#include "nemesis/engine/load_publisher.hpp"

#include <utility>

#include "nemesis/engine/payload.hpp"

namespace zabmq::nemesis {

namespace {

constexpr Millis call_timeout{2000};
constexpr Millis answer_bound{15000};  // far behind every deadline
constexpr std::size_t pending_max = 2000;
constexpr std::uint64_t refusals_max = 1000;
constexpr std::uint64_t locked_max = 500;   // tries to open a session file that is locked
constexpr std::uint64_t crash_every = 600;  // messages of a session, on average

}  // namespace

LoadPublisher::LoadPublisher(PublisherLoad load, Timeline& timeline)
    : load_(std::move(load)),
      timeline_(timeline),
      attempts_(load_.histories, load_.key, timeline),
      random_(load_.seed),
      next_crash_(crash_every) {
  thread_ = std::thread([this] { run(); });
}

LoadPublisher::~LoadPublisher() {
  stop();
  abandoned_ = true;
  thread_.join();
}

std::string LoadPublisher::name() const {
  return "publisher " + std::to_string(static_cast<std::uint32_t>(load_.key));
}

void LoadPublisher::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

bool LoadPublisher::wait_for_end(Millis bound) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, bound, [this] { return over_; });
}

bool LoadPublisher::rest(std::chrono::milliseconds span) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, span, [this] { return stopping_.load(); });
  return !stopping_;
}

void LoadPublisher::run() {
  try {
    while (!stopping_ && !open()) rest(load_.pause);
    while (publisher_ && rest(load_.pause)) {
      if (attempts_.failed()) recover();
      if (load_.style == PublisherLoad::Style::session && ticket_ >= next_crash_) {
        next_crash_ = ticket_ + 1 + random_() % (2 * crash_every);
        random_() % 2 == 0 ? reopen() : overtake();
      }
      if (publisher_) burst();  // none: abandoned while there was no leader
    }
    if (publisher_) recover();
  } catch (const Error& error) {
    timeline_.violation(name() + " ended: " + error.what());
  }
  publisher_.reset();
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
}

// --- opening ---

std::filesystem::path LoadPublisher::session_file() const {
  return load_.sessions / (name() + "-" + std::to_string(copies_));
}

// False: no leader was there in time.
bool LoadPublisher::open() {
  PublisherOptions options;
  options.endpoints = load_.endpoints;
  options.timeout = call_timeout;
  if (load_.style == PublisherLoad::Style::session) options.session_file = session_file();
  try {
    publisher_ = std::make_unique<Publisher>(options);
  } catch (const Error& error) {
    if (error.code == Code::unavailable) return false;
    // A child of this process, between its fork and its exec, holds every lock that we hold.
    const bool locked =
        std::string_view(error.what()).find("in use by another") != std::string::npos;
    if (!locked || ++locked_ == locked_max) throw;
    return false;
  }
  locked_ = 0;
  if (load_.style == PublisherLoad::Style::session) {
    attempts_.reopened(publisher_->resumed_after());
  }
  return true;
}

// As if the process had been killed and started again.
void LoadPublisher::reopen() {
  publisher_.reset();
  attempts_.recovered();
  while (!abandoned_ && !open()) rest(load_.pause);
}

// As if a second process had been started while the first one, with messages under way, lives on:
// it is fenced, and what it sends from then on never happens.
void LoadPublisher::overtake() {
  const std::unique_ptr<Publisher> overtaken = std::move(publisher_);
  const std::filesystem::path from = session_file();
  ++copies_;
  std::filesystem::copy_file(from, session_file());
  while (!abandoned_ && !open()) rest(load_.pause);
}

// --- publishing ---

void LoadPublisher::burst() {
  const std::size_t under_way = attempts_.pending();
  const bool one = load_.style == PublisherLoad::Style::single;
  if (one ? under_way > 0 : under_way > pending_max) return;
  const std::uint64_t count = one ? 1 : random_() % (load_.burst_max + 1);
  for (std::uint64_t i = 0; i < count && !attempts_.failed(); ++i) publish_one();
}

void LoadPublisher::publish_one() {
  const std::uint64_t ticket = ++ticket_;
  const std::string& topic = load_.topics[random_() % load_.topics.size()];
  const std::string payload = make_payload({load_.key, ticket}, random_);
  attempts_.begin(ticket, topic, payload_hash(bytes_of(payload)));
  const Result<Sequence> taken = publisher_->try_publish(
      topic, bytes_of(payload),
      [this, ticket](const Result<Receipt>& result) { attempts_.answered(ticket, result); });
  if (taken) {
    refusals_ = 0;
    return attempts_.taken(ticket, taken.value());
  }
  attempts_.withdraw(ticket);
  if (taken.error().code == Code::busy) return;
  // Behind a failure whose callback is on its way nothing is taken.
  if (++refusals_ == refusals_max) throw Error(taken.error());
}

// --- after a failure ---

void LoadPublisher::recover() {
  if (!attempts_.wait_for_answers(answer_bound)) {
    timeline_.violation(name() + ": a message without an answer long after its deadline");
  }
  if (load_.style == PublisherLoad::Style::session) {
    if (attempts_.failed() || attempts_.pending() > 0) reopen();
    return;
  }
  ask_again();
  attempts_.recovered();
}

void LoadPublisher::ask_again() {
  for (const Attempts::Open& open : attempts_.open()) {
    bool known = false;
    while (!known && !abandoned_) {
      try {
        attempts_.answered(open.ticket, publisher_->retry(open.sequence, call_timeout));
        known = true;
      } catch (const Error& error) {
        known = error.code != Code::unknown_outcome;
        if (!known) continue;
        attempts_.answered(open.ticket,
                           Error(error.code, error.outcome, error.what(), open.sequence));
      }
    }
  }
}

}  // namespace zabmq::nemesis
