// Publisher: the threads and the socket around Intake and PublisherSession.
#include "zabmq/publisher.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "client/endpoints.hpp"
#include "client/intake.hpp"
#include "client/posix_random.hpp"
#include "client/posix_session_file.hpp"
#include "client/publisher_session.hpp"
#include "client/zmq_connection.hpp"
#include "client/zmq_context.hpp"
#include "client/zmq_drive.hpp"
#include "client/zmq_wakeup.hpp"
#include "wire/batch.hpp"

namespace zabmq {

using client::BatchPtr;
using client::Completion;
using client::Connection;
using client::Intake;
using client::PosixSessionFile;
using client::PublisherSession;
using client::steady_now_ms;

namespace {

constexpr std::uint64_t busy_wait_ms = 10;  // turns are at most so far apart while work is pending
constexpr std::uint64_t idle_wait_ms = 50;

std::uint64_t deadline_in(Millis timeout) {
  const auto span = timeout.count() > 0 ? static_cast<std::uint64_t>(timeout.count()) : 0;
  return steady_now_ms() + span;
}

std::chrono::steady_clock::time_point time_of(std::uint64_t at_ms) {
  return std::chrono::steady_clock::time_point(std::chrono::milliseconds(at_ms));
}

std::optional<Error> wrong_with(std::string_view topic) {
  if (wire::valid_topic(topic)) return std::nullopt;
  return Error(Code::protocol, Outcome::no,
               "an invalid topic: it must be 1 to 200 bytes of UTF-8 without control characters "
               "and without '*'");
}

Error headers_too_large() {
  return {Code::too_large, Outcome::no,
          "the headers take more than " + std::to_string(wire::message_headers_max) +
              " bytes, or are more than " + std::to_string(wire::header_entries_max)};
}

// What a caller publishes, with its headers as the wire has them. Holds views into the caller's.
class Encoded {
 public:
  explicit Encoded(std::span<const OutgoingMessage> messages) {
    headers_.reserve(messages.size());
    messages_.reserve(messages.size());
    if (messages.empty()) wrong_ = Error(Code::protocol, Outcome::no, "a batch of no messages");
    for (const OutgoingMessage& message : messages) add(message);
  }
  const std::optional<Error>& wrong() const { return wrong_; }
  std::span<const wire::BatchMessage> messages() const { return messages_; }

 private:
  void add(const OutgoingMessage& message) {
    if (!wrong_) wrong_ = wrong_with(message.topic);
    auto headers = wire::encode_headers(message.headers);
    if (!headers && !wrong_) wrong_ = headers_too_large();
    if (wrong_) return;
    headers_.push_back(std::move(*headers));
    messages_.push_back(
        {.topic = message.topic, .headers = headers_.back(), .payload = message.payload});
  }

  std::vector<std::vector<std::byte>> headers_;
  std::vector<wire::BatchMessage> messages_;
  std::optional<Error> wrong_;
};

Error with_sequence(Error error, Sequence sequence) {
  error.sequence = sequence;
  return error;
}

}  // namespace

class Publisher::Impl {
 public:
  explicit Impl(PublisherOptions options);
  ~Impl();

  Result<Sequence> try_publish(std::string_view topic, Bytes payload, Done done,
                               const PublishOptions& options);
  std::future<Receipt> publish(std::span<const OutgoingMessage> messages,
                               const BatchOptions& options);
  Receipt retry(Sequence sequence, Millis timeout);
  bool flush(Millis timeout);
  void close(Millis timeout);

  const Uuid& id() const { return id_; }
  Instance instance() const;
  Sequence resumed_after() const { return resumed_after_; }
  bool skip(std::string_view topic, Bytes payload);
  Sequence compared_until() const { return std::min(known_input_.count, resumed_after_); }

 private:
  using Command = std::function<void(PublisherSession&)>;

  PublisherSession::Options session_options() const;
  void wait_until_open();
  Result<Sequence> take(std::span<const wire::BatchMessage> messages, Done& done,
                        std::uint64_t deadline_ms, std::optional<Offset> expect_last_offset);
  std::optional<Error> wait_for_room(std::size_t size, std::uint64_t deadline_ms);
  void run();
  void turn();
  void finish();
  void add_command(Command command);
  void run_commands();
  bool exchange(std::uint64_t now_ms);
  void tell_outcomes();
  void tell_completions(const std::vector<Completion>& completions);
  void tell(const Completion& completion);
  void open();
  client::SessionRecord progress() const;
  std::optional<Error> remember();
  void remember_progress();
  void stop_thread();
  std::uint64_t deadline_of(std::optional<Millis> timeout) const {
    return deadline_in(timeout.value_or(options_.timeout));
  }

