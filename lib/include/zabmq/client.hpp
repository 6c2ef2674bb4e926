// Client options: what Publisher, Subscriber and Admin share.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "zabmq/types.hpp"

namespace zabmq {

using Millis = std::chrono::milliseconds;

// $ZABMQ_ENDPOINTS split at commas, else what `zabmq dev` opens: tcp://127.0.0.1:9470, 9480, 9490.
std::vector<std::string> default_endpoints();

struct ClientOptions {
  std::vector<std::string> endpoints = default_endpoints();  // client ports; some may be down
  Millis timeout{5000};                                      // of a call that is given none
};

// Message headers: names and values, in order.
using Headers = std::vector<std::pair<std::string, std::string>>;

}  // namespace zabmq
