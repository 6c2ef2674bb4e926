// PeerCodec: the wire order of every message's fields, said once for both directions.
#include "net/peer_codec.hpp"

#include <array>
#include <concepts>
#include <cstring>
#include <limits>
#include <msgpack.hpp>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "wire/msgpack_reader.hpp"
#include "zabmq/check.hpp"
#include "zabmq/record.hpp"

namespace zabmq::net {
namespace {

constexpr std::size_t checksum_size = 8;
constexpr std::size_t link_fields = 7;  // with the kind

template <class M, class T>
concept Like = std::same_as<std::remove_const_t<M>, T>;

// --- the fields: a struct is an array of these, in this order; new ones go to the end ---

auto fields(Like<Zxid> auto& v) {
  return std::tie(v.epoch, v.counter);
}
auto fields(Like<Floor> auto& v) {
  return std::tie(v.zxid, v.offset, v.digest);
}
auto fields(Like<zab::Run> auto& v) {
  return std::tie(v.epoch, v.first, v.last);
}
auto fields(Like<zab::EpochEnd> auto& v) {
  return std::tie(v.epoch, v.last);
}
auto fields(Like<zab::History> auto& v) {
  return std::tie(v.floor, v.ends);
}
auto fields(Like<zab::Handshake> auto& v) {
  return std::tie(v.version_min, v.version_max, v.cluster, v.history, v.config_version,
                  v.voter_set_hash);
}

auto fields(Like<zab::Vote> auto& v) {
  return std::tie(v.handshake, v.leader, v.current_epoch, v.last, v.round, v.role, v.phase);
}
auto fields(Like<zab::StandingMessage> auto& v) {
  return std::tie(v.handshake, v.standing, v.leader, v.answer);
}
auto fields(Like<zab::CEpoch> auto& v) {
  return std::tie(v.handshake, v.standing, v.incarnation, v.accepted);
}
auto fields(Like<zab::AckEpoch> auto& v) {
  return std::tie(v.epoch, v.promised, v.current, v.history);
}
auto fields(Like<zab::Progress> auto& v) {
  return std::tie(v.durable);
}
auto fields(Like<zab::AckLeader> auto& v) {
  return std::tie(v.epoch);
}
auto fields(Like<zab::Ack> auto& v) {
  return std::tie(v.durable);
}
auto fields(Like<zab::Pong> auto& v) {
  return std::tie(v.number);
}
auto fields(Like<zab::Furthest> auto& v) {
  return std::tie(v.incarnation, v.voter, v.accepted, v.current, v.durable);
}
auto fields(Like<zab::NewEpoch> auto& v) {
  return std::tie(v.handshake, v.epoch, v.furthest);
}
auto fields(Like<zab::Diff> auto& v) {
  return std::tie(v.common, v.digest);
}
auto fields(Like<zab::Trunc> auto& v) {
  return std::tie(v.common, v.digest);
}
auto fields(Like<zab::Snap> auto& v) {
  return std::tie(v.floor, v.time, v.state, v.part, v.parts);
}
auto fields(Like<zab::StateTaken> auto& v) {
  return std::tie(v.part);
}
auto fields(Like<zab::Propose> auto& v) {
  return std::tie(v.runs, v.commit);
}
auto fields(Like<zab::NewLeader> auto& v) {
  return std::tie(v.epoch);
}
auto fields(Like<zab::UpToDate> auto& v) {
  return std::tie(v.epoch, v.commit);
}
auto fields(Like<zab::Commit> auto& v) {
  return std::tie(v.commit);
}
auto fields(Like<zab::Ping> auto& v) {
  return std::tie(v.number, v.commit);
}
auto fields(Like<zab::EndQuestion> auto& v) {
  return std::tie(v.number);
}
auto fields(Like<zab::EndAnswer> auto& v) {
  return std::tie(v.number, v.offset, v.zxid);
}
auto fields(Like<zab::Admitted> auto& v) {
  return std::tie(v.incarnation);
}

auto fields(Like<zab::Forward> auto& v) {
  return std::tie(v.number, v.publisher, v.frame);
}
auto fields(Like<zab::ForwardAnswer> auto& v) {
  return std::tie(v.number, v.frame);
}

template <class T>
concept Struct = requires(T& v) {
  fields(v);
};

template <Struct T>
constexpr std::size_t field_count = std::tuple_size_v<decltype(fields(std::declval<T&>()))>;

// --- the kinds ---

// Of zab::Message's alternatives, in their order there.
constexpr std::array kinds = {
    Kind::vote,        Kind::standing, Kind::cepoch,        Kind::ack_epoch,  Kind::progress,
    Kind::ack_leader,  Kind::ack,      Kind::pong,          Kind::new_epoch,  Kind::diff,
    Kind::trunc,       Kind::snap,     Kind::propose,       Kind::new_leader, Kind::up_to_date,
    Kind::commit,      Kind::ping,     Kind::end_question,  Kind::end_answer, Kind::admitted,
    Kind::state_taken, Kind::forward,  Kind::forward_answer};
static_assert(kinds.size() == std::variant_size_v<zab::Message>);

// --- bounds of what a field may hold ---

constexpr std::uint64_t greatest(Role) {
  return static_cast<std::uint64_t>(Role::observing);
}
constexpr std::uint64_t greatest(Phase) {
  return static_cast<std::uint64_t>(Phase::broadcast);
}
constexpr std::uint64_t greatest(zab::Standing) {
  return static_cast<std::uint64_t>(zab::Standing::wiped);
}
template <class T>
constexpr std::uint64_t greatest(T) {  // identifiers and plain numbers: all that fits
  if constexpr (std::is_enum_v<T>) {
    return std::numeric_limits<std::underlying_type_t<T>>::max();
  } else {
    return std::numeric_limits<T>::max();
  }
}

constexpr std::size_t elements_max(const std::vector<zab::Run>&) {
  return runs_max;
}
constexpr std::size_t elements_max(const std::vector<zab::EpochEnd>&) {
  return zab::epoch_entries_sent_max;
}

// What lib/zab takes for granted of a History, whoever sent it.
bool can_be(const zab::History& h) {
  const bool transaction = h.floor.zxid.epoch != Epoch::none && h.floor.zxid.counter > 0;
  if (!is_none(h.floor.zxid) && !transaction) return false;
  Epoch before = Epoch::none;
  for (const zab::EpochEnd& end : h.ends) {
    if (end.last == 0 || end.epoch <= before || end.epoch < h.floor.zxid.epoch) return false;
    if (end.epoch == h.floor.zxid.epoch && end.last <= h.floor.zxid.counter) return false;
    before = end.epoch;
  }
  return true;
}

bool can_be(const zab::Snap& s) {
  return s.part < s.parts && s.state >= s.floor.zxid;
}

// A frame's records stand behind each other, so its runs do.
bool can_be(const zab::Propose& p) {
  if (p.runs.empty()) return false;
  const zab::Run* before = nullptr;
  for (const zab::Run& run : p.runs) {
    if (run.epoch == Epoch::none || run.first == 0 || run.first > run.last) return false;
    if (before && (run.epoch <= before->epoch || run.first != 1)) return false;
    before = &run;
  }
  return true;
}

bool can_be(const zab::Forward& f) {
  return !f.frame.empty();
}
bool can_be(const zab::ForwardAnswer& f) {
  return !f.frame.empty();
}

template <class T>
bool can_be(const T&) {
  return true;
}

// --- writing ---

struct Buffer {
  std::vector<std::byte> bytes;
  void write(const char* data, std::size_t size) {
    const auto* from = reinterpret_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
  }
};

class Writer {
 public:
  Writer() {
    buffer_.bytes.reserve(256);
    buffer_.bytes.resize(checksum_size);
  }

