// ResendingPublisher: a publisher that sends each batch 1 to 4 times, every copy to a server chosen
// at random, by the rules of docs/wire.md 4.4: the same boundaries and bytes, HELLO with its
// instance everywhere, and again whatever was refused. What it learns it tells a HistoryChecker.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>
#include <zmq.hpp>

#include "server_link.hpp"
#include "sim/history_checker.hpp"

namespace zabmq::cluster {

// What all publishers of a test share.
struct ResendTally {
  static constexpr std::size_t complaints_kept = 20;

  sim::HistoryChecker checker;
  std::mt19937_64 random{20};
  std::uint64_t now_ms = 0;

  std::uint64_t copies = 0;       // PUBLISH frames
  std::uint64_t receipts = 0;     // of batches: the first one of each
  std::uint64_t stored = 0;       // further receipts: all the same
  std::uint64_t holes = 0;        // copies refused because of what was missing in front of them
  std::uint64_t unavailable = 0;  // copies refused without a leader
  std::uint64_t busy = 0;         // copies refused until later
  std::uint64_t unanswered = 0;   // copies on connections that ended
  std::uint64_t behind = 0;       // servers that knew less than was acknowledged
  std::uint64_t openings = 0;     // instances
  std::uint64_t last_receipt_ms = 0;
  std::uint64_t longest_wait_ms = 0;  // between two receipts of anybody

  std::vector<std::string> complaints;  // what a server may not say
  void complain(const std::string& what);
  void on_receipt();
  std::uint64_t below(std::uint64_t end) { return random() % end; }
};

class ResendingPublisher {
 public:
  static constexpr std::size_t window = 4;        // batches without a receipt
  static constexpr std::size_t batches_max = 16;  // and those with copies still to be sent
  static constexpr std::uint64_t copies_max = 4;
  static constexpr std::uint64_t messages_max = 3;

  ResendingPublisher(std::uint32_t number, const std::vector<std::string>& endpoints,
                     const std::shared_ptr<zmq::context_t>& context, ResendTally& tally);

  void turn();
  void make_no_more() { making_ = false; }
  bool done() const { return !making_ && batches_.empty(); }
  bool is_open() const { return instance_ != 0; }
  void add_links(std::vector<client::Connection*>& links);
  std::string state() const;

  static std::string topic_of(std::uint32_t number) { return "of/" + std::to_string(number); }

 private:
  struct Server {
    Server(const std::shared_ptr<zmq::context_t>& context, const std::string& endpoint)
        : link(context, endpoint) {}
    ServerLink link;
    std::map<Sequence, std::uint64_t> unanswered;  // copies by first sequence
    std::uint64_t connection = 0;                  // on which they were sent
    Sequence acknowledged = 0;                     // when HELLO was said
  };
  struct Batch {
    Sequence first = 0;
    std::uint32_t count = 0;
    client::SharedBody body;
    Digest checksum = Digest::none;
    std::vector<std::uint64_t> hashes;  // of the payloads
    std::uint64_t copies = 1;           // still to be sent; one that was refused is again
    bool sent = false;
    std::optional<wire::Receipt> receipt;
  };

  void make_batches();
  Batch make_batch();
  void send_copies();
  void try_send(Batch& batch);
  void ask_again();
  void forget_done();
  bool waits_for_answer(const Batch& batch) const;
  void forget_unanswered(Server& server);
  void answered(Server& server, Sequence first);
  Batch* find(Sequence first);
  void reopen();

  void on(Server& server, const wire::Welcome& welcome);
  void on(Server& server, const wire::Receipt& receipt);
  void on(Server& server, const wire::Refused& refused);
  void on(Server& server, const wire::Reset& reset);
  template <class Other>
  void on(Server&, const Other&) {}
  void on_greeting_refused(Server& server, const wire::Refused& refused);

  ResendTally& tally_;
  std::uint32_t number_;
  sim::PublisherKey key_;
  Uuid id_;
  Instance instance_ = 0;
  std::size_t opener_ = 0;  // the server that is asked to open an instance
  std::array<Server, 3> servers_;
  std::deque<Batch> batches_;
  Sequence last_made_ = 0;
  Sequence last_sent_ = 0;
  Sequence acknowledged_ = 0;
  std::uint64_t again_ms_ = 0;  // not before that after a refusal
  bool making_ = true;
};

}  // namespace zabmq::cluster
