// Parameters: the draws.
#include "sim/parameters.hpp"

#include <algorithm>

namespace zabmq::sim {
namespace {

constexpr std::size_t kib = 1024;

template <class T, std::size_t N>
T pick(Random& random, const std::array<T, N>& from) {
  return from[random.below(N)];
}

void draw_links(Random& random, Parameters& p) {
  LinkParameters& links = p.links;
  links.delay = pick<Micros, 6>(random, {50, 150, 300, 300, 1500, 8000});
  if (random.coin()) links.loss = pick<std::uint32_t, 4>(random, {20, 200, 2000, 10000});
  if (random.coin()) links.duplicate = pick<std::uint32_t, 3>(random, {50, 500, 3000});
  if (random.coin()) links.stale = pick<std::uint32_t, 3>(random, {50, 500, 3000});
  if (random.chance(300'000)) links.corrupt = pick<std::uint32_t, 3>(random, {20, 200, 2000});
  if (random.chance(200'000)) links.reorder = pick<std::uint32_t, 3>(random, {20, 200, 2000});
  links.client_queue_max = pick<std::size_t, 3>(random, {4, 40, 40});
}

// A seed shall not take more than 3 s of one core.
Micros time_for_messages(const ClientParameters& clients) {
  constexpr std::uint64_t messages_max = 20'000;
  const std::uint64_t at_once = clients.publishers * (clients.burst_max + 1) / 2;
  return messages_max * clients.publish_every / std::max<std::uint64_t>(at_once, 1);
}

void draw_disks(Random& random, Parameters& p) {
  p.disks.write = pick<Micros, 3>(random, {10, 50, 300});
  p.disks.sync = pick<Micros, 5>(random, {100, 300, 1000, 3000, 15000});
  p.disks.read = pick<Micros, 3>(random, {20, 100, 2000});
}

void draw_clients(Random& random, Parameters& p) {
  ClientParameters& c = p.clients;
  c.publishers = random.between(1, 5);
  c.subscribers = random.between(1, 4);
  // 100 to 600 messages a second together, mostly.
  const std::uint64_t per_second = pick<std::uint64_t, 5>(random, {30, 120, 200, 300, 500});
  c.burst_max = pick<std::size_t, 4>(random, {1, 4, 16, 64});
  c.publish_every = second * c.publishers * (c.burst_max + 1) / 2 / per_second;
  c.payload_max = pick<std::size_t, 5>(random, {32, 64, 256, 1024, 3000});
  c.window_messages = pick<std::size_t, 4>(random, {1, 16, 128, 1024});
  c.credit_messages = pick<std::size_t, 4>(random, {1, 20, 500, 10000});
  c.credit_bytes = pick<std::size_t, 3>(random, {4 * kib, 64 * kib, 1024 * kib});
}

// Small bounds, so that each of them is reached.
void draw_bounds(Random& random, Parameters& p) {
  replica::Options& r = p.replica;
  r.batch.payload_max = 4 * kib;
  r.batch.batch_max = pick<std::size_t, 3>(random, {8 * kib, 16 * kib, 64 * kib});
  r.group_bytes_max = pick<std::size_t, 3>(random, {4 * kib, 32 * kib, 256 * kib});
  r.in_flight_bytes_max = 2 * r.batch.batch_max * random.between(1, 16);
  r.unwritten_bytes_max = r.in_flight_bytes_max / pick<std::size_t, 3>(random, {1, 4, 64});
  r.forwarded_bytes_max = r.in_flight_bytes_max;
  r.learner_window_bytes = pick<std::size_t, 3>(random, {8 * kib, 128 * kib, 1024 * kib});
  r.read_bytes_max = pick<std::size_t, 3>(random, {2 * kib, 16 * kib, 256 * kib});
  r.receipts_max = 1024;
  r.serve_bytes_per_step = pick<std::size_t, 2>(random, {8 * kib, 1024 * kib});
  r.cold_reads_max = pick<std::size_t, 2>(random, {1, 64});
  r.answers_max = 4096;
  p.log.segment_size =
      2 * (r.batch.batch_max + 8 * kib) + pick<std::size_t, 3>(random, {0, 32 * kib, 256 * kib});
  p.log.group_bytes_max = r.group_bytes_max;
  p.log.tail_cache_bytes = pick<std::size_t, 3>(random, {4 * kib, 64 * kib, 2048 * kib});
  p.log.spare_segments = random.below(3);
  p.log.waypoint_interval = pick<std::size_t, 2>(random, {4 * kib, 64 * kib});
  p.log.read_slack = pick<std::size_t, 3>(random, {1 * kib, 4 * kib, 64 * kib});
  p.turn = pick<Micros, 3>(random, {5, 50, 400});
}

// Most worlds let messages go, some of them faster than a subscriber that falls behind can read.
void draw_retention(Random& random, Parameters& p) {
  replica::Options& r = p.replica;
  const std::uint64_t segment = p.log.segment_size;
  r.snapshots.bytes = segment * pick<std::uint64_t, 4>(random, {1, 2, 8, 1000});
  r.snapshots.age_ms = pick<std::uint64_t, 3>(random, {1000, 10'000, 100'000});
  r.retention_interval_ms = pick<std::uint64_t, 2>(random, {100, 1000});
  r.retention_hold_ms = pick<std::uint64_t, 3>(random, {0, 2000, 30'000});
  if (random.chance(400'000)) return;
  r.retention.bytes = segment * pick<std::uint64_t, 4>(random, {0, 1, 2, 6});
  r.retention.bytes_max =
      r.retention.bytes + segment * pick<std::uint64_t, 4>(random, {0, 1, 4, 1000});
  r.retention.age_us = pick<Micros, 3>(random, {0, 2 * second, 20 * second});
}

void draw_times(Random& random, Parameters& p) {
  zab::Options& z = p.replica.zab;
  z.heartbeat_ms = pick<std::uint64_t, 3>(random, {50, 100, 200});
  z.peer_timeout_ms = 10 * z.heartbeat_ms;
  z.finalize_wait_ms = pick<std::uint64_t, 3>(random, {20, 200, 400});
  z.sync_timeout_ms = pick<std::uint64_t, 2>(random, {3000, 10000});
  p.replica.disk_stuck_ms = pick<std::uint64_t, 2>(random, {2000, 10000});
  p.replica.client_timeout_ms = pick<std::uint64_t, 2>(random, {4000, 15000});
}

void draw_faults(Random& random, Parameters& p) {
  p.fault_every = pick<Micros, 6>(
      random, {100 * millisecond, 300 * millisecond, second, 2 * second, 4 * second, 8 * second});
  for (std::uint32_t& weight : p.weights) {
    weight = random.chance(450'000) ? static_cast<std::uint32_t>(random.between(1, 8)) : 0;
  }
  // Some worlds are calm: what needs a healthy cluster around it happens only there.
  if (random.chance(200'000)) {
    p.weights = {};
    p.fault_every = pick<Micros, 2>(random, {2 * second, 4 * second});
    for (int kinds = 0; kinds < 3; ++kinds) p.weights[random.below(fault_kinds)] = 1;
    p.weights[static_cast<std::size_t>(random.coin() ? Fault::old_disk : Fault::wipe)] = 2;
    p.links = {.delay = p.links.delay};
  }
  // A jump by years makes every publisher expire. One that keeps its id and had no answer before
  // that cannot know what was taken: nobody promises it more.
  p.wall_jump_max = random.coin() ? 600 * second : 10 * 365 * 86'400 * second;
  p.clients.keep_ids = p.wall_jump_max < 3600 * second;
  // Frames are hit one by one, by the links' own chances.
  for (const Fault f : {Fault::lost_frame, Fault::duplicate_frame, Fault::stale_frame,
                        Fault::corrupt_frame, Fault::lost_entry}) {
    p.weights[static_cast<std::size_t>(f)] = 0;
  }
}

// In some worlds a client fills what is kept for it: it is forgotten, told to wait, or hears that
// its batch was taken too long ago.
void draw_client_bounds(Random& random, Parameters& p) {
  replica::Options& r = p.replica;
  if (random.chance(400'000)) r.answers_max = pick<std::size_t, 3>(random, {2, 8, 64});
  if (random.chance(250'000)) r.receipts_max = pick<std::size_t, 3>(random, {8, 32, 128});
  if (random.chance(125'000)) r.receipts_total_max = pick<std::size_t, 3>(random, {4, 64, 512});
  if (random.chance(250'000)) r.subscriptions_max = 1;
  // One that keeps its id would have to come back before it expires: nobody promises it more.
  // Nobody expires either while log time waits for a clock that has jumped back.
  const bool steady = p.weights[static_cast<std::size_t>(Fault::clock_jump)] == 0;
  if (steady && random.chance(500'000)) {
    r.publishers_max = p.clients.publishers + random.below(3);
    r.publisher_ttl_us = 20 * second;
    p.clients.keep_ids = false;
  }
}

}  // namespace

Parameters draw_parameters(std::uint64_t seed, bool fault_free) {
  Random random(seed ^ 0x5eed'0000'0000'0000);
  Parameters p;
  p.seed = seed;
  p.servers = pick<std::size_t, 16>(random, {3, 3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 1, 2, 4, 6, 7});
  draw_links(random, p);
  draw_disks(random, p);
  draw_clients(random, p);
  draw_bounds(random, p);
  draw_retention(random, p);
  draw_times(random, p);
  draw_faults(random, p);
  p.safety = std::min(random.between(10, 60) * second, time_for_messages(p.clients));
  if (!fault_free) {
    draw_client_bounds(random, p);
  } else {
    p.links = {.delay = p.links.delay};
    p.replica.retention = {};  // nobody asks for what was let go
    p.fault_every = 0;
    p.weights = {};
    p.safety = random.between(3, 10) * second;
  }
  return p;
}

std::string Parameters::text() const {
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  std::string text = "seed " + number(seed) + ": " + number(servers) + " servers, " +
                     number(clients.publishers) + " publishers, " + number(clients.subscribers) +
                     " subscribers; delay " + number(links.delay) + " us, loss " +
                     number(links.loss) + " ppm; sync " + number(disks.sync) + " us; segments " +
                     number(log.segment_size >> 10) + " KiB; " + number(safety / second) + " s";
  if (fault_every == 0) return text + ", no faults";
  text += ", a fault each " + number(fault_every / millisecond) + " ms:";
  for (std::size_t f = 0; f < fault_kinds; ++f) {
    if (weights[f] > 0) text += " " + std::string(name_of(static_cast<Fault>(f)));
  }
  return text;
}

}  // namespace zabmq::sim
