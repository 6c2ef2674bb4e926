// ClientFrame: every frame's layout as a list of fields, and the one codec that reads these lists.
#include "wire/client_frame.hpp"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "wire/msgpack_parse.hpp"
#include "wire/msgpack_sink.hpp"
#include "zabmq/check.hpp"
#include "zabmq/record.hpp"

namespace zabmq::wire {
namespace {

constexpr std::size_t checksum_size = 8;
constexpr std::size_t header_size_usual = 96;  // reserved at once; hot frames fit

// --- layouts: the position of a field is its contract, so lists only grow at the end ---

template <auto Member, std::size_t Max = 0, std::size_t ItemMax = 0>
struct Field {};  // Max: of a text in bytes, or of a list in items; ItemMax: bytes of its items

template <Command Number, class... Fields>
struct Layout {
  static constexpr Command command = Number;
};

template <class Frame>
struct LayoutOf;

template <>
struct LayoutOf<Hello>
    : Layout<Command::hello, Field<&Hello::version_min>, Field<&Hello::version_max>,
             Field<&Hello::cluster>, Field<&Hello::history>, Field<&Hello::config_version>,
             Field<&Hello::publisher>, Field<&Hello::instance>, Field<&Hello::known>> {};
template <>
struct LayoutOf<Publish>
    : Layout<Command::publish, Field<&Publish::instance>, Field<&Publish::first_sequence>,
             Field<&Publish::count>, Field<&Publish::body_checksum>,
             Field<&Publish::expect_last_offset>> {};
template <>
struct LayoutOf<Subscribe>
    : Layout<Command::subscribe, Field<&Subscribe::subscription>, Field<&Subscribe::start>,
             Field<&Subscribe::offset>, Field<&Subscribe::zxid>, Field<&Subscribe::until_end>,
             Field<&Subscribe::credit_messages>, Field<&Subscribe::credit_bytes>,
             Field<&Subscribe::topics, topics_max, topic_size_max>, Field<&Subscribe::time>,
             Field<&Subscribe::cursor, topic_size_max>> {};
template <>
struct LayoutOf<Credit> : Layout<Command::credit, Field<&Credit::subscription>,
                                 Field<&Credit::messages>, Field<&Credit::bytes>> {};
template <>
struct LayoutOf<Unsubscribe> : Layout<Command::unsubscribe, Field<&Unsubscribe::subscription>> {};
template <>
struct LayoutOf<ClientPing> : Layout<Command::ping> {};
template <>
struct LayoutOf<StatusQuestion> : Layout<Command::status, Field<&StatusQuestion::request>> {};
template <>
struct LayoutOf<ClosePublisher> : Layout<Command::close, Field<&ClosePublisher::instance>> {};
template <>
struct LayoutOf<Bye> : Layout<Command::bye> {};
template <>
struct LayoutOf<MoveCursor> : Layout<Command::move_cursor, Field<&MoveCursor::request>,
                                     Field<&MoveCursor::cursor, topic_size_max>,
                                     Field<&MoveCursor::offset>, Field<&MoveCursor::remove>> {};
template <>
struct LayoutOf<ListCursors> : Layout<Command::list_cursors, Field<&ListCursors::request>,
                                      Field<&ListCursors::after, topic_size_max>> {};

template <>
struct LayoutOf<Welcome>
    : Layout<Command::welcome, Field<&Welcome::version>, Field<&Welcome::cluster>,
             Field<&Welcome::history>, Field<&Welcome::config_version>, Field<&Welcome::server>,
             Field<&Welcome::leader>, Field<&Welcome::leader_endpoint, endpoint_size_max>,
             Field<&Welcome::publisher_open>, Field<&Welcome::instance>,
             Field<&Welcome::last_sequence>, Field<&Welcome::payload_max>,
             Field<&Welcome::batch_bytes_max>, Field<&Welcome::heartbeat_ms>> {};
template <>
struct LayoutOf<Receipt>
    : Layout<Command::receipt, Field<&Receipt::first_sequence>, Field<&Receipt::count>,
             Field<&Receipt::base_offset>, Field<&Receipt::zxid>> {};
template <>
struct LayoutOf<Refused>
    : Layout<Command::refused, Field<&Refused::about>, Field<&Refused::id>, Field<&Refused::code>,
             Field<&Refused::outcome>, Field<&Refused::text, text_size_max>,
             Field<&Refused::last_sequence>, Field<&Refused::hole>,
             Field<&Refused::leader_endpoint, endpoint_size_max>, Field<&Refused::not_leading>,
             Field<&Refused::first_offset>, Field<&Refused::last_offset>,
             Field<&Refused::expect_last_offset>> {};
template <>
struct LayoutOf<Subscribed> : Layout<Command::subscribed, Field<&Subscribed::subscription>,
                                     Field<&Subscribed::next>, Field<&Subscribed::end>,
                                     Field<&Subscribed::has_end>, Field<&Subscribed::from_cursor>> {
};
template <>
struct LayoutOf<Deliver> : Layout<Command::deliver, Field<&Deliver::subscription>,
                                  Field<&Deliver::after>, Field<&Deliver::up_to>> {};
template <>
struct LayoutOf<Gap> : Layout<Command::gap, Field<&Gap::subscription>, Field<&Gap::first>> {};
template <>
struct LayoutOf<Covered>
    : Layout<Command::covered, Field<&Covered::subscription>, Field<&Covered::up_to>> {};
template <>
struct LayoutOf<ServerPong> : Layout<Command::pong, Field<&ServerPong::last_committed>> {};
template <>
struct LayoutOf<Reset> : Layout<Command::reset, Field<&Reset::reason, text_size_max>> {};
template <>
struct LayoutOf<Closed> : Layout<Command::closed, Field<&Closed::instance>> {};
template <>
struct LayoutOf<StatusAnswer>
    : Layout<Command::status_answer, Field<&StatusAnswer::request>, Field<&StatusAnswer::server>,
             Field<&StatusAnswer::role>, Field<&StatusAnswer::phase>, Field<&StatusAnswer::epoch>,
             Field<&StatusAnswer::last_logged>, Field<&StatusAnswer::last_committed>,
             Field<&StatusAnswer::first_offset>, Field<&StatusAnswer::last_offset>,
             Field<&StatusAnswer::leader>,
             Field<&StatusAnswer::servers, servers_max, endpoint_size_max>,
             Field<&StatusAnswer::durability, text_size_max>,
             Field<&StatusAnswer::standing, text_size_max>,
             Field<&StatusAnswer::counters, counters_max, counter_size_max>> {};
template <>
struct LayoutOf<CursorMoved>
    : Layout<Command::cursor_moved, Field<&CursorMoved::request>, Field<&CursorMoved::offset>> {};
template <>
struct LayoutOf<Cursors>
    : Layout<Command::cursors, Field<&Cursors::request>,
             Field<&Cursors::cursors, cursors_max, topic_size_max>, Field<&Cursors::more>,
             Field<&Cursors::first_offset>, Field<&Cursors::last_offset>> {};

// --- closed enumerations: the values that version 1 knows ---

template <class E>
struct Range {
  static constexpr bool closed = false;
};
template <auto Low, auto High>
struct Between {
  static constexpr bool closed = true;
  static constexpr auto low = static_cast<std::uint64_t>(Low);
  static constexpr auto high = static_cast<std::uint64_t>(High);
};
template <>
struct Range<StartKind> : Between<StartKind::first, StartKind::time> {};
template <>
struct Range<About> : Between<About::connection, About::cursor> {};
template <>
struct Range<Code> : Between<Code::unavailable, Code::unknown_outcome> {};
template <>
struct Range<Outcome> : Between<Outcome::no, Outcome::maybe> {};
template <>
struct Range<Role> : Between<Role::looking, Role::observing> {};
template <>
struct Range<Phase> : Between<Phase::election, Phase::broadcast> {};

// How many array elements a value takes: a zxid is two, so that a header stays flat; an optional
// value stands at the end and is left out when there is none.
template <class T>
constexpr std::uint32_t width_of(const T&) {
  return std::is_same_v<T, Zxid> ? 2 : 1;
}
template <class T>
constexpr std::uint32_t width_of(const std::optional<T>& value) {
  return value ? 1 : 0;
}

// --- writing ---

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : sink_{out}, packer_(sink_) {}

