// Endpoints: what may be one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zabmq::client {

bool is_endpoint(std::string_view text);  // tcp://HOST:PORT
// Throws UsageError: there is none, or one is no endpoint.
void check_endpoints(const std::vector<std::string>& endpoints);

}  // namespace zabmq::client
