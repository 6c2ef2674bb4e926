// SessionLinks: stamps and encodes what goes out, decodes and judges what comes in.
#include "net/session_links.hpp"

#include <algorithm>
#include <utility>

#include "zabmq/check.hpp"

namespace zabmq::net {
namespace {

Lane lane_of(const zab::Message& message) {
  switch (kind_of(message)) {
    case Kind::vote:
      return Lane::vote;
    case Kind::standing:
      return Lane::standing;
    default:
      return Lane::session;
  }
}

Lane lane_of(Control control) {
  switch (control) {
    case Control::reset:
      return Lane::reset;
    case Control::probe:
      return Lane::probe;
    case Control::probe_answer:
      return Lane::probe_answer;
  }
  return Lane::reset;
}

constexpr std::uint64_t questions_per_deafness = 4;

bool has_records(const zab::Message& message) {
  return std::holds_alternative<zab::Propose>(message) ||
         std::holds_alternative<zab::Snap>(message);
}

// FORWARD has the body that its client's frame had, if any.
bool fits(const Frame& frame, const Slice& body) {
  const auto* message = std::get_if<zab::Message>(&frame.content);
  if (message && std::holds_alternative<zab::Forward>(*message)) return true;
  return (message && has_records(*message)) != body.empty();
}

}  // namespace

void SessionLinks::open_session(ServerId leader) {
  transport_.drop_queued(leader);
  sessions_.open(leader);
}

void SessionLinks::close_session(ServerId peer) {
  end_session(peer, &PeerCounters::ended_by_us);
}

void SessionLinks::end_session(ServerId peer, Reason reason) {
  transport_.drop_queued(peer);
  if (const std::optional<ControlFrame> frame = sessions_.close(peer, reason)) send_control(*frame);
}

bool SessionLinks::send(ServerId to, const zab::Message& message) {
  ZABMQ_CHECK(!has_records(message));  // they would be missing
  return send_frame(to, message, {});
}

bool SessionLinks::send_records(ServerId to, const zab::Message& message, Slice records) {
  const bool may_have = has_records(message) || std::holds_alternative<zab::Forward>(message);
  ZABMQ_CHECK(may_have && !records.empty());
  return send_frame(to, message, std::move(records));
}

bool SessionLinks::send_frame(ServerId to, const zab::Message& message, Slice records) {
  const std::optional<Link> link = sessions_.stamp(to, message);
  if (!link) return false;
  std::vector<std::byte> header = encode(*link, message);
  const std::size_t size = header.size() + records.size();
  if (transport_.transmit(to, lane_of(message), std::move(header), std::move(records))) {
    ++counters().frames_sent;
    counters().bytes_sent += size;
    return true;
  }
  if (zab::is_datagram(message)) {
    ++counters().datagrams_unsent;
    return false;
  }
  end_session(to, &PeerCounters::ended_by_full_queue);
  return false;
}

// Without a promise: what led to it will happen again, or the peer falls silent.
void SessionLinks::send_control(const ControlFrame& frame) {
  transport_.transmit(frame.link.receiver, lane_of(frame.control),
                      encode(frame.link, frame.control), {});
}

std::optional<Life> SessionLinks::receive(Bytes header, Slice records, std::optional<Life> claimed,
                                          Listener& listener) {
  std::optional<Frame> frame = decode(header);
  if (!frame || !fits(*frame, records)) {
    unreadable(claimed, listener);
    return std::nullopt;
  }
  const ServerId from = frame->link.sender;
  const Life speaker{from, frame->link.incarnation};
  Verdict verdict = judge(*frame, listener);
  if (verdict.again) verdict = judge(*frame, listener);
  if (verdict.heard) ears_.at(from).heard_ms = now_ms_;
  if (!verdict.deliver) return speaker;
  ++counters().frames_received;
  counters().bytes_received += header.size() + records.size();
  listener.on_peer_message(from, std::get<zab::Message>(std::move(frame->content)),
                           std::move(records));
  return speaker;
}

Verdict SessionLinks::judge(const Frame& frame, Listener& listener) {
  Verdict verdict = sessions_.receive(frame);
  if (verdict.lost) lost(frame.link.sender, listener);
  if (verdict.reply) send_control(*verdict.reply);
  return verdict;
}

void SessionLinks::unreadable(std::optional<Life> claimed, Listener& listener) {
  ++counters().malformed;
  if (claimed && sessions_.corrupt(claimed->server, claimed->incarnation)) {
    lost(claimed->server, listener);
  }
}

void SessionLinks::tick(std::uint64_t now_ms, std::uint64_t deaf_ms, Listener& listener) {
  const bool first = now_ms_ == 0;
  now_ms_ = now_ms;
  for (auto& [peer, ear] : ears_) {
    if (first) ear.heard_ms = ear.asked_ms = now_ms;
    if (now_ms - ear.heard_ms > deaf_ms) {
      ear.heard_ms = ear.asked_ms = now_ms;
      ++counters().reconnected;
      transport_.reconnect(peer);
      disconnected(peer, listener);
    } else if (now_ms - std::max(ear.heard_ms, ear.asked_ms) > deaf_ms / questions_per_deafness) {
      ear.asked_ms = now_ms;
      if (const auto question = sessions_.probe(peer)) send_control(*question);
    }
  }
}

void SessionLinks::disconnected(ServerId peer, Listener& listener) {
  if (!sessions_.lose(peer)) return;
  ++counters().ended_by_disconnect;
  lost(peer, listener);
}

void SessionLinks::lost(ServerId peer, Listener& listener) {
  transport_.drop_queued(peer);
  listener.on_session_lost(peer);
}

}  // namespace zabmq::net
