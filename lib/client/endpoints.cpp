// Endpoints: where clients look for servers when they are told nothing.
#include <cstdlib>
#include <string_view>

#include "zabmq/client.hpp"

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

}  // namespace zabmq
