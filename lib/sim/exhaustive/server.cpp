// Server: the tables of states, frames and steps.
#include "sim/exhaustive/server.hpp"

#include <utility>
#include <variant>

#include "sim/exhaustive/step.hpp"

namespace zabmq::sim::exhaustive {
namespace {

constexpr std::uint64_t first_now_ms = 1'000'000;

void add_record(Hasher& hasher, const Record& record) {
  hasher.add(record.zxid);
  hasher.add(record.digest);
}

void add_disk(Hasher& hasher, const Disk& disk) {
  add(hasher, disk.identity);
  hasher.add(disk.storing.has_value());
  if (disk.storing) add(hasher, *disk.storing);
  hasher.add(disk.log.size());
  for (const Record& record : disk.log) add_record(hasher, record);
  hasher.add(disk.durable);
  hasher.add(disk.rewind.has_value());
  if (disk.rewind) {
    hasher.add(disk.rewind->to);
    hasher.add(disk.rewind->digest);
  }
  hasher.add(disk.draining);
}

std::uint64_t fingerprint(const Server& server, Elections elections) {
  Hasher hasher;
  add(hasher, server.core, elections);
  add_disk(hasher, server.disk);
  hasher.add(server.seen.promised);
  hasher.add(server.seen.new_leader_at);
  hasher.add(server.seen.acked_leader);
  return hasher.hash();
}

std::uint64_t watched(const Server& server) {
  const zab::Core& core = server.core;
  Hasher hasher;
  hasher.add(server.disk.log.size());
  for (const Record& record : server.disk.log) add_record(hasher, record);
  hasher.add(server.disk.durable);
  hasher.add(server.disk.identity.incarnation);
  hasher.add_byte(static_cast<std::uint8_t>(server.disk.identity.standing));
  hasher.add(server.disk.identity.accepted);
  hasher.add(core.identity().accepted);
  hasher.add(core.last_committed());
  hasher.add_byte(static_cast<std::uint8_t>(core.role()));
  hasher.add_byte(static_cast<std::uint8_t>(core.phase()));
  hasher.add(core.leader());
  hasher.add(server.seen.acked_leader);
  return hasher.hash();
}

Summary summary_of(const Server& server) {
  const zab::Core& core = server.core;
  Summary summary;
  if (const auto* looking = std::get_if<zab::Looking>(&core.role_state())) {
    summary.looking = true;
    summary.may_be_elected = looking->drained && looking->round > 0 && core.taking_part() &&
                             !server.disk.storing &&
                             core.identity().standing == zab::Standing::voter;
    summary.may_join = looking->drained && core.taking_part() && !server.disk.storing &&
                       core.identity().standing != zab::Standing::voter;
    summary.waits_for_elected = looking->elected_at.has_value();
  }
  summary.voter = server.disk.identity.standing == zab::Standing::voter;
  summary.leading = core.role() == Role::leading;
  summary.broadcasting = core.leading_in_broadcast();
  summary.storing = server.disk.storing.has_value();
  summary.rewinding = server.disk.rewind.has_value();
  summary.draining = server.disk.draining;
  summary.unsynced = static_cast<std::uint8_t>(server.disk.unsynced());
  summary.watched = watched(server);
  return summary;
}

bool is_empty(const Effect::Notable& notable) {
  return notable.violations.empty() && notable.proposed.empty() && !notable.delivered &&
         !notable.asked && !notable.answered;
}

}  // namespace

std::size_t Servers::KeyHash::operator()(const Key& key) const {
  std::uint64_t mixed = (key.server_and_frame ^ (key.rest << 17)) * 0x9e37'79b9'7f4a'7c15;
  mixed = (mixed ^ (mixed >> 32)) * 0xd6e8'feb8'6659'fd93;
  return mixed ^ (mixed >> 32);
}

Servers::Key Servers::key_of(std::uint32_t server, const Input& input) {
  const auto kind = static_cast<std::uint64_t>(input.kind);
  const std::uint64_t kept = (input.identity_kept ? 1U : 0U) + (input.rewind_kept ? 2U : 0U);
  return {std::uint64_t{server} << 32 | input.frame,
          kind | std::uint64_t{input.peer} << 8 | std::uint64_t{input.count} << 16 | kept << 24};
}

std::uint32_t Frames::intern(Frame frame) {
  Hasher hasher;
  add(hasher, frame.message);
  hasher.add(frame.records.size());
  for (const Record& record : frame.records) add_record(hasher, record);
  const auto [at, added] =
      ids_.try_emplace(hasher.hash(), static_cast<std::uint32_t>(frames_.size()));
  if (added) frames_.push_back(std::move(frame));
  return at->second;
}

std::uint32_t Servers::intern(Server server) {
  const auto [at, added] = ids_.try_emplace(fingerprint(server, elections_),
                                            static_cast<std::uint32_t>(servers_.size()));
  if (added) {
    summaries_.push_back(summary_of(server));
    servers_.push_back(std::move(server));
  }
  return at->second;
}

std::uint32_t Servers::start(ServerId id, const Disk& disk, Zxid delivered) {
  zab::Core core = start_core(id, disk, delivered, first_now_ms);
  static_cast<void>(core.take_ready());  // votes, before anybody listens
  return intern({std::move(core), disk, {}, first_now_ms});
}

const Effect& Servers::step(std::uint32_t server, const Input& input) {
  const Key key = key_of(server, input);
  if (const auto at = effects_.find(key); at != effects_.end()) return at->second;
  Step step(servers_[server], grain_, frames_, nullptr);
  step.take(input);
  Effect effect;
  effect.next = intern(std::move(step.server()));
  effect.outputs = std::move(step.outputs());
  if (!is_empty(step.notable())) {
    effect.notable = std::make_shared<const Effect::Notable>(step.notable());
  }
  return effects_.emplace(key, std::move(effect)).first->second;
}

void Servers::explain(std::uint32_t server, const Input& input, Lines& lines) {
  Step step(servers_[server], grain_, frames_, &lines);
  step.take(input);
}

}  // namespace zabmq::sim::exhaustive