  const PublisherOptions options_;
  std::optional<PosixSessionFile> file_;
  const Uuid id_;
  const client::InputDigest known_input_;  // that of the session file when it was opened

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Intake intake_;
  std::vector<Command> commands_;
  std::uint64_t taken_ = 0;     // messages
  std::uint64_t finished_ = 0;  // of them, those whose callback has run
  std::uint64_t failed_ = 0;    // since the last flush
  std::size_t waiting_ = 0;     // callers that wait for room
  bool open_ = false;
  bool stopping_ = false;
  std::optional<Error> dead_;
  bool file_failed_ = false;  // that is why
  std::string trouble_;
  Instance instance_ = 0;
  Sequence resumed_after_ = 0;
  client::InputDigest skipped_;  // skip()'s
  bool input_resumed_ = false;   // skipped_ is all that was taken before

  PublisherSession session_;  // this and what follows: the background thread's
  std::shared_ptr<zmq::context_t> context_ = client::shared_context();
  client::ZmqWakeup wakeup_;
  Sequence remembered_ = 0;  // the session file knows that so many were taken
  std::thread thread_;
};

Publisher::Impl::Impl(PublisherOptions options)
    : options_(std::move(options)),
      file_(options_.session_file.empty()
                ? std::nullopt
                : std::optional<PosixSessionFile>(std::in_place, options_.session_file)),
      id_(file_ ? file_->record().publisher : client::random_uuid()),
      known_input_(file_ ? file_->record().input : client::InputDigest{}),
      intake_({.window_messages = options_.window_messages, .window_bytes = options_.window_bytes}),
      session_(session_options()) {
  thread_ = std::thread([this] { run(); });
  try {
    wait_until_open();
  } catch (...) {
    stop_thread();
    throw;
  }
}

Publisher::Impl::~Impl() {
  stop_thread();
}

void Publisher::Impl::stop_thread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.signal();
  thread_.join();
}

PublisherSession::Options Publisher::Impl::session_options() const {
  client::check_endpoints(options_.endpoints);
  PublisherSession::Options session{.endpoints = options_.endpoints, .publisher = id_};
  session.seed = client::random_seed();
  session.id_is_ours = !file_;
  if (file_) {
    session.cluster = file_->record().cluster;
    session.history = file_->record().history;
    session.known_last = file_->record().last;
    session.known_instance = file_->record().instance;
    session.known_input = file_->record().input;
    session.ends_at_failure = true;
  }
  return session;
}

void Publisher::Impl::wait_until_open() {
  const std::uint64_t deadline = deadline_in(options_.timeout);
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, time_of(deadline), [this] { return open_ || dead_; });
  if (file_failed_) throw UsageError(dead_->what());
  if (dead_) throw Error(*dead_);
  if (!open_) {
    throw Error(Code::unavailable, Outcome::no,
                "no leader was reached within " + std::to_string(options_.timeout.count()) +
                    " ms: " + trouble_);
  }
}

// --- callers' side ---

Result<Sequence> Publisher::Impl::try_publish(std::string_view topic, Bytes payload, Done done,
                                              const PublishOptions& options) {
  if (auto error = wrong_with(topic)) return *error;
  const auto headers = wire::encode_headers(options.headers);
  if (!headers) return headers_too_large();
  const wire::BatchMessage message{.topic = topic, .headers = *headers, .payload = payload};
  return take({&message, 1}, done, deadline_of(options.timeout), options.expect_last_offset);
}

// One message joins others on their way; several, or one with a condition, are a batch of their
// own.
Result<Sequence> Publisher::Impl::take(std::span<const wire::BatchMessage> messages, Done& done,
                                       std::uint64_t deadline_ms,
                                       std::optional<Offset> expect_last_offset) {
  const bool joins = messages.size() == 1 && !expect_last_offset;
  std::unique_lock lock(mutex_);
  Result<Sequence> taken =
      joins ? intake_.take(messages.front(), done, deadline_ms)
            : intake_.take_batch(messages, done, deadline_ms, expect_last_offset);
  if (!taken) return taken;
  taken_ += messages.size();
  const bool wake = intake_.take_wake();
  lock.unlock();
  if (wake) wakeup_.signal();
  return taken;
}

std::future<Receipt> Publisher::Impl::publish(std::span<const OutgoingMessage> messages,
                                              const BatchOptions& options) {
  const auto promise = std::make_shared<std::promise<Receipt>>();
  Done done = [promise](const Result<Receipt>& result) {
    if (result) return promise->set_value(result.value());
    promise->set_exception(std::make_exception_ptr(Error(result.error())));
  };
  const std::uint64_t deadline = deadline_of(options.timeout);
  Encoded encoded(messages);
  std::optional<Error> error = encoded.wrong();
  while (!error) {
    const Result<Sequence> taken =
        take(encoded.messages(), done, deadline, options.expect_last_offset);
    if (taken) return promise->get_future();
    error = taken.error();
    if (error->code == Code::busy) {
      error = wait_for_room(wire::encoded_size(encoded.messages()), deadline);
    }
  }
  done(std::move(*error));
  return promise->get_future();
}

