// Invariants: is what a server is about to say true?
#include <algorithm>
#include <string>
#include <variant>

#include "sim/invariants.hpp"
#include "sim/memory_disk.hpp"

namespace zabmq::sim {

void Invariants::check_claim(ServerId server, Zxid claimed, const char* message) {
  Seen& at = seen(server);
  const std::optional<std::size_t> count = count_up_to(at, claimed);
  if (!count) {
    return complain(
        "W4", server,
        std::string(message) + " of " + to_string(claimed) + ", which is not in its history");
  }
  if (!platter_holds(at, *count)) {
    return complain(
        "W4", server,
        std::string(message) + " of " + to_string(claimed) + ", which is not on its platter");
  }
  // Nobody counts on a history that a crash may still take back: ACK-LD comes behind the switch.
  if (!at.aside) at.acked = std::max(at.acked, *count);
}

// The promise is durable before it is given.
void Invariants::check_promise(ServerId server, Epoch epoch, const char* message) {
  const Seen& at = seen(server);
  if (at.accepted >= epoch) return;
  complain("W4", server,
           std::string(message) + " for epoch " + to_string(epoch) +
               ", its durable acceptedEpoch is " + to_string(at.accepted));
}

// I3: whoever has promised an epoch acknowledges nothing to the leader of an older one.
void Invariants::check_acknowledgement(ServerId server, const zab::Core& core,
                                       const char* message) {
  const auto* following = std::get_if<zab::Following>(&core.role_state());
  const Epoch promised = seen(server).accepted;
  if (!following || following->epoch >= promised) return;
  complain("I3", server,
           std::string(message) + " in epoch " + to_string(following->epoch) +
               ", and it has promised epoch " + to_string(promised));
}

void Invariants::receiving_cepoch(ServerId server, const zab::Core& core, Epoch accepted) {
  Seen& at = seen(server);
  if (core.role() == Role::leading) at.heard = std::max(at.heard, accepted);
}

// Who has promised a later epoch can never follow this leader: it gives way, if it has not just
// done so (zab.md 1.9).
void Invariants::received_cepoch(ServerId server, const zab::Core& core, Epoch accepted,
                                 std::uint64_t now_ms) {
  const auto* leading = std::get_if<zab::Leading>(&core.role_state());
  if (!leading || !leading->epoch || accepted <= *leading->epoch) return;
  const std::optional<std::uint64_t> last = seen(server).renounced_ms;
  if (last && now_ms - *last < zab::Options{}.renounce_interval_ms) return;
  complain("renounce", server,
           "leads on in epoch " + to_string(*leading->epoch) + ", a voter has promised " +
               to_string(accepted));
}

void Invariants::renounced(ServerId server, std::uint64_t now_ms) {
  seen(server).renounced_ms = now_ms;
}

void Invariants::sending(ServerId server, const zab::Core& core, ServerId to,
                         const zab::Message& message) {
  Seen& at = seen(server);
  if (const auto* vote = std::get_if<zab::Vote>(&message)) {
    if (at.standing != zab::Standing::voter) {
      complain("standing", server, "votes, and is no voter");
    }
    const bool own = vote->role == Role::looking && vote->leader == server;
    if (own) check_claim(server, vote->last, "VOTE");
    if (own && vote->current_epoch > at.current) {
      complain("W4", server, "votes with a currentEpoch that is not durable");
    }
  } else if (const auto* epoch = std::get_if<zab::NewEpoch>(&message)) {
    check_promise(server, epoch->epoch, "NEWEPOCH");
    seen(to).known_better = is_none(epoch->furthest.incarnation) ? Epoch::none : epoch->epoch;
  } else if (const auto* ack_epoch = std::get_if<zab::AckEpoch>(&message)) {
    check_promise(server, ack_epoch->epoch, "ACK-E");
    check_claim(server, ack_epoch->history.last(), "ACK-E");
    if (ack_epoch->current != at.current) {
      complain("W4", server, "ACK-E with a currentEpoch that is not the durable one");
    }
    if (ack_epoch->promised) note_promise(server, ack_epoch->epoch);
    if (ack_epoch->promised && !at.promised.insert(ack_epoch->epoch).second) {
      complain("I2", server, "a second ACK-E that counts for epoch " + to_string(ack_epoch->epoch));
    }
  } else if (const auto* ack_leader = std::get_if<zab::AckLeader>(&message)) {
    note_acknowledged(server, ack_leader->epoch);
    check_acknowledgement(server, core, "ACK-LD");
    if (at.forgot && at.standing == zab::Standing::voter && at.known_better == ack_leader->epoch) {
      complain("old copy", server, "ACK-LD as a voter, though its leader had seen it further");
    }
    const auto* following = std::get_if<zab::Following>(&core.role_state());
    if (!following) return;
    check_claim(server, following->new_leader_at.value_or(Zxid{}), "ACK-LD");
    if (at.current != following->epoch) {
      complain("W4", server, "ACK-LD before currentEpoch is durable");
    }
  } else if (std::get_if<zab::Admitted>(&message)) {
    if (!counts(server)) complain("admit", server, "ADMITTED before its mark is durable");
  } else if (const auto* ack = std::get_if<zab::Ack>(&message)) {
    check_claim(server, ack->durable, "ACK");
    check_acknowledgement(server, core, "ACK");
  } else if (const auto* progress = std::get_if<zab::Progress>(&message)) {
    check_claim(server, progress->durable, "PROGRESS");
  }
}

// I11: a session carries every frame of its sender once and in order, or it ends.
void Invariants::session_frame(ServerId at, ServerId from, const std::string& trouble) {
  complain("I11", at, "from server " + to_string(from) + ": " + trouble);
}

void Invariants::alarm(ServerId server, ServerId about, const std::string& text) {
  if (!excused(server) && !excused(about)) complain("alarm", server, text);
}

void Invariants::protocol_error(ServerId server, ServerId peer, const std::string& text) {
  if (excused(server) || excused(peer)) return;
  complain("protocol", server, "of server " + to_string(peer) + ": " + text);
}

void Invariants::receipt(ServerId server, const zab::Core& core, Zxid zxid) {
  look(server, core);
  if (zxid > last_committed()) {
    complain("receipt", server, "a receipt for " + to_string(zxid) + ", which is not committed");
  }
}

void Invariants::heartbeat(ServerId server, std::uint64_t write_age_ms, std::uint64_t stuck_ms) {
  constexpr std::uint64_t turn_ms = 100;
  if (write_age_ms <= stuck_ms + turn_ms) return;
  complain("stuck disk", server,
           "goes on with heartbeats, and a write has not returned for " +
               std::to_string(write_age_ms) + " ms");
}

void Invariants::fatal(ServerId server, const std::string& text) {
  if (!excused(server)) complain("fatal", server, text);
}

void Invariants::stopped(ServerId server, const std::string& text) {
  complain("stop", server, "stops, and its disk has done nothing: " + text);
}

}  // namespace zabmq::sim
