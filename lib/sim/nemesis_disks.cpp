// Nemesis: faults of disks, each where it shows or does not matter.
#include "sim/nemesis.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace zabmq::sim {

void Nemesis::strike_disk(Fault fault, Server& server) {
  using Operation = MemoryDisk::Operation;
  const Micros now = at_.timeline.now();
  switch (fault) {
    case Fault::slow_disk:
      return server.disk_latency(fault, random_.between(5, 300) * millisecond, now + while_());
    case Fault::stuck_disk:
      return server.disk_latency(fault, random_.between(1, 30) * second, now + 100 * millisecond);
    case Fault::write_error:
    case Fault::sync_error:
    case Fault::read_error: {
      if (!server.up()) return;
      const Operation operation = fault == Fault::write_error  ? Operation::write
                                  : fault == Fault::sync_error ? Operation::sync
                                                               : Operation::read;
      return server.disk().fail(operation, EIO, random_.below(6));
    }
    case Fault::no_space:
      if (!server.up()) return;
      server.hit(fault);
      return fill_disk(server);
    case Fault::bit_flip:
    case Fault::misdirected_write:
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

void Nemesis::fill_disk(Server& server) {
  const std::uint64_t used = roomy - std::min(roomy, server.disk().free_bytes());
  server.disk().set_capacity(used + random_.below(3 * at_.parameters.log.segment_size));
  at_.timeline.after(while_(), [this, &server] {
    if (!over_) server.disk().set_capacity(roomy);
  });
}

// A minority, and only where the loss shows or does not matter: promise 2 of the design.
bool Nemesis::may_damage(const Server& server) const {
  if (at_.invariants.is_damaged(server.id()) || at_.invariants.committed_count() == 0) return false;
  return at_.invariants.damaged_count() < (at_.servers.size() - 1) / 2;
}

// A bit, or the bytes of another record, in a record that a later mark proves to have been synced:
// a server that trusts its disk there is broken.
void Nemesis::damage_record(Fault fault, Server& server) {
  const std::size_t count = at_.invariants.on_platter(server.id());
  if (count == 0 || !may_damage(server)) return;
  const auto digest = at_.invariants.digest_at(server.id(), random_.below(count));
  if (!digest || !server.platter().proven(*digest)) return;
  const Platter::Place target = *server.platter().place_of(*digest);
  const std::optional<std::string> name = server.platter().file_name(target.file);
  const auto& live = server.disk().state().live;
  if (!name || !live.contains(*name) || live.at(*name) != target.file) return;
  server.hit(fault);
  at_.invariants.damaged(server.id());
  if (fault == Fault::bit_flip) {
    return server.disk().flip_bit(*name, target.position + random_.below(target.size),
                                  static_cast<unsigned>(random_.below(8)));
  }
  const auto other = at_.invariants.digest_at(server.id(), random_.below(count));
  const Platter::Place* source = other ? server.platter().place_of(*other) : nullptr;
  if (!source || source->position == target.position) source = nullptr;
  const std::vector<std::byte> junk(64, std::byte{0});
  Bytes bytes = junk;
  if (source) {
    const auto file = server.disk().state().files.find(source->file);
    if (file != server.disk().state().files.end() &&
        source->position + source->size <= file->second.cache.size()) {
      bytes = Bytes(file->second.cache)
                  .subspan(static_cast<std::size_t>(source->position), source->size);
    }
  }
  const std::vector<std::byte> copy(
      bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(
                                         std::min<std::size_t>(bytes.size(), target.size)));
  server.disk().overwrite(*name, target.position, copy);
}

void Nemesis::wipe(Server& server) {
  say("server " + to_string(server.id()) + " gets an empty directory");
  server.wipe();
  plan_start(server, while_());
}

}  // namespace zabmq::sim
