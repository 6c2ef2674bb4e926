// PeerCodec: peer frames <-> structs. A frame is one header part and, with some kinds, one raw body
// part, which the codec never touches. docs/wire.md is the specification.
//
// The header part is the XXH3-64 of the rest (8 bytes, little-endian) and then one msgpack array:
// the link's seven fields and the message's own, in an order that only grows at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "zab/message.hpp"
#include "zabmq/types.hpp"

namespace zabmq::net {

inline constexpr std::size_t peer_header_size_max = 32 * 1024;  // a full History or Propose fits
inline constexpr std::size_t runs_max = 1024;                   // of one PROPOSE
inline constexpr std::size_t forwarded_frame_max = 8 * 1024;    // of a client, or for one

// Numbers on the wire, never reused.
enum class Kind : std::uint8_t {
  vote = 1,
  standing = 2,
  cepoch = 3,
  ack_epoch = 4,
  progress = 5,
  ack_leader = 6,
  ack = 7,
  pong = 8,
  new_epoch = 9,
  diff = 10,
  trunc = 11,
  snap = 12,
  propose = 13,
  new_leader = 14,
  up_to_date = 15,
  commit = 16,
  ping = 17,
  end_question = 18,
  end_answer = 19,
  admitted = 20,
  state_taken = 21,
  forward = 22,
  forward_answer = 23,
  reset = 125,
  probe = 126,
  probe_answer = 127
};

// Who says it, in which life and in which session. Datagrams carry session 0 and the sender's
// datagram number. Control frames carry sequence 0, and as session the one that RESET ends or the
// number of the PROBE.
struct Link {
  Uuid cluster;  // all zero: the sender is empty
  ServerId sender = ServerId::none;
  ServerId receiver = ServerId::none;
  std::uint64_t incarnation = 0;  // drawn by the sender's process at its start, never 0
  std::uint64_t session = 0;      // drawn by the learner
  std::uint64_t sequence = 0;     // from 1 in each direction of a session
  friend bool operator==(const Link&, const Link&) = default;
};

// What the links say to each other, unseen by anybody above.
enum class Control : std::uint8_t {
  reset = static_cast<std::uint8_t>(Kind::reset),  // I have no such session (any more): end it, too
  probe = static_cast<std::uint8_t>(Kind::probe),  // whoever is alive there: answer
  probe_answer = static_cast<std::uint8_t>(Kind::probe_answer)
};

struct Frame {
  Link link;
  std::variant<zab::Message, Control> content;
  friend bool operator==(const Frame&, const Frame&) = default;
};

Kind kind_of(const zab::Message& message);

// True for the kinds that only a learner says to its leader; all other session kinds go the other
// way. Not to be asked about datagrams.
bool is_from_learner(const zab::Message& message);

// Precondition: what is encoded keeps the bounds that decode checks.
std::vector<std::byte> encode(const Link& link, const zab::Message& message);
std::vector<std::byte> encode(const Link& link, Control control);

// nullopt: too long, wrong checksum, unknown kind, a missing or mistyped field, a value out of
// range, a History or list of runs that cannot be, or trailing bytes. Further array elements are
// ignored: they are a newer version's. Never throws, and allocates no more than the header's own
// size.
std::optional<Frame> decode(Bytes header);

}  // namespace zabmq::net
