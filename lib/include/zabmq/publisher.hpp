// Publisher: an ordered stream of messages, each taken exactly once per (publisher, sequence).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "zabmq/client.hpp"
#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq {

// What an acknowledged message has: a place in the one sequence, durable on a quorum.
struct Receipt {
  Offset offset = 0;
  Zxid zxid;  // messages of one transaction share it
  Sequence sequence = 0;
};

struct PublisherOptions : ClientOptions {
  // Keeps the publisher's id, so that its sequence goes on after a restart of the process; created
  // when missing. Empty: a new publisher each time.
  std::string session_file;
  // Not yet acknowledged; more: publish waits, try_publish is busy.
  std::size_t window_messages = 65536;
  std::size_t window_bytes = 64u << 20;
};

struct PublishOptions {
  Headers headers = {};
  // From the call on; none: ClientOptions::timeout. A deadline is never before that of a message
  // published earlier and still pending: what comes later may not be given up first.
  std::optional<Millis> timeout = std::nullopt;
  // Taken only if it comes directly behind this offset (0: if it is the cluster's first message);
  // else refused, and told by Error::first what the last one is. Such a message is a transaction of
  // its own, and whatever is published behind it waits for its answer.
  std::optional<Offset> expect_last_offset = std::nullopt;
};

// A message of publish_batch(). Views into the caller's memory, copied before the call returns.
struct OutgoingMessage {
  std::string_view topic;
  Bytes payload;
  Headers headers = {};
};

struct BatchOptions {
  std::optional<Millis> timeout = std::nullopt;             // as in PublishOptions
  std::optional<Offset> expect_last_offset = std::nullopt;  // of the whole batch
};

// All members may be called from any thread. One background thread owns the socket; `done`
// callbacks run on it, in the order of publication, and must neither block (so no publish(),
// retry(), flush() or close() in them) nor throw.
//
// Errors: too_large, protocol (invalid topic; nothing was sent, no sequence was taken), busy,
// refused (no: fenced by a newer process with the same session file), expired, no_space,
// unavailable (no: not taken), unknown_outcome (maybe: sent, no answer before the deadline;
// sequence says which). When a message fails, those published behind it and still pending fail as
// well: they may not overtake it. After `no` the next message gets the sequence of the first that
// failed. After `maybe` nothing is taken until retry() has the outcome known, or the publisher is
// opened again with its session file. With a session file the first message that is not taken ends
// the publisher (retry() excepted), so that what the cluster took is an unbroken beginning of what
// was published: open it again to go on.
//
// A message refused for its condition (`refused` with Error::first) is the exception: it alone
// fails. What was published behind it goes on, one sequence earlier than try_publish() said; the
// receipt has the sequence that counts.
class Publisher {
 public:
  using Done = std::function<void(Result<Receipt>)>;

  // Opens a new instance of the publisher: waits up to `timeout` for a leader. Throws Error:
  // unavailable, refused, or UsageError when the session file is unusable.
  explicit Publisher(PublisherOptions options);
  ~Publisher();  // abandons what is not acknowledged; call flush() first
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Copies topic and payload. Blocks while the window is full, at most until the deadline.
  std::future<Receipt> publish(std::string_view topic, Bytes payload,
                               const PublishOptions& options = {});
  std::future<Receipt> publish(std::string_view topic, std::string_view payload,
                               const PublishOptions& options = {});

  // The same, waiting for the outcome: at most until the deadline. Throws Error.
  Receipt publish_sync(std::string_view topic, Bytes payload, const PublishOptions& options = {});
  Receipt publish_sync(std::string_view topic, std::string_view payload,
                       const PublishOptions& options = {});

  // One transaction: all of the messages, back to back, or none. The receipt is the first one's;
  // message i has offset + i, sequence + i and the same zxid. At most 65,535 messages and the bytes
  // of one batch of the cluster (2 MiB): else too_large, and none was taken.
  std::future<Receipt> publish_batch(std::span<const OutgoingMessage> messages,
                                     const BatchOptions& options = {});

  // Never blocks. The result says whether the message was taken (its sequence) or not: busy,
  // too_large, protocol. `done` is called exactly once for a message that was taken.
  Result<Sequence> try_publish(std::string_view topic, Bytes payload, Done done,
                               const PublishOptions& options = {});

  // Resends the message of a publish whose outcome is unknown, and all behind it, until it is
  // known. Throws Error: unknown_outcome again at the deadline, or the definite answer.
  Receipt retry(Sequence sequence, Millis timeout);

  // Returns once everything published before has its outcome; true when all since the last flush()
  // were acknowledged, false when one failed or the time is over.
  bool flush(Millis timeout);

  // Ends the publisher: its entry in the cluster is freed, a session file becomes useless.
  void close(Millis timeout);

  const Uuid& id() const;
  Instance instance() const;
  // Last sequence the cluster had taken of this publisher when it was opened: with a session file,
  // how far the previous process got.
  Sequence resumed_after() const;

  // For a program that is given the same messages each time, and whose message n is sequence n:
  // hand it each message before it is published, from the first one on. True: it was taken before,
  // leave it out. Throws UsageError when those left out are not those that were taken.
  // Nothing may be published before it says false.
  bool skip(std::string_view topic, Bytes payload);
  bool skip(std::string_view topic, std::string_view payload);
  // So many of the first resumed_after() messages the session file knows: these skip() compares.
  Sequence compared_until() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zabmq
