// PeerNetwork: what becomes of each frame.
#include "sim/peer_network.hpp"

#include <algorithm>
#include <memory>

namespace zabmq::sim {

PeerNetwork::PeerNetwork(Timeline& timeline, Random random, const LinkParameters& parameters,
                         Deliver deliver, Disconnect disconnect, Hit hit)
    : timeline_(timeline),
      random_(random),
      parameters_(parameters),
      deliver_(std::move(deliver)),
      disconnect_(std::move(disconnect)),
      hit_(std::move(hit)) {}

bool PeerNetwork::hit_by(Fault fault, std::uint32_t per_million, ServerId where) {
  if (per_million == 0 || !random_.chance(per_million)) return false;
  hit_(fault, where);
  return true;
}

bool PeerNetwork::transmit(PeerFrame frame) {
  Link& on = link(frame.from, frame.to);
  if (frame.lane == net::Lane::session && on.bytes + frame.size() > link_bytes_max) return false;
  if (hit_by(Fault::lost_frame, parameters_.loss, frame.to)) return true;
  if (hit_by(Fault::duplicate_frame, parameters_.duplicate, frame.to)) send_off(on, frame);
  if (hit_by(Fault::stale_frame, parameters_.stale, frame.to)) {
    const Micros when = timeline_.now() + random_.between(50 * millisecond, 20 * second);
    on.bytes += frame.size();
    schedule(when, frame);
  }
  if (hit_by(Fault::corrupt_frame, parameters_.corrupt, frame.to)) flip_bit(frame);
  send_off(on, std::move(frame));
  return true;
}

void PeerNetwork::flip_bit(PeerFrame& frame) {
  const auto bit = std::byte{1} << random_.below(8);
  if (!frame.records.empty() && random_.coin()) {
    const Bytes bytes = frame.records.bytes();
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    (*copy)[random_.below(copy->size())] ^= bit;
    frame.records = Slice(copy, *copy);
  } else {
    frame.header[random_.below(frame.header.size())] ^= bit;
  }
}

void PeerNetwork::send_off(Link& on, PeerFrame frame) {
  if (on.deaf) return;
  if (on.cut == Cut::losing) {
    on.lost_some = true;
    return;
  }
  on.bytes += frame.size();
  if (on.cut == Cut::holding) return on.held.push_back(std::move(frame));
  Micros when = timeline_.now() + random_.about(parameters_.delay);
  when = std::max(when, on.clogged_until);
  // Those that are overtaken stay behind.
  if (parameters_.reorder == 0 || !random_.chance(parameters_.reorder)) {
    when = std::max(when, on.last_arrival);
    on.last_arrival = when;
  }
  schedule(when, std::move(frame));
}

void PeerNetwork::schedule(Micros when, PeerFrame frame) {
  std::size_t slot = slots_.size();
  if (free_.empty()) {
    slots_.push_back(std::move(frame));
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot] = std::move(frame);
  }
  timeline_.at(when, [this, slot] { arrive(slot); });
}

void PeerNetwork::arrive(std::size_t slot) {
  PeerFrame frame = std::move(slots_[slot]);
  free_.push_back(slot);
  Link& on = link(frame.from, frame.to);
  if (on.cut == Cut::holding) return on.held.push_back(std::move(frame));
  on.bytes -= frame.size();
  if (on.cut == Cut::losing) {
    on.lost_some = true;
    return;
  }
  deliver_(frame);
}

// What has left the sender may still arrive; what waits there does not.
void PeerNetwork::drop_queued(ServerId from, ServerId to) {
  Link& on = link(from, to);
  std::erase_if(on.held, [&on](const PeerFrame& frame) {
    if (frame.lane != net::Lane::session) return false;
    on.bytes -= frame.size();
    return true;
  });
}

void PeerNetwork::cut(ServerId from, ServerId to, Cut how) {
  Link& on = link(from, to);
  const Cut before = std::exchange(on.cut, how);
  if (how != Cut::none || before == Cut::none) return;
  on.last_arrival = std::max(on.last_arrival, timeline_.now());
  while (!on.held.empty()) {
    PeerFrame frame = std::move(on.held.front());
    on.held.pop_front();
    on.bytes -= frame.size();
    send_off(on, std::move(frame));
  }
  // A connection that lost bytes is over; sometimes its end is noticed, sometimes only the gap.
  if (std::exchange(on.lost_some, false) && random_.coin()) {
    timeline_.after(random_.about(parameters_.delay), [this, from, to] { disconnect_(from, to); });
  }
}

void PeerNetwork::clog(ServerId from, ServerId to, Micros until) {
  Link& on = link(from, to);
  on.clogged_until = std::max(on.clogged_until, until);
}

void PeerNetwork::deafen(ServerId from, ServerId to) {
  link(from, to).deaf = true;
}

void PeerNetwork::reconnect(ServerId from, ServerId to) {
  Link& on = link(from, to);
  on.deaf = false;
  for (const PeerFrame& frame : on.held) on.bytes -= frame.size();
  on.held.clear();
}

void PeerNetwork::disconnect(ServerId a, ServerId b) {
  timeline_.after(random_.about(parameters_.delay), [this, a, b] { disconnect_(a, b); });
  if (random_.coin()) {
    timeline_.after(random_.about(parameters_.delay), [this, a, b] { disconnect_(b, a); });
  }
}

// The kernel closes the connections of a process that ends; of a machine that loses power nobody
// hears. Sometimes what waited for the dead one is kept for the next.
void PeerNetwork::process_died(ServerId server, std::size_t servers) {
  for (std::uint32_t i = 1; i <= servers; ++i) {
    const ServerId peer{i};
    if (peer == server) continue;
    Link& out = link(server, peer);
    out.deaf = link(peer, server).deaf = false;
    for (const PeerFrame& frame : out.held) out.bytes -= frame.size();
    out.held.clear();
    if (random_.chance(800'000)) disconnect(peer, server);
  }
}

void PeerNetwork::heal() {
  const Micros delay = parameters_.delay;
  parameters_ = {.delay = delay};
  for (auto& [ends, on] : links_) {
    on.clogged_until = 0;
    cut(ends.first, ends.second, Cut::none);
  }
}

}  // namespace zabmq::sim