// Nothing, or why the message can be given up.
std::optional<Error> Publisher::Impl::wait_for_room(std::size_t size, std::uint64_t deadline_ms) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  const bool room = changed_.wait_until(
      lock, time_of(deadline_ms), [&] { return intake_.stopped() || intake_.has_room(size); });
  --waiting_;
  if (room) return std::nullopt;
  return Error(
      Code::unavailable, Outcome::no,
      "never sent: the publisher's window stayed full until the deadline (" + trouble_ + ")");
}

void Publisher::Impl::add_command(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  wakeup_.signal();
}

Receipt Publisher::Impl::retry(Sequence sequence, Millis timeout) {
  std::promise<Receipt> promise;
  add_command([&promise, sequence, deadline = deadline_in(timeout)](PublisherSession& session) {
    session.retry(sequence, deadline, [&promise](const Result<Receipt>& result) {
      if (result) return promise.set_value(result.value());
      promise.set_exception(std::make_exception_ptr(Error(result.error())));
    });
  });
  return promise.get_future().get();  // the session answers at the deadline at the latest
}

bool Publisher::Impl::flush(Millis timeout) {
  const std::uint64_t deadline = deadline_in(timeout);
  std::unique_lock lock(mutex_);
  const std::uint64_t target = taken_;
  if (!changed_.wait_until(lock, time_of(deadline), [&] { return finished_ >= target; })) {
    return false;
  }
  return std::exchange(failed_, 0) == 0;
}

void Publisher::Impl::close(Millis timeout) {
  std::promise<std::optional<Error>> promise;
  add_command([&promise, deadline = deadline_in(timeout)](PublisherSession& session) {
    session.close(deadline,
                  [&promise](std::optional<Error> error) { promise.set_value(std::move(error)); });
  });
  if (const std::optional<Error> error = promise.get_future().get()) throw Error(*error);
}

Instance Publisher::Impl::instance() const {
  const std::lock_guard lock(mutex_);
  return instance_;
}

// What is compared is noted by the session only when all that was taken is known again, so that a
// process that ends before leaves what the file knew.
bool Publisher::Impl::skip(std::string_view topic, Bytes payload) {
  const std::lock_guard lock(mutex_);
  if (skipped_.count == resumed_after_) return false;
  client::InputDigest skipped = skipped_;
  skipped.add(topic, payload);
  if (skipped.count == known_input_.count && skipped != known_input_) {
    throw UsageError("session file " + options_.session_file + ": the first " +
                     std::to_string(known_input_.count) +
                     " messages that were taken with it are not those of this input and "
                     "topic: go on with the same input and topic, or take another session "
                     "file for this one");
  }
  skipped_ = skipped;  // what was refused stays refused
  input_resumed_ = skipped_.count == resumed_after_;
  return true;
}

// --- the background thread ---

void Publisher::Impl::run() {
  Connection connection(context_);
  while (true) {
    const std::uint64_t now = steady_now_ms();
    client::feed(session_, connection, now);
    run_commands();
    session_.tick(now);
    const bool stopping = exchange(now);
    client::perform_outputs(session_, connection);
    tell_outcomes();
    if (stopping) break;
    const bool pending = session_.busy();
    client::wait_for_input(connection, wakeup_, pending ? busy_wait_ms : idle_wait_ms);
  }
  finish();
  client::perform_outputs(session_, connection);
}

void Publisher::Impl::run_commands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (const Command& command : commands) command(session_);
}

// True: the publisher is being destroyed.
bool Publisher::Impl::exchange(std::uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (!open_ && !dead_ && session_.opened()) open();
  if (std::exchange(input_resumed_, false)) session_.resume_input(skipped_);
  session_.exchange(intake_, now_ms);
  instance_ = session_.instance();
  if (session_.dead() && !dead_) {
    dead_ = session_.dead();
    changed_.notify_all();
  }
  if (!open_ || waiting_ > 0) trouble_ = session_.trouble();
  if (waiting_ > 0) changed_.notify_all();
  return stopping_;
}

// Callbacks run without the mutex: they may publish.
void Publisher::Impl::tell_outcomes() {
  const auto replies = session_.take_replies();
  tell_completions(session_.take_completions());
  for (const auto& reply : replies) reply();
}