  void array(std::size_t count) { packer_.pack_array(static_cast<std::uint32_t>(count)); }

  void put(bool value) { packer_.pack(value); }
  void put(const Uuid& id) {
    packer_.pack_bin(static_cast<std::uint32_t>(id.bytes.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(id.bytes.data()),
                          static_cast<std::uint32_t>(id.bytes.size()));
  }
  template <class T>
  requires std::is_enum_v<T> || std::unsigned_integral<T>
  void put(T value) { packer_.pack_uint64(static_cast<std::uint64_t>(value)); }
  void put(const std::vector<std::byte>& bytes) {
    ZABMQ_CHECK(bytes.size() <= forwarded_frame_max);
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(bytes.data()),
                          static_cast<std::uint32_t>(bytes.size()));
  }
  template <class T>
  void put(const std::vector<T>& list) {
    ZABMQ_CHECK(list.size() <= elements_max(list));
    array(list.size());
    for (const T& element : list) put(element);
  }
  template <Struct T>
  void put(const T& value) {
    array(field_count<T>);
    put_fields(value);
  }
  template <Struct T>
  void put_fields(const T& value) {
    std::apply([this](const auto&... field) { (this->put(field), ...); }, fields(value));
  }

  std::vector<std::byte> finish() {
    ZABMQ_CHECK(buffer_.bytes.size() <= peer_header_size_max);
    const Digest digest = checksum(Bytes(buffer_.bytes).subspan(checksum_size));
    std::memcpy(buffer_.bytes.data(), &digest, checksum_size);
    return std::move(buffer_.bytes);
  }

 private:
  Buffer buffer_;
  msgpack::packer<Buffer> packer_{buffer_};
};

void put_link(Writer& out, const Link& link, Kind kind) {
  out.put(link.cluster);
  out.put(link.sender);
  out.put(link.receiver);
  out.put(link.incarnation);
  out.put(link.session);
  out.put(link.sequence);
  out.put(kind);
}

// --- reading ---

class Reader {
 public:
  explicit Reader(Bytes bytes) : in_(bytes) {}

