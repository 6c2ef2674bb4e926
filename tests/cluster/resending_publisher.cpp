// ResendingPublisher: copies out, answers in.
#include "resending_publisher.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "client/posix_random.hpp"
#include "wire/batch.hpp"
#include "zabmq/record.hpp"

namespace zabmq::cluster {

namespace {

constexpr std::uint64_t again_pause_ms = 20;
constexpr std::size_t small_payload = 300;
constexpr std::size_t large_payload = 20000;  // not copied into ZeroMQ, but shared with it

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace

void ResendTally::complain(const std::string& what) {
  if (complaints.size() < complaints_kept) complaints.push_back(what);
}

void ResendTally::on_receipt() {
  ++receipts;
  if (last_receipt_ms != 0) longest_wait_ms = std::max(longest_wait_ms, now_ms - last_receipt_ms);
  last_receipt_ms = now_ms;
}

ResendingPublisher::ResendingPublisher(std::uint32_t number,
                                       const std::vector<std::string>& endpoints,
                                       const std::shared_ptr<zmq::context_t>& context,
                                       ResendTally& tally)
    : tally_(tally),
      number_(number),
      key_{number},
      id_(client::random_uuid()),
      servers_{Server(context, endpoints.at(0)), Server(context, endpoints.at(1)),
               Server(context, endpoints.at(2))} {
  opener_ = tally_.below(servers_.size());
}

void ResendingPublisher::turn() {
  wire::Hello hello;
  hello.publisher = id_;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (instance_ == 0 && i != opener_) continue;  // what could it say?
    Server& server = servers_[i];
    if (!server.link.is_greeting()) server.acknowledged = acknowledged_;
    hello.instance = instance_;
    for (const wire::ServerMessage& message : server.link.turn(hello, tally_.now_ms)) {
      std::visit([&](const auto& frame) { on(server, frame); }, message);
    }
    if (server.connection != server.link.connection()) forget_unanswered(server);
    server.connection = server.link.connection();
  }
  forget_done();
  make_batches();
  ask_again();
  send_copies();
}

void ResendingPublisher::add_links(std::vector<client::Connection*>& links) {
  for (Server& server : servers_) links.push_back(&server.link.link());
}

std::string ResendingPublisher::state() const {
  std::string text = "publisher " + std::to_string(number_) + ", instance " +
                     std::to_string(instance_) + ": acknowledged " + std::to_string(acknowledged_) +
                     " of " + std::to_string(last_made_) + ", links";
  for (const Server& server : servers_) {
    text += std::string(server.link.is_open() ? " open" : " not open") + " (" +
            std::to_string(server.unanswered.size()) + " unanswered)";
  }
  return text;
}

// --- batches ---

void ResendingPublisher::make_batches() {
  const auto open = [](const Batch& batch) { return !batch.receipt; };
  auto without = static_cast<std::size_t>(std::count_if(batches_.begin(), batches_.end(), open));
  for (; making_ && without < window && batches_.size() < batches_max; ++without) {
    batches_.push_back(make_batch());
  }
}

ResendingPublisher::Batch ResendingPublisher::make_batch() {
  Batch batch;
  batch.first = last_made_ + 1;
  batch.count = static_cast<std::uint32_t>(1 + tally_.below(messages_max));
  batch.copies = 1 + tally_.below(copies_max);
  std::vector<std::byte> body;
  const std::string topic = topic_of(number_);
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const std::size_t size = tally_.below(100) == 0 ? large_payload : tally_.below(small_payload);
    std::string payload = std::to_string(batch.first + i) + " ";
    payload.append(size, static_cast<char>('a' + tally_.below(26)));
    batch.hashes.push_back(std::hash<std::string_view>{}(payload));
    wire::append_message(body, {.topic = topic, .payload = bytes_of(payload)});
  }
  last_made_ += batch.count;
  batch.checksum = checksum(body);
  batch.body = std::make_shared<const std::vector<std::byte>>(std::move(body));
  return batch;
}

// First copies leave in order, without waiting for anything; the others whenever chance will have
// it, also after the receipt, but not before the batch in front has its own.
void ResendingPublisher::send_copies() {
  if (instance_ == 0 || tally_.now_ms < again_ms_) return;
  bool next = true;
  for (Batch& batch : batches_) {
    const bool now = !batch.sent || (next && batch.copies > 0 && tally_.below(2) == 0);
    if (now) try_send(batch);
    if (!batch.sent) return;
    next = batch.receipt.has_value();
  }
}

void ResendingPublisher::try_send(Batch& batch) {
  Server& server = servers_[tally_.below(servers_.size())];
  if (!server.link.is_open()) return;
  if (!batch.sent) {
    for (std::uint32_t i = 0; i < batch.count; ++i) {
      tally_.checker.invoke(tally_.now_ms, key_, batch.first + i, topic_of(number_),
                            batch.hashes[i]);
    }
    last_sent_ = batch.first + batch.count - 1;
  }
  batch.sent = true;
  --batch.copies;
  ++tally_.copies;
  ++server.unanswered[batch.first];
  server.link.send(wire::Publish{.instance = instance_,
                                 .first_sequence = batch.first,
                                 .count = batch.count,
                                 .body_checksum = batch.checksum},
                   batch.body);
}

