// Headers: a message's headers as a msgpack map from strings to strings.
#include "wire/batch.hpp"
#include "wire/msgpack_parse.hpp"
#include "wire/msgpack_sink.hpp"

namespace zabmq::wire {
namespace {

void pack_text(msgpack::packer<MsgpackSink>& packer, const std::string& text) {
  packer.pack_str(static_cast<std::uint32_t>(text.size()));
  packer.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}

std::string text_of(const msgpack::object& object) {
  return {object.via.str.ptr, object.via.str.size};
}

}  // namespace

std::optional<std::vector<std::byte>> encode_headers(const HeaderList& headers) {
  std::vector<std::byte> out;
  if (headers.empty()) return out;
  if (headers.size() > header_entries_max) return std::nullopt;
  MsgpackSink sink{out};
  msgpack::packer<MsgpackSink> packer(sink);
  packer.pack_map(static_cast<std::uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    // Checked before it is packed: msgpack's lengths are 32 bits wide.
    if (name.size() > message_headers_max || value.size() > message_headers_max)
      return std::nullopt;
    pack_text(packer, name);
    pack_text(packer, value);
    if (out.size() > message_headers_max) return std::nullopt;
  }
  return out;
}

std::optional<HeaderList> decode_headers(Bytes bytes) {
  HeaderList headers;
  if (bytes.empty()) return headers;
  if (bytes.size() > message_headers_max) return std::nullopt;
  msgpack::zone zone;
  const std::optional<msgpack::object> object =
      parse_msgpack(zone, bytes, {.map = header_entries_max, .str = message_headers_max});
  if (!object || object->type != msgpack::type::MAP) return std::nullopt;
  const msgpack::object_map& map = object->via.map;
  headers.reserve(map.size);
  for (const msgpack::object_kv* entry = map.ptr; entry != map.ptr + map.size; ++entry) {
    if (entry->key.type != msgpack::type::STR || entry->val.type != msgpack::type::STR) {
      return std::nullopt;
    }
    headers.emplace_back(text_of(entry->key), text_of(entry->val));
  }
  return headers;
}

}  // namespace zabmq::wire
