// Frame: what the two ends say to each other, as section 4 of docs/wire.md has it. Frames to the
// server are arrays, right or wrong; those from the server are checked and become structs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conformance/value.hpp"
#include "zabmq/record.hpp"
#include "zabmq/result.hpp"

namespace zabmq::cli::conformance {

// A server that breaks the rule which is being checked.
struct Broken {
  std::string expected;
  std::string got;
};

enum class Command : std::uint64_t {
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

constexpr std::uint64_t about_connection = 0;
constexpr std::uint64_t about_publish = 1;
constexpr std::uint64_t about_subscribe = 2;
constexpr std::uint64_t about_cursor = 5;

Bytes bytes_of(std::string_view text);
std::uint64_t checksum_of(std::string_view bytes);
std::string sealed(std::string_view array);  // its checksum in front
std::string header_of(const List& array);

// --- batch bodies (section 2) ---

struct OutMessage {
  std::string topic;
  std::string payload;
  std::string headers = {};
  std::uint8_t flags = 0;
};
std::string body_of(const std::vector<OutMessage>& messages);

// --- from the server ---

struct Frame {
  Command command{};
  List elements;  // behind the command, as many as section 4.2 names at least, of its types
  std::string body;

  std::uint64_t number(std::size_t i) const { return std::get<std::uint64_t>(elements.at(i).is); }
  bool flag(std::size_t i) const { return std::get<bool>(elements.at(i).is); }
  const std::string& text(std::size_t i) const { return std::get<std::string>(elements.at(i).is); }
  Uuid id(std::size_t i) const;
};

// Throws Broken: it is none that section 4.2 knows.
Frame frame_of(const std::vector<std::string>& parts);
std::string to_text(const Frame& frame);

struct Welcome {
  explicit Welcome(const Frame& frame);
  std::uint64_t version;
  Uuid cluster, history;
  std::uint64_t server, leader;
  std::string leader_endpoint;
  bool publisher_open;
  Instance instance;
  Sequence last_sequence;
  std::uint64_t payload_max, batch_bytes_max, heartbeat_ms;
};

struct BatchReceipt {
  explicit BatchReceipt(const Frame& frame);
  Sequence first_sequence;
  std::uint64_t count;
  Offset base_offset;
  Zxid zxid;
  Offset last_offset() const { return base_offset + count - 1; }
};

struct Refused {
  explicit Refused(const Frame& frame);
  std::uint64_t about, id;
  Code code;
  Outcome outcome;
  std::string text;
  Sequence last_sequence;
  bool hole;
  Offset last_offset;
  std::optional<Offset> expect_last_offset;
};

struct Record {
  RecordHeader header;
  std::string body;
};
// Throws Broken: not whole records, back to back, each with both of its checksums.
std::vector<Record> records_of(std::string_view body);

}  // namespace zabmq::cli::conformance
