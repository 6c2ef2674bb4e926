// ServerList: parsing and checking of --servers.
#include "node/server_list.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <span>

#include "wire/client_frame.hpp"
#include "zabmq/record.hpp"

namespace zabmq::node {
namespace {

Problem bad_entry(std::string_view entry, std::string_view why) {
  return {"--servers " + std::string(entry) + ": " + std::string(why)};
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// Cuts at the first `separator` outside brackets: an IPv6 address has colons of its own.
std::string_view take_field(std::string_view& rest, char separator) {
  const std::size_t start = rest.starts_with('[') ? rest.find(']') : 0;
  const std::size_t end = start == std::string_view::npos ? start : rest.find(separator, start);
  const std::string_view field = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return field;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> fields;
  const bool open_end = text.ends_with(separator);
  while (!text.empty()) fields.push_back(take_field(text, separator));
  if (open_end || fields.empty()) fields.emplace_back();
  return fields;
}

bool valid_host(std::string_view host) {
  if (host.empty() || host.size() > wire::endpoint_size_max / 2) return false;
  const bool bracketed = host.starts_with('[');
  if (bracketed && (!host.ends_with(']') || host.size() < 4)) return false;
  const std::string_view inner = bracketed ? host.substr(1, host.size() - 2) : host;
  return std::all_of(inner.begin(), inner.end(), [&](unsigned char c) {
    const bool name = std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
    return bracketed ? std::isxdigit(c) != 0 || c == ':' || c == '.' || c == '%' : name;
  });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

std::variant<Server, Problem> parse_server(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  if (equals == std::string_view::npos) {
    return bad_entry(entry, "expected ID=HOST:PEERPORT:CLIENTPORT");
  }
  const auto id = parse_number<std::uint32_t>(entry.substr(0, equals));
  if (!id || *id == 0) return bad_entry(entry, "the id must be a number from 1");

  const auto fields = split(entry.substr(equals + 1), ':');
  if (fields.size() == 4 && fields[3] == "observer") {
    return bad_entry(entry, "observers are not supported by this version");
  }
  if (fields.size() == 4 && fields[3] != "voter") {
    return bad_entry(entry, "unknown role '" + std::string(fields[3]) + "'");
  }
  if (fields.size() != 3 && fields.size() != 4) {
    return bad_entry(entry, "expected ID=HOST:PEERPORT:CLIENTPORT");
  }
  if (!valid_host(fields[0])) {
    return bad_entry(entry, "bad host '" + std::string(fields[0]) + "' (IPv6 goes in brackets)");
  }
  const auto peer_port = parse_port(fields[1]);
  const auto client_port = parse_port(fields[2]);
  for (const auto& [port, text] : {std::pair{peer_port, fields[1]}, {client_port, fields[2]}}) {
    if (!port) return bad_entry(entry, "bad port '" + std::string(text) + "' (1 to 65535)");
  }
  return Server{ServerId{*id}, std::string(fields[0]), *peer_port, *client_port};
}

std::optional<Problem> find_repetition(const std::vector<Server>& servers) {
  std::set<ServerId> ids;
  std::set<std::string> endpoints;
  for (const Server& server : servers) {
    if (!ids.insert(server.id).second) {
      return Problem{"--servers: id " + to_string(server.id) + " is given twice"};
    }
    for (const auto& endpoint : {server.peer_endpoint(), server.client_endpoint()}) {
      if (!endpoints.insert(endpoint).second) {
        return Problem{"--servers: " + endpoint + " is given twice"};
      }
    }
  }
  return std::nullopt;
}

std::string joined(const std::vector<ServerId>& ids, const std::string& suffix) {
  std::string text;
  for (ServerId id : ids) text += (text.empty() ? "" : ",") + to_string(id) + suffix;
  return text;
}

}  // namespace

std::string Server::peer_endpoint() const {
  return "tcp://" + host + ":" + std::to_string(peer_port);
}

std::string Server::client_endpoint() const {
  return "tcp://" + host + ":" + std::to_string(client_port);
}

bool Server::is_loopback() const {
  if (host == "localhost" || host == "[::1]") return true;
  // Digits and dots only: "127.example.org" is a name that may lead anywhere.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::variant<ServerList, Problem> ServerList::parse(std::string_view text) {
  ServerList list;
  for (std::string_view entry : split(text, ',')) {
    auto server = parse_server(entry);
    if (auto* problem = std::get_if<Problem>(&server)) return std::move(*problem);
    list.servers_.push_back(std::move(std::get<Server>(server)));
  }
  if (list.servers_.size() > wire::servers_max) {
    return Problem{"--servers: " + std::to_string(list.servers_.size()) + " servers, at most " +
                   std::to_string(wire::servers_max)};
  }
  if (auto problem = find_repetition(list.servers_)) return std::move(*problem);
  std::ranges::sort(list.servers_, {}, &Server::id);
  return list;
}

const Server* ServerList::find(ServerId id) const {
  const auto found = std::ranges::find(servers_, id, &Server::id);
  return found == servers_.end() ? nullptr : &*found;
}

std::vector<ServerId> ServerList::voters() const {
  std::vector<ServerId> ids;
  for (const Server& server : servers_) ids.push_back(server.id);
  return ids;
}

std::string ServerList::voter_set() const {
  return joined(voters(), "");
}

std::uint64_t ServerList::voter_set_hash() const {
  const std::string text = joined(voters(), ":voter");
  return static_cast<std::uint64_t>(checksum(std::as_bytes(std::span(text))));
}

}  // namespace zabmq::node
