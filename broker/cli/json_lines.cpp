// JsonLines: the fields and their order.
#include "cli/json_lines.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/units.hpp"

namespace zabmq::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& object) {
  return object.dump() + '\n';
}

std::string base64(Bytes bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(bytes.size() - at, 3);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint32_t digit = group >> (18 - 6 * i) & 0x3f;
      out += i <= count ? digits[digit] : '=';
    }
  }
  return out;
}

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// A name that comes again has a list of its values. nullopt: a name is no text.
std::optional<Json> headers_object(const Headers& headers) {
  Json object = Json::object();
  for (const auto& [name, value] : headers) {
    if (!is_utf8(name)) return std::nullopt;
    Json one = is_utf8(value) ? Json(value) : Json{{"base64", base64(bytes_of(value))}};
    if (!object.contains(name)) {
      object[name] = std::move(one);
      continue;
    }
    if (!object[name].is_array()) object[name] = Json::array({object[name]});
    object[name].push_back(std::move(one));
  }
  return object;
}

// Servers do not look into headers, so they may be anything; a subscription outlives it.
void add_headers(Json& object, Bytes headers) {
  if (headers.empty()) return;
  try {
    if (auto decoded = headers_object(decode_headers(headers))) {
      if (!decoded->empty()) object["headers"] = std::move(*decoded);
      return;
    }
  } catch (const Error&) {
    // What does not decode is shown as it is.
  }
  object["headers_base64"] = base64(headers);
}

Json number_or_null(ServerId id) {
  return id == ServerId::none ? Json() : Json(static_cast<std::uint32_t>(id));
}

Json server_object(const ServerStatus& server) {
  const auto known = [&server](const auto& value) {
    return server.reachable ? Json(value) : Json();
  };
  return {{"id", number_or_null(server.id)},
          {"client", server.client},
          {"role", role_name(server)},
          {"phase", known(std::string(to_string(server.phase)))},
          {"epoch", known(static_cast<std::uint32_t>(server.epoch))},
          {"last_logged", known(to_string(server.last_logged))},
          {"last_committed", known(to_string(server.last_committed))},
          {"first_offset", known(server.first_offset)},
          {"last_offset", known(server.last_offset)}};
}

}  // namespace

std::string role_name(const ServerStatus& server) {
  if (!server.reachable) return "unreachable";
  switch (server.role) {
    case Role::leading:
      return "leader";
    case Role::following:
      return "follower";
    case Role::observing:
      return "observer";
    case Role::looking:
      return "looking";
  }
  return "looking";
}

std::string json_line(const Receipt& receipt) {
  return line({{"offset", receipt.offset},
               {"zxid", to_string(receipt.zxid)},
               {"sequence", receipt.sequence}});
}

std::string json_line(const Message& message) {
  Json object{{"offset", message.offset},
              {"zxid", to_string(message.zxid)},
              {"topic", std::string(message.topic)}};
  if (is_utf8(message.text())) {
    object["payload"] = std::string(message.text());
  } else {
    object["payload_base64"] = base64(message.payload);
  }
  object["time"] = message.time;
  add_headers(object, message.headers);
  return line(object);
}

std::string json_line(const Gap& gap) {
  return line({{"gap",
                {{"from", gap.from == 0 ? Json() : Json(gap.from)},
                 {"first_available", gap.first_available}}}});
}

std::string json_line(const ClusterStatus& status) {
  Json servers = Json::array();
  for (const ServerStatus& server : status.servers) servers.push_back(server_object(server));
  return line({{"leader", number_or_null(status.leader)}, {"servers", std::move(servers)}});
}

std::string json_line(const DurableCursor& cursor) {
  return line({{"cursor", cursor.name},
               {"acknowledged", cursor.acknowledged},
               {"behind", cursor.behind},
               {"lost", cursor.lost}});
}

}  // namespace zabmq::cli
