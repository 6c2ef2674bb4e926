// Subscriber: the background thread and the socket around SubscriberSession, and the queue of
// verified deliveries between that thread and the caller's.
#include "zabmq/subscriber.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "client/delivery.hpp"
#include "client/endpoints.hpp"
#include "client/posix_random.hpp"
#include "client/subscriber_session.hpp"
#include "client/zmq_connection.hpp"
#include "client/zmq_context.hpp"
#include "client/zmq_drive.hpp"
#include "client/zmq_wakeup.hpp"
#include "wire/batch.hpp"

namespace zabmq {

using client::Connection;
using client::Delivery;
using client::MessageCursor;
using client::steady_now_ms;
using client::SubscriberSession;

namespace {

constexpr std::uint64_t turn_ms = 20;  // turns are at most so far apart

SubscriberSession::Options session_options(const SubscriberOptions& options) {
  client::check_endpoints(options.endpoints);
  if (options.topics.size() > wire::topics_max) {
    throw Error(Code::too_large, Outcome::no,
                std::to_string(options.topics.size()) + " topics, a subscription takes " +
                    std::to_string(wire::topics_max));
  }
  for (const std::string& topic : options.topics) {
    if (!wire::valid_topic_filter(topic)) {
      throw Error(Code::protocol, Outcome::no,
                  "no topic and no prefix of topics: \"" + topic +
                      "\"; expected a name, or its beginning and '*', like orders/*");
    }
  }
  if (options.cursor && !wire::valid_topic(*options.cursor)) {
    throw Error(Code::protocol, Outcome::no,
                "no name of a cursor: \"" + *options.cursor +
                    "\"; expected 1 to 200 bytes of UTF-8 without control characters and '*'");
  }
  SubscriberSession::Options session{.endpoints = options.endpoints};
  session.timeout_ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(options.timeout.count(), 0));
  session.from = options.from;
  session.until_end = options.until_end;
  session.jumps_gaps = static_cast<bool>(options.on_gap);
  session.topics = options.topics;
  session.cursor = options.cursor;
  session.credit_messages = std::max<std::size_t>(options.credit_messages, 1);
  session.credit_bytes = std::max<std::size_t>(options.credit_bytes, 1);
  session.seed = client::random_seed();
  return session;
}

struct Consumed {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

Headers decode_headers(Bytes headers) {
  std::optional<wire::HeaderList> list = wire::decode_headers(headers);
  if (!list) throw Error(Code::protocol, Outcome::no, "malformed message headers");
  return std::move(*list);
}

class Subscriber::Impl {
 public:
  explicit Impl(SubscriberOptions options);
  ~Impl();

  const Message* next(std::optional<Millis> timeout);
  const Message* ready();
  void ack(Offset up_to);
  void ack_sync(Offset up_to, Millis timeout);
  std::optional<Offset> acknowledged() const;
  bool at_end() const;
  Offset next_offset() const;
  std::optional<ResumeToken> resume_token() const;

 private:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  const Message* from_cursor();
  bool load();
  bool wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline);
  void throw_error();
  void give_back();

  void run();
  bool exchange();

  const SubscriberOptions options_;
  MessageCursor cursor_;        // the caller's
  bool cursor_loaded_ = false;  // its delivery's credit was not given back yet

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable arrived_;
  std::deque<Delivery> queue_;  // bounded by the credit
  std::optional<Error> error_;  // behind the queue
  bool over_ = false;           // the error is the last word
  bool complete_ = false;
  bool stopping_ = false;
  Offset session_next_ = 0;
  Uuid cluster_;
  Uuid history_;
  Consumed consumed_;
  std::optional<Offset> acked_;      // by the caller
  std::optional<Offset> confirmed_;  // by the cluster

  SubscriberSession session_;  // this and what follows: the background thread's
  std::shared_ptr<zmq::context_t> context_ = client::shared_context();
  client::ZmqWakeup wakeup_;
  std::thread thread_;
};

Subscriber::Impl::Impl(SubscriberOptions options)
    : options_(std::move(options)),
      cursor_(options_.topics),
      session_(session_options(options_), steady_now_ms()) {
  thread_ = std::thread([this] { run(); });
}

Subscriber::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.signal();
  thread_.join();
}

// --- the caller's thread ---

const Message* Subscriber::Impl::next(std::optional<Millis> timeout) {
  Deadline deadline;
  if (timeout) deadline = std::chrono::steady_clock::now() + *timeout;
  while (true) {
    if (const Message* message = from_cursor()) return message;
    if (load()) continue;
    std::unique_lock lock(mutex_);
    if (!queue_.empty()) continue;
    if (error_) throw_error();
    if (complete_ || !wait(lock, deadline)) return nullptr;
  }
}

// Neither waits nor throws what is not about the messages at hand.
const Message* Subscriber::Impl::ready() {
  do {
    if (const Message* message = from_cursor()) return message;
  } while (load());
  return nullptr;
}

const Message* Subscriber::Impl::from_cursor() {
  if (const Message* message = cursor_.next()) return message;
  if (cursor_.malformed()) {
    throw Error(Code::protocol, Outcome::no,
                "a batch behind offset " + std::to_string(cursor_.next_offset() - 1) +
                    " has its checksum, but not the form of a batch");
  }
  return nullptr;
}

// The next delivery; false: there is none yet. A gap is told here, without the mutex.
bool Subscriber::Impl::load() {
  give_back();
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    cursor_.start(std::move(queue_.front()));
    cursor_loaded_ = true;
    queue_.pop_front();
  }
  if (const std::optional<Gap> gap = cursor_.delivery().gap) options_.on_gap(*gap);
  return true;
}

