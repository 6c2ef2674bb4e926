// Nemesis: faults of disks, each where it shows or does not matter.
#include "sim/nemesis.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/snapshot.hpp"

namespace zabmq::sim {
namespace {

MemoryDisk::Operation operation_of(Fault fault) {
  switch (fault) {
    case Fault::write_error:
      return MemoryDisk::Operation::write;
    case Fault::sync_error:
      return MemoryDisk::Operation::sync;
    case Fault::create_error:
      return MemoryDisk::Operation::create;
    case Fault::rename_error:
      return MemoryDisk::Operation::rename;
    case Fault::remove_error:
      return MemoryDisk::Operation::remove;
    case Fault::directory_sync_error:
      return MemoryDisk::Operation::sync_directory;
    default:
      return MemoryDisk::Operation::read;
  }
}

}  // namespace

void Nemesis::strike_disk(Fault fault, Server& server) {
  const Micros now = at_.timeline.now();
  switch (fault) {
    case Fault::slow_disk:
      return server.disk_latency(fault, random_.between(5, 300) * millisecond, now + while_());
    case Fault::stuck_disk:
      return server.disk_latency(fault, random_.between(1, 30) * second, now + 100 * millisecond);
    case Fault::write_error:
    case Fault::sync_error:
    case Fault::read_error:
    case Fault::create_error:
    case Fault::rename_error:
    case Fault::remove_error:
    case Fault::directory_sync_error:
      return arm_error(fault, server);
    case Fault::no_space:
      if (server.up()) fill_disk(server);
      return;
    case Fault::mark_flip:
    case Fault::header_flip:
    case Fault::identity_flip:
      return flip_anywhere(fault, server);
    case Fault::snapshot_flip:
      return flip_snapshot(server);
    case Fault::bit_flip:
    case Fault::misdirected_write:
    case Fault::lost_write:
      return damage_record(fault, server);
    case Fault::wipe:
      if (!may_damage(server)) return;
      server.hit(fault);
      server.kill();
      return wipe(server);
    case Fault::old_disk:
      return strike_old_disk(server);
    default:
      return;
  }
}

// It is booked by the operation that meets it. Often that is one of the next start.
void Nemesis::arm_error(Fault fault, Server& server) {
  if (!server.up()) return;
  if (random_.coin()) {
    server.hit(Fault::kill);
    server.kill();
    plan_start(server, 50 * millisecond);
  }
  const MemoryDisk::Operation operation = operation_of(fault);
  const bool frequent = operation == MemoryDisk::Operation::write ||
                        operation == MemoryDisk::Operation::sync ||
                        operation == MemoryDisk::Operation::read;
  server.disk().fail(operation, EIO, frequent ? random_.below(6) : 0);
}

void Nemesis::fill_disk(Server& server) {
  const std::uint64_t used =
      MemoryDisk::roomy - std::min(MemoryDisk::roomy, server.disk().free_bytes());
  server.limit_space(used + random_.below(3 * at_.parameters.log.segment_size));
  at_.timeline.after(while_(), [this, &server] {
    if (!over_) server.space_returns();
  });
}

// A minority, and only where the loss shows or does not matter: promise 2 of the design.
bool Nemesis::may_damage(const Server& server) const {
  if (at_.invariants.is_damaged(server.id()) || at_.invariants.committed_count() == 0) return false;
  return at_.invariants.damaged_count() < (at_.servers.size() - 1) / 2;
}

// Of a file that programs see under the name that it has durably.
std::optional<std::string> Nemesis::file_at(const Server& server,
                                            const Platter::Place& place) const {
  std::optional<std::string> name = server.platter().file_name(place.file);
  const auto& live = server.disk().state().live;
  if (!name || !live.contains(*name) || live.at(*name) != place.file) return std::nullopt;
  return name;
}

// A server that starts with this must refuse. Often that is at once.
void Nemesis::flip_anywhere(Fault fault, Server& server) {
  if (!may_damage(server)) return;
  std::string name = "identity";
  std::uint64_t position = 0;
  if (fault == Fault::identity_flip) {
    const auto& live = server.disk().state().live;
    if (!live.contains(name)) return;
    position = random_.below(server.disk().content(name).size());
  } else {
    const std::vector<Platter::Place> places = fault == Fault::mark_flip
                                                   ? server.platter().proven_marks()
                                                   : server.platter().proven_headers();
    if (places.empty()) return;
    const Platter::Place& chosen = places[random_.below(places.size())];
    const std::optional<std::string> found = file_at(server, chosen);
    if (!found) return;
    name = *found;
    position = chosen.position + random_.below(chosen.size);
  }
  server.hit(fault);
  at_.invariants.damaged(server.id());
  server.flip_bit(name, position);
  if (!server.up() || random_.coin()) return;
  server.kill();
  plan_start(server, 50 * millisecond);
}

// As long as there is an older one of the same history, no server may miss it: what the older one
// needs is still there. Otherwise it counts as damage.
void Nemesis::flip_snapshot(Server& server) {
  std::map<std::pair<std::uint32_t, Zxid>, std::string> snapshots;
  for (const auto& [name, file] : server.disk().state().live) {
    if (const auto place = storage::parse_snapshot_name(name)) snapshots[*place] = name;
  }
  if (snapshots.empty()) return;
  const std::uint32_t generation = snapshots.rbegin()->first.first;
  const std::string name = snapshots.rbegin()->second;
  const bool older = std::any_of(snapshots.begin(), std::prev(snapshots.end()), [&](const auto& s) {
    const auto bytes = std::make_shared<std::vector<std::byte>>(server.disk().content(s.second));
    const auto parsed = storage::parse_snapshot(Slice(bytes, Bytes{*bytes}));
    return s.first.first == generation && parsed.kind == storage::ParsedSnapshot::Kind::valid;
  });
  if (!older && !may_damage(server)) return;
  server.hit(Fault::snapshot_flip);
  if (!older) at_.invariants.damaged(server.id());
  server.flip_bit(name, random_.below(server.disk().content(name).size()));
  if (!server.up() || random_.coin()) return;
  server.kill();
  plan_start(server, 50 * millisecond);
}

// A bit, or the bytes of another record, in a record that a later mark proves to have been synced:
// a server that trusts its disk there is broken. With a lost write the place of the other record
// holds what was there before: zeros.
void Nemesis::damage_record(Fault fault, Server& server) {
  const std::size_t count = at_.invariants.on_platter(server.id());
  if (count == 0 || !may_damage(server)) return;
  const auto proven = [&](std::uint64_t number) -> const Platter::Place* {
    const auto digest = at_.invariants.digest_at(server.id(), number);
    if (!digest || !server.platter().proven(*digest)) return nullptr;
    const Platter::Place* place = server.platter().place_of(*digest);
    return file_at(server, *place) ? place : nullptr;
  };
  const Platter::Place* target = proven(random_.below(count));
  if (!target) return;
  const std::string name = *file_at(server, *target);
  if (fault == Fault::bit_flip) {
    server.hit(fault);
    at_.invariants.damaged(server.id());
    return server.flip_bit(name, target->position + random_.below(target->size));
  }
  const Platter::Place* source = proven(random_.below(count));
  if (!source || source == target) return;
  const std::string from = *file_at(server, *source);
  const Bytes bytes = Bytes(server.disk().content(from))
                          .subspan(static_cast<std::size_t>(source->position),
                                   std::min(source->size, target->size));
  const std::vector<std::byte> copy(bytes.begin(), bytes.end());
  server.hit(fault);
  at_.invariants.damaged(server.id());
  server.disk().overwrite(name, target->position, copy);
  if (fault == Fault::misdirected_write) return;
  server.disk().overwrite(from, source->position, std::vector<std::byte>(source->size));
}

void Nemesis::wipe(Server& server) {
  say("server " + to_string(server.id()) + " gets an empty directory");
  server.wipe();
  plan_start(server, while_());
}

}  // namespace zabmq::sim
