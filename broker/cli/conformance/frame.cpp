// Frame: the layouts of section 4.2, as one letter an element.
#include "cli/conformance/frame.hpp"

#include <algorithm>
#include <map>

namespace zabmq::cli::conformance {

namespace {

constexpr std::size_t header_size_max = 64 * 1024;
constexpr std::size_t checksum_size = 8;

struct Layout {
  const char* name;
  const char* elements;  // n: number, f: flag, s: text, i: id, l: list
};

const std::map<Command, Layout>& layouts() {
  static const std::map<Command, Layout> known = {
      {Command::welcome, {"WELCOME", "niinnnsfnnnnn"}},
      {Command::receipt, {"RECEIPT", "nnnnn"}},
      {Command::refused, {"REFUSED", "nnnnsnfsfnn"}},
      {Command::subscribed, {"SUBSCRIBED", "nnnff"}},
      {Command::deliver, {"DELIVER", "nnn"}},
      {Command::gap, {"GAP", "nn"}},
      {Command::covered, {"COVERED", "nn"}},
      {Command::pong, {"PONG", "n"}},
      {Command::reset, {"RESET", "s"}},
      {Command::closed, {"CLOSED", "n"}},
      {Command::status_answer, {"STATUS-ANSWER", "nnnnnnnnnnnnlssl"}},
      {Command::cursor_moved, {"CURSOR-MOVED", "nn"}},
      {Command::cursors, {"CURSORS", "nlfnn"}}};
  return known;
}

bool is_of(const Value& value, char type) {
  switch (type) {
    case 'n':
      return std::holds_alternative<std::uint64_t>(value.is);
    case 'f':
      return std::holds_alternative<bool>(value.is);
    case 's':
      return std::holds_alternative<std::string>(value.is);
    case 'i':
      return std::holds_alternative<Bin>(value.is) && std::get<Bin>(value.is).bytes.size() == 16;
    default:
      return std::holds_alternative<List>(value.is);
  }
}

bool fits(const List& elements, std::string_view types) {
  if (elements.size() < types.size()) return false;
  return std::equal(types.begin(), types.end(), elements.begin(),
                    [](char type, const Value& value) { return is_of(value, type); });
}

std::string little_endian(std::uint64_t number, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(number >> 8 * i & 0xff);
  return bytes;
}

[[noreturn]] void malformed(const std::string& what) {
  throw Broken{"a frame of section 4.2", what};
}

// The array, its command first.
List array_of(const std::string& header) {
  if (header.size() > header_size_max) malformed("a header of more than 64 KiB");
  if (header.size() < checksum_size || header != sealed(header.substr(checksum_size))) {
    malformed("a header with a wrong checksum");
  }
  const std::optional<Value> value = parse(std::string_view(header).substr(checksum_size));
  const List* array = value ? std::get_if<List>(&value->is) : nullptr;
  if (!array || array->empty() || !is_of(array->front(), 'n')) {
    malformed("a header that is no array with a command");
  }
  return *array;
}

}  // namespace

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::uint64_t checksum_of(std::string_view bytes) {
  return static_cast<std::uint64_t>(checksum(bytes_of(bytes)));
}

std::string sealed(std::string_view array) {
  return little_endian(checksum_of(array), checksum_size) + std::string(array);
}

std::string header_of(const List& array) {
  std::string bytes;
  append(bytes, array);
  return sealed(bytes);
}

std::string body_of(const std::vector<OutMessage>& messages) {
  std::string body;
  for (const OutMessage& message : messages) {
    body += little_endian(message.payload.size(), 4) + little_endian(message.topic.size(), 1) +
            little_endian(message.flags, 1) + little_endian(message.headers.size(), 2) +
            message.topic + message.headers + message.payload;
  }
  return body;
}

Uuid Frame::id(std::size_t i) const {
  Uuid id;
  const std::string& bytes = std::get<Bin>(elements.at(i).is).bytes;
  std::transform(bytes.begin(), bytes.end(), id.bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return id;
}

Frame frame_of(const std::vector<std::string>& parts) {
  if (parts.empty() || parts.size() > 2) malformed(std::to_string(parts.size()) + " parts");
  List array = array_of(parts.front());
  const auto command = Command{std::get<std::uint64_t>(array.front().is)};
  const auto layout = layouts().find(command);
  if (layout == layouts().end()) malformed(to_text(array));
  Frame frame{command, List(array.begin() + 1, array.end()), parts.size() > 1 ? parts[1] : ""};
  if (!fits(frame.elements, layout->second.elements)) malformed(to_text(frame));
  return frame;
}

std::string to_text(const Frame& frame) {
  const auto layout = layouts().find(frame.command);
  return (layout == layouts().end() ? "?" : layout->second.name) + std::string(" ") +
         to_text(frame.elements);
}

Welcome::Welcome(const Frame& frame)
    : version(frame.number(0)),
      cluster(frame.id(1)),
      history(frame.id(2)),
      server(frame.number(4)),
      leader(frame.number(5)),
      leader_endpoint(frame.text(6)),
      publisher_open(frame.flag(7)),
      instance(frame.number(8)),
      last_sequence(frame.number(9)),
      payload_max(frame.number(10)),
      batch_bytes_max(frame.number(11)),
      heartbeat_ms(frame.number(12)) {}

BatchReceipt::BatchReceipt(const Frame& frame)
    : first_sequence(frame.number(0)),
      count(frame.number(1)),
      base_offset(frame.number(2)),
      zxid{Epoch{static_cast<std::uint32_t>(frame.number(3))}, frame.number(4)} {}

Refused::Refused(const Frame& frame)
    : about(frame.number(0)),
      id(frame.number(1)),
      code(static_cast<Code>(frame.number(2))),
      outcome(static_cast<Outcome>(frame.number(3))),
      text(frame.text(4)),
      last_sequence(frame.number(5)),
      hole(frame.flag(6)),
      last_offset(frame.number(10)) {
  if (frame.elements.size() > 11 && is_of(frame.elements[11], 'n')) {
    expect_last_offset = frame.number(11);
  }
}

std::vector<Record> records_of(std::string_view body) {
  std::vector<Record> records;
  while (!body.empty()) {
    const std::optional<RecordHeader> header = parse_record(bytes_of(body));
    if (!header) throw Broken{"whole records with both of their checksums", "other bytes"};
    const std::string_view own = body.substr(record_header_size, header->body_size);
    records.push_back({*header, std::string(own)});
    body.remove_prefix(record_size(header->body_size));
  }
  return records;
}

}  // namespace zabmq::cli::conformance
