// Client frames: what clients and servers say to each other, one struct a frame. On the wire a
// frame is a header part (XXH3-64 of the rest, 8 bytes little-endian, then a msgpack array whose
// first element is the command) and, where noted, one raw body part. docs/wire.md is the
// specification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "zabmq/result.hpp"
#include "zabmq/types.hpp"

namespace zabmq::wire {

// STATUS answers and topic lists are the largest.
inline constexpr std::size_t header_size_max = 64 * 1024;
inline constexpr std::size_t topics_max = 64;  // of one subscription
inline constexpr std::size_t topic_size_max = 200;
inline constexpr std::size_t endpoint_size_max = 256;
inline constexpr std::size_t text_size_max = 4096;
inline constexpr std::size_t servers_max = 16;
inline constexpr std::size_t counters_max = 256;
inline constexpr std::size_t counter_size_max = 128;  // of one "name=value"
inline constexpr std::size_t cursors_max = 256;       // of one CURSORS
inline constexpr std::uint32_t version_min = 1;
inline constexpr std::uint32_t version_max = 1;

// First element of every header; fixed for ever. A retired number is never used again.
enum class Command : std::uint8_t {
  hello = 1,
  publish = 2,
  subscribe = 3,
  credit = 4,
  unsubscribe = 5,
  ping = 6,
  status = 7,
  close = 8,
  bye = 9,
  move_cursor = 10,
  list_cursors = 11,
  welcome = 65,
  receipt = 66,
  refused = 67,
  subscribed = 68,
  deliver = 69,
  gap = 70,
  covered = 71,
  pong = 72,
  reset = 73,
  closed = 74,
  status_answer = 75,
  cursor_moved = 76,
  cursors = 77
};

// --- client to server ---

// First on every connection; anything else from an unknown connection is answered RESET.
// A publisher names itself; instance 0 opens a new instance (a transaction: WELCOME waits for it),
// else the same process reconnects.
struct Hello {
  std::uint32_t version_min = wire::version_min;
  std::uint32_t version_max = wire::version_max;
  Uuid cluster;  // all zero: any; else a server of another cluster refuses by name
  Uuid history;
  std::uint64_t config_version = 0;
  Uuid publisher;  // all zero: no publisher
  Instance instance = 0;
  // With instance 0: the newest instance that this publisher's processes have had. REFUSED expired
  // when the cluster has forgotten it since.
  std::optional<Instance> known = std::nullopt;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// Body: a batch body. Answered by RECEIPT or REFUSED with the same first_sequence.
struct Publish {
  Instance instance = 0;
  Sequence first_sequence = 0;
  std::uint32_t count = 0;
  Digest body_checksum = Digest::none;
  // Taken only if the last offset given out is this one.
  std::optional<Offset> expect_last_offset = std::nullopt;
  friend bool operator==(const Publish&, const Publish&) = default;
};

// fresh: "new", behind everything acknowledged to anyone before.
enum class StartKind : std::uint8_t { first = 0, fresh = 1, offset = 2, zxid = 3, time = 4 };

struct Subscribe {
  std::uint64_t subscription = 0;  // chosen by the client, unique on its connection
  StartKind start = StartKind::fresh;
  Offset offset = 0;       // start == offset: the first one wanted
  Zxid zxid;               // start == zxid
  bool until_end = false;  // ask the leader for the end; SUBSCRIBED carries it
  std::uint64_t credit_messages = 0;
  std::uint64_t credit_bytes = 0;
  std::vector<std::string> topics;  // or prefixes; empty: all. The client filters in version 1
  LogTime time = 0;                 // start == time
  // A durable cursor: if it exists, the start is behind what was acknowledged to it instead.
  std::optional<std::string> cursor = std::nullopt;
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};

struct Credit {
  std::uint64_t subscription = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  // added
  friend bool operator==(const Credit&, const Credit&) = default;
};
struct Unsubscribe {
  std::uint64_t subscription = 0;
  friend bool operator==(const Unsubscribe&, const Unsubscribe&) = default;
};
struct ClientPing {
  friend bool operator==(const ClientPing&, const ClientPing&) = default;
};
struct StatusQuestion {
  std::uint64_t request = 0;
  friend bool operator==(const StatusQuestion&, const StatusQuestion&) = default;
};
// Ends the publisher's instance and frees its entry (a transaction). Answered by CLOSED or REFUSED.
struct ClosePublisher {
  Instance instance = 0;
  friend bool operator==(const ClosePublisher&, const ClosePublisher&) = default;
};
struct Bye {
  friend bool operator==(const Bye&, const Bye&) = default;
};
// "I have everything up to offset": the cursor is there, and nowhere below it. Or it is removed. A
// transaction. Answered by CURSOR-MOVED or REFUSED with the same request; sending it again is safe.
struct MoveCursor {
  std::uint64_t request = 0;
  std::string cursor;  // its name: by the rules of a topic
  Offset offset = 0;
  bool remove = false;
  friend bool operator==(const MoveCursor&, const MoveCursor&) = default;
};
// Those with names behind `after`, as this server has delivered them.
struct ListCursors {
  std::uint64_t request = 0;
  std::string after;
  friend bool operator==(const ListCursors&, const ListCursors&) = default;
};

using ClientMessage = std::variant<Hello, Publish, Subscribe, Credit, Unsubscribe, ClientPing,
                                   StatusQuestion, ClosePublisher, Bye, MoveCursor, ListCursors>;

// --- server to client ---

struct Welcome {
  std::uint32_t version = wire::version_max;  // chosen
  Uuid cluster;
  Uuid history;
  std::uint64_t config_version = 0;
  ServerId server = ServerId::none;
  ServerId leader = ServerId::none;  // none: no leader known
  std::string leader_endpoint;       // its client endpoint; empty without leader
  bool publisher_open = false;       // instance and last_sequence are valid: publish here
  Instance instance = 0;
  Sequence last_sequence = 0;  // last one taken of this publisher
  std::uint64_t payload_max = 0;
  std::uint64_t batch_bytes_max = 0;
  std::uint64_t heartbeat_ms = 0;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

struct Receipt {  // of a whole batch
  Sequence first_sequence = 0;
  std::uint32_t count = 0;
  Offset base_offset = 0;  // of its first message
  Zxid zxid;
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

// `id` names the request: first sequence, subscription, request. About the connection (HELLO) it is
// 0, or the newest instance when the publisher was opened again.
enum class About : std::uint8_t {
  connection = 0,
  publish = 1,
  subscribe = 2,
  status = 3,
  close = 4,
  cursor = 5
};
struct Refused {
  About about = About::connection;
  std::uint64_t id = 0;
  Code code = Code::refused;
  Outcome outcome = Outcome::no;
  std::string text;
  Sequence last_sequence = 0;   // publish: last one taken; a hole is resent from there
  bool hole = false;            // publish: first_sequence was not last_sequence + 1
  std::string leader_endpoint;  // with not_leading: go there; empty: no leader is known
  bool not_leading = false;     // publish: this server does not lead
  Offset first_offset = 0;      // subscribe: bounds of what could be asked for
  Offset last_offset = 0;  // subscribe; publish with a condition, cursor: the last committed one
  // publish: the condition that did not hold. Its batch alone is refused, not its publisher.
  std::optional<Offset> expect_last_offset = std::nullopt;
  friend bool operator==(const Refused&, const Refused&) = default;
};

struct Subscribed {
  std::uint64_t subscription = 0;
  Offset next = 0;  // first offset that will be delivered
  Offset end = 0;   // until_end: last offset committed when it was asked; may be next - 1
  bool has_end = false;
  bool from_cursor = false;  // the cursor exists and gave `next`: `start` does not count
  friend bool operator==(const Subscribed&, const Subscribed&) = default;
};

// Body: whole log records, back to back, possibly of kinds that are no batch. Messages below `next`
// of SUBSCRIBED in the first batch are skipped by the client.
struct Deliver {
  std::uint64_t subscription = 0;
  Offset after = 0;  // the stream so far covers up to here
  Offset up_to = 0;  // with this frame it covers up to here
  friend bool operator==(const Deliver&, const Deliver&) = default;
};

// The subscription is over.
struct Gap {
  std::uint64_t subscription = 0;
  Offset first = 0;
  friend bool operator==(const Gap&, const Gap&) = default;
};
// Idle heartbeat of a subscription.
struct Covered {
  std::uint64_t subscription = 0;
  Offset up_to = 0;
  friend bool operator==(const Covered&, const Covered&) = default;
};
struct ServerPong {
  Offset last_committed = 0;
  friend bool operator==(const ServerPong&, const ServerPong&) = default;
};
// The connection is unknown: HELLO again.
struct Reset {
  std::string reason;
  friend bool operator==(const Reset&, const Reset&) = default;
};
struct Closed {
  Instance instance = 0;
  friend bool operator==(const Closed&, const Closed&) = default;
};

struct ServerAddress {
  ServerId id = ServerId::none;
  std::string client_endpoint;
  friend bool operator==(const ServerAddress&, const ServerAddress&) = default;
};
struct StatusAnswer {
  std::uint64_t request = 0;
  ServerId server = ServerId::none;
  Role role = Role::looking;
  Phase phase = Phase::election;
  Epoch epoch = Epoch::none;  // currentEpoch, or the one being established
  Zxid last_logged;
  Zxid last_committed;
  Offset first_offset = 0;
  Offset last_offset = 0;  // last committed
  ServerId leader = ServerId::none;
  std::vector<ServerAddress> servers;  // every configured server
  std::string durability;              // "fsync"
  std::string standing;                // "voter", "empty", "founding", "wiped"
  std::vector<std::string> counters;   // "name=value", for people and tests
  friend bool operator==(const StatusAnswer&, const StatusAnswer&) = default;
};

struct CursorMoved {
  std::uint64_t request = 0;
  Offset offset = 0;  // where the cursor stands; of one that was removed: 0
  friend bool operator==(const CursorMoved&, const CursorMoved&) = default;
};
struct CursorPlace {
  std::string name;
  Offset offset = 0;  // acknowledged
  friend bool operator==(const CursorPlace&, const CursorPlace&) = default;
};
struct Cursors {
  std::uint64_t request = 0;
  std::vector<CursorPlace> cursors;  // by name
  bool more = false;                 // ask for those behind the last of these
  Offset first_offset = 0;           // what this server keeps
  Offset last_offset = 0;
  friend bool operator==(const Cursors&, const Cursors&) = default;
};

using ServerMessage = std::variant<Welcome, Receipt, Refused, Subscribed, Deliver, Gap, Covered,
                                   ServerPong, Reset, Closed, StatusAnswer, CursorMoved, Cursors>;

// The header part, checksum first. A text over its limit is cut (it is for people); any other value
// over its limit is our own mistake and aborts.
std::vector<std::byte> encode(const ClientMessage& message);
std::vector<std::byte> encode(const ServerMessage& message);

// nullopt: too long, wrong checksum, unknown command, missing or mistyped field, a value over its
// limit, or trailing bytes. Extra array elements are ignored (a newer minor version). Never throws,
// never allocates more than its input justifies.
std::optional<ClientMessage> decode_client(Bytes header);
std::optional<ServerMessage> decode_server(Bytes header);

const char* name_of(const ClientMessage& message);
const char* name_of(const ServerMessage& message);

}  // namespace zabmq::wire
