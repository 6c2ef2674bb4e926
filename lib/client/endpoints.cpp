// Endpoints: their form, and where clients look for servers when they are told nothing.
#include "client/endpoints.hpp"

#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "zabmq/client.hpp"
#include "zabmq/result.hpp"

namespace zabmq {
namespace {

constexpr std::string_view dev_endpoints =
    "tcp://127.0.0.1:9470,tcp://127.0.0.1:9480,tcp://127.0.0.1:9490";

std::vector<std::string> split_at_commas(std::string_view list) {
  std::vector<std::string> endpoints;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view one = list.substr(0, comma);
    if (!one.empty()) endpoints.emplace_back(one);
    list = comma == list.npos ? std::string_view{} : list.substr(comma + 1);
  }
  return endpoints;
}

}  // namespace

std::vector<std::string> default_endpoints() {
  const char* chosen = std::getenv("ZABMQ_ENDPOINTS");
  std::vector<std::string> endpoints = split_at_commas(chosen ? chosen : "");
  return endpoints.empty() ? split_at_commas(dev_endpoints) : endpoints;
}

namespace client {

bool is_endpoint(std::string_view text) {
  constexpr std::string_view scheme = "tcp://";
  if (!text.starts_with(scheme)) return false;
  text.remove_prefix(scheme.size());
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc{} && end == digits.data() + digits.size() && port > 0;
}

void check_endpoints(const std::vector<std::string>& endpoints) {
  if (endpoints.empty()) throw UsageError("no endpoints: name at least one server");
  for (const std::string& endpoint : endpoints) {
    if (is_endpoint(endpoint)) continue;
    throw UsageError("'" + endpoint +
                     "' is no endpoint: expected tcp://HOST:PORT (several: a comma between them)");
  }
}

}  // namespace client

}  // namespace zabmq