void Subscriber::Impl::give_back() {
  if (!std::exchange(cursor_loaded_, false)) return;
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    consumed_.messages += cursor_.delivery().credit_messages;
    consumed_.bytes += cursor_.delivery().credit_bytes;
    tell = consumed_.messages >= options_.credit_messages / 4 ||
           consumed_.bytes >= options_.credit_bytes / 4;
  }
  if (tell) wakeup_.signal();
}

// False: the deadline came first.
bool Subscriber::Impl::wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline) {
  const auto something = [this] { return !queue_.empty() || error_ || complete_; };
  if (deadline) return arrived_.wait_until(lock, *deadline, something);
  arrived_.wait(lock, something);
  return true;
}

void Subscriber::Impl::throw_error() {
  const Error error = *error_;
  if (!over_) error_.reset();  // the session goes on trying
  throw Error(error);
}

void Subscriber::Impl::ack(Offset up_to) {
  if (!options_.cursor) {
    throw Error(Code::refused, Outcome::no,
                "nothing to acknowledge to: the subscriber was made without a cursor");
  }
  const Offset next = next_offset();
  if (up_to >= next) {
    throw Error(Code::refused, Outcome::no,
                "offset " + std::to_string(up_to) + " was not taken yet, the next one is " +
                    std::to_string(next) + ": acknowledge what was handled");
  }
  {
    const std::lock_guard lock(mutex_);
    if (acked_ && *acked_ >= up_to) return;
    acked_ = up_to;
  }
  wakeup_.signal();
}

void Subscriber::Impl::ack_sync(Offset up_to, Millis timeout) {
  ack(up_to);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(mutex_);
  const auto durable = [&] { return confirmed_ && *confirmed_ >= up_to; };
  arrived_.wait_until(lock, deadline, [&] { return durable() || (error_ && over_); });
  if (durable()) return;
  if (error_ && over_) throw_error();
  throw Error(Code::unavailable, Outcome::maybe,
              "it is not known whether cursor " + *options_.cursor + " was moved to offset " +
                  std::to_string(up_to) + ": it is still being tried");
}

std::optional<Offset> Subscriber::Impl::acknowledged() const {
  const std::lock_guard lock(mutex_);
  return confirmed_;
}

bool Subscriber::Impl::at_end() const {
  const std::lock_guard lock(mutex_);
  const bool taken = cursor_.next_offset() == 0 || cursor_.next_offset() > cursor_.delivery().last;
  return complete_ && queue_.empty() && taken;
}

Offset Subscriber::Impl::next_offset() const {
  if (cursor_.next_offset() != 0) return cursor_.next_offset();
  const std::lock_guard lock(mutex_);
  return queue_.empty() ? session_next_ : queue_.front().first;
}

std::optional<ResumeToken> Subscriber::Impl::resume_token() const {
  const Offset next = next_offset();
  const std::lock_guard lock(mutex_);
  if (next == 0 || is_none(cluster_)) return std::nullopt;
  return ResumeToken{cluster_, history_, next};
}

// --- the background thread ---

void Subscriber::Impl::run() {
  Connection connection(context_);
  while (true) {
    const std::uint64_t now = steady_now_ms();
    client::feed(session_, connection, now);
    const bool stopping = exchange();
    if (stopping) session_.leave_for_good();
    session_.tick(now);
    client::perform_outputs(session_, connection);
    if (stopping) return;
    exchange();  // what tick() had to say
    client::wait_for_input(connection, wakeup_, turn_ms);
  }
}

// True: the subscriber is being destroyed.
bool Subscriber::Impl::exchange() {
  std::vector<Delivery> deliveries = session_.take_deliveries();
  std::optional<Error> error = session_.take_error();
  const std::lock_guard lock(mutex_);
  const Consumed consumed = std::exchange(consumed_, {});
  session_.consumed(consumed.messages, consumed.bytes);
  if (acked_) session_.acknowledge(*acked_);
  for (Delivery& delivery : deliveries) queue_.push_back(std::move(delivery));
  if (error) error_ = std::move(error);
  over_ = session_.over();
  complete_ = session_.complete();
  session_next_ = session_.next_offset();
  cluster_ = session_.cluster();
  history_ = session_.history();
  const bool confirmed = confirmed_ != session_.acknowledged();
  confirmed_ = session_.acknowledged();
  if (!queue_.empty() || error_ || complete_ || confirmed) arrived_.notify_one();
  return stopping_;
}

// --- the public class ---

Subscriber::Subscriber(SubscriberOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Subscriber::~Subscriber() = default;

const Message* Subscriber::next(std::optional<Millis> timeout) {
  return impl_->next(timeout);
}

std::size_t Subscriber::poll(const std::function<void(const Message&)>& handler, std::size_t limit,
                             Millis timeout) {
  if (limit == 0) return 0;
  std::size_t count = 0;
  for (const Message* message = impl_->next(timeout); message; message = impl_->ready()) {
    handler(*message);
    if (++count == limit) break;
  }
  return count;
}

void Subscriber::ack(Offset up_to) {
  impl_->ack(up_to);
}
void Subscriber::ack_sync(Offset up_to, Millis timeout) {
  impl_->ack_sync(up_to, timeout);
}
std::optional<Offset> Subscriber::acknowledged() const {
  return impl_->acknowledged();
}
bool Subscriber::at_end() const {
  return impl_->at_end();
}
Offset Subscriber::next_offset() const {
  return impl_->next_offset();
}
std::optional<ResumeToken> Subscriber::resume_token() const {
  return impl_->resume_token();
}

}  // namespace zabmq
