// TestPublisher: a publisher of the tool's own, with a new uuid, frame by frame.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/conformance/connection.hpp"

namespace zabmq::cli::conformance {

using Messages = std::vector<OutMessage>;

class TestPublisher {
 public:
  // Opens its first instance, here or at the leader that is named. Throws Skip when that fails: why
  // is told by the rule about opening.
  explicit TestPublisher(Context& context);
  // As another process with the same uuid: `instance` as in HELLO.
  TestPublisher(Context& context, const Uuid& id, Instance instance);
  ~TestPublisher();  // frees its entry
  TestPublisher(const TestPublisher&) = delete;
  TestPublisher& operator=(const TestPublisher&) = delete;

  const Uuid& id() const { return id_; }
  const Welcome& welcome() const { return welcome_; }
  Instance instance() const { return welcome_.instance; }
  Connection& link() { return link_; }

  // `count` messages of some bytes each, different ones for each sequence.
  Messages messages(Sequence first, std::size_t count = 1) const;

  void send(Sequence first, const Messages& messages, std::optional<Offset> expect = {});
  void send_body(Sequence first, std::uint64_t count, const std::string& body,
                 std::optional<std::uint64_t> checksum = {});
  BatchReceipt receipt(Sequence first, std::uint64_t count, const std::string& expected);
  // Sends and waits.
  BatchReceipt publish(Sequence first, const Messages& messages,
                       const std::string& expected = "RECEIPT");
  BatchReceipt publish(Sequence first, std::size_t count = 1) {
    return publish(first, messages(first, count));
  }
  // REFUSED about this batch, which certainly did not happen.
  Refused refused(Sequence first, Code code, const std::string& expected);

 private:
  Context& context_;
  Uuid id_;
  Connection link_;
  Welcome welcome_;
};

}  // namespace zabmq::cli::conformance