// All copies went with their connections.
void ResendingPublisher::ask_again() {
  for (Batch& batch : batches_) {
    if (!batch.receipt && batch.copies == 0 && !waits_for_answer(batch)) batch.copies = 1;
  }
}

void ResendingPublisher::forget_done() {
  while (!batches_.empty()) {
    const Batch& batch = batches_.front();
    if (!batch.receipt || batch.copies > 0 || waits_for_answer(batch)) return;
    batches_.pop_front();
  }
}

bool ResendingPublisher::waits_for_answer(const Batch& batch) const {
  return std::any_of(servers_.begin(), servers_.end(), [&batch](const Server& server) {
    return server.unanswered.contains(batch.first);
  });
}

void ResendingPublisher::forget_unanswered(Server& server) {
  for (const auto& [first, copies] : server.unanswered) tally_.unanswered += copies;
  server.unanswered.clear();
}

void ResendingPublisher::answered(Server& server, Sequence first) {
  const auto at = server.unanswered.find(first);
  if (at == server.unanswered.end()) {
    return tally_.complain(state() + ": an answer too many about " + std::to_string(first));
  }
  if (--at->second == 0) server.unanswered.erase(at);
}

ResendingPublisher::Batch* ResendingPublisher::find(Sequence first) {
  const auto at = std::find_if(batches_.begin(), batches_.end(),
                               [first](const Batch& batch) { return batch.first == first; });
  return at == batches_.end() ? nullptr : &*at;
}

// --- what servers say ---

void ResendingPublisher::on(Server& server, const wire::Welcome& welcome) {
  if (!welcome.publisher_open) return server.link.greet_again(tally_.now_ms);
  if (welcome.last_sequence > last_sent_) {
    tally_.complain(state() + ": WELCOME tells of " + std::to_string(welcome.last_sequence));
  }
  if (instance_ == 0) {
    instance_ = welcome.instance;
    ++tally_.openings;
  }
  if (welcome.instance != instance_) {
    tally_.complain(state() + ": WELCOME of instance " + std::to_string(welcome.instance));
  }
  if (welcome.last_sequence >= server.acknowledged) return server.link.opened();
  // It was the leader, and does not know yet that another one is.
  ++tally_.behind;
  server.link.drop(tally_.now_ms);
}

void ResendingPublisher::on(Server& server, const wire::Receipt& receipt) {
  answered(server, receipt.first_sequence);
  Batch* const batch = find(receipt.first_sequence);
  if (batch == nullptr || receipt.count != batch->count) {
    return tally_.complain(state() + ": a receipt of something else");
  }
  if (batch->receipt) {
    ++tally_.stored;
    if (*batch->receipt != receipt) {
      tally_.complain(state() + ": another receipt of " + std::to_string(batch->first));
    }
  } else {
    batch->receipt = receipt;
    acknowledged_ = std::max(acknowledged_, batch->first + batch->count - 1);
    tally_.on_receipt();
  }
  for (std::uint32_t i = 0; i < batch->count; ++i) {
    tally_.checker.acknowledge(tally_.now_ms, key_, batch->first + i, receipt.base_offset + i,
                               receipt.zxid);
  }
}

void ResendingPublisher::on(Server& server, const wire::Refused& refused) {
  if (refused.about == wire::About::connection) return on_greeting_refused(server, refused);
  if (refused.about != wire::About::publish) return tally_.complain(state() + ": " + refused.text);
  answered(server, refused.id);
  if (Batch* const batch = find(refused.id)) ++batch->copies;
  if (refused.hole) {
    ++tally_.holes;
    if (refused.last_sequence >= refused.id) tally_.complain(state() + ": a hole that is none");
    return;
  }
  if (refused.not_leading || refused.code == Code::unavailable ||
      refused.code == Code::unknown_outcome) {
    ++tally_.unavailable;
    server.link.greet_again(tally_.now_ms);
  } else if (refused.code == Code::busy || refused.code == Code::no_space) {
    ++tally_.busy;
  } else if (refused.code == Code::refused) {
    reopen();
  } else {
    return tally_.complain(state() + ": " + refused.text);
  }
  again_ms_ = tally_.now_ms + again_pause_ms;
}

void ResendingPublisher::on_greeting_refused(Server& server, const wire::Refused& refused) {
  switch (refused.code) {
    case Code::unavailable:
    case Code::busy:
    case Code::no_space:
      if (instance_ == 0) opener_ = tally_.below(servers_.size());
      return server.link.greet_again(tally_.now_ms);
    case Code::refused:
      if (refused.id > instance_) return reopen();
      break;
    default:
      break;
  }
  tally_.complain(state() + ": HELLO refused: " + refused.text);
  server.link.drop(tally_.now_ms);
}

// Fenced by a HELLO of its own that was given up: nobody else has the id.
void ResendingPublisher::reopen() {
  instance_ = 0;
  opener_ = tally_.below(servers_.size());
  for (Server& server : servers_) server.link.drop(tally_.now_ms);
}

void ResendingPublisher::on(Server& server, const wire::Reset&) {
  server.link.drop(tally_.now_ms);
}

}  // namespace zabmq::cluster