  void array(std::uint32_t size) { packer_.pack_array(size); }
  void put(Command command) { packer_.pack_uint8(static_cast<std::uint8_t>(command)); }
  void put(bool value, std::size_t, std::size_t) {
    value ? packer_.pack_true() : packer_.pack_false();
  }
  template <std::unsigned_integral T>
  void put(T value, std::size_t, std::size_t) {
    packer_.pack_uint64(value);
  }
  template <class T>
  void put(const std::optional<T>& value, std::size_t max, std::size_t) {
    if (value) put(*value, max, 0);
  }
  template <class E>
  requires std::is_enum_v<E>
  void put(E value, std::size_t, std::size_t) {
    packer_.pack_uint64(static_cast<std::uint64_t>(value));
  }
  void put(const Uuid& id, std::size_t, std::size_t) {
    packer_.pack_bin(static_cast<std::uint32_t>(id.bytes.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(id.bytes.data()),
                          static_cast<std::uint32_t>(id.bytes.size()));
  }
  void put(const Zxid& z, std::size_t, std::size_t) {
    put(z.epoch, 0, 0);
    put(z.counter, 0, 0);
  }
  void put(std::string_view text, std::size_t max, std::size_t) {
    ZABMQ_CHECK(text.size() <= max);
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void put(const ServerAddress& address, std::size_t max, std::size_t) {
    array(2);
    put(address.id, 0, 0);
    put(address.client_endpoint, max, 0);
  }
  void put(const CursorPlace& place, std::size_t max, std::size_t) {
    array(2);
    put(place.name, max, 0);
    put(place.offset, 0, 0);
  }
  template <class T>
  void put(const std::vector<T>& list, std::size_t max, std::size_t item_max) {
    ZABMQ_CHECK(list.size() <= max);
    array(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(item, item_max, 0);
  }

 private:
  MsgpackSink sink_;
  msgpack::packer<MsgpackSink> packer_;
};

template <class Frame, Command Number, auto... Members, std::size_t... Max, std::size_t... ItemMax>
void write_fields(Writer& writer, const Frame& frame,
                  const Layout<Number, Field<Members, Max, ItemMax>...>&) {
  writer.array((1 + ... + width_of(frame.*Members)));
  writer.put(Number);
  (writer.put(frame.*Members, Max, ItemMax), ...);
}

// Cuts at a character's beginning, so that what is left is still UTF-8.
std::string cut(std::string text) {
  if (text.size() <= text_size_max) return text;
  std::size_t end = text_size_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text;
}

template <class Frame>
std::vector<std::byte> encode_frame(const Frame& frame) {
  std::vector<std::byte> out;
  out.reserve(header_size_usual);
  out.resize(checksum_size);
  Writer writer(out);
  write_fields(writer, frame, LayoutOf<Frame>{});
  ZABMQ_CHECK(out.size() <= header_size_max);

  const Digest digest = checksum(Bytes(out).subspan(checksum_size));
  std::memcpy(out.data(), &digest, checksum_size);
  return out;
}

// --- reading ---

// Takes one array element after the other; the first that does not fit makes it fail for good.
class Reader {
 public:
  explicit Reader(const msgpack::object& array) {
    ok_ = array.type == msgpack::type::ARRAY;
    if (!ok_) return;
    at_ = array.via.array.ptr;
    end_ = at_ + array.via.array.size;
  }
  bool ok() const { return ok_; }

  void take(bool& value, std::size_t, std::size_t) {
    const msgpack::object* element = next(msgpack::type::BOOLEAN);
    if (element) value = element->via.boolean;
  }
  template <std::unsigned_integral T>
  void take(T& value, std::size_t, std::size_t) {
    value = static_cast<T>(number(0, std::numeric_limits<T>::max()));
  }
  template <class T>
  void take(std::optional<T>& value, std::size_t max, std::size_t) {
    value.reset();
    if (!ok_ || at_ == end_) return;
    if (at_->type == msgpack::type::NIL) {
      ++at_;  // none, with elements of a newer version behind it
    } else {
      take(value.emplace(), max, 0);
    }
  }
  template <class E>
  requires std::is_enum_v<E>
  void take(E& value, std::size_t, std::size_t) {
    using Bounds = Range<E>;
    using Number = std::underlying_type_t<E>;
    if constexpr (Bounds::closed) {
      value = static_cast<E>(static_cast<Number>(number(Bounds::low, Bounds::high)));
    } else {
      value = static_cast<E>(static_cast<Number>(number(0, std::numeric_limits<Number>::max())));
    }
  }
  void take(Uuid& id, std::size_t, std::size_t) {
    const msgpack::object* element = next(msgpack::type::BIN);
    if (!element) return;
    if (element->via.bin.size != id.bytes.size()) return fail();
    std::memcpy(id.bytes.data(), element->via.bin.ptr, id.bytes.size());
  }
  void take(Zxid& z, std::size_t, std::size_t) {
    take(z.epoch, 0, 0);
    take(z.counter, 0, 0);
  }
  void take(std::string& text, std::size_t max, std::size_t) {
    const msgpack::object* element = next(msgpack::type::STR);
    if (!element) return;
    if (element->via.str.size > max) return fail();
    text.assign(element->via.str.ptr, element->via.str.size);
  }
  void take(ServerAddress& address, std::size_t max, std::size_t) {
    const msgpack::object* element = next(msgpack::type::ARRAY);
    if (!element) return;
    Reader inner(*element);
    inner.take(address.id, 0, 0);
    inner.take(address.client_endpoint, max, 0);
    if (!inner.ok()) fail();
  }
  void take(CursorPlace& place, std::size_t max, std::size_t) {
    const msgpack::object* element = next(msgpack::type::ARRAY);
    if (!element) return;
    Reader inner(*element);
    inner.take(place.name, max, 0);
    inner.take(place.offset, 0, 0);
    if (!inner.ok()) fail();
  }
  template <class T>
  void take(std::vector<T>& list, std::size_t max, std::size_t item_max) {
    const msgpack::object* element = next(msgpack::type::ARRAY);
    if (!element) return;
    if (element->via.array.size > max) return fail();
    list.resize(element->via.array.size);
    Reader items(*element);
    for (T& item : list) items.take(item, item_max, 0);
    if (!items.ok()) fail();
  }

 private:
  void fail() { ok_ = false; }

  const msgpack::object* next(msgpack::type::object_type type) {
    if (!ok_ || at_ == end_ || at_->type != type) {
      fail();
      return nullptr;
    }
    return at_++;
  }
  std::uint64_t number(std::uint64_t low, std::uint64_t high) {
    const msgpack::object* element = next(msgpack::type::POSITIVE_INTEGER);
    if (!element) return low;
    if (element->via.u64 < low || element->via.u64 > high) fail();
    return ok_ ? element->via.u64 : low;
  }

  const msgpack::object* at_ = nullptr;
  const msgpack::object* end_ = nullptr;
  bool ok_ = true;
};

template <class Frame, Command Number, auto... Members, std::size_t... Max, std::size_t... ItemMax>
void read_fields(Reader& reader, Frame& frame,
                 const Layout<Number, Field<Members, Max, ItemMax>...>&) {
  (reader.take(frame.*Members, Max, ItemMax), ...);
}

template <class Message, class Frame>
bool read_if(std::uint8_t command, Reader& reader, std::optional<Message>& out) {
  if (static_cast<std::uint8_t>(LayoutOf<Frame>::command) != command) return false;
  Frame frame;
  read_fields(reader, frame, LayoutOf<Frame>{});
  if (reader.ok()) out = std::move(frame);
  return true;
}

template <class... Frames>
std::optional<std::variant<Frames...>> read_any(std::uint8_t command, Reader& reader,
                                                const std::variant<Frames...>*) {
  std::optional<std::variant<Frames...>> out;
  (read_if<std::variant<Frames...>, Frames>(command, reader, out) || ...);
  return out;
}

template <class Message>
std::optional<Message> decode(Bytes header) {
  if (header.size() <= checksum_size || header.size() > header_size_max) return std::nullopt;
  const Bytes rest = header.subspan(checksum_size);
  Digest digest;
  std::memcpy(&digest, header.data(), checksum_size);
  if (digest != checksum(rest)) return std::nullopt;

  // A zone allocates 8 KiB when it is made; one is kept per thread, and emptied here.
  thread_local msgpack::zone zone;
  zone.clear();
  const std::optional<msgpack::object> object = parse_msgpack(
      zone, rest,
      {.array = counters_max, .map = counters_max, .str = text_size_max, .bin = text_size_max});
  if (!object) return std::nullopt;
  Reader reader(*object);
  std::uint8_t command = 0;
  reader.take(command, 0, 0);
  if (!reader.ok()) return std::nullopt;
  return read_any(command, reader, static_cast<const Message*>(nullptr));
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

std::vector<std::byte> encode(const ClientMessage& message) {
  return std::visit([](const auto& frame) { return encode_frame(frame); }, message);
}

std::vector<std::byte> encode(const ServerMessage& message) {
  return std::visit(Overloaded{[](const auto& frame) { return encode_frame(frame); },
                               [](Refused frame) {
                                 frame.text = cut(std::move(frame.text));
                                 return encode_frame(frame);
                               },
                               [](Reset frame) {
                                 frame.reason = cut(std::move(frame.reason));
                                 return encode_frame(frame);
                               }},
                    message);
}

std::optional<ClientMessage> decode_client(Bytes header) {
  return decode<ClientMessage>(header);
}
std::optional<ServerMessage> decode_server(Bytes header) {
  return decode<ServerMessage>(header);
}

const char* name_of(const ClientMessage& message) {
  static constexpr const char* names[] = {"HELLO",       "PUBLISH",     "SUBSCRIBE",   "CREDIT",
                                          "UNSUBSCRIBE", "PING",        "STATUS",      "CLOSE",
                                          "BYE",         "MOVE-CURSOR", "LIST-CURSORS"};
  static_assert(std::size(names) == std::variant_size_v<ClientMessage>);
  return names[message.index()];
}

const char* name_of(const ServerMessage& message) {
  static constexpr const char* names[] = {
      "WELCOME", "RECEIPT", "REFUSED", "SUBSCRIBED",    "DELIVER",      "GAP",    "COVERED",
      "PONG",    "RESET",   "CLOSED",  "STATUS-ANSWER", "CURSOR-MOVED", "CURSORS"};
  static_assert(std::size(names) == std::variant_size_v<ServerMessage>);
  return names[message.index()];
}

}  // namespace zabmq::wire