  bool get(bool& value) { return in_.read(value); }
  bool get(Uuid& id) { return in_.read_binary(id.bytes); }
  template <class T>
  requires std::is_enum_v<T> || std::unsigned_integral<T>
  bool get(T& value) {
    std::uint64_t number = 0;
    if (!in_.read(number) || number > greatest(T{})) return false;
    value = static_cast<T>(number);
    return true;
  }
  bool get(std::vector<std::byte>& out) {
    Bytes bytes;
    if (!in_.read_binary(bytes) || bytes.size() > forwarded_frame_max) return false;
    out.assign(bytes.begin(), bytes.end());
    return true;
  }
  template <class T>
  bool get(std::vector<T>& list) {
    std::size_t count = 0;
    if (!in_.read_array(count) || count > elements_max(list)) return false;
    list.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (!get(list.emplace_back())) return false;
    }
    return true;
  }
  template <Struct T>
  bool get(T& value) {
    std::size_t count = 0;
    return in_.read_array(count) && get_fields(value, count);
  }

  // The fields of `value` out of `count` elements; what a newer version has behind them is skipped.
  template <Struct T>
  bool get_fields(T& value, std::size_t count) {
    if (count < field_count<T>) return false;
    const bool whole =
        std::apply([this](auto&... field) { return (this->get(field) && ...); }, fields(value));
    return whole && skip(count - field_count<T>) && can_be(value);
  }

  bool array(std::size_t& count) { return in_.read_array(count); }
  bool skip(std::size_t count) {
    for (; count > 0; --count) {
      if (!in_.skip()) return false;
    }
    return true;
  }
  bool at_end() const { return in_.at_end(); }

 private:
  wire::MsgpackReader in_;
};

bool get_link(Reader& in, Link& link, Kind& kind) {
  return in.get(link.cluster) && in.get(link.sender) && in.get(link.receiver) &&
         in.get(link.incarnation) && in.get(link.session) && in.get(link.sequence) && in.get(kind);
}

template <class T>
bool get_message(Reader& in, std::size_t count, Frame& frame) {
  T message;
  if (!in.get_fields(message, count)) return false;
  frame.content = zab::Message(std::move(message));
  return true;
}

template <std::size_t... I>
bool get_message(Reader& in, std::size_t count, Kind kind, Frame& frame,
                 std::index_sequence<I...>) {
  return ((kinds[I] == kind &&
           get_message<std::variant_alternative_t<I, zab::Message>>(in, count, frame)) ||
          ...);
}

bool get_content(Reader& in, std::size_t count, Kind kind, Frame& frame) {
  if (kind == Kind::reset || kind == Kind::probe || kind == Kind::probe_answer) {
    frame.content = static_cast<Control>(kind);
    return in.skip(count);
  }
  return get_message(in, count, kind, frame, std::make_index_sequence<kinds.size()>{});
}

// Datagrams belong to no session; everything else names one, and is numbered in it.
bool can_be(const Frame& frame) {
  const Link& link = frame.link;
  if (link.incarnation == 0) return false;
  const auto* message = std::get_if<zab::Message>(&frame.content);
  if (!message) return link.session != 0 && link.sequence == 0;
  return link.sequence != 0 && (link.session == 0) == zab::is_datagram(*message);
}

}  // namespace

Kind kind_of(const zab::Message& message) {
  return kinds.at(message.index());
}

bool is_from_learner(const zab::Message& message) {
  const Kind kind = kind_of(message);
  return (kind >= Kind::cepoch && kind <= Kind::pong) || kind == Kind::end_question ||
         kind == Kind::admitted || kind == Kind::state_taken || kind == Kind::forward;
}

std::vector<std::byte> encode(const Link& link, const zab::Message& message) {
  Writer out;
  const auto put = [&](const auto& m) {
    ZABMQ_CHECK(can_be(m));
    out.array(link_fields + field_count<std::remove_cvref_t<decltype(m)>>);
    put_link(out, link, kind_of(message));
    out.put_fields(m);
  };
  std::visit(put, message);
  return out.finish();
}

std::vector<std::byte> encode(const Link& link, Control control) {
  Writer out;
  out.array(link_fields);
  put_link(out, link, static_cast<Kind>(control));
  return out.finish();
}

std::optional<Frame> decode(Bytes header) {
  if (header.size() <= checksum_size || header.size() > peer_header_size_max) return std::nullopt;
  Digest expected{};
  std::memcpy(&expected, header.data(), checksum_size);
  if (checksum(header.subspan(checksum_size)) != expected) return std::nullopt;

  Reader in(header.subspan(checksum_size));
  Frame frame;
  std::size_t count = 0;
  Kind kind{};
  if (!in.array(count) || count < link_fields || !get_link(in, frame.link, kind)) {
    return std::nullopt;
  }
  if (!get_content(in, count - link_fields, kind, frame) || !in.at_end() || !can_be(frame)) {
    return std::nullopt;
  }
  return frame;
}

}  // namespace zabmq::net