void Publisher::Impl::tell_completions(const std::vector<Completion>& completions) {
  if (completions.empty()) return;
  std::uint64_t messages = 0;
  std::uint64_t failed = 0;
  for (const Completion& completion : completions) {
    tell(completion);
    messages += completion.batch->count();
    if (std::holds_alternative<Error>(completion.outcome)) failed += completion.batch->count();
  }
  remember_progress();
  const std::lock_guard lock(mutex_);
  finished_ += messages;
  failed_ += failed;
  changed_.notify_all();
}

void Publisher::Impl::tell(const Completion& completion) {
  client::Batch& batch = *completion.batch;
  const auto* receipt = std::get_if<wire::Receipt>(&completion.outcome);
  for (std::uint32_t i = 0; i < batch.count(); ++i) {
    const Done done = std::exchange(batch.done[i], nullptr);
    if (!done) continue;
    const Sequence sequence = batch.first + i;
    if (receipt) {
      done(
          Receipt{.offset = receipt->base_offset + i, .zxid = receipt->zxid, .sequence = sequence});
    } else {
      done(with_sequence(std::get<Error>(completion.outcome), sequence));
    }
  }
}

// From here on messages are taken: what a restarted process must know is durable before that.
void Publisher::Impl::open() {
  dead_ = remember();
  file_failed_ = dead_.has_value();
  resumed_after_ = session_.resumed_after();
  open_ = !dead_;
  changed_.notify_all();
}

client::SessionRecord Publisher::Impl::progress() const {
  return {.publisher = id_,
          .cluster = session_.cluster(),
          .history = session_.history(),
          .instance = session_.newest_instance(),
          .last = session_.acknowledged(),
          .input = session_.input()};
}

std::optional<Error> Publisher::Impl::remember() {
  if (!file_) return std::nullopt;
  try {
    file_->store(progress());
    remembered_ = session_.acknowledged();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

// Once something was taken, a restarted process can notice when the cluster has forgotten this
// publisher, and when it is given other input; so it is noted again whenever that has doubled. A
// disk that cannot be written now does not stop a publisher that is under way.
void Publisher::Impl::remember_progress() {
  const Sequence taken = session_.acknowledged();
  if (file_ && taken > remembered_ && taken >= 2 * remembered_) remember();
}

void Publisher::Impl::finish() {
  run_commands();
  session_.abandon();
  exchange(steady_now_ms());
  tell_outcomes();
  if (file_ && session_.opened() && file_->record() != progress()) remember();
}

// --- the public class ---

Publisher::Publisher(PublisherOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Publisher::~Publisher() = default;

std::future<Receipt> Publisher::publish(std::string_view topic, Bytes payload,
                                        const PublishOptions& options) {
  const OutgoingMessage message{topic, payload, options.headers};
  return impl_->publish({&message, 1}, {.timeout = options.timeout,
                                        .expect_last_offset = options.expect_last_offset});
}

std::future<Receipt> Publisher::publish(std::string_view topic, std::string_view payload,
                                        const PublishOptions& options) {
  return publish(topic, Bytes{reinterpret_cast<const std::byte*>(payload.data()), payload.size()},
                 options);
}

Receipt Publisher::publish_sync(std::string_view topic, Bytes payload,
                                const PublishOptions& options) {
  return publish(topic, payload, options).get();
}

Receipt Publisher::publish_sync(std::string_view topic, std::string_view payload,
                                const PublishOptions& options) {
  return publish(topic, payload, options).get();
}

std::future<Receipt> Publisher::publish_batch(std::span<const OutgoingMessage> messages,
                                              const BatchOptions& options) {
  return impl_->publish(messages, options);
}

Result<Sequence> Publisher::try_publish(std::string_view topic, Bytes payload, Done done,
                                        const PublishOptions& options) {
  return impl_->try_publish(topic, payload, std::move(done), options);
}

Receipt Publisher::retry(Sequence sequence, Millis timeout) {
  return impl_->retry(sequence, timeout);
}
bool Publisher::flush(Millis timeout) {
  return impl_->flush(timeout);
}
void Publisher::close(Millis timeout) {
  impl_->close(timeout);
}
const Uuid& Publisher::id() const {
  return impl_->id();
}
Instance Publisher::instance() const {
  return impl_->instance();
}
Sequence Publisher::resumed_after() const {
  return impl_->resumed_after();
}
bool Publisher::skip(std::string_view topic, Bytes payload) {
  return impl_->skip(topic, payload);
}
bool Publisher::skip(std::string_view topic, std::string_view payload) {
  return skip(topic, Bytes{reinterpret_cast<const std::byte*>(payload.data()), payload.size()});
}
Sequence Publisher::compared_until() const {
  return impl_->compared_until();
}

}  // namespace zabmq
